//! How good answers were, by the same definitions as in training.

use std::collections::BTreeMap;

use ratchet_model::metrics;

use super::store::LabeledRow;

/// Metrics of labelled rows of one version; those that cannot be computed are left out.
pub(super) fn measure(rows: &[LabeledRow]) -> BTreeMap<&'static str, f64> {
    let truths: Vec<f64> = rows.iter().map(|row| row.truth).collect();
    let values: Vec<f64> = rows.iter().map(|row| row.value).collect();
    let whole = |values: &[f64]| values.iter().map(|value| value.round() as i64).collect::<Vec<i64>>();
    let mut measured = BTreeMap::new();
    match rows.first().map(|row| row.kind.as_str()) {
        Some("number") => {
            measured.insert("mae", metrics::mae(&truths, &values));
            measured.insert("rmse", metrics::rmse(&truths, &values));
            measured.insert("r2", metrics::r2(&truths, &values));
            let ends: Option<(Vec<f64>, Vec<f64>)> = rows.iter().map(|row| row.interval).collect();
            if let Some((lower, upper)) = ends {
                measured.insert("coverage", metrics::coverage(&truths, &lower, &upper));
            }
        }
        Some("binary") => {
            let positive: Vec<bool> = truths.iter().map(|truth| *truth > 0.5).collect();
            let probability: Option<Vec<f64>> = rows.iter().map(|row| row.probability).collect();
            measured.insert("accuracy", metrics::accuracy(&whole(&truths), &whole(&values)));
            if let Some(probability) = probability {
                measured.insert("brier", metrics::brier(&positive, &probability));
                measured.insert("auc", metrics::auc(&positive, &probability));
            }
        }
        Some("class") => {
            measured.insert("accuracy", metrics::accuracy(&whole(&truths), &whole(&values)));
        }
        _ => {}
    }
    measured.retain(|_, value| value.is_finite());
    measured
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &str, value: f64, truth: f64) -> LabeledRow {
        LabeledRow {
            kind: kind.to_owned(),
            value,
            probability: Some(value * 0.8),
            interval: Some((value - 2.0, value + 2.0)),
            slice: None,
            truth,
        }
    }

    #[test]
    fn each_kind_has_its_metrics() {
        let rows = [row("number", 10.0, 11.0), row("number", 20.0, 17.0)];
        let expected = [("coverage", 0.5), ("mae", 2.0), ("rmse", 5.0_f64.sqrt())];
        let measured = measure(&rows);
        for (name, value) in expected {
            assert_eq!(measured[name], value, "{name}");
        }
        let rows = [row("binary", 1.0, 1.0), row("binary", 0.0, 1.0)];
        assert_eq!(measure(&rows)["accuracy"], 0.5);
        assert!(!measure(&rows).contains_key("auc"), "one class alone has none");
        assert_eq!(measure(&[row("class", 2.0, 2.0)])["accuracy"], 1.0);
        assert!(measure(&[]).is_empty());
    }
}
