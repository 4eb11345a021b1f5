//! Signatures, to be replaced by the real thing.
#![allow(missing_docs, unused_variables)]
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::*;
use crate::model::finding::Finding;
use crate::model::night::{ImageResult, Night, NightFeeds};
use crate::model::plan::Plan;
use crate::model::source::BrokenImage;
use crate::model::verdict::Verdict;

impl Store {
    pub async fn open(url: &str) -> Result<Self> {
        todo!()
    }
    pub async fn close(&self) {
        todo!()
    }
    pub async fn open_night(&self, night: &NewNight) -> Result<()> {
        todo!()
    }
    pub async fn set_source(&self, night: &str, commit: &str) -> Result<()> {
        todo!()
    }
    /// Returns `broken` under names that are unique in the night: use these for `finish_image`.
    pub async fn set_plan(
        &self,
        night: &str,
        plan: &Plan,
        broken: &[BrokenImage],
        owners: &BTreeMap<String, Vec<String>>,
        pins: &BTreeMap<String, String>,
        feeds: &NightFeeds,
    ) -> Result<Vec<BrokenImage>> {
        todo!()
    }
    pub async fn mark_built(&self, night: &str, image: &str, built: &BuiltMark) -> Result<()> {
        todo!()
    }
    /// The first end of an image stands; a second one changes nothing.
    pub async fn finish_image(&self, night: &str, end: &ImageEnd<'_>) -> Result<()> {
        todo!()
    }
    /// Tallies from the rows; error where an image has no end yet. Closing again changes nothing but adds mails.
    pub async fn close_night(
        &self,
        night: &str,
        ended: DateTime<Utc>,
        outbox: &[OutboxMail],
    ) -> Result<Night> {
        todo!()
    }
    pub async fn fail_night(
        &self,
        night: &str,
        ended: DateTime<Utc>,
        error: &str,
        outbox: &[OutboxMail],
    ) -> Result<Night> {
        todo!()
    }
    pub async fn interrupted(&self, pipeline: &str) -> Result<Option<Unfinished>> {
        todo!()
    }
    /// Oldest first.
    pub async fn unfinished_on_demand(&self, pipeline: &str) -> Result<Vec<Unfinished>> {
        todo!()
    }

    pub async fn history(&self, pipeline: &str, limit: u32) -> Result<Vec<Night>> {
        todo!()
    }
    pub async fn night(&self, id: &str) -> Result<Option<Night>> {
        todo!()
    }
    pub async fn latest_night(&self, pipeline: &str) -> Result<Option<Night>> {
        todo!()
    }
    pub async fn night_before(&self, night: &str) -> Result<Option<Night>> {
        todo!()
    }
    pub async fn images(&self, night: &str) -> Result<Vec<ImageResult>> {
        todo!()
    }
    pub async fn verdict(&self, night: &str, image: &str) -> Result<Option<Verdict>> {
        todo!()
    }
    pub async fn image_findings(&self, night: &str, image: &str) -> Result<Vec<Finding>> {
        todo!()
    }
    pub async fn unassessed(&self, night: &str, image: &str) -> Result<Vec<String>> {
        todo!()
    }
    pub async fn warnings(&self, night: &str, image: &str) -> Result<Vec<String>> {
        todo!()
    }
    /// Open findings of the image: fingerprint → first seen.
    pub async fn first_seen(
        &self,
        pipeline: &str,
        image: &str,
    ) -> Result<BTreeMap<String, DateTime<Utc>>> {
        todo!()
    }
    pub async fn last_builds(&self, pipeline: &str) -> Result<BTreeMap<String, LastBuild>> {
        todo!()
    }
    pub async fn diff(&self, earlier: &str, later: &str) -> Result<Diff> {
        todo!()
    }
    pub async fn who_has(
        &self,
        package: &str,
        version: Option<&str>,
        night: Option<&str>,
    ) -> Result<Vec<Holder>> {
        todo!()
    }
    /// Oldest first.
    pub async fn trend(&self, pipeline: &str, nights: u32) -> Result<Vec<TrendRow>> {
        todo!()
    }
    pub async fn plan_of(&self, night: &str) -> Result<Option<Plan>> {
        todo!()
    }
    pub async fn feeds_of(&self, night: &str) -> Result<NightFeeds> {
        todo!()
    }

    pub async fn enqueue(&self, mails: &[OutboxMail]) -> Result<()> {
        todo!()
    }
    pub async fn claim_due(
        &self,
        now: DateTime<Utc>,
        lease_until: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Claimed>> {
        todo!()
    }
    pub async fn mark_sent(&self, message_id: &str, at: DateTime<Utc>) -> Result<()> {
        todo!()
    }
    pub async fn mark_retry(
        &self,
        message_id: &str,
        next: DateTime<Utc>,
        error: &str,
    ) -> Result<()> {
        todo!()
    }
    pub async fn mark_dead(&self, message_id: &str, error: &str) -> Result<()> {
        todo!()
    }
    pub async fn suppress(&self, address: &str, reason: &str, at: DateTime<Utc>) -> Result<()> {
        todo!()
    }
    pub async fn is_suppressed(&self, address: &str) -> Result<bool> {
        todo!()
    }
    pub async fn pending_count(&self) -> Result<u64> {
        todo!()
    }
    pub async fn next_due(&self) -> Result<Option<DateTime<Utc>>> {
        todo!()
    }
    pub async fn deliveries(&self, night: &str) -> Result<Vec<Delivery>> {
        todo!()
    }

    pub async fn schedule(&self, pipeline: &str) -> Result<Option<Schedule>> {
        todo!()
    }
    pub async fn set_schedule(&self, pipeline: &str, schedule: &Schedule) -> Result<()> {
        todo!()
    }
}
