//! The feature pipeline: declared in a DAG, fitted in training, stored in the bundle, applied in serving.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::calendar::CalendarPart;
use super::encode::{category, target_means};
use super::geography::{LearnPlaces, Place, Places, learn_places};
use super::row::{HaversineConfig, ImputeConfig, RatioConfig, RowStep, SummaryConfig};
use crate::schema::{Column, Known, Rows, Schema};

/// One step as written in a DAG. Every step adds one or more numeric features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StepConfig {
    /// Numbers as they are.
    Number {
        /// Numeric fields.
        fields: Vec<String>,
    },
    /// Parts of a civil time.
    Calendar {
        /// A field with a date and time.
        field: String,
        /// Which parts.
        parts: Vec<CalendarPart>,
    },
    /// Straight way from a named place to a point: its length and its two legs, in the unit of the coordinates.
    Distance {
        /// Field with the point's easting.
        x: String,
        /// Field with the point's northing.
        y: String,
        /// Field that names the place.
        place: String,
        /// Name of the lookup that holds the places. Places that it lacks, or all without it, are learnt in training
        /// from where rows of that place are and what they cost (the target).
        #[serde(default)]
        lookup: Option<String>,
        /// Learn from rows whose value in this field equals the place: a station's own ground.
        #[serde(default)]
        own: Option<String>,
    },
    /// 1 where two fields hold the same text, else 0.
    Same {
        /// One field.
        left: String,
        /// The other.
        right: String,
    },
    /// Mean of the target over the training rows of the same category, drawn to the overall mean; fitted out of fold, so
    /// that a training row never sees its own target.
    TargetMean {
        /// One feature per entry; the fields of an entry form one combined category.
        fields: Vec<Vec<String>>,
        /// How many rows of the overall mean are mixed in.
        #[serde(default = "default_smoothing")]
        smoothing: f64,
    },
    /// One feature of 0 and 1 per category seen in training, most frequent first.
    OneHot {
        /// The field.
        field: String,
        /// The most features it may make.
        #[serde(default = "default_categories")]
        most: usize,
    },
    /// Share of the training rows with the same category.
    Frequency {
        /// Fields, one feature each.
        fields: Vec<String>,
    },
    /// Numbers with their gaps filled, and a flag where one was: two features a field.
    Impute(ImputeConfig),
    /// One number divided by another.
    Ratio(RatioConfig),
    /// Kilometers between two points given by latitude and longitude.
    Haversine(HaversineConfig),
    /// Mean, extremes and change of values measured one after the other, given as one field each.
    Summary(SummaryConfig),
}

fn default_smoothing() -> f64 {
    20.0
}

fn default_categories() -> usize {
    20
}

impl StepConfig {
    /// All fields that the step reads.
    pub fn fields(&self) -> Vec<&str> {
        match self {
            StepConfig::Number { fields } | StepConfig::Frequency { fields } => {
                fields.iter().map(String::as_str).collect()
            }
            StepConfig::Calendar { field, .. } | StepConfig::OneHot { field, .. } => vec![field],
            StepConfig::Distance { x, y, place, own, .. } => [x, y, place]
                .into_iter()
                .chain(own.as_ref())
                .map(String::as_str)
                .collect(),
            StepConfig::Same { left, right } => vec![left, right],
            StepConfig::TargetMean { fields, .. } => fields.iter().flatten().map(String::as_str).collect(),
            StepConfig::Impute(ImputeConfig { fields }) | StepConfig::Summary(SummaryConfig { fields, .. }) => {
                fields.iter().map(String::as_str).collect()
            }
            StepConfig::Ratio(RatioConfig { of, per }) => vec![of, per],
            StepConfig::Haversine(config) => config.fields().to_vec(),
        }
    }
}

/// A fitted step as stored in a bundle; fields are positions in the schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// See [`StepConfig::Number`].
    Number {
        /// Field.
        field: usize,
    },
    /// See [`StepConfig::Calendar`].
    Calendar {
        /// Field.
        field: usize,
        /// Parts, one feature each.
        parts: Vec<CalendarPart>,
    },
    /// See [`StepConfig::Distance`]: three features.
    Distance {
        /// Field of the easting.
        x: usize,
        /// Field of the northing.
        y: usize,
        /// Field of the place's name.
        place: usize,
        /// Where the places are.
        places: Places,
    },
    /// See [`StepConfig::Same`].
    Same {
        /// One field.
        left: usize,
        /// The other.
        right: usize,
    },
    /// See [`StepConfig::TargetMean`].
    TargetMean {
        /// Fields of the category.
        fields: Vec<usize>,
        /// Mean of a category that training did not see.
        prior: f64,
        /// Mean per category.
        means: BTreeMap<String, f64>,
    },
    /// See [`StepConfig::OneHot`].
    OneHot {
        /// Field.
        field: usize,
        /// Categories, one feature each.
        categories: Vec<String>,
    },
    /// See [`StepConfig::Frequency`].
    Frequency {
        /// Field.
        field: usize,
        /// Share per category.
        shares: BTreeMap<String, f64>,
    },
    /// Numbers of one row alone.
    Row(RowStep),
}

impl Step {
    fn width(&self) -> usize {
        match self {
            Step::Number { .. } | Step::Same { .. } | Step::TargetMean { .. } | Step::Frequency { .. } => 1,
            Step::Calendar { parts, .. } => parts.len(),
            Step::Distance { .. } => 3,
            Step::OneHot { categories, .. } => categories.len(),
            Step::Row(step) => step.width(),
        }
    }

    fn fields(&self) -> Vec<usize> {
        match self {
            Step::Number { field } | Step::Calendar { field, .. } => vec![*field],
            Step::OneHot { field, .. } | Step::Frequency { field, .. } => vec![*field],
            Step::Distance { x, y, place, .. } => vec![*x, *y, *place],
            Step::Same { left, right } => vec![*left, *right],
            Step::TargetMean { fields, .. } => fields.clone(),
            Step::Row(step) => step.fields(),
        }
    }

    /// Writes the step's features of one row.
    fn write(&self, rows: &Rows, row: usize, features: &mut [f64]) {
        match self {
            Step::Number { field } => features[0] = number(rows, *field, row),
            Step::Calendar { field, parts } => {
                let moment = match &rows.columns()[*field] {
                    Column::Timestamp(values) => values[row],
                    _ => None,
                };
                for (feature, part) in features.iter_mut().zip(parts) {
                    *feature = moment.map_or(f64::NAN, |seconds| part.of(seconds));
                }
            }
            Step::Distance { x, y, place, places } => {
                let found = text(rows, *place, row).and_then(|name| places.get(name));
                let (dx, dy) = match found {
                    Some(found) => (number(rows, *x, row) - found.x, number(rows, *y, row) - found.y),
                    None => (f64::NAN, f64::NAN),
                };
                features.copy_from_slice(&[(dx * dx + dy * dy).sqrt(), dx, dy]);
            }
            Step::Same { left, right } => {
                features[0] = match (text(rows, *left, row), text(rows, *right, row)) {
                    (Some(left), Some(right)) => f64::from(u8::from(left == right)),
                    _ => f64::NAN,
                };
            }
            Step::TargetMean { fields, prior, means } => {
                let found = match fields.as_slice() {
                    [field] if matches!(rows.columns()[*field], Column::Text(_)) => {
                        text(rows, *field, row).and_then(|key| means.get(key))
                    }
                    _ => category(rows, fields, row).and_then(|key| means.get(&key)),
                };
                features[0] = found.copied().unwrap_or(*prior);
            }
            Step::OneHot { field, categories } => {
                let value = category(rows, &[*field], row);
                for (feature, category) in features.iter_mut().zip(categories) {
                    *feature = f64::from(u8::from(value.as_ref() == Some(category)));
                }
            }
            Step::Frequency { field, shares } => {
                let found = category(rows, &[*field], row).and_then(|key| shares.get(&key).copied());
                features[0] = found.unwrap_or(0.0);
            }
            Step::Row(step) => step.write(rows, row, features),
        }
    }
}

fn number(rows: &Rows, field: usize, row: usize) -> f64 {
    match &rows.columns()[field] {
        Column::Number(values) => values[row],
        _ => f64::NAN,
    }
}

fn text(rows: &Rows, field: usize, row: usize) -> Option<&str> {
    match &rows.columns()[field] {
        Column::Text(values) => values[row].as_deref(),
        _ => None,
    }
}

/// Features of rows: row after row, NaN where a value is missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// `rows * columns` values.
    pub values: Vec<f64>,
    /// Number of rows.
    pub rows: usize,
    /// Number of features.
    pub columns: usize,
}

impl Matrix {
    /// The features of one row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// The rows of these indices, in that order.
    pub fn select(&self, rows: &[usize]) -> Matrix {
        let values = rows.iter().flat_map(|row| self.row(*row).iter().copied()).collect();
        Matrix {
            values,
            rows: rows.len(),
            columns: self.columns,
        }
    }
}

/// Why a pipeline cannot be fitted or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PipelineError {
    /// A step reads a field that is not there.
    #[error("feature step {step} reads the field `{field}`, which is not there")]
    UnknownField {
        /// Position of the step, from 0.
        step: usize,
        /// The field.
        field: String,
    },
    /// A step reads a field of another type.
    #[error("feature step {step} wants `{field}` to be {expected}")]
    WrongKind {
        /// Position of the step, from 0.
        step: usize,
        /// The field.
        field: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A step reads what is not known yet.
    #[error("feature step {step} reads `{field}`, which is known `{known}`, but the model answers at `{predict_at}`")]
    TooLate {
        /// Position of the step, from 0.
        step: usize,
        /// The field.
        field: String,
        /// When the field is known.
        known: &'static str,
        /// When the model answers.
        predict_at: &'static str,
    },
    /// A step's numbers make no sense.
    #[error("feature step {step}: {problem}")]
    Damaged {
        /// Position of the step, from 0.
        step: usize,
        /// What is wrong.
        problem: String,
    },
}

/// What fitting needs beside the rows.
pub struct FitInputs<'a> {
    /// The target column per row, in its own unit. For yes-or-no targets too: a mean of seconds says more about a rare
    /// category than a share of rows above a limit.
    pub target: &'a [f64],
    /// Fold of each row, for encodings fitted out of fold; folds keep rows of one day together.
    pub folds: &'a [u32],
    /// Places by lookup name.
    pub lookups: &'a BTreeMap<String, Places>,
    /// When the model answers.
    pub predict_at: Known,
}

/// A fitted pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    steps: Vec<Step>,
    features: Vec<String>,
}

impl Pipeline {
    /// Checks every step against the schema without fitting: unknown fields, wrong types, fields known too late.
    pub fn check(config: &[StepConfig], schema: &Schema, predict_at: Known) -> Vec<PipelineError> {
        let mut problems = Vec::new();
        for (step, config) in config.iter().enumerate() {
            for name in config.fields() {
                match schema.position(name).map(|position| &schema.fields[position]) {
                    None => problems.push(PipelineError::UnknownField {
                        step,
                        field: name.to_owned(),
                    }),
                    Some(field) if field.known > predict_at => problems.push(PipelineError::TooLate {
                        step,
                        field: name.to_owned(),
                        known: field.known.name(),
                        predict_at: predict_at.name(),
                    }),
                    Some(_) => {}
                }
            }
            problems.extend(kind_problems(step, config, schema));
        }
        problems
    }

    /// Fits the steps on training rows. Returns the pipeline and the training rows' features, whose target means are out
    /// of fold.
    pub fn fit(
        config: &[StepConfig],
        schema: &Schema,
        rows: &Rows,
        inputs: &FitInputs<'_>,
    ) -> Result<(Pipeline, Matrix), PipelineError> {
        if let Some(problem) = Self::check(config, schema, inputs.predict_at).into_iter().next() {
            return Err(problem);
        }
        let mut pipeline = Pipeline::default();
        for config in config {
            for (step, names) in fit_step(config, schema, rows, inputs) {
                pipeline.steps.push(step);
                pipeline.features.extend(names);
            }
        }
        let mut matrix = pipeline.transform(rows);
        pipeline.replace_by_out_of_fold(config, rows, inputs, &mut matrix);
        Ok((pipeline, matrix))
    }

    /// Names of the features, in column order.
    pub fn features(&self) -> &[String] {
        &self.features
    }

    /// Positions of the fields that each feature is made of, in column order.
    pub fn feature_fields(&self) -> Vec<Vec<usize>> {
        let steps = self.steps.iter();
        steps
            .flat_map(|step| std::iter::repeat_n(step.fields(), step.width()))
            .collect()
    }

    /// Computes the features of rows.
    pub fn transform(&self, rows: &Rows) -> Matrix {
        let columns = self.features.len();
        let mut values = vec![0.0; rows.len() * columns];
        for row in 0..rows.len() {
            let mut rest = &mut values[row * columns..(row + 1) * columns];
            for step in &self.steps {
                let (own, others) = rest.split_at_mut(step.width());
                step.write(rows, row, own);
                rest = others;
            }
        }
        Matrix {
            values,
            rows: rows.len(),
            columns,
        }
    }

    /// Checks what was read from a bundle: every field exists, every number is finite, names and steps agree.
    pub fn validate(&self, schema: &Schema) -> Result<(), PipelineError> {
        for (step, fitted) in self.steps.iter().enumerate() {
            let damaged = |problem: &str| PipelineError::Damaged {
                step,
                problem: problem.to_owned(),
            };
            if fitted.fields().iter().any(|field| *field >= schema.fields.len()) {
                return Err(damaged("reads a field beyond the schema"));
            }
            let finite = match fitted {
                Step::Distance { places, .. } => places.is_finite(),
                Step::TargetMean { prior, means, .. } => {
                    prior.is_finite() && means.values().all(|mean| mean.is_finite())
                }
                Step::Frequency { shares, .. } => shares.values().all(|share| share.is_finite()),
                _ => true,
            };
            if !finite {
                return Err(damaged("holds a number that is not finite"));
            }
            if let Step::Row(step) = fitted
                && let Some(problem) = step.problem()
            {
                return Err(damaged(problem));
            }
        }
        let width: usize = self.steps.iter().map(Step::width).sum();
        if width != self.features.len() {
            let problem = format!("the steps make {width} features, {} are named", self.features.len());
            return Err(PipelineError::Damaged {
                step: self.steps.len(),
                problem,
            });
        }
        Ok(())
    }

    fn replace_by_out_of_fold(&self, config: &[StepConfig], rows: &Rows, inputs: &FitInputs<'_>, matrix: &mut Matrix) {
        let smoothings = config.iter().flat_map(|config| match config {
            StepConfig::TargetMean { fields, smoothing } => vec![*smoothing; fields.len()],
            _ => Vec::new(),
        });
        let mut smoothings = smoothings.collect::<Vec<f64>>().into_iter();
        let fold_count = inputs.folds.iter().max().map_or(0, |last| last + 1);
        let mut column = 0;
        for step in &self.steps {
            if let Step::TargetMean { fields, .. } = step {
                let smoothing = smoothings.next().unwrap_or_default();
                let categories: Vec<Option<String>> = (0..rows.len()).map(|row| category(rows, fields, row)).collect();
                for fold in 0..fold_count {
                    let outside = |row: usize| inputs.folds[row] != fold;
                    let (prior, means) = target_means(&categories, inputs.target, smoothing, outside);
                    for row in (0..rows.len()).filter(|row| inputs.folds[*row] == fold) {
                        let found = categories[row].as_ref().and_then(|key| means.get(key)).copied();
                        matrix.values[row * matrix.columns + column] = found.unwrap_or(prior);
                    }
                }
            }
            column += step.width();
        }
    }
}

fn kind_problems(step: usize, config: &StepConfig, schema: &Schema) -> Vec<PipelineError> {
    use crate::schema::FieldKind;
    let wants: Vec<(&str, FieldKind)> = match config {
        StepConfig::Number { fields } => fields.iter().map(|field| (field.as_str(), FieldKind::Number)).collect(),
        StepConfig::Calendar { field, .. } => vec![(field, FieldKind::Timestamp)],
        StepConfig::Distance { x, y, place, own, .. } => {
            let mut wants = vec![
                (x.as_str(), FieldKind::Number),
                (y, FieldKind::Number),
                (place, FieldKind::Text),
            ];
            wants.extend(own.iter().map(|own| (own.as_str(), FieldKind::Text)));
            wants
        }
        StepConfig::Same { left, right } => vec![(left, FieldKind::Text), (right, FieldKind::Text)],
        StepConfig::TargetMean { .. } | StepConfig::OneHot { .. } | StepConfig::Frequency { .. } => Vec::new(),
        StepConfig::Impute(_) | StepConfig::Ratio(_) | StepConfig::Haversine(_) | StepConfig::Summary(_) => {
            let fields = config.fields().into_iter();
            fields.map(|field| (field, FieldKind::Number)).collect()
        }
    };
    let wrong = wants.into_iter().filter(|(name, kind)| {
        schema
            .position(name)
            .is_some_and(|position| schema.fields[position].kind != *kind)
    });
    wrong
        .map(|(name, kind)| {
            let expected = match kind {
                FieldKind::Number => "a number",
                FieldKind::Text => "text",
                FieldKind::Timestamp => "a date and time",
            };
            PipelineError::WrongKind {
                step,
                field: name.to_owned(),
                expected,
            }
        })
        .collect()
}

fn fit_step(config: &StepConfig, schema: &Schema, rows: &Rows, inputs: &FitInputs<'_>) -> Vec<(Step, Vec<String>)> {
    // `check` has found every field.
    let position = |name: &str| schema.position(name).unwrap_or_default();
    let of_row = |(step, names): (RowStep, Vec<String>)| (Step::Row(step), names);
    let categories = |fields: &[usize]| {
        (0..rows.len())
            .map(|row| category(rows, fields, row))
            .collect::<Vec<Option<String>>>()
    };
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
        StepConfig::Distance {
            x,
            y,
            place,
            lookup,
            own,
        } => {
            let (x, y, place_field) = (position(x), position(y), position(place));
            let own = own.as_ref().map(|own| position(own));
            let known = lookup.as_ref().and_then(|name| inputs.lookups.get(name));
            let places = fit_places(rows, inputs, (x, y, place_field), own, known);
            let names = ["distance", "east", "north"]
                .map(|part| format!("{part}({place})"))
                .to_vec();
            vec![(
                Step::Distance {
                    x,
                    y,
                    place: place_field,
                    places,
                },
                names,
            )]
        }
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
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for value in categories(&[index]).into_iter().flatten() {
                *counts.entry(value).or_default() += 1;
            }
            let mut ranked: Vec<(String, usize)> = counts.into_iter().collect();
            ranked.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let categories: Vec<String> = ranked.into_iter().take(*most).map(|(value, _)| value).collect();
            let names = categories.iter().map(|value| format!("{field}={value}")).collect();
            vec![(
                Step::OneHot {
                    field: index,
                    categories,
                },
                names,
            )]
        }
        StepConfig::Frequency { fields } => fields
            .iter()
            .map(|field| {
                let index = position(field);
                let mut shares: BTreeMap<String, f64> = BTreeMap::new();
                for value in categories(&[index]).into_iter().flatten() {
                    *shares.entry(value).or_default() += 1.0;
                }
                shares.values_mut().for_each(|count| *count /= rows.len() as f64);
                (
                    Step::Frequency { field: index, shares },
                    vec![format!("frequency({field})")],
                )
            })
            .collect(),
        StepConfig::Impute(config) => config.fit(position, rows).into_iter().map(of_row).collect(),
        StepConfig::Ratio(config) => vec![of_row(config.fit(position))],
        StepConfig::Haversine(config) => vec![of_row(config.fit(position))],
        StepConfig::Summary(config) => vec![of_row(config.fit(position))],
    }
}

/// Places of the lookup, and learnt ones for what it lacks. Only places that occur in the rows are kept from learning;
/// the lookup is kept whole, so that a station without a training row is still found.
fn fit_places(
    rows: &Rows,
    inputs: &FitInputs<'_>,
    (x, y, place): (usize, usize, usize),
    own: Option<usize>,
    known: Option<&Places>,
) -> Places {
    let mut places = known.cloned().unwrap_or_default();
    let names: Vec<Option<String>> = (0..rows.len())
        .map(|row| text(rows, place, row).map(str::to_owned))
        .collect();
    if !names.iter().flatten().any(|name| places.get(name).is_none()) {
        return places;
    }
    let learn_from: Vec<Option<String>> = (0..rows.len())
        .map(|row| {
            let name = names[row].clone()?;
            let on_own_ground = own.is_none_or(|own| text(rows, own, row) == Some(name.as_str()));
            (on_own_ground && places.get(&name).is_none()).then_some(name)
        })
        .collect();
    let values = |field: usize| {
        (0..rows.len())
            .map(|row| number(rows, field, row))
            .collect::<Vec<f64>>()
    };
    let (xs, ys) = (values(x), values(y));
    let learnt = learn_places(LearnPlaces {
        place: &learn_from,
        x: &xs,
        y: &ys,
        cost: inputs.target,
    });
    for name in names.iter().flatten() {
        if let (None, Some(Place { x, y })) = (places.get(name), learnt.get(name)) {
            places.insert(name, Place { x, y });
        }
    }
    places
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::schema::{Field, FieldKind};

    fn example() -> (Schema, Rows) {
        let field = |name: &str, kind, known| Field {
            name: name.to_owned(),
            kind,
            known,
            nullable: false,
        };
        let schema = Schema {
            fields: vec![
                field("x", FieldKind::Number, Known::Call),
                field("station", FieldKind::Text, Known::Dispatch),
                field("stop_code", FieldKind::Text, Known::After),
            ],
        };
        let text = |values: [&str; 4]| Column::Text(values.iter().map(|value| Some((*value).to_owned())).collect());
        let rows = Rows::new(vec![
            Column::Number(vec![1.0, 2.0, 3.0, f64::NAN]),
            text(["a", "a", "b", "b"]),
            text(["s", "s", "s", "s"]),
        ]);
        (schema, rows.unwrap())
    }

    fn inputs<'a>(target: &'a [f64], folds: &'a [u32], lookups: &'a BTreeMap<String, Places>) -> FitInputs<'a> {
        FitInputs {
            target,
            folds,
            lookups,
            predict_at: Known::Dispatch,
        }
    }

    #[test]
    fn a_field_known_too_late_is_refused_by_name() {
        let (schema, rows) = example();
        let config = [StepConfig::OneHot {
            field: "stop_code".to_owned(),
            most: 5,
        }];
        let error = Pipeline::fit(&config, &schema, &rows, &inputs(&[0.0; 4], &[0; 4], &BTreeMap::new())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "feature step 0 reads `stop_code`, which is known `after`, but the model answers at `dispatch`"
        );
    }

    #[test]
    fn a_training_row_never_sees_its_own_target() {
        let (schema, rows) = example();
        let config = [StepConfig::TargetMean {
            fields: vec![vec!["station".to_owned()]],
            smoothing: 0.0,
        }];
        let lookups = BTreeMap::new();
        let given = inputs(&[1.0, 3.0, 10.0, 20.0], &[0, 1, 0, 1], &lookups);
        let (pipeline, matrix) = Pipeline::fit(&config, &schema, &rows, &given).unwrap();
        assert_eq!(matrix.values, [3.0, 1.0, 20.0, 10.0]);
        assert_eq!(pipeline.transform(&rows).values, [2.0, 2.0, 15.0, 15.0]);
    }

    #[test]
    fn one_row_gives_the_same_bits_as_many() {
        let (schema, rows) = example();
        let config = [
            StepConfig::Number {
                fields: vec!["x".to_owned()],
            },
            StepConfig::Frequency {
                fields: vec!["station".to_owned()],
            },
            StepConfig::OneHot {
                field: "station".to_owned(),
                most: 9,
            },
            StepConfig::TargetMean {
                fields: vec![vec!["station".to_owned(), "x".to_owned()]],
                smoothing: 20.0,
            },
        ];
        let lookups = BTreeMap::new();
        let given = inputs(&[1.0, 3.0, 10.0, 20.0], &[0, 1, 0, 1], &lookups);
        let (pipeline, _) = Pipeline::fit(&config, &schema, &rows, &given).unwrap();
        let all = pipeline.transform(&rows);
        for row in 0..rows.len() {
            let one = pipeline.transform(&rows.select(&[row]));
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<u64>>();
            assert_eq!(bits(one.row(0)), bits(all.row(row)));
        }
        assert!(pipeline.validate(&schema).is_ok());
        assert!(pipeline.validate(&Schema::default()).is_err());
    }
}
