//! From a declared step and training rows to a fitted one.

use std::collections::{BTreeMap, HashMap};

use super::config::{DistanceConfig, StepConfig};
use super::encode::{category, target_means};
use super::geography::{LearnPlaces, learn_places};
use super::pipeline::FitInputs;
use super::row::{RowStep, number};
use super::step::{Step, given_place, text};
use crate::schema::{Rows, Schema};

/// Fits one step; a step of several fields makes several.
pub(super) fn fit_step(
    config: &StepConfig,
    schema: &Schema,
    rows: &Rows,
    inputs: &FitInputs<'_>,
) -> Vec<(Step, Vec<String>)> {
    // `check` has found every field.
    let position = |name: &str| schema.position(name).unwrap_or_default();
    let of_row = |(step, names): (RowStep, Vec<String>)| (Step::Row(step), names);
    let categories = |fields: &[usize]| -> Vec<_> { (0..rows.len()).map(|row| category(rows, fields, row)).collect() };
    match config {
        StepConfig::Number { fields } => fields
            .iter()
            .map(|field| (Step::Number { field: position(field) }, vec![field.clone()]))
            .collect(),
        StepConfig::Calendar { field, parts } => {
            let names = parts.iter().map(|part| format!("{}({field})", part.name())).collect();
            vec![(
                Step::Calendar {
                    field: position(field),
                    parts: parts.clone(),
                },
                names,
            )]
        }
        StepConfig::Distance(config) => vec![fit_distance(config, position, rows, inputs)],
        StepConfig::Same { left, right } => {
            let step = Step::Same {
                left: position(left),
                right: position(right),
            };
            vec![(step, vec![format!("same({left}, {right})")])]
        }
        StepConfig::TargetMean { fields, smoothing } => fields
            .iter()
            .map(|names| {
                let fields: Vec<usize> = names.iter().map(|name| position(name)).collect();
                let (prior, means) = target_means(&categories(&fields), inputs.target, *smoothing, |_| true);
                (
                    Step::TargetMean { fields, prior, means },
                    vec![format!("target_mean({})", names.join(", "))],
                )
            })
            .collect(),
        StepConfig::OneHot { field, most } => {
            let index = position(field);
            let mut counts: HashMap<_, usize> = HashMap::new();
            for value in categories(&[index]).into_iter().flatten() {
                *counts.entry(value).or_default() += 1;
            }
            let mut ranked: Vec<_> = counts.into_iter().collect();
            ranked.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let categories: Vec<String> = ranked
                .into_iter()
                .take(*most)
                .map(|(value, _)| value.into_owned())
                .collect();
            let names = categories.iter().map(|value| format!("{field}={value}")).collect();
            vec![(
                Step::OneHot {
                    field: index,
                    categories,
                },
                names,
            )]
        }
        StepConfig::Ordinal { field, order } => {
            let step = Step::Ordinal {
                field: position(field),
                order: order.clone(),
            };
            vec![(step, vec![format!("ordinal({field})")])]
        }
        StepConfig::Frequency { fields } => fields
            .iter()
            .map(|field| {
                let index = position(field);
                let mut shares: BTreeMap<String, f64> = BTreeMap::new();
                for value in categories(&[index]).into_iter().flatten() {
                    *shares.entry(value.into_owned()).or_default() += 1.0;
                }
                shares.values_mut().for_each(|count| *count /= rows.len() as f64);
                (
                    Step::Frequency { field: index, shares },
                    vec![format!("frequency({field})")],
                )
            })
            .collect(),
        StepConfig::Impute(config) => config.fit(position, rows).into_iter().map(of_row).collect(),
        StepConfig::Clip(config) => config.fit(position, rows).into_iter().map(of_row).collect(),
        StepConfig::Product(config) => vec![of_row(config.fit(position))],
        StepConfig::History(config) => {
            let fields = config.takes().map(|(field, _)| field);
            fields
                .map(|field| {
                    (
                        Step::Number {
                            field: position(&field),
                        },
                        vec![field],
                    )
                })
                .collect()
        }
        StepConfig::Ratio(config) => vec![of_row(config.fit(position))],
        StepConfig::Haversine(config) => vec![of_row(config.fit(position))],
        StepConfig::Summary(config) => vec![of_row(config.fit(position))],
    }
}

/// Places whose coordinates are missing are learnt from the rows that name them.
fn fit_distance(
    config: &DistanceConfig,
    position: impl Fn(&str) -> usize,
    rows: &Rows,
    inputs: &FitInputs<'_>,
) -> (Step, Vec<String>) {
    let (x, y, place) = (position(&config.x), position(&config.y), position(&config.place));
    let at = config.at.as_ref().map(|at| [position(&at.x), position(&at.y)]);
    let own = config.own.as_ref().map(|own| position(own));
    let learn_from: Vec<Option<String>> = (0..rows.len())
        .map(|row| {
            let name = text(rows, place, row)?;
            let on_own_ground = own.is_none_or(|own| text(rows, own, row) == Some(name));
            let is_given = at.is_some_and(|at| given_place(rows, at, row).is_some());
            (on_own_ground && !is_given).then(|| name.to_owned())
        })
        .collect();
    let values = |field: usize| {
        (0..rows.len())
            .map(|row| number(rows, field, row))
            .collect::<Vec<f64>>()
    };
    let (xs, ys) = (values(x), values(y));
    let places = learn_places(LearnPlaces {
        place: &learn_from,
        x: &xs,
        y: &ys,
        cost: inputs.target,
    });
    let names = ["distance", "east", "north"].map(|part| format!("{part}({})", config.place));
    let step = Step::Distance {
        x,
        y,
        place,
        at,
        places,
    };
    (step, names.to_vec())
}
