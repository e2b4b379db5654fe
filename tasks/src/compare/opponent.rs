//! The other side: the version in production, or what answers without looking.

use ratchet_artifacts::{Bucket, ModelManifest, PromotionLog, models};
use ratchet_core::plugin::{Table, TaskError};
use ratchet_model::{Bundle, Prediction, Target, TargetKind, metrics};

use super::config::CompareConfig;
use crate::nearest::suggestion;
use crate::table::{from_bucket, place_of};
use crate::train::{Line, newest_lookups};

/// A version and its bundle.
pub(super) struct Version {
    pub version: u64,
    pub digest: String,
    pub bytes: u64,
    pub bundle: Bundle,
}

fn unreadable(model: &str, who: &str, problem: &str) -> TaskError {
    TaskError::permanent(format!("{who} of `{model}` cannot be read: {problem}"))
        .with_help("promote a version that loads: `ratchet models list` shows them")
}

/// Reads the challenger's bundle.
pub(super) async fn challenger(bucket: &Bucket, config: &CompareConfig) -> Result<Bundle, TaskError> {
    let blob = crate::table::to_blob_ref(&config.challenger.bundle);
    let bytes = bucket.get_blob(&blob).await.map_err(from_bucket)?;
    let bundle = Bundle::read(&bytes)
        .map_err(|error| unreadable(&config.challenger.name, "the challenger", &error.to_string()))?;
    newest_lookups(bucket, bundle).await
}

/// The version to compare with: the one that is named, or the holder of the alias; none if nothing holds it.
pub(super) async fn opponent(bucket: &Bucket, config: &CompareConfig) -> Result<Option<Version>, TaskError> {
    let model = &config.challenger.name;
    let Some(version) = number(bucket, config).await? else {
        return Ok(None);
    };
    let manifest = models::get(bucket, model, version).await.map_err(from_bucket)?;
    let manifest: ModelManifest = manifest.ok_or_else(|| {
        unreadable(
            model,
            &format!("version {version}"),
            "its manifest is not in the bucket",
        )
    })?;
    let bytes = bucket.get_blob(&manifest.bundle).await.map_err(from_bucket)?;
    let bundle = Bundle::read(&bytes)
        .map_err(|error| unreadable(model, &format!("the champion {model}@{version}"), &error.to_string()))?;
    Ok(Some(Version {
        version,
        digest: manifest.bundle.sha256,
        bytes: manifest.bundle.bytes,
        bundle: newest_lookups(bucket, bundle).await?,
    }))
}

async fn number(bucket: &Bucket, config: &CompareConfig) -> Result<Option<u64>, TaskError> {
    if config.against.is_some() {
        return Ok(config.against);
    }
    let head = PromotionLog::new(bucket.clone()).head().await;
    let head = head.map_err(|error| TaskError::transient(error.to_string()))?;
    let holder = head
        .as_ref()
        .and_then(|head| head.holder(&config.challenger.name, &config.alias));
    Ok(holder.map(|holder| holder.version))
}

/// Why the two cannot be compared, if they cannot: all reasons are better said than guessed around.
pub(super) fn refuse(challenger: &Bundle, champion: &Version, table: &Table) -> Result<(), TaskError> {
    let (ours, theirs) = (challenger.content(), champion.bundle.content());
    let name = format!("{}@{}", ours.name, champion.version);
    let by_hand = |message: String, why: &str| {
        let help = format!("{why}; a person can put the challenger in its place: `ratchet models promote`");
        Err(TaskError::permanent(message).with_help(help))
    };
    if !theirs.target.asks_the_same(&ours.target) {
        let message = format!("the champion {name} answers another question than the challenger");
        return by_hand(message, "with another target it is another model: give it another name");
    }
    let said = |bundle: &Bundle| match Line::of(&bundle.content().window) {
        Line::Time(column) => format!("by the time in `{column}`"),
        Line::Hash(key) => format!("by a hash of {}", key.join(", ")),
    };
    let (our_line, their_line) = (said(challenger), said(&champion.bundle));
    if our_line != their_line {
        let message = format!(
            "the challenger was split {our_line}, the champion {name} {their_line}: which rows the champion learnt from is not known"
        );
        return by_hand(message, "split both the same way");
    }
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let missing: Vec<&str> = theirs
        .schema
        .fields
        .iter()
        .map(|field| field.name.as_str())
        .filter(|field| !columns.contains(field))
        .collect();
    if let [first, ..] = missing.as_slice() {
        let message = format!(
            "the champion {name} cannot answer the rows of {}: it reads {}, which the table no longer has",
            place_of(table),
            missing
                .iter()
                .map(|field| format!("`{field}`"))
                .collect::<Vec<_>>()
                .join(", ")
        );
        let why = format!(
            "keep the columns in the table as long as the champion reads them ({})",
            suggestion(first, &columns, "columns")
        );
        return by_hand(message, &why);
    }
    Ok(())
}

/// What answers without looking: the mean of the training rows, or the shares of their classes. With its name.
pub(super) fn baseline(target: &Target, training: &[f64]) -> (&'static str, Prediction) {
    let share = |class: f64| metrics::mean(training.iter().map(|truth| f64::from(u8::from(*truth == class))));
    match &target.kind {
        TargetKind::Regression { .. } => (
            "the mean of the training rows",
            of_number(metrics::mean(training.iter().copied())),
        ),
        TargetKind::Binary { .. } => {
            let yes = share(1.0);
            (SHARES, of_classes(f64::from(u8::from(yes > 0.5)), vec![1.0 - yes, yes]))
        }
        TargetKind::Ordinal { classes, .. } | TargetKind::Multiclass { classes, .. } => {
            let probabilities: Vec<f64> = classes.iter().map(|class| share(*class as f64)).collect();
            let majority = (0..classes.len()).fold(0, |best, class| {
                if probabilities[class] > probabilities[best] {
                    class
                } else {
                    best
                }
            });
            (SHARES, of_classes(classes[majority] as f64, probabilities))
        }
    }
}

const SHARES: &str = "the shares of the training rows";

/// A number without an interval.
pub(super) fn of_number(value: f64) -> Prediction {
    of_classes(value, Vec::new())
}

fn of_classes(value: f64, probabilities: Vec<f64>) -> Prediction {
    Prediction {
        value,
        interval: None,
        probabilities,
    }
}

/// The loss of one row: absolute error, Brier score, or ranked probability score.
pub(super) fn loss(target: &Target, prediction: &Prediction, truth: f64) -> f64 {
    match &target.kind {
        TargetKind::Regression { .. } => (prediction.value - truth).abs(),
        TargetKind::Binary { .. } => (prediction.probability() - truth) * (prediction.probability() - truth),
        TargetKind::Ordinal { classes, .. } => {
            metrics::ranked_probability_score(truth as i64, &prediction.probabilities, classes)
        }
        TargetKind::Multiclass { classes, .. } => {
            metrics::class_brier(truth as i64, &prediction.probabilities, classes)
        }
    }
}

/// What that loss is called.
pub(super) fn loss_name(target: &Target) -> &'static str {
    match target.kind {
        TargetKind::Regression { .. } => "mae",
        TargetKind::Binary { .. } | TargetKind::Multiclass { .. } => "brier",
        TargetKind::Ordinal { .. } => "ranked_probability_score",
    }
}
