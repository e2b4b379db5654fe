//! Features from several numbers of one row, and numbers held within bounds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::{RowStep, number};
use crate::schema::Rows;

/// One number divided by another; missing where the second is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RatioConfig {
    /// The field above the line.
    pub of: String,
    /// The field below it.
    pub per: String,
}

/// Numbers multiplied; missing where one of them is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductConfig {
    /// Numeric fields, two or more.
    pub fields: Vec<String>,
}

/// Numbers held between two quantiles of the training rows, so that a wild value moves no line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClipConfig {
    /// Numeric fields, one feature each.
    pub fields: Vec<String>,
    /// Share of the training rows below the lower bound.
    #[serde(default = "default_lower")]
    pub lower: f64,
    /// Share of the training rows below the upper bound.
    #[serde(default = "default_upper")]
    pub upper: f64,
}

fn default_lower() -> f64 {
    0.01
}

fn default_upper() -> f64 {
    0.99
}

impl RatioConfig {
    pub(super) fn fit(&self, position: impl Fn(&str) -> usize) -> (RowStep, Vec<String>) {
        let step = RowStep::Ratio {
            of: position(&self.of),
            per: position(&self.per),
        };
        (step, vec![format!("ratio({}, {})", self.of, self.per)])
    }
}

impl ProductConfig {
    pub(super) fn fit(&self, position: impl Fn(&str) -> usize) -> (RowStep, Vec<String>) {
        let step = RowStep::Product {
            fields: self.fields.iter().map(|field| position(field)).collect(),
        };
        (step, vec![format!("product({})", self.fields.join(", "))])
    }
}

impl ClipConfig {
    /// What is wrong with the bounds.
    pub fn problem(&self) -> Option<String> {
        let fits = (0.0..1.0).contains(&self.lower) && self.lower < self.upper && self.upper <= 1.0;
        (!fits).then(|| {
            format!(
                "bounds {} and {} are no two ascending shares from 0 to 1",
                self.lower, self.upper
            )
        })
    }

    /// One step a field, with the name of its feature.
    pub(super) fn fit(&self, position: impl Fn(&str) -> usize, rows: &Rows) -> Vec<(RowStep, Vec<String>)> {
        let fitted = self.fields.iter().map(|name| {
            let field = position(name);
            let mut seen: Vec<f64> = (0..rows.len()).map(|row| number(rows, field, row)).collect();
            seen.retain(|value| !value.is_nan());
            seen.sort_by(f64::total_cmp);
            let at = |share: f64| {
                let place = (share * seen.len().saturating_sub(1) as f64).round() as usize;
                seen.get(place).copied().unwrap_or_default()
            };
            let step = RowStep::Clip {
                field,
                lower: at(self.lower),
                upper: at(self.upper),
            };
            (step, vec![format!("clip({name})")])
        });
        fitted.collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::schema::Column;

    #[test]
    fn a_wild_number_is_held_at_the_quantile() {
        let mut values: Vec<f64> = (0..=100).map(f64::from).collect();
        values.push(f64::NAN);
        let rows = Rows::new(vec![Column::Number(values)]).unwrap();
        let config = ClipConfig {
            fields: vec!["x".to_owned()],
            lower: 0.05,
            upper: 0.9,
        };
        let (step, names) = config.fit(|_| 0, &rows).remove(0);
        assert_eq!(names, ["clip(x)"]);
        let held = |value: f64| {
            let mut features = [9.0];
            step.write(&Rows::new(vec![Column::Number(vec![value])]).unwrap(), 0, &mut features);
            features[0]
        };
        assert_eq!([held(-7.0), held(50.0), held(1e9)], [5.0, 50.0, 90.0]);
        assert!(held(f64::NAN).is_nan());
        assert!(
            ClipConfig {
                lower: 0.9,
                upper: 0.1,
                ..config
            }
            .problem()
            .is_some()
        );
    }

    #[test]
    fn a_product_is_missing_where_a_factor_is() {
        let step = RowStep::Product { fields: vec![0, 1] };
        let product = |left: f64, right: f64| {
            let mut features = [9.0];
            let rows = Rows::new(vec![Column::Number(vec![left]), Column::Number(vec![right])]).unwrap();
            step.write(&rows, 0, &mut features);
            features[0]
        };
        assert_eq!(product(3.0, -2.0), -6.0);
        assert!(product(3.0, f64::NAN).is_nan());
    }
}
