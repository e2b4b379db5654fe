//! What the service says about itself: a log on standard error, and metrics at `GET /metrics/prometheus`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use ratchet_model::drift::Drift;
use tracing_subscriber::EnvFilter;

use crate::models::registry::{CHAMPION, Served};
use crate::predict::answer::Predicted;
use crate::problem::Problem;
use crate::service::Application;

/// Upper bounds of the request histogram, in seconds.
const REQUEST_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];
/// Upper bounds of the loading histogram, in seconds.
const LOAD_BUCKETS: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PredictionLabels {
    model: String,
    alias: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabel {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabels {
    model: String,
    version: u64,
    digest: String,
    alias: String,
}

impl VersionLabels {
    fn of(served: &Served) -> VersionLabels {
        VersionLabels {
            model: served.name.clone(),
            version: served.version.version,
            digest: served.version.digest.clone(),
            alias: served.alias.clone(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DriftLabels {
    model: String,
    field: String,
    measure: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MetricLabels {
    model: String,
    alias: String,
    metric: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LookupLabel {
    lookup: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LookupLabels {
    model: String,
    lookup: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    model: String,
    reason: &'static str,
}

/// All metrics. Label values come from routes and promoted models only, never from what a caller sends.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabel, Histogram, fn() -> Histogram>,
    predictions: Family<PredictionLabels, Counter>,
    out_of_distribution: Family<ModelLabel, Counter>,
    model_info: Family<VersionLabels, Gauge>,
    model_behind: Family<ModelLabel, Gauge>,
    load_failures: Family<FailureLabels, Counter>,
    load_duration: Family<ModelLabel, Histogram, fn() -> Histogram>,
    lookup_version: Family<LookupLabels, Gauge>,
    lookup_failures: Family<LookupLabel, Counter>,
    lookup_unmatched: Family<LookupLabels, Counter>,
    log_reachable: Gauge,
    record_written: Counter,
    record_dropped: Family<ReasonLabel, Counter>,
    record_reachable: Gauge,
    feed_segments: Counter,
    feeds_reachable: Gauge,
    drift: Family<DriftLabels, Gauge<f64, AtomicU64>>,
    drift_threshold: Family<DriftLabels, Gauge<f64, AtomicU64>>,
    drift_windows: Family<ModelLabel, Counter>,
    drift_alarms: Family<ModelLabel, Counter>,
    label_coverage: Family<PredictionLabels, Gauge<f64, AtomicU64>>,
    live_metrics: Family<MetricLabels, Gauge<f64, AtomicU64>>,
}

impl Default for Telemetry {
    fn default() -> Telemetry {
        let mut telemetry = Telemetry {
            registry: Registry::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS)),
            predictions: Family::default(),
            out_of_distribution: Family::default(),
            model_info: Family::default(),
            model_behind: Family::default(),
            load_failures: Family::default(),
            load_duration: Family::new_with_constructor(|| Histogram::new(LOAD_BUCKETS)),
            lookup_version: Family::default(),
            lookup_failures: Family::default(),
            lookup_unmatched: Family::default(),
            log_reachable: Gauge::default(),
            record_written: Counter::default(),
            record_dropped: Family::default(),
            record_reachable: Gauge::default(),
            feed_segments: Counter::default(),
            feeds_reachable: Gauge::default(),
            drift: Family::default(),
            drift_threshold: Family::default(),
            drift_windows: Family::default(),
            drift_alarms: Family::default(),
            label_coverage: Family::default(),
            live_metrics: Family::default(),
        };
        let registry = &mut telemetry.registry;
        registry.register("ratchet_api_requests", "Requests answered", telemetry.requests.clone());
        registry.register(
            "ratchet_api_request_duration_seconds",
            "Time from a request's headers to its answer",
            telemetry.durations.clone(),
        );
        registry.register(
            "ratchet_api_predictions",
            "Rows answered",
            telemetry.predictions.clone(),
        );
        registry.register(
            "ratchet_api_out_of_distribution",
            "Rows unlike those of the training",
            telemetry.out_of_distribution.clone(),
        );
        registry.register(
            "ratchet_api_model_info",
            "1 for each version that serves under an alias",
            telemetry.model_info.clone(),
        );
        registry.register(
            "ratchet_api_model_behind",
            "1 while the promoted version is not the one that serves",
            telemetry.model_behind.clone(),
        );
        registry.register(
            "ratchet_api_model_load_failures",
            "Promoted versions that were refused, by reason",
            telemetry.load_failures.clone(),
        );
        registry.register(
            "ratchet_api_model_load_duration_seconds",
            "Time from the start of a load to the swap",
            telemetry.load_duration.clone(),
        );
        registry.register(
            "ratchet_api_lookup_version",
            "Version of a lookup that a model reads",
            telemetry.lookup_version.clone(),
        );
        registry.register(
            "ratchet_api_lookup_failures",
            "Versions of lookups that could not be used",
            telemetry.lookup_failures.clone(),
        );
        registry.register(
            "ratchet_api_lookup_unmatched",
            "Rows for which a lookup had none",
            telemetry.lookup_unmatched.clone(),
        );
        registry.register(
            "ratchet_api_promotion_log_reachable",
            "1 if the last look at the promotion log succeeded",
            telemetry.log_reachable.clone(),
        );
        registry.register(
            "ratchet_api_record_rows",
            "Rows written to the log of requests",
            telemetry.record_written.clone(),
        );
        registry.register(
            "ratchet_api_record_dropped",
            "Requests that found no room in the log, by reason",
            telemetry.record_dropped.clone(),
        );
        registry.register(
            "ratchet_api_record_reachable",
            "1 if the last write to the log succeeded",
            telemetry.record_reachable.clone(),
        );
        registry.register(
            "ratchet_api_feed_segments",
            "Segments written to the bucket's feeds",
            telemetry.feed_segments.clone(),
        );
        registry.register(
            "ratchet_api_feeds_reachable",
            "1 if the last look found the feeds in the bucket up to date",
            telemetry.feeds_reachable.clone(),
        );
        registry.register(
            "ratchet_api_drift",
            "Measures of the last window against what training saw",
            telemetry.drift.clone(),
        );
        registry.register(
            "ratchet_api_drift_threshold",
            "Above this a measure is an alarm",
            telemetry.drift_threshold.clone(),
        );
        registry.register(
            "ratchet_api_drift_windows",
            "Windows that were judged",
            telemetry.drift_windows.clone(),
        );
        registry.register(
            "ratchet_api_drift_alarms",
            "Measures that were above their threshold",
            telemetry.drift_alarms.clone(),
        );
        registry.register(
            "ratchet_api_label_coverage",
            "Share of the last day's answers whose truth is known",
            telemetry.label_coverage.clone(),
        );
        registry.register(
            "ratchet_api_live_metric",
            "How good the last day's answers were where the truth is known",
            telemetry.live_metrics.clone(),
        );
        telemetry
    }
}

impl Telemetry {
    /// Counts a request. `route` is a pattern or a declared route.
    pub fn request(&self, route: &str, code: u16, duration: Duration) {
        self.requests
            .get_or_create(&RequestLabels {
                route: route.to_owned(),
                code,
            })
            .inc();
        self.durations
            .get_or_create(&RouteLabel {
                route: route.to_owned(),
            })
            .observe(duration.as_secs_f64());
    }

    /// Counts answered rows and those among them that were unlike the training's.
    pub fn predictions(&self, model: &str, alias: &str, rows: u64, out_of_distribution: u64) {
        let labels = PredictionLabels {
            model: model.to_owned(),
            alias: alias.to_owned(),
        };
        self.predictions.get_or_create(&labels).inc_by(rows);
        self.out_of_distribution
            .get_or_create(&ModelLabel {
                model: model.to_owned(),
            })
            .inc_by(out_of_distribution);
    }

    /// Counts rows for which lookups had none.
    pub fn unmatched(&self, model: &str, predictions: &[Predicted]) {
        for lookup in predictions.iter().flat_map(|predicted| &predicted.unmatched) {
            self.lookup_unmatched.get_or_create(&lookup_labels(model, lookup)).inc();
        }
    }

    /// A version reads these versions of lookups; those of the champion are told.
    pub fn lookups_read(&self, served: &Served) {
        for (lookup, loaded) in served.lookups.iter().filter(|_| served.alias == CHAMPION) {
            let version = loaded.version.version as i64;
            self.lookup_version
                .get_or_create(&lookup_labels(&served.name, lookup))
                .set(version);
        }
    }

    /// A version reads no lookups any more.
    pub fn lookups_dropped(&self, served: &Served) {
        for lookup in served.lookups.keys().filter(|_| served.alias == CHAMPION) {
            self.lookup_version.remove(&lookup_labels(&served.name, lookup));
        }
    }

    /// Counts a version of a lookup that could not be used.
    pub fn lookup_failed(&self, lookup: &str) {
        let lookup = lookup.to_owned();
        self.lookup_failures.get_or_create(&LookupLabel { lookup }).inc();
    }

    /// A version took over from `previous`, after `duration`.
    pub fn model_served(&self, now: &Served, previous: Option<&Served>, duration: Duration) {
        if let Some(previous) = previous {
            self.model_info.remove(&VersionLabels::of(previous));
        }
        self.model_info.get_or_create(&VersionLabels::of(now)).set(1);
        self.load_duration
            .get_or_create(&ModelLabel {
                model: now.name.clone(),
            })
            .observe(duration.as_secs_f64());
    }

    /// A version no longer serves.
    pub fn model_dropped(&self, served: &Served) {
        self.model_info.remove(&VersionLabels::of(served));
        if served.alias == CHAMPION {
            self.model_behind.remove(&ModelLabel {
                model: served.name.clone(),
            });
        }
    }

    /// Whether the promoted version of a model is not the one that serves.
    pub fn model_behind(&self, model: &str, behind: bool) {
        self.model_behind
            .get_or_create(&ModelLabel {
                model: model.to_owned(),
            })
            .set(i64::from(behind));
    }

    /// Counts a version that was refused.
    pub fn load_failed(&self, model: &str, reason: &'static str) {
        self.load_failures
            .get_or_create(&FailureLabels {
                model: model.to_owned(),
                reason,
            })
            .inc();
    }

    /// All metrics in the OpenMetrics text format; none if they cannot be written.
    pub fn text(&self) -> Option<String> {
        let mut text = String::new();
        encode(&mut text, &self.registry).ok().map(|()| text)
    }

    /// Counts rows of the log.
    pub fn record_written(&self, rows: u64) {
        self.record_written.inc_by(rows);
    }

    /// Counts what the log lost.
    pub fn record_dropped(&self, reason: &'static str, count: u64) {
        self.record_dropped.get_or_create(&ReasonLabel { reason }).inc_by(count);
    }

    /// Whether the last write to the log succeeded.
    pub fn record_reachable(&self, reachable: bool) {
        self.record_reachable.set(i64::from(reachable));
    }

    /// Counts a segment of a feed.
    pub fn segment_sent(&self) {
        self.feed_segments.inc();
    }

    /// Whether the feeds in the bucket are up to date.
    pub fn feeds_reachable(&self, reachable: bool) {
        self.feeds_reachable.set(i64::from(reachable));
    }

    /// A window was judged.
    pub fn drift(&self, model: &str, measured: &[Drift], alarms: u64) {
        let whose = ModelLabel {
            model: model.to_owned(),
        };
        self.drift_windows.get_or_create(&whose).inc();
        self.drift_alarms.get_or_create(&whose).inc_by(alarms);
        for drift in measured {
            let labels = DriftLabels {
                model: model.to_owned(),
                field: drift.field.clone(),
                measure: drift.measure,
            };
            self.drift.get_or_create(&labels).set(drift.value);
            if let Some(threshold) = drift.threshold {
                self.drift_threshold.get_or_create(&labels).set(threshold);
            }
        }
    }

    /// The share of answers whose truth is known.
    pub fn label_coverage(&self, model: &str, alias: &str, share: f64) {
        let labels = PredictionLabels {
            model: model.to_owned(),
            alias: alias.to_owned(),
        };
        self.label_coverage.get_or_create(&labels).set(share);
    }

    /// How good answers were.
    pub fn live_metrics(&self, model: &str, alias: &str, metrics: &BTreeMap<String, f64>) {
        for (metric, value) in metrics {
            let labels = MetricLabels {
                model: model.to_owned(),
                alias: alias.to_owned(),
                metric: metric.clone(),
            };
            self.live_metrics.get_or_create(&labels).set(*value);
        }
    }

    /// Whether the last look at the promotion log succeeded.
    pub fn log_reachable(&self, reachable: bool) {
        self.log_reachable.set(i64::from(reachable));
    }
}

fn lookup_labels(model: &str, lookup: &str) -> LookupLabels {
    LookupLabels {
        model: model.to_owned(),
        lookup: lookup.to_owned(),
    }
}

/// Metrics in the OpenMetrics text format.
#[utoipa::path(
    get,
    path = "/metrics/prometheus",
    tag = "operation",
    operation_id = "metrics",
    responses((status = 200, description = "Metrics", body = String, content_type = "application/openmetrics-text"))
)]
pub async fn metrics(State(application): State<Arc<Application>>) -> Response {
    match application.telemetry.text() {
        Some(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        None => Problem::internal().into_response(),
    }
}

/// Sends the log to standard error: `RUST_LOG` chooses what (default `info`), `RATCHET_LOG_FORMAT=json` one JSON object a line.
pub fn start_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let json = std::env::var("RATCHET_LOG_FORMAT").is_ok_and(|format| format == "json");
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second call, as tests make it, is refused and harmless.
    let _ = if json {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
}
