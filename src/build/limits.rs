//! Memory and processor limits of a build's containers.
//!
//! The classic builder takes them with the build and the daemon enforces them. The daemon's
//! BuildKit takes none: `POST /build` reads `memory`, `cpuquota` and `cgroupparent` and drops them
//! (seen on 20.10 and on API 1.56), its containers run below `/docker/buildkit` without bounds.

use super::Daemon;
use crate::model::build::{BuildJob, Builder, Limits};

/// Length of the processor accounting period, in microseconds; the kernel's default.
const PERIOD_US: u64 = 100_000;

impl Daemon {
    /// What to tell people when a build by `builder` asks for `limits` that cannot be applied.
    pub fn limits_gap(&self, builder: Builder, limits: &Limits) -> Option<String> {
        let asked = limits.memory.is_some() || limits.milli_cpus.is_some();
        (asked && builder != Builder::Classic).then(|| {
            "build.memory and build.cpus do not hold: the daemon's BuildKit takes no limits; \
             build.builder = \"classic\" enforces them"
                .into()
        })
    }
}

/// The limits as parameters of the classic builder's request.
pub(super) fn query(job: &BuildJob) -> Vec<(&'static str, String)> {
    let mut query = Vec::new();
    if job.builder == Builder::Classic {
        if let Some(bytes) = job.limits.memory {
            let bytes = bytes.min(i64::MAX as u64).to_string();
            query.extend([("memory", bytes.clone()), ("memswap", bytes)]);
        }
        if let Some(milli) = job.limits.milli_cpus {
            let quota = milli.saturating_mul(PERIOD_US / 1000).min(i64::MAX as u64);
            query.extend([("cpuperiod", PERIOD_US.to_string()), ("cpuquota", quota.to_string())]);
        }
    }
    query
}
