//! When a pipeline's next night is due, and what to do with nights that were missed; pure.

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use croner::Cron;

use crate::model::pipeline::{Missed, Pipeline};

/// A start later than this after its hour means that nobody was there at the hour.
const GRACE_MINUTES: i64 = 10;

/// What a look at the clock gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Whether a night starts now.
    pub start: bool,
    /// Nights whose hour passed while nobody was there; the one that starts now among them.
    pub missed: u32,
    /// The hour of the next one.
    pub next: DateTime<Utc>,
}

/// Compares the hour that was noted down with the clock. `None` without a schedule, or where it never
/// comes again.
pub fn due(pipeline: &Pipeline, noted: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<Due> {
    let cron: Cron = pipeline.schedule.as_deref()?.parse().ok()?;
    let zone = pipeline.timezone;
    let next = after(&cron, zone, now)?;
    // A clock set back, or a schedule that was changed, must not leave an hour far away.
    let noted = noted.filter(|noted| *noted <= now);
    let Some(noted) = noted else {
        return Some(Due { start: false, missed: 0, next });
    };
    let late = now - noted > Duration::minutes(GRACE_MINUTES);
    let missed = if late { hours_passed(&cron, zone, noted, now) } else { 0 };
    let start = !late || pipeline.missed == Missed::Once;
    Some(Due { start, missed, next })
}

/// The sentence a report carries for missed nights.
pub fn remark(due: &Due, noted: Option<DateTime<Utc>>) -> Option<String> {
    let since = noted?.format("%Y-%m-%d %H:%M UTC");
    (due.missed > 0).then(|| {
        format!(
            "{} scheduled nights were missed since {since}; this one makes up for them",
            due.missed
        )
    })
}

fn after(cron: &Cron, zone: Tz, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let next = cron.find_next_occurrence(&now.with_timezone(&zone), false).ok()?;
    Some(next.with_timezone(&Utc))
}

/// Hours of the schedule from `noted` to `now`, both included, at most 1,000.
fn hours_passed(cron: &Cron, zone: Tz, noted: DateTime<Utc>, now: DateTime<Utc>) -> u32 {
    let mut passed = 1;
    let mut at = noted;
    while passed < 1000 {
        match after(cron, zone, at) {
            Some(next) if next <= now => at = next,
            _ => break,
        }
        passed += 1;
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::pipeline::{BuildSpec, MailSpec, Policy, Schema, SourceSpec};

    fn pipeline(schedule: &str, timezone: Tz, missed: Missed) -> Pipeline {
        Pipeline {
            name: "p".into(),
            schedule: Some(schedule.into()),
            timezone,
            missed,
            source: SourceSpec {
                url: "/nowhere".into(),
                branch: None,
                folder: None,
                allowed_signers: None,
                ssh_key: None,
                known_hosts: None,
                credentials: None,
                schema: Schema::Auto,
                allowed_labels: None,
            },
            build: BuildSpec::default(),
            policy: Policy::default(),
            mail: MailSpec::default(),
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn midnight_is_the_zone_s_own_on_both_sides_of_a_clock_change() {
        let berlin = pipeline("0 0 * * *", chrono_tz::Europe::Berlin, Missed::Once);
        let next = |now: &str| due(&berlin, None, at(now)).unwrap().next;
        assert_eq!(next("2026-10-24T12:00:00Z"), at("2026-10-24T22:00:00Z"));
        assert_eq!(next("2026-10-25T12:00:00Z"), at("2026-10-25T23:00:00Z"));
    }

    #[test]
    fn a_night_starts_at_its_hour_and_once() {
        let nightly = pipeline("0 3 * * *", Tz::UTC, Missed::Once);
        let hour = at("2026-11-22T03:00:00Z");
        let look = due(&nightly, Some(hour), at("2026-11-22T03:00:20Z")).unwrap();
        assert_eq!(look, Due { start: true, missed: 0, next: at("2026-11-23T03:00:00Z") });
        let again = due(&nightly, Some(look.next), at("2026-11-22T03:00:25Z")).unwrap();
        assert!(!again.start);
    }

    #[test]
    fn missed_nights_are_counted_and_made_up_for_once() {
        let nightly = pipeline("0 3 * * *", Tz::UTC, Missed::Once);
        let noted = Some(at("2026-11-20T03:00:00Z"));
        let look = due(&nightly, noted, at("2026-11-22T09:00:00Z")).unwrap();
        assert_eq!((look.start, look.missed), (true, 3));
        assert!(remark(&look, noted).unwrap().contains("3 scheduled nights were missed"));
        let skipping = pipeline("0 3 * * *", Tz::UTC, Missed::Skip);
        let look = due(&skipping, noted, at("2026-11-22T09:00:00Z")).unwrap();
        assert_eq!((look.start, look.missed), (false, 3));
    }

    #[test]
    fn a_clock_that_was_set_back_gets_a_near_hour_again() {
        let nightly = pipeline("0 3 * * *", Tz::UTC, Missed::Once);
        let far = Some(at("2027-11-22T03:00:00Z"));
        let look = due(&nightly, far, at("2026-11-22T02:00:00Z")).unwrap();
        assert_eq!(look, Due { start: false, missed: 0, next: at("2026-11-22T03:00:00Z") });
    }
}
