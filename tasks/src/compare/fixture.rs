//! What scipy and statsmodels say, written by `tests/fixtures/statistics.py`.

use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Fixture {
    pub mcnemar: Vec<McnemarCase>,
    pub cosines: Vec<CosinesCase>,
    pub cluster: Vec<ClusterCase>,
    pub correction: Vec<CorrectionCase>,
}

#[derive(Deserialize)]
pub(super) struct McnemarCase {
    pub ours: u64,
    pub theirs: u64,
    pub exact: bool,
    pub p: f64,
}

#[derive(Deserialize)]
pub(super) struct CosinesCase {
    pub series: Vec<f64>,
    pub horizon: usize,
    pub cosines: usize,
    pub mean: f64,
    pub standard_error: f64,
    pub lower: f64,
}

#[derive(Deserialize)]
pub(super) struct ClusterCase {
    pub gains: Vec<f64>,
    pub labels: Vec<i64>,
    pub mean: f64,
    pub standard_error: f64,
    pub p_worse: f64,
}

#[derive(Deserialize)]
pub(super) struct CorrectionCase {
    pub p: Vec<f64>,
    pub holm: Vec<f64>,
    pub benjamini_hochberg: Vec<f64>,
}

pub(super) fn all() -> Fixture {
    serde_json::from_str(include_str!("../../tests/fixtures/statistics.json")).unwrap()
}

/// Equal but for rounding.
pub(super) fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-9 * expected.abs().max(1e-3)
}
