//! Features from the numbers of one row alone: filled gaps, bounds, ratios, ways on the globe, summaries of a short history.
//! Nothing is fitted but the value that fills a gap and the bounds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::history::Statistic;
use crate::arithmetic::{asin, cos, sin};
use crate::schema::{Column, Rows};

/// Mean radius of the earth in kilometers (IUGG).
const EARTH_KILOMETERS: f64 = 6_371.008_8;

/// Numbers with their gaps filled, and a flag where one was: two features a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImputeConfig {
    /// Numeric fields.
    pub fields: Vec<String>,
    /// What fills a gap. Default: the median of the training rows.
    #[serde(default)]
    pub value: Option<f64>,
}

/// Way along the globe between two points, in kilometers (haversine formula, Sinnott 1984).
///
/// A point that cannot be (out of range, or exactly 0, 0, which tables write for "unknown") makes the way missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HaversineConfig {
    /// The first point.
    pub from: PointFields,
    /// The second point.
    pub to: PointFields,
    /// A way longer than this many kilometers comes from a wrong coordinate and is missing. Default: none is too long.
    #[serde(default)]
    pub most: Option<f64>,
}

/// Fields of a point on the globe, in degrees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointFields {
    /// Degrees north.
    pub latitude: String,
    /// Degrees east.
    pub longitude: String,
}

/// A fitted step over the numbers of one row, as stored in a bundle; fields are positions in the schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowStep {
    /// See [`ImputeConfig`]: the number, then 1 where it was filled, else 0.
    Impute {
        /// Field.
        field: usize,
        /// What fills a gap.
        value: f64,
    },
    /// See [`super::ClipConfig`].
    Clip {
        /// Field.
        field: usize,
        /// Nothing below it is written.
        lower: f64,
        /// Nothing above it is written.
        upper: f64,
    },
    /// See [`super::ProductConfig`].
    Product {
        /// Fields.
        fields: Vec<usize>,
    },
    /// See [`super::RatioConfig`].
    Ratio {
        /// Field above the line.
        of: usize,
        /// Field below it.
        per: usize,
    },
    /// See [`HaversineConfig`].
    Haversine {
        /// Latitude and longitude of both points.
        fields: [usize; 4],
        /// Longest way in kilometers.
        most: Option<f64>,
    },
    /// See [`super::SummaryConfig`].
    Summary {
        /// Fields, the newest first.
        fields: Vec<usize>,
        /// Summaries, one feature each.
        statistics: Vec<Statistic>,
    },
}

impl ImputeConfig {
    /// One step a field, with the names of its features.
    pub(super) fn fit(&self, position: impl Fn(&str) -> usize, rows: &Rows) -> Vec<(RowStep, Vec<String>)> {
        let fitted = self.fields.iter().map(|name| {
            let field = position(name);
            let median = || median((0..rows.len()).map(|row| number(rows, field, row)).collect());
            let value = self.value.unwrap_or_else(median);
            let names = vec![name.clone(), format!("missing({name})")];
            (RowStep::Impute { field, value }, names)
        });
        fitted.collect()
    }
}

impl HaversineConfig {
    /// The four fields: latitude and longitude of the first point, then of the second.
    pub(super) fn fields(&self) -> [&str; 4] {
        [
            &self.from.latitude,
            &self.from.longitude,
            &self.to.latitude,
            &self.to.longitude,
        ]
    }

    pub(super) fn fit(&self, position: impl Fn(&str) -> usize) -> (RowStep, Vec<String>) {
        let step = RowStep::Haversine {
            fields: self.fields().map(position),
            most: self.most,
        };
        let name = format!("kilometers({}, {})", self.from.latitude, self.to.latitude);
        (step, vec![name])
    }
}

impl RowStep {
    /// Number of features.
    pub(super) fn width(&self) -> usize {
        match self {
            RowStep::Impute { .. } => 2,
            RowStep::Ratio { .. } | RowStep::Haversine { .. } | RowStep::Clip { .. } | RowStep::Product { .. } => 1,
            RowStep::Summary { statistics, .. } => statistics.len(),
        }
    }

    /// Fields that it reads.
    pub(super) fn fields(&self) -> Vec<usize> {
        match self {
            RowStep::Impute { field, .. } | RowStep::Clip { field, .. } => vec![*field],
            RowStep::Ratio { of, per } => vec![*of, *per],
            RowStep::Haversine { fields, .. } => fields.to_vec(),
            RowStep::Summary { fields, .. } | RowStep::Product { fields } => fields.clone(),
        }
    }

    /// What is wrong with a step that was read from a bundle.
    pub(super) fn problem(&self) -> Option<&'static str> {
        match self {
            RowStep::Impute { value, .. } if !value.is_finite() => Some("holds a number that is not finite"),
            RowStep::Haversine { most: Some(most), .. } if !most.is_finite() => {
                Some("holds a number that is not finite")
            }
            RowStep::Clip { lower, upper, .. } if !lower.is_finite() || !upper.is_finite() || lower > upper => {
                Some("holds bounds that bound nothing")
            }
            RowStep::Summary { fields, .. } | RowStep::Product { fields } if fields.is_empty() => {
                Some("is made of no field")
            }
            _ => None,
        }
    }

    /// Writes the features of one row.
    pub(super) fn write(&self, rows: &Rows, row: usize, features: &mut [f64]) {
        match self {
            RowStep::Impute { field, value } => {
                let given = number(rows, *field, row);
                features[0] = if given.is_nan() { *value } else { given };
                features[1] = f64::from(u8::from(given.is_nan()));
            }
            RowStep::Clip { field, lower, upper } => {
                // Missing stays missing: `clamp` hands NaN on.
                features[0] = number(rows, *field, row).clamp(*lower, *upper);
            }
            RowStep::Product { fields } => {
                features[0] = fields.iter().map(|field| number(rows, *field, row)).product();
            }
            RowStep::Ratio { of, per } => {
                let per = number(rows, *per, row);
                let ratio = number(rows, *of, row) / per;
                features[0] = if ratio.is_finite() { ratio } else { f64::NAN };
            }
            RowStep::Haversine { fields, most } => {
                let [from_latitude, from_longitude, to_latitude, to_longitude] =
                    fields.map(|field| number(rows, field, row));
                let way = haversine((from_latitude, from_longitude), (to_latitude, to_longitude));
                features[0] = if most.is_some_and(|most| way > most) {
                    f64::NAN
                } else {
                    way
                };
            }
            RowStep::Summary { fields, statistics } => {
                // A request computes a handful of numbers here; the history of an hourly model has a day or two of them.
                let values: Vec<f64> = fields.iter().map(|field| number(rows, *field, row)).collect();
                for (feature, statistic) in features.iter_mut().zip(statistics) {
                    *feature = statistic.of(&values);
                }
            }
        }
    }
}

/// The number of a row's field; NaN where it is missing.
pub(super) fn number(rows: &Rows, field: usize, row: usize) -> f64 {
    match &rows.columns()[field] {
        Column::Number(values) => values[row],
        _ => f64::NAN,
    }
}

/// The lower median of the values that are there; 0 without any.
fn median(values: Vec<f64>) -> f64 {
    let mut seen: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
    seen.sort_by(f64::total_cmp);
    seen.get(seen.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// Kilometers between two points in degrees (latitude, longitude); NaN if one of them cannot be.
fn haversine(from: (f64, f64), to: (f64, f64)) -> f64 {
    let can_be = |(latitude, longitude): (f64, f64)| {
        latitude.abs() <= 90.0 && longitude.abs() <= 180.0 && (latitude, longitude) != (0.0, 0.0)
    };
    if !can_be(from) || !can_be(to) {
        return f64::NAN;
    }
    let half_sine = |degrees: f64| sin(degrees.to_radians() / 2.0);
    let (north, east) = (half_sine(to.0 - from.0), half_sine(to.1 - from.1));
    let share = north * north + cos(from.0.to_radians()) * cos(to.0.to_radians()) * east * east;
    2.0 * EARTH_KILOMETERS * asin(share.sqrt().min(1.0))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn features(step: &RowStep, values: &[f64]) -> Vec<f64> {
        let rows = Rows::new(values.iter().map(|value| Column::Number(vec![*value])).collect()).unwrap();
        let mut features = vec![9.0; step.width()];
        step.write(&rows, 0, &mut features);
        features
    }

    #[test]
    fn a_known_way_has_its_length() {
        // London to Paris, 343.5 km between these two points.
        let way = haversine((51.5074, -0.1278), (48.8566, 2.3522));
        assert!((way - 343.56).abs() < 0.1, "{way}");
        assert_eq!(haversine((12.5, 77.5), (12.5, 77.5)), 0.0);
        // A degree of longitude at the equator.
        assert!((haversine((0.0, 1.0), (0.0, 2.0)) - 111.195).abs() < 0.001);
    }

    #[test]
    fn a_place_that_cannot_be_makes_the_way_missing() {
        for from in [(0.0, 0.0), (91.0, 10.0), (10.0, 181.0), (f64::NAN, 10.0)] {
            assert!(haversine(from, (12.5, 77.5)).is_nan(), "{from:?}");
        }
        let step = RowStep::Haversine {
            fields: [0, 1, 2, 3],
            most: Some(100.0),
        };
        assert!(features(&step, &[-12.5, 77.5, 12.5, 77.5])[0].is_nan());
        assert!(features(&step, &[12.6, 77.5, 12.5, 77.5])[0] < 12.0);
    }

    #[test]
    fn a_gap_gets_the_median_and_a_flag() {
        let column = Column::Number(vec![5.0, f64::NAN, 1.0, 100.0]);
        let rows = Rows::new(vec![column]).unwrap();
        let config = ImputeConfig {
            fields: vec!["rooms".to_owned()],
            value: None,
        };
        let (step, names) = config.fit(|_| 0, &rows).remove(0);
        assert_eq!(names, ["rooms", "missing(rooms)"]);
        assert_eq!(features(&step, &[f64::NAN]), [5.0, 1.0]);
        assert_eq!(features(&step, &[7.0]), [7.0, 0.0]);
    }

    #[test]
    fn a_ratio_to_nothing_is_missing() {
        let step = RowStep::Ratio { of: 0, per: 1 };
        assert_eq!(features(&step, &[6.0, 3.0]), [2.0]);
        assert!(features(&step, &[6.0, 0.0])[0].is_nan());
        assert!(features(&step, &[0.0, 0.0])[0].is_nan());
    }

    #[test]
    fn summaries_leave_out_what_is_missing() {
        let statistics = vec![
            Statistic::Mean,
            Statistic::Minimum,
            Statistic::Maximum,
            Statistic::Change,
            Statistic::Deviation,
        ];
        let step = RowStep::Summary {
            fields: vec![0, 1, 2],
            statistics,
        };
        assert_eq!(features(&step, &[4.0, f64::NAN, 2.0]), [3.0, 2.0, 4.0, 2.0, 1.0]);
        assert!(features(&step, &[f64::NAN; 3]).iter().all(|value| value.is_nan()));
        let empty = RowStep::Summary {
            fields: Vec::new(),
            statistics: vec![Statistic::Change],
        };
        assert!(empty.problem().is_some());
    }
}
