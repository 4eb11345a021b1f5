//! When the pipelines' next nights are due.

use super::column::{instant, key, time};
use super::{Result, Schedule, Store};

impl Store {
    /// The schedule of a pipeline; `None` where it never had one.
    ///
    /// # Errors
    /// [`super::Error::Ledger`], [`super::Error::Inconsistent`].
    pub async fn schedule(&self, pipeline: &str) -> Result<Option<Schedule>> {
        let row: Option<(Option<String>, Option<String>)> =
            sqlx::query_as("SELECT next_run_at, last_started FROM schedules WHERE pipeline = $1")
                .bind(key(pipeline))
                .fetch_optional(&self.pool)
                .await?;
        let Some((next, last)) = row else { return Ok(None) };
        let at = |text: Option<String>| {
            text.map(|text| instant(&text, || format!("schedules of {pipeline}"))).transpose()
        };
        Ok(Some(Schedule { next_run_at: at(next)?, last_started: at(last)? }))
    }

    /// Sets the schedule of a pipeline.
    ///
    /// # Errors
    /// [`super::Error::Ledger`].
    pub async fn set_schedule(&self, pipeline: &str, schedule: &Schedule) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO schedules (pipeline, next_run_at, last_started) VALUES ($1, $2, $3) \
             ON CONFLICT (pipeline) DO UPDATE SET next_run_at = excluded.next_run_at, \
             last_started = excluded.last_started",
        )
        .bind(key(pipeline))
        .bind(schedule.next_run_at.map(time))
        .bind(schedule.last_started.map(time))
        .execute(tx.conn())
        .await?;
        tx.commit().await
    }
}
