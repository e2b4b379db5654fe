//! Lookups joined to the rows of a request: more fields, which steps read as they read those of the request.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::StepConfig;
use super::history::Take;
use super::lookup::{KeyValue, LookupTable, key_value, push_key};
use crate::schema::{Column, Field, FieldKind, Known, Rows, Schema};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// One part of the key that a request gives, as written in a DAG.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyConfig {
    /// A field as it is.
    Field(String),
    /// The day of a time: finds a column of dates.
    Date(String),
    /// The hour of a time, 0 to 23.
    Hour(String),
    /// The weekday of a time, 0 (Monday) to 6.
    Weekday(String),
    /// The whole hour of a time's week, 0 (Monday 00:00 to 01:00) to 167.
    HourOfWeek(String),
}

impl KeyConfig {
    /// The field that it reads, and what is made of it.
    fn parts(&self) -> (&str, KeyPart) {
        match self {
            KeyConfig::Field(field) => (field, KeyPart::Field),
            KeyConfig::Date(field) => (field, KeyPart::Date),
            KeyConfig::Hour(field) => (field, KeyPart::Hour),
            KeyConfig::Weekday(field) => (field, KeyPart::Weekday),
            KeyConfig::HourOfWeek(field) => (field, KeyPart::HourOfWeek),
        }
    }
}

/// A lookup as features call it, and how a request finds its row.
#[derive(Clone, Debug)]
pub struct JoinConfig<'a> {
    /// The name before the dot in features.
    pub name: &'a str,
    /// The name under which it is published.
    pub lookup: &'a str,
    /// What finds the row, in the order of the lookup's key.
    pub key: &'a [KeyConfig],
    /// The time as of which a lookup with a time is asked.
    pub at: Option<&'a str>,
    /// Seconds after which the newest row is too old.
    pub tolerance: Option<i64>,
    /// The version that training joins.
    pub table: &'a LookupTable,
}

impl JoinConfig<'_> {
    /// The fields of a request that finding a row takes, each with true where it has to be a time.
    pub fn fields(&self) -> Vec<(String, bool)> {
        let keys = self.key.iter().map(KeyConfig::parts);
        let keys = keys.map(|(field, part)| (field.to_owned(), part != KeyPart::Field));
        keys.chain(self.at.map(|at| (at.to_owned(), true))).collect()
    }
}

/// What is made of a field before it is part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPart {
    /// Nothing.
    Field,
    /// Midnight of its day.
    Date,
    /// Its hour.
    Hour,
    /// Its weekday, from Monday.
    Weekday,
    /// The whole hours since Monday.
    HourOfWeek,
}

impl KeyPart {
    fn of(self, value: KeyValue<'_>) -> Option<KeyValue<'_>> {
        let seconds = match (self, value) {
            (KeyPart::Field, value) => return Some(value),
            (_, KeyValue::Timestamp(seconds)) => seconds,
            _ => return None,
        };
        let hour = seconds.rem_euclid(DAY) / HOUR;
        // 1970-01-01 was a Thursday.
        let weekday = (seconds.div_euclid(DAY) + 3).rem_euclid(7);
        Some(match self {
            KeyPart::Field | KeyPart::Date => KeyValue::Timestamp(seconds - seconds.rem_euclid(DAY)),
            KeyPart::Hour => KeyValue::Number(hour as f64),
            KeyPart::Weekday => KeyValue::Number(weekday as f64),
            KeyPart::HourOfWeek => KeyValue::Number((weekday * 24 + hour) as f64),
        })
    }

    /// The type that the lookup's column has to have.
    fn kind(self, field: FieldKind) -> FieldKind {
        match self {
            KeyPart::Field => field,
            KeyPart::Date => FieldKind::Timestamp,
            KeyPart::Hour | KeyPart::Weekday | KeyPart::HourOfWeek => FieldKind::Number,
        }
    }
}

/// One part of the key that a request gives; its field is a position in the request's schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinKey {
    /// Column of the lookup.
    pub column: String,
    /// Field of the request.
    pub field: usize,
    /// What is made of it.
    pub part: KeyPart,
    /// Type of the column.
    pub kind: FieldKind,
}

/// One field that the join adds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinColumn {
    /// Name of the field.
    pub name: String,
    /// Column of the lookup.
    pub column: String,
    /// What is taken from it.
    pub take: Take,
    /// Its type.
    pub kind: FieldKind,
    /// When it is known.
    pub known: Known,
}

/// A lookup and how rows of requests find theirs, as stored in a bundle. The rows themselves are not: they come from
/// the version that is published when the model is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The name before the dot in features.
    pub name: String,
    /// The name under which it is published.
    pub lookup: String,
    /// What finds a row.
    pub key: Vec<JoinKey>,
    /// Field of the request with the time as of which a lookup with a time is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<usize>,
    /// Seconds after which the newest row is too old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<i64>,
    /// Fields that it adds.
    pub columns: Vec<JoinColumn>,
}

/// Published tables by name.
pub type LookupTables = BTreeMap<String, Arc<LookupTable>>;

/// What features ask of lookups, held against the tables: one join a lookup, and all that does not fit.
pub fn plan_joins(
    lookups: &[JoinConfig<'_>],
    features: &[StepConfig],
    schema: &Schema,
) -> Result<Vec<Join>, Vec<String>> {
    let mut joins = Vec::new();
    let mut problems = Vec::new();
    for config in lookups {
        match plan(config, features, schema) {
            Ok(join) => joins.push(join),
            Err(problem) => problems.push(format!("lookup `{}` {problem}", config.name)),
        }
    }
    if problems.is_empty() { Ok(joins) } else { Err(problems) }
}

/// The fields that features want of a lookup: name, column, and what is taken.
fn wanted(name: &str, features: &[StepConfig]) -> Vec<(String, String, Take)> {
    let mut wanted: Vec<(String, String, Take)> = Vec::new();
    for step in features {
        let of_step: Vec<(String, String, Take)> = match step {
            StepConfig::History(history) if history.lookup == name => {
                let takes = history.takes();
                takes
                    .map(|(field, take)| (field, history.column.clone(), take))
                    .collect()
            }
            StepConfig::History(_) => Vec::new(),
            other => {
                let fields = other.fields().into_iter();
                let columns = fields.filter_map(|field| {
                    let column = field.strip_prefix(name)?.strip_prefix('.')?.to_owned();
                    Some((field, column, Take::Value))
                });
                columns.collect()
            }
        };
        for field in of_step {
            if !wanted.contains(&field) {
                wanted.push(field);
            }
        }
    }
    wanted
}

fn plan(config: &JoinConfig<'_>, features: &[StepConfig], schema: &Schema) -> Result<Join, String> {
    let table = config.table;
    let position = |name: &str| {
        let found = schema.position(name);
        found.ok_or_else(|| format!("is found by `{name}`, which is no field of a request"))
    };
    if config.key.len() != table.key().len() {
        let (given, keyed) = (config.key.len(), table.key().join("`, `"));
        return Err(format!("is found by `{keyed}`, but `key` has {given} parts"));
    }
    let mut known = Known::Call;
    let mut key = Vec::new();
    for (part, column) in config.key.iter().zip(table.key()) {
        let (name, part) = part.parts();
        let field = position(name)?;
        known = known.max(schema.fields[field].known);
        if part != KeyPart::Field && schema.fields[field].kind != FieldKind::Timestamp {
            return Err(format!("wants `{name}` to be a date and time"));
        }
        key.push(JoinKey {
            column: column.clone(),
            field,
            part,
            kind: part.kind(schema.fields[field].kind),
        });
    }
    let at = config.at.map(position).transpose()?;
    match (at, table.time()) {
        (None, Some(time)) => {
            return Err(format!(
                "has a time, `{time}`: name the field with the time of a request in `at`"
            ));
        }
        (Some(_), None) => return Err("has no time: leave `at` out, or publish it with `time`".to_owned()),
        (Some(at), Some(_)) if schema.fields[at].kind != FieldKind::Timestamp => {
            return Err(format!("wants `{}` to be a date and time", schema.fields[at].name));
        }
        (Some(at), Some(_)) => known = known.max(schema.fields[at].known),
        (None, None) => {}
    }
    let mut columns = Vec::new();
    for (name, column, take) in wanted(config.name, features) {
        let Some(found) = table.column(&column) else {
            let names: Vec<&str> = table.columns().iter().map(|column| column.name.as_str()).collect();
            return Err(format!("has no column `{column}`; it has `{}`", names.join("`, `")));
        };
        let kind = found.values.kind();
        if take != Take::Value && kind != FieldKind::Number {
            return Err(format!("has no numbers in `{column}`, of which a history is wanted"));
        }
        let Some(column_known) = found.known else {
            return Err(format!(
                "does not say when `{column}` is known; add it to `known` of the task that publishes it"
            ));
        };
        columns.push(JoinColumn {
            name,
            column,
            take,
            kind,
            known: known.max(column_known),
        });
    }
    if columns.is_empty() {
        return Err(format!(
            "is read by no feature; write `{}.<column>` in one, or remove it",
            config.name
        ));
    }
    let join = Join {
        name: config.name.to_owned(),
        lookup: config.lookup.to_owned(),
        key,
        at,
        tolerance: config.tolerance,
        columns,
    };
    join.fits(table).map(|()| join)
}

impl Join {
    /// Whether a table has what the join reads: the key, the time, and the columns with their types, known no later.
    ///
    /// # Errors
    /// What it has not.
    pub fn fits(&self, table: &LookupTable) -> Result<(), String> {
        let wanted: Vec<&String> = self.key.iter().map(|key| &key.column).collect();
        if wanted != table.key().iter().collect::<Vec<_>>() {
            let keyed = table.key().join("`, `");
            return Err(format!("is found by `{keyed}`, which is another key"));
        }
        if self.at.is_some() != table.time().is_some() {
            let has = if self.at.is_some() {
                "has no time any more"
            } else {
                "has a time now"
            };
            return Err(has.to_owned());
        }
        let typed = self.key.iter().map(|key| (&key.column, key.kind, None));
        let typed = typed.chain(
            self.columns
                .iter()
                .map(|column| (&column.column, column.kind, Some(column.known))),
        );
        for (name, kind, known) in typed {
            let Some(column) = table.column(name) else {
                return Err(format!("has no column `{name}`"));
            };
            if column.values.kind() != kind {
                return Err(format!(
                    "has {} in `{name}`, not {}",
                    column.values.kind().words(),
                    kind.words()
                ));
            }
            if let (Some(known), Some(later)) = (known, column.known)
                && later > known
            {
                return Err(format!(
                    "says that `{name}` is known `{}`, not `{}`",
                    later.name(),
                    known.name()
                ));
            }
        }
        Ok(())
    }

    /// The fields of a request that it reads.
    pub fn fields(&self) -> impl Iterator<Item = usize> {
        self.key.iter().map(|key| key.field).chain(self.at)
    }

    /// The fields that it adds, as a schema has them.
    pub(super) fn added(&self) -> impl Iterator<Item = Field> {
        self.columns.iter().map(|column| Field {
            name: column.name.clone(),
            kind: column.kind,
            known: column.known,
            nullable: true,
        })
    }

    /// The columns that it adds to rows, and which of the rows found nothing.
    pub(super) fn apply(&self, rows: &Rows, table: Option<&LookupTable>) -> (Vec<Column>, Vec<bool>) {
        let found: Vec<&[u32]> = (0..rows.len())
            .map(|row| table.map_or(&[][..], |table| self.find(rows, row, table)))
            .collect();
        let unmatched = found.iter().map(|rows| rows.is_empty()).collect();
        let columns = self.columns.iter().map(|column| {
            let at = |row: usize| self.at.and_then(|at| timestamp(rows, at, row));
            let source = table.and_then(|table| Some((table, &table.column(&column.column)?.values)));
            match (column.kind, source) {
                (FieldKind::Number, Some((table, Column::Number(values)))) => {
                    let take = |(row, found): (usize, &&[u32])| take_number(column.take, table, values, found, at(row));
                    Column::Number(found.iter().enumerate().map(take).collect())
                }
                (FieldKind::Text, Some((_, Column::Text(values)))) => {
                    let newest = |found: &&[u32]| found.last().and_then(|row| values[*row as usize].clone());
                    Column::Text(found.iter().map(newest).collect())
                }
                (FieldKind::Timestamp, Some((_, Column::Timestamp(values)))) => {
                    let newest = |found: &&[u32]| found.last().and_then(|row| values[*row as usize]);
                    Column::Timestamp(found.iter().map(newest).collect())
                }
                (FieldKind::Number, _) => Column::Number(vec![f64::NAN; rows.len()]),
                (FieldKind::Text, _) => Column::Text(vec![None; rows.len()]),
                (FieldKind::Timestamp, _) => Column::Timestamp(vec![None; rows.len()]),
            }
        });
        (columns.collect(), unmatched)
    }

    /// The rows that a row of a request finds, the oldest first; none where a part of its key is missing.
    fn find<'a>(&self, rows: &Rows, row: usize, table: &'a LookupTable) -> &'a [u32] {
        let mut text = String::new();
        for key in &self.key {
            let part = key_value(&rows.columns()[key.field], row).and_then(|value| key.part.of(value));
            match part {
                Some(part) => push_key(&mut text, part),
                None => return &[],
            }
        }
        let at = self.at.and_then(|at| timestamp(rows, at, row));
        let found = table.find(&text, at);
        let too_old = |newest: &u32| match (self.tolerance, at, table.time_of(*newest)) {
            (Some(tolerance), Some(at), Some(time)) => at - time > tolerance,
            _ => false,
        };
        if found.last().is_some_and(too_old) { &[] } else { found }
    }
}

fn timestamp(rows: &Rows, field: usize, row: usize) -> Option<i64> {
    match &rows.columns()[field] {
        Column::Timestamp(values) => values[row],
        _ => None,
    }
}

fn take_number(take: Take, table: &LookupTable, values: &[f64], found: &[u32], at: Option<i64>) -> f64 {
    let back = |steps: usize| {
        let place = found.len().checked_sub(steps);
        let row = place.and_then(|place| found.get(place));
        row.map_or(f64::NAN, |row| values[*row as usize])
    };
    match take {
        Take::Value => back(1),
        Take::Lag(steps) => back(steps as usize),
        Take::Rolling { seconds, statistic } => {
            let within = |row: &&u32| match (table.time_of(**row), at) {
                (Some(time), Some(at)) => time > at - seconds,
                _ => false,
            };
            let newest_first: Vec<f64> = found
                .iter()
                .rev()
                .take_while(within)
                .map(|row| values[*row as usize])
                .collect();
            statistic.of(&newest_first)
        }
    }
}
