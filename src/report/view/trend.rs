//! The trend of the last nights as bars and numbers.

use super::super::clean::clip;
use super::super::words::{abbreviated, freshness};
use super::{Section, Spark, TrendRow};
use crate::model::report::{Report, TrendPoint};

/// Pixels of the tallest bar.
const TALL: u64 = 48;

pub(super) fn nights(report: &Report) -> Section<TrendRow> {
    let skipped = report.trend.len().saturating_sub(14);
    let points = &report.trend[skipped..];
    let most = points.iter().map(|point| point.vulnerabilities).max().unwrap_or(0).max(1);
    Section::of(points, 14, |point| {
        let scaled = point.vulnerabilities as f64 / most as f64 * TALL as f64;
        let height = (scaled.round() as u64).clamp(1, TALL);
        let this = point.night == report.night.id;
        TrendRow {
            date: clip(&point.date, 10),
            day: clip(point.date.get(5..).unwrap_or(&point.date), 5),
            score: point.score.map_or_else(|| "–".into(), |score| format!("{score:.1}")),
            planned: point.planned,
            good: point.good,
            bad: point.bad,
            open: point.vulnerabilities,
            open_short: abbreviated(point.vulnerabilities),
            height,
            rest: TALL - height + 1,
            colour: if this { "#2f6f9f" } else { "#8aa9c2" },
            this_night: this,
            freshness: freshness(point.freshness),
        }
    })
}

/// Block characters from the lowest to the highest value; `·` where there is none.
pub(super) fn spark(
    points: &[TrendPoint],
    of: impl Fn(&TrendPoint) -> Option<f64>,
    text: impl Fn(f64) -> String,
) -> Spark {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let points = &points[points.len().saturating_sub(14)..];
    let values: Vec<Option<f64>> =
        points.iter().map(of).map(|v| v.filter(|v| v.is_finite())).collect();
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    let (Some(first), Some(last)) = (known.first(), known.last()) else {
        return Spark::default();
    };
    let low = known.iter().copied().fold(f64::INFINITY, f64::min);
    let high = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let block = |value: f64| match high - low {
        range if range > f64::EPSILON => BLOCKS[((value - low) / range * 7.0).round() as usize % 8],
        _ => BLOCKS[3],
    };
    Spark {
        blocks: values.iter().map(|value| value.map_or('·', block)).collect(),
        first: text(*first),
        last: text(*last),
    }
}
