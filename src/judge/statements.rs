//! Which statement decides a finding, and which statements have rotted.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Duration, Utc};

use crate::model::finding::{Finding, Kind, Status};
use crate::model::inventory::Inventory;
use crate::model::statement::{Statement, StatementCheck, StatementState};

use super::Subject;
use super::product::Product;
use super::purl::{Installed, Present, Purl, narrow};

/// How long before its end a statement is called expiring.
const NOTICE_DAYS: i64 = 14;

/// Decides the status of every finding and checks the statements that speak of the image. A
/// statement must name the vulnerability, the image and the component (secrets and checks have
/// none); of several the later one counts, at the same time one that suppresses nothing.
pub(super) fn apply(
    findings: &mut [Finding],
    statements: &[Statement],
    subject: &Subject<'_>,
    inventory: &Inventory,
    now: DateTime<Utc>,
) -> Vec<StatementCheck> {
    let packages = Installed::of(&inventory.packages);
    let mut cases: Vec<Case<'_>> = statements
        .iter()
        .filter(|statement| speaks_of(statement, subject, &packages))
        .map(|statement| Case::of(statement, &packages, now))
        .collect();
    let mut by_id: HashMap<String, Vec<usize>> = HashMap::new();
    for (place, case) in cases.iter().enumerate() {
        for id in case.statement.ids.iter().map(|id| id.to_lowercase()).collect::<BTreeSet<_>>() {
            by_id.entry(id).or_default().push(place);
        }
    }
    for finding in findings {
        decide(finding, &mut cases, &by_id);
    }
    checks(&cases, subject.name, now)
}

/// A statement beside one image speaks of no other; without products it speaks of that one.
fn speaks_of(statement: &Statement, subject: &Subject<'_>, packages: &Installed) -> bool {
    let beside = statement.folder.as_deref().unwrap_or_default() == subject.folder;
    if statement.folder.is_some() && !beside {
        return false;
    }
    let named = |id: &String| match Product::parse(id) {
        Product::Image(image) => image.names(subject),
        Product::Package(purl) => packages.has(&purl),
    };
    if statement.products.is_empty() { beside } else { statement.products.iter().any(named) }
}

/// A statement on its way through the findings of one image.
#[derive(Debug)]
struct Case<'a> {
    statement: &'a Statement,
    components: Vec<Purl>,
    expired: bool,
    /// Says that a component is absent which the inventory has.
    contradicted: bool,
    /// Whether it names a vulnerability finding; a secret or a check has no version.
    vulnerability: bool,
    matched: bool,
    fixed: BTreeSet<String>,
}

impl<'a> Case<'a> {
    fn of(statement: &'a Statement, packages: &Installed, now: DateTime<Utc>) -> Self {
        let components = narrow(&statement.components);
        let present = || components.iter().any(|component| packages.has(component));
        Self {
            expired: statement.expires.is_some_and(|end| end <= now),
            contradicted: denies_presence(statement) && present(),
            components,
            statement,
            vulnerability: false,
            matched: false,
            fixed: BTreeSet::new(),
        }
    }

    fn means(&self, finding: &Finding, package: Option<&Present>) -> bool {
        if self.statement.components.is_empty() {
            return true;
        }
        let path = finding.path.as_deref().unwrap_or_default();
        let by_path = finding.kind != Kind::Vulnerability
            && !path.is_empty()
            && self.statement.components.iter().any(|id| id.trim_start_matches('/') == path);
        by_path || package.is_some_and(|package| self.components.iter().any(|c| package.is(c)))
    }

    fn note(&mut self, finding: &Finding) {
        self.matched = true;
        self.vulnerability |= finding.kind == Kind::Vulnerability;
        self.contradicted |= denies_presence(self.statement) && finding.package.is_some();
        self.fixed.extend(finding.fixed.clone());
    }

    fn suppresses(&self) -> bool {
        matches!(self.statement.status, Status::NotAffected | Status::Fixed)
    }

    /// A package's vulnerability is excused by product and component, never by the product alone.
    fn decides(&self, finding: &Finding) -> bool {
        !self.statement.components.is_empty()
            || self.statement.status == Status::Affected
            || finding.kind != Kind::Vulnerability
            || finding.package.is_none()
    }

    /// Whether a fix makes the statement idle: a reason why the flaw cannot be reached stays one.
    fn outdated_by_fix(&self) -> bool {
        let unreachable = [
            "vulnerable_code_not_in_execute_path",
            "vulnerable_code_cannot_be_controlled_by_adversary",
            "inline_mitigations_already_exist",
        ];
        let justification = self.statement.justification.as_deref().unwrap_or_default();
        match self.statement.status {
            Status::Affected | Status::Fixed => true,
            Status::NotAffected => !unreachable.contains(&justification),
            Status::UnderInvestigation => false,
        }
    }
}

fn denies_presence(statement: &Statement) -> bool {
    statement.status == Status::NotAffected
        && statement.justification.as_deref() == Some("component_not_present")
}

fn decide(finding: &mut Finding, cases: &mut [Case<'_>], by_id: &HashMap<String, Vec<usize>>) {
    let package = finding.package.as_ref().and_then(Present::of_finding);
    let named: BTreeSet<usize> =
        finding.ids().filter_map(|id| by_id.get(&id.to_lowercase())).flatten().copied().collect();
    let matching: Vec<usize> =
        named.into_iter().filter(|at| cases[*at].means(finding, package.as_ref())).collect();
    for at in &matching {
        cases[*at].note(finding);
    }
    let rank = |at: &usize| (cases[*at].statement.timestamp, !cases[*at].suppresses(), *at);
    let deciding = matching.into_iter().filter(|at| cases[*at].decides(finding));
    let Some(case) = deciding.max_by_key(rank).map(|at| &cases[at]) else { return };
    finding.statement = Some(case.statement.origin.clone());
    let why = why(case.statement);
    (finding.status, finding.note) = match case {
        case if case.contradicted => {
            let note = format!("contradicted, the component is present: {why}");
            (Status::Affected, Some(note))
        }
        case if case.expired => {
            (Status::Affected, Some(format!("expired on {}: {why}", day(case.statement.expires))))
        }
        case => (case.statement.status, Some(why).filter(|why| !why.is_empty())),
    };
}

fn why(statement: &Statement) -> String {
    let parts = match statement.status {
        Status::NotAffected | Status::Fixed => [&statement.justification, &statement.impact],
        Status::Affected | Status::UnderInvestigation => [&statement.action, &statement.impact],
    };
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    if parts.is_empty() { statement.status.as_str().to_owned() } else { parts.join(": ") }
}

fn day(time: Option<DateTime<Utc>>) -> String {
    time.map(|time| time.format("%Y-%m-%d").to_string()).unwrap_or_default()
}

/// At most one check of each kind for a statement, in the order of the statements.
fn checks(cases: &[Case<'_>], image: &str, now: DateTime<Utc>) -> Vec<StatementCheck> {
    let matched: BTreeSet<&str> =
        cases.iter().filter(|c| c.matched).map(|c| c.statement.origin.as_str()).collect();
    let mut seen = BTreeSet::new();
    let mut checks = Vec::new();
    for case in cases {
        for (state, message) in states(case, matched.contains(case.statement.origin.as_str()), now)
        {
            if seen.insert((case.statement.origin.as_str(), state)) {
                checks.push(check(case.statement, image, state, message));
            }
        }
    }
    checks
}

fn check(
    statement: &Statement,
    image: &str,
    state: StatementState,
    message: String,
) -> StatementCheck {
    StatementCheck {
        origin: statement.origin.clone(),
        id: statement.ids.first().cloned().unwrap_or_default(),
        image: image.to_owned(),
        state,
        message,
        expires: statement.expires,
    }
}

fn states(case: &Case<'_>, matched: bool, now: DateTime<Utc>) -> Vec<(StatementState, String)> {
    let mut states = Vec::new();
    if case.contradicted {
        let message = "says that the component is not present, but the inventory has it; it \
                       suppresses nothing";
        states.push((StatementState::Contradicted, message.to_owned()));
    }
    if !case.matched {
        if !matched && !case.contradicted {
            states.push((StatementState::Stale, stale(case)));
        }
        return states;
    }
    states.extend(ending(case, now));
    if !case.fixed.is_empty() && case.outdated_by_fix() {
        let versions: Vec<&str> = case.fixed.iter().take(3).map(String::as_str).collect();
        let message = format!("a fix is available: {}", versions.join(", "));
        states.push((StatementState::Fixable, message));
    }
    states.extend(broad(case));
    states
}

fn stale(case: &Case<'_>) -> String {
    match case.statement.components.as_slice() {
        [] => "no finding of this image has this id any more".to_owned(),
        [first, ..] => format!("no finding of this image has this id and {first} any more"),
    }
}

fn ending(case: &Case<'_>, now: DateTime<Utc>) -> Option<(StatementState, String)> {
    let end = case.statement.expires?;
    if case.expired {
        let message = format!("expired on {}; it counts no more", day(Some(end)));
        return Some((StatementState::Expired, message));
    }
    let soon = end - now <= Duration::days(NOTICE_DAYS);
    soon.then(|| (StatementState::Expiring, format!("expires on {}", day(Some(end)))))
}

fn broad(case: &Case<'_>) -> Option<(StatementState, String)> {
    if case.statement.status == Status::Affected || !case.vulnerability {
        return None;
    }
    if case.statement.components.is_empty() {
        let message = "names no component; it suppresses nothing";
        return Some((StatementState::Broad, message.to_owned()));
    }
    if !case.suppresses() {
        return None;
    }
    let open = case.components.iter().find(|component| component.version.is_none())?;
    let message = format!("names no version of {}: it would suppress every one", open.name);
    Some((StatementState::Broad, message))
}

/// Statements that speak of no image of the repository: `images` are all of it, broken ones too.
pub fn unmatched(statements: &[Statement], images: &[Subject<'_>]) -> Vec<StatementCheck> {
    let mut speaking = BTreeSet::new();
    for statement in statements {
        if images.iter().any(|subject| may_speak_of(statement, subject)) {
            speaking.insert(statement.origin.as_str());
        }
    }
    let mut seen = BTreeSet::new();
    statements
        .iter()
        .filter(|statement| !speaking.contains(statement.origin.as_str()))
        .filter(|statement| seen.insert(statement.origin.as_str()))
        .map(|statement| {
            let message = match statement.products.first() {
                Some(product) if statement.folder.is_some() => {
                    format!("{product} does not name the image that the file lies beside")
                }
                Some(product) => format!("{product} names no image of this repository"),
                None => "the file lies beside no image".to_owned(),
            };
            check(statement, "", StatementState::Unmatched, message)
        })
        .collect()
}

/// Whether a package product is installed anywhere is not known here, so it may be.
fn may_speak_of(statement: &Statement, subject: &Subject<'_>) -> bool {
    let package = |id: &String| matches!(Product::parse(id), Product::Package(_));
    let beside = statement.folder.as_deref().is_none_or(|folder| folder == subject.folder);
    speaks_of(statement, subject, &Installed::default())
        || (beside && statement.products.iter().any(package))
}
