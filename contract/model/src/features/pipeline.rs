//! The feature pipeline: declared in a DAG, fitted in training, stored in the bundle, applied in serving.
//!
//! Fields are the request's own, and after them those that [`Join`]s add: steps read both alike.

use serde::{Deserialize, Serialize};

use super::config::StepConfig;
use super::encode::{category, target_means};
use super::fit::fit_step;
use super::join::{Join, LookupTables};
use super::step::Step;
use crate::schema::{Known, Rows, Schema};

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
    /// When the model answers.
    pub predict_at: Known,
}

/// A fitted pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    joins: Vec<Join>,
    steps: Vec<Step>,
    features: Vec<String>,
}

/// Rows with the fields that lookups add.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// The rows.
    pub rows: Rows,
    /// Which of them found nothing, per join.
    pub unmatched: Vec<Vec<bool>>,
}

impl Pipeline {
    /// Checks every step against the fields without fitting: unknown ones, wrong types, known too late. `schema` holds those
    /// that joins add, too.
    pub fn check(config: &[StepConfig], schema: &Schema, predict_at: Known) -> Vec<PipelineError> {
        let mut problems = Vec::new();
        for (step, config) in config.iter().enumerate() {
            for (name, wanted) in config.wants() {
                match schema.position(&name).map(|position| &schema.fields[position]) {
                    None => problems.push(PipelineError::UnknownField { step, field: name }),
                    Some(field) if field.known > predict_at => problems.push(PipelineError::TooLate {
                        step,
                        field: name,
                        known: field.known.name(),
                        predict_at: predict_at.name(),
                    }),
                    Some(field) => {
                        if let Some(wanted) = wanted.filter(|wanted| field.kind != *wanted) {
                            let expected = wanted.words();
                            problems.push(PipelineError::WrongKind {
                                step,
                                field: name,
                                expected,
                            });
                        }
                    }
                }
            }
        }
        problems
    }

    /// A pipeline of these joins and no steps.
    pub fn joining(joins: Vec<Join>) -> Pipeline {
        Pipeline {
            joins,
            ..Pipeline::default()
        }
    }

    /// Fits the steps on training rows of `schema`, which are joined to `lookups` first. Returns the pipeline and the
    /// training rows' features, whose target means are out of fold.
    pub fn fit(
        config: &[StepConfig],
        joins: &[Join],
        schema: &Schema,
        rows: &Rows,
        lookups: &LookupTables,
        inputs: &FitInputs<'_>,
    ) -> Result<(Pipeline, Matrix), PipelineError> {
        let mut pipeline = Pipeline::joining(joins.to_vec());
        let schema = &pipeline.fields(schema);
        if let Some(problem) = Self::check(config, schema, inputs.predict_at).into_iter().next() {
            return Err(problem);
        }
        let rows = &pipeline.join(rows, lookups).rows;
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

    /// The lookups that it reads.
    pub fn joins(&self) -> &[Join] {
        &self.joins
    }

    /// The fields that steps read: those of a request, then those that joins add.
    pub fn fields(&self, schema: &Schema) -> Schema {
        let added = self.joins.iter().flat_map(Join::added);
        Schema {
            fields: schema.fields.iter().cloned().chain(added).collect(),
            ..schema.clone()
        }
    }

    /// Adds what lookups say to rows of requests. Without its table everything that a join adds is missing.
    pub fn join(&self, rows: &Rows, lookups: &LookupTables) -> Joined {
        let mut columns = rows.columns().to_vec();
        let mut unmatched = Vec::with_capacity(self.joins.len());
        for join in &self.joins {
            let (added, missed) = join.apply(rows, lookups.get(&join.lookup).map(AsRef::as_ref));
            columns.extend(added);
            unmatched.push(missed);
        }
        let rows = Rows::of(columns, rows.len());
        Joined { rows, unmatched }
    }

    /// Positions of the fields of a request that each feature is made of, in column order, each once. What a join adds
    /// is made of the fields that find it.
    pub fn feature_fields(&self, schema: &Schema) -> Vec<Vec<usize>> {
        let of_joins: Vec<Vec<usize>> = self
            .joins
            .iter()
            .flat_map(|join| std::iter::repeat_n(join.fields().collect(), join.columns.len()))
            .collect();
        let asked = schema.fields.len();
        let own = |field: usize| match field.checked_sub(asked) {
            Some(added) => of_joins[added].clone(),
            None => vec![field],
        };
        let steps = self.steps.iter();
        steps
            .flat_map(|step| {
                let mut fields: Vec<usize> = step.fields().into_iter().flat_map(own).collect();
                fields.sort_unstable();
                fields.dedup();
                std::iter::repeat_n(fields, step.width())
            })
            .collect()
    }

    /// The features of rows of requests, and which of the rows found nothing, per join.
    pub fn features_of(&self, rows: &Rows, lookups: &LookupTables) -> (Matrix, Vec<Vec<bool>>) {
        if self.joins.is_empty() {
            return (self.transform(rows), Vec::new());
        }
        let Joined { rows, unmatched } = self.join(rows, lookups);
        (self.transform(&rows), unmatched)
    }

    /// Computes the features of rows that were joined.
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
        for join in &self.joins {
            if join.fields().any(|field| field >= schema.fields.len()) {
                let problem = format!("lookup `{}` is found by a field beyond the schema", join.name);
                return Err(PipelineError::Damaged { step: 0, problem });
            }
        }
        let fields = self.fields(schema).fields.len();
        for (step, fitted) in self.steps.iter().enumerate() {
            let damaged = |problem: &str| PipelineError::Damaged {
                step,
                problem: problem.to_owned(),
            };
            if fitted.fields().iter().any(|field| *field >= fields) {
                return Err(damaged("reads a field beyond the schema"));
            }
            if let Some(problem) = fitted.problem() {
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
                let categories: Vec<_> = (0..rows.len()).map(|row| category(rows, fields, row)).collect();
                for fold in 0..fold_count {
                    let outside = |row: usize| inputs.folds[row] != fold;
                    let (prior, means) = target_means(&categories, inputs.target, smoothing, outside);
                    for row in (0..rows.len()).filter(|row| inputs.folds[*row] == fold) {
                        let found = categories[row]
                            .as_ref()
                            .and_then(|key| means.get(key.as_ref()))
                            .copied();
                        matrix.values[row * matrix.columns + column] = found.unwrap_or(prior);
                    }
                }
            }
            column += step.width();
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::schema::{Column, Field, FieldKind};

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
            unused: Vec::new(),
        };
        let text = |values: [&str; 4]| Column::Text(values.iter().map(|value| Some((*value).into())).collect());
        let rows = Rows::new(vec![
            Column::Number(vec![1.0, 2.0, 3.0, f64::NAN]),
            text(["a", "a", "b", "b"]),
            text(["s", "s", "s", "s"]),
        ]);
        (schema, rows.unwrap())
    }

    fn fit(config: &[StepConfig], target: &[f64], folds: &[u32]) -> Result<(Pipeline, Matrix), PipelineError> {
        let (schema, rows) = example();
        let inputs = FitInputs {
            target,
            folds,
            predict_at: Known::Dispatch,
        };
        Pipeline::fit(config, &[], &schema, &rows, &LookupTables::new(), &inputs)
    }

    #[test]
    fn a_field_known_too_late_is_refused_by_name() {
        let config = [StepConfig::OneHot {
            field: "stop_code".to_owned(),
            most: 5,
        }];
        let error = fit(&config, &[0.0; 4], &[0; 4]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "feature step 0 reads `stop_code`, which is known `after`, but the model answers at `dispatch`"
        );
    }

    #[test]
    fn a_training_row_never_sees_its_own_target() {
        let (_, rows) = example();
        let config = [StepConfig::TargetMean {
            fields: vec![vec!["station".to_owned()]],
            smoothing: 0.0,
        }];
        let (pipeline, matrix) = fit(&config, &[1.0, 3.0, 10.0, 20.0], &[0, 1, 0, 1]).unwrap();
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
        let (pipeline, _) = fit(&config, &[1.0, 3.0, 10.0, 20.0], &[0, 1, 0, 1]).unwrap();
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
