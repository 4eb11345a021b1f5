//! `/healthz` and `/metrics` of `midwatch serve`.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::model::night::{Night, Outcome};
use crate::store::Store;

/// What the running service counts.
#[derive(Debug, Clone)]
pub struct Metrics {
    nights: Family<PipelineLabel, Counter>,
    stopped: Family<PipelineLabel, Counter>,
    images: Family<OutcomeLabel, Gauge>,
    last_end: Family<PipelineLabel, Gauge>,
    duration: Family<PipelineLabel, Gauge>,
    running: Family<PipelineLabel, Gauge>,
    feed_age: Family<PipelineLabel, Gauge>,
    pending: Gauge,
    registry: Arc<Registry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PipelineLabel {
    pipeline: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    pipeline: String,
    outcome: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("midwatch");
        let (nights, stopped) = (Family::default(), Family::default());
        let (images, last_end, duration) =
            (Family::default(), Family::default(), Family::default());
        let (running, feed_age, pending) = (Family::default(), Family::default(), Gauge::default());
        registry.register("nights", "Nights that came to their end", nights.clone());
        registry.register("nights_stopped", "Nights that could not be done", stopped.clone());
        registry.register("images", "Images of the last night by outcome", images.clone());
        registry.register(
            "last_night_end_seconds",
            "Unix time of the last night's end",
            last_end.clone(),
        );
        registry.register(
            "last_night_duration_seconds",
            "Length of the last night",
            duration.clone(),
        );
        registry.register("night_running", "1 while a night runs", running.clone());
        registry.register(
            "feed_age_hours",
            "Age of the oldest feed at the last night",
            feed_age.clone(),
        );
        registry.register("outbox_pending", "Mails that wait", pending.clone());
        let registry = Arc::new(registry);
        Self { nights, stopped, images, last_end, duration, running, feed_age, pending, registry }
    }
}

impl Metrics {
    /// A night of this pipeline begins or is over.
    pub fn running(&self, pipeline: &str, runs: bool) {
        self.running.get_or_create(&label(pipeline)).set(i64::from(runs));
    }

    /// A night could not be done.
    pub fn stopped(&self, pipeline: &str) {
        self.stopped.get_or_create(&label(pipeline)).inc();
    }

    /// A night came to its end.
    pub fn ended(&self, night: &Night) {
        self.nights.get_or_create(&label(&night.pipeline)).inc();
        self.last(night);
    }

    /// The figures of a pipeline's last night.
    pub fn last(&self, night: &Night) {
        let label = label(&night.pipeline);
        if let Some(ended) = night.ended {
            self.last_end.get_or_create(&label).set(ended.timestamp());
            let took = (ended - night.started).num_seconds();
            self.duration.get_or_create(&label).set(took);
        }
        if let Some(hours) = night.feeds.oldest_hours {
            self.feed_age.get_or_create(&label).set(hours);
        }
        let sums = [
            (Outcome::Released, night.released),
            (Outcome::Held, night.held),
            (Outcome::Failed, night.failed),
            (Outcome::Blocked, night.blocked),
            (Outcome::Reused, night.reused),
            (Outcome::Skipped, night.skipped),
        ];
        for (outcome, sum) in sums {
            let label =
                OutcomeLabel { pipeline: night.pipeline.clone(), outcome: outcome.as_str().into() };
            self.images.get_or_create(&label).set(sum as i64);
        }
    }
}

fn label(pipeline: &str) -> PipelineLabel {
    PipelineLabel { pipeline: pipeline.to_owned() }
}

/// What the pages stand on.
#[derive(Debug, Clone)]
pub struct Site {
    /// The ledger.
    pub store: Store,
    /// The figures.
    pub metrics: Metrics,
    /// What keeps the service from its work, for `/healthz`; empty is healthy.
    pub trouble: Arc<Mutex<Vec<String>>>,
}

/// Serves until `stop` resolves.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(
    listener: tokio::net::TcpListener,
    site: Site,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .with_state(site);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn health(State(site): State<Site>) -> impl IntoResponse {
    let mut trouble = site.trouble.lock().map(|it| it.clone()).unwrap_or_default();
    if let Err(error) = site.store.pending_count().await {
        trouble.push(format!("ledger: {error}"));
    }
    let (status, word) = match trouble.is_empty() {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "trouble"),
    };
    let body = serde_json::json!({"status": word, "trouble": trouble}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body)
}

async fn metrics(State(site): State<Site>) -> impl IntoResponse {
    if let Ok(pending) = site.store.pending_count().await {
        site.metrics.pending.set(pending as i64);
    }
    let mut body = String::new();
    // Writing into a string does not fail.
    let _ = encode(&mut body, &site.metrics.registry);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], body)
}
