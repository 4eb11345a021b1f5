//! From the ledger to the morning mails: one report a reader, written with the night's end.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use super::{Context, Error};
use crate::model::night::{ImageResult, Night, NightKind};
use crate::model::pipeline::{Pipeline, Quiet};
use crate::model::report::{Audience, Report, TrendPoint};
use crate::model::statement::StatementCheck;
use crate::report::{self, AssembleInput, Envelope, ImageFindings, RenderMeta};
use crate::store::{Blobs, ImageDetail, NightNotes, OutboxMail, Store, TrendRow};

/// How mails are made.
#[derive(Debug, Clone)]
pub struct Mailing {
    /// The sender.
    pub from: String,
    /// Domain of `Message-ID` and `List-Id`.
    pub domain: String,
    /// How long delivery is tried.
    pub give_up: Duration,
    /// Who hears of refused addresses and stopped nights.
    pub administrator: Option<String>,
}

/// When a night's mails go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At once.
    Now,
    /// At the pipeline's hour.
    AtHour,
    /// Not at all.
    Never,
}

/// Ends the night together with its mails, in one transaction.
pub(super) async fn close(ctx: &Context, night: &Night, when: When) -> Result<Night, Error> {
    let now = ctx.clock.now();
    // The mail shows the night as it will be once it is closed.
    let mut closed = night.clone();
    let images = ctx.store.images(&night.id).await?;
    closed.ended = Some(now);
    closed.planned = images.len() as u64;
    closed.commit = ctx.store.night(&night.id).await?.map(|it| it.commit).unwrap_or_default();
    closed.feeds = ctx.store.feeds_of(&night.id).await?;
    closed.tally(images.iter().map(|image| &image.outcome));
    let mails = mails_for(ctx, &closed, &images, when).await?;
    Ok(ctx.store.close_night(&night.id, now, &mails).await?)
}

/// The mails of a night that is ended already.
pub(super) async fn mails(
    ctx: &Context,
    night: &str,
    when: When,
) -> Result<Vec<OutboxMail>, Error> {
    let Some(night) = ctx.store.night(night).await? else { return Ok(Vec::new()) };
    let images = ctx.store.images(&night.id).await?;
    mails_for(ctx, &night, &images, when).await
}

async fn mails_for(
    ctx: &Context,
    night: &Night,
    images: &[ImageResult],
    when: When,
) -> Result<Vec<OutboxMail>, Error> {
    if when == When::Never || night.kind == NightKind::OnDemand {
        return Ok(Vec::new());
    }
    let mut mails = Vec::new();
    let nights = Nights::read(&ctx.store, night).await?;
    for audience in audiences(ctx, night, images) {
        let report = nights.report(&ctx.pipeline, audience);
        if ctx.pipeline.mail.quiet == Quiet::Skip && report::quiet(&report) {
            continue;
        }
        let not_before = due(&ctx.pipeline, night, when, ctx.clock.now());
        match addressed(&ctx.pipeline, &ctx.mailing, &ctx.blobs, &report, not_before, 1) {
            Ok(mail) => mails.push(mail),
            // One address that no mail can carry must not cost the others theirs.
            Err(error) => tracing::error!(%error, "a mail could not be made"),
        }
    }
    Ok(mails)
}

/// The pipeline's recipients, then every maintainer who is not one of them.
fn audiences(ctx: &Context, night: &Night, images: &[ImageResult]) -> Vec<Audience> {
    let mut seen = BTreeSet::new();
    let mut audiences: Vec<Audience> = Vec::new();
    let administrator = night.error.as_ref().and(ctx.mailing.administrator.as_ref());
    for address in ctx.pipeline.mail.to.iter().chain(administrator) {
        if seen.insert(address.to_ascii_lowercase()) {
            audiences.push(Audience::Pipeline(address.clone()));
        }
    }
    if ctx.pipeline.mail.maintainers {
        for address in images.iter().flat_map(|image| &image.owners) {
            if seen.insert(address.to_ascii_lowercase()) {
                audiences.push(Audience::Owner(address.clone()));
            }
        }
    }
    audiences
}

/// Renders a report into the content store and addresses it.
///
/// # Errors
/// Where it cannot be rendered, addressed or stored.
pub fn addressed(
    pipeline: &Pipeline,
    mailing: &Mailing,
    blobs: &Blobs,
    report: &Report,
    not_before: DateTime<Utc>,
    revision: u32,
) -> Result<OutboxMail, Error> {
    let night = &report.night;
    let meta = meta(pipeline, &mailing.domain);
    let rendered = report::render(report, &meta)?;
    let message_id = report::message_id(&night.id, &report.audience, revision, &mailing.domain);
    let envelope = Envelope {
        from: mailing.from.clone(),
        to: report.audience.address().to_owned(),
        message_id: message_id.clone(),
        date: not_before,
        list_id: format!("{}.midwatch.{}", pipeline.name, mailing.domain),
        thread: None,
        night: night.id.clone(),
        unsubscribe: None,
    };
    let raw = report::message(&rendered, &envelope)?;
    Ok(OutboxMail {
        message_id,
        night: night.id.clone(),
        recipient: envelope.to,
        subject: rendered.subject,
        blob: blobs.put(&raw)?,
        not_before,
        deadline: not_before + mailing.give_up,
    })
}

/// What a rendering of this pipeline's reports needs.
pub fn meta(pipeline: &Pipeline, domain: &str) -> RenderMeta {
    RenderMeta {
        repository: pipeline.name.clone(),
        timezone: pipeline.timezone,
        engine: env!("CARGO_PKG_VERSION").into(),
        web_url: None,
        list_domain: domain.to_owned(),
    }
}

/// The report of any night of the ledger, for one reader.
///
/// # Errors
/// Where the ledger cannot be read.
pub async fn assemble(
    store: &Store,
    pipeline: &Pipeline,
    night: &Night,
    audience: Audience,
) -> Result<Report, Error> {
    Ok(Nights::read(store, night).await?.report(pipeline, audience))
}

/// Two nights and the trend, as the ledger has them.
struct Nights {
    night: Night,
    previous: Option<Night>,
    images: Vec<ImageFindings>,
    before: Vec<ImageFindings>,
    same_formula: bool,
    /// Checks of statements, of the images and of the repository.
    statements: Vec<StatementCheck>,
    notes: NightNotes,
    trend: Vec<TrendRow>,
}

impl Nights {
    async fn read(store: &Store, night: &Night) -> Result<Self, Error> {
        let previous = store.night_before(&night.id).await?;
        let tonight = Judged::read(store, &night.id).await?;
        let before = match &previous {
            Some(previous) => Judged::read(store, &previous.id).await?,
            None => Judged::default(),
        };
        let notes = store.notes_of(&night.id).await?;
        let mut statements = notes.statements.clone();
        statements.extend(tonight.statements);
        let formulas = (tonight.formula, before.formula);
        Ok(Self {
            trend: store.trend(&night.pipeline, 14).await?,
            night: night.clone(),
            previous,
            images: tonight.images,
            before: before.images,
            same_formula: !matches!(formulas, (Some(now), Some(then)) if now != then),
            statements,
            notes,
        })
    }

    fn report(&self, pipeline: &Pipeline, audience: Audience) -> Report {
        report::assemble(AssembleInput {
            night: &self.night,
            previous: self.previous.as_ref(),
            images: self.images.clone(),
            before: self.before.clone(),
            same_formula: self.same_formula,
            statements: self.statements.clone(),
            outside: self.notes.outside.clone(),
            trend: self.trend_points(pipeline.timezone),
            policy: self.notes.policy.clone(),
            notes: self.notes.remarks.clone(),
            audience,
        })
    }

    /// The nights up to this one; this one comes from its images, for it may not be closed yet.
    fn trend_points(&self, zone: Tz) -> Vec<TrendPoint> {
        let rows = self.trend.iter().filter(|row| row.night.id < self.night.id);
        let mut points: Vec<TrendPoint> =
            rows.map(|row| point(&row.night, row.score, row.vulnerabilities, zone)).collect();
        let scores: Vec<f64> = self.images.iter().filter_map(|it| it.result.score).collect();
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        let open = self.images.iter().map(|it| it.result.counts.vulnerabilities()).sum();
        points.push(point(&self.night, (!scores.is_empty()).then_some(mean), open, zone));
        points
    }
}

/// One night's images with their verdicts.
#[derive(Default)]
struct Judged {
    images: Vec<ImageFindings>,
    statements: Vec<StatementCheck>,
    formula: Option<String>,
}

impl Judged {
    async fn read(store: &Store, night: &str) -> Result<Self, Error> {
        let details = store.details(night).await?.into_iter();
        let mut details: BTreeMap<String, ImageDetail> =
            details.map(|detail| (detail.image.clone(), detail)).collect();
        let mut judged = Self::default();
        for result in store.images(night).await? {
            let detail = details.remove(&result.name);
            let (verdict, unassessed, warnings) = match detail {
                Some(detail) => (detail.verdict, detail.unassessed, detail.warnings),
                None => (None, Vec::new(), Vec::new()),
            };
            let findings = match verdict {
                Some(verdict) => {
                    judged.statements.extend(verdict.statements);
                    judged.formula.get_or_insert(verdict.score.formula);
                    verdict.findings
                }
                None => Vec::new(),
            };
            judged.images.push(ImageFindings { result, findings, unassessed, warnings });
        }
        Ok(judged)
    }
}

fn point(night: &Night, score: Option<f64>, vulnerabilities: u64, zone: Tz) -> TrendPoint {
    TrendPoint {
        night: night.id.clone(),
        date: night.started.with_timezone(&zone).format("%Y-%m-%d").to_string(),
        score,
        planned: night.planned,
        good: night.released + night.reused,
        bad: night.failed + night.blocked + night.held,
        vulnerabilities,
        freshness: night.feeds.freshness,
    }
}

/// When a mail may leave: now, or at the pipeline's next hour after the night began.
fn due(pipeline: &Pipeline, night: &Night, when: When, now: DateTime<Utc>) -> DateTime<Utc> {
    let at = pipeline.mail.at.as_deref();
    let at = at.and_then(|at| NaiveTime::parse_from_str(at, "%H:%M").ok());
    match (when, at) {
        (When::AtHour, Some(at)) => now.max(next_hour(night.started, at, pipeline.timezone)),
        _ => now,
    }
}

/// The first `at` o'clock in `zone` at or after `from`; an hour that a clock change skips is the next
/// one that exists.
fn next_hour(from: DateTime<Utc>, at: NaiveTime, zone: Tz) -> DateTime<Utc> {
    let day = from.with_timezone(&zone).date_naive();
    let candidates = (0..3).filter_map(|days| {
        let local = (day + Duration::days(days)).and_time(at);
        let exists = zone.from_local_datetime(&local).earliest();
        let shifted = || zone.from_local_datetime(&(local + Duration::hours(1))).earliest();
        Some(exists.or_else(shifted)?.with_timezone(&Utc))
    });
    let mut candidates = candidates.filter(|candidate| *candidate >= from);
    candidates.next().unwrap_or(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(from: &str, at: &str, zone: Tz) -> String {
        let at = NaiveTime::parse_from_str(at, "%H:%M").unwrap();
        next_hour(from.parse().unwrap(), at, zone).to_rfc3339()
    }

    #[test]
    fn the_morning_hour_is_the_zone_s_own() {
        let tokyo = chrono_tz::Asia::Tokyo;
        // Midnight in Tokyo; seven o'clock there is 22:00 the day before in UTC.
        assert_eq!(hour("2026-11-21T15:00:00Z", "07:00", tokyo), "2026-11-21T22:00:00+00:00");
        assert_eq!(hour("2026-11-21T22:00:01Z", "07:00", tokyo), "2026-11-22T22:00:00+00:00");
    }

    #[test]
    fn an_hour_that_a_clock_change_skips_is_the_next_one() {
        let berlin = chrono_tz::Europe::Berlin;
        // On 2027-03-28 the clocks go from 02:00 to 03:00.
        assert_eq!(hour("2027-03-28T00:00:00Z", "02:30", berlin), "2027-03-28T01:30:00+00:00");
    }
}
