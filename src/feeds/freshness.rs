//! What the age of the feeds means.

use chrono::{DateTime, Duration, Utc};

use crate::model::advisory::{FeedState, Freshness};

/// Judges the age of every source (its own date, else the day of its import) against `max_age_days`;
/// the second value is the oldest source's age in hours.
///
/// One source beyond the limit makes the whole stale; without any OSV source all is missing.
pub fn freshness(
    state: &FeedState,
    max_age_days: u64,
    now: DateTime<Utc>,
) -> (Freshness, Option<i64>) {
    let dates = state.sources.iter().filter_map(|feed| feed.as_of.or(feed.imported));
    let oldest = dates.min().map(|date| (now - date).max(Duration::zero()));
    let hours = oldest.map(|age| age.num_hours());
    if !state.sources.iter().any(|feed| feed.name.starts_with("OSV ")) {
        return (Freshness::Missing, hours);
    }
    let limit = i64::try_from(max_age_days).ok().and_then(Duration::try_days);
    let undated = state.sources.iter().any(|feed| feed.as_of.or(feed.imported).is_none());
    let beyond = oldest.zip(limit).is_some_and(|(age, limit)| age > limit);
    (if undated || beyond { Freshness::Stale } else { Freshness::Fresh }, hours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::advisory::Feed;

    fn state(sources: &[(&str, Option<&str>)]) -> FeedState {
        let date = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let feed = |(name, as_of): &(&str, Option<&str>)| Feed {
            name: (*name).to_owned(),
            as_of: as_of.map(date),
            ..Feed::default()
        };
        FeedState { sources: sources.iter().map(feed).collect(), ..FeedState::default() }
    }

    #[test]
    fn the_oldest_source_decides() {
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let fresh = state(&[
            ("OSV PyPI", Some("2026-11-20T00:00:00Z")),
            ("KEV", Some("2026-11-21T00:00:00Z")),
        ]);
        assert_eq!(freshness(&fresh, 2, now), (Freshness::Fresh, Some(48)));
        assert_eq!(freshness(&fresh, 1, now), (Freshness::Stale, Some(48)));
        let undated = state(&[("OSV PyPI", Some("2026-11-20T00:00:00Z")), ("EPSS", None)]);
        assert_eq!(freshness(&undated, 9, now), (Freshness::Stale, Some(48)));
    }

    #[test]
    fn without_osv_all_is_missing() {
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        assert_eq!(freshness(&FeedState::default(), 9, now), (Freshness::Missing, None));
        let kev = state(&[("KEV", Some("2026-11-21T00:00:00Z"))]);
        assert_eq!(freshness(&kev, 9, now), (Freshness::Missing, Some(24)));
    }

    #[test]
    fn a_date_in_the_future_is_no_age() {
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let odd = state(&[("OSV Go", Some("2030-01-01T00:00:00Z"))]);
        assert_eq!(freshness(&odd, 0, now), (Freshness::Fresh, Some(0)));
    }
}
