//! What a request row is: its fields, how each is read, and when each is known.
//!
//! Training reads its columns through the same functions ([`normalize_text`], [`parse_timestamp`]) as serving reads a
//! request, so that a blank at the end of a name or another way to write a date cannot tell the two apart.

use std::sync::Arc;

use jiff::civil::{Date, DateTime};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// When a value is known. The order is the order in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// With the request itself.
    Call,
    /// When the answer is dispatched.
    Dispatch,
    /// Only afterwards.
    After,
}

impl Known {
    /// The word for it, as written in a DAG.
    pub fn name(self) -> &'static str {
        match self {
            Known::Call => "call",
            Known::Dispatch => "dispatch",
            Known::After => "after",
        }
    }
}

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// A finite number.
    Number,
    /// Text; blanks around it do not count, and blank means missing.
    Text,
    /// A civil date and time, such as `2017-04-01 09:30:00`; no zone.
    Timestamp,
}

impl FieldKind {
    /// The words for it in messages.
    pub fn words(self) -> &'static str {
        match self {
            FieldKind::Number => "a number",
            FieldKind::Text => "text",
            FieldKind::Timestamp => "a date and time",
        }
    }
}

/// One field of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Name, as in the table that trained the model.
    pub name: String,
    /// Type.
    pub kind: FieldKind,
    /// When it is known.
    pub known: Known,
    /// True if `null` is an answer: training had missing values here.
    pub nullable: bool,
}

/// A field that a request may hold and that nothing reads: a published interface has it, the training table has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnusedField {
    /// Name.
    pub name: String,
    /// Type. A value of another type is a fault; none is not.
    pub kind: FieldKind,
    /// Why nothing reads it, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because: String,
}

/// The fields of a request, in the order of [`Rows::columns`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// Fields that the model reads.
    pub fields: Vec<Field>,
    /// Fields that are accepted, checked and read by nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unused: Vec<UnusedField>,
}

/// The values of one field.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// NaN is missing.
    Number(Vec<f64>),
    /// Normalized text. What many rows say is in memory once.
    Text(Vec<Option<Arc<str>>>),
    /// Seconds since 1970-01-01 00:00:00 of the civil calendar.
    Timestamp(Vec<Option<i64>>),
}

impl Column {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Column::Number(values) => values.len(),
            Column::Text(values) => values.len(),
            Column::Timestamp(values) => values.len(),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if row `row` has no value.
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Column::Number(values) => values[row].is_nan(),
            Column::Text(values) => values[row].is_none(),
            Column::Timestamp(values) => values[row].is_none(),
        }
    }

    /// The values of these rows, in that order.
    pub fn select(&self, rows: &[usize]) -> Column {
        match self {
            Column::Number(values) => Column::Number(rows.iter().map(|row| values[*row]).collect()),
            Column::Text(values) => Column::Text(rows.iter().map(|row| values[*row].clone()).collect()),
            Column::Timestamp(values) => Column::Timestamp(rows.iter().map(|row| values[*row]).collect()),
        }
    }
}

/// Rows that fit a [`Schema`]: one column per field, all of one length.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    columns: Vec<Column>,
    len: usize,
}

impl Rows {
    /// From columns of one length; `None` if their lengths differ.
    pub fn new(columns: Vec<Column>) -> Option<Self> {
        let len = columns.first().map_or(0, Column::len);
        columns
            .iter()
            .all(|column| column.len() == len)
            .then_some(Self { columns, len })
    }

    /// From columns that are known to have one length, `len`.
    pub(crate) fn of(columns: Vec<Column>, len: usize) -> Self {
        Self { columns, len }
    }

    /// The first `count` columns of these rows.
    pub(crate) fn first(&self, count: usize) -> Rows {
        Rows {
            columns: self.columns.iter().take(count).cloned().collect(),
            len: self.len,
        }
    }

    /// Columns, in the order of the schema's fields.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The rows of these indices, in that order.
    pub fn select(&self, rows: &[usize]) -> Rows {
        Rows {
            columns: self.columns.iter().map(|column| column.select(rows)).collect(),
            len: rows.len(),
        }
    }
}

/// One fault of one field of a request. It never echoes the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// JSON pointer to the field in the row, such as `/Easting_rounded`.
    pub pointer: String,
    /// `missing`, `unknown`, `wrong_type`, `not_finite`, `bad_timestamp`.
    pub code: &'static str,
    /// What is wrong and what is expected.
    pub message: String,
}

/// Text without the blanks around it; blank text is missing.
pub fn normalize_text(text: &str) -> Option<&str> {
    let trimmed = text.trim();
    (!trimmed.is_empty()).then_some(trimmed)
}

/// The ways to write a civil time that are understood, for messages.
pub const TIMESTAMP_FORMATS: &str =
    "2017-04-01 09:30:00, 2017-04-01T09:30:00, 2017-04-01, 01 Apr 2017 09:30:00, 01-Apr-17 or 01/04/2017 09:30:00";

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

fn parse_date(text: &str) -> Option<Date> {
    let parts: Vec<&str> = text.split(['-', '/', ' ']).collect();
    let [first, second, third] = parts.as_slice() else {
        return None;
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (year, month, day) = if first.len() == 4 && digits(first) {
        (*first, *second, *third)
    } else {
        (*third, *second, *first)
    };
    if !digits(year) || !digits(day) || day.len() > 2 {
        return None;
    }
    let year: i16 = match year.len() {
        4 => year.parse().ok()?,
        2 => 2000 + year.parse::<i16>().ok()?,
        _ => return None,
    };
    let month: i8 = if digits(month) {
        month.parse().ok()?
    } else {
        let lower = month.get(..3)?.to_ascii_lowercase();
        i8::try_from(MONTHS.iter().position(|name| *name == lower)? + 1).ok()?
    };
    Date::new(year, month, day.parse().ok()?).ok()
}

fn parse_time(text: &str) -> Option<(i8, i8, i8)> {
    let whole = text.split('.').next()?;
    let mut parts = whole.split(':');
    let hour = parts.next()?.parse().ok()?;
    let minute = parts.next()?.parse().ok()?;
    let second = match parts.next() {
        Some(second) => second.parse().ok()?,
        None => 0,
    };
    parts.next().is_none().then_some((hour, minute, second))
}

/// Reads a civil time in one of [`TIMESTAMP_FORMATS`]: seconds since 1970-01-01 00:00:00 of the civil calendar, or
/// `None`. A zone or an offset is refused, because the records are in local time. Day comes before month.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => match text.rsplit_once(' ') {
            Some((date, time)) if time.contains(':') => (date, Some(time)),
            _ => (text, None),
        },
    };
    let (hour, minute, second) = match time {
        Some(time) => parse_time(time)?,
        None => (0, 0, 0),
    };
    let date = parse_date(date.trim())?;
    let moment = DateTime::new(date.year(), date.month(), date.day(), hour, minute, second, 0).ok()?;
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    Some(moment.duration_since(epoch).as_secs())
}

/// Writes what [`parse_timestamp`] reads: `2017-04-01 09:30:00`.
pub fn format_timestamp(seconds: i64) -> String {
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    match epoch.checked_add(jiff::SignedDuration::from_secs(seconds)) {
        Ok(moment) => format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            moment.year(),
            moment.month(),
            moment.day(),
            moment.hour(),
            moment.minute(),
            moment.second()
        ),
        Err(_) => "out of the calendar".to_owned(),
    }
}

impl Schema {
    /// Position of a field.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// Type of a field that a request may hold, read or not.
    pub fn kind_of(&self, name: &str) -> Option<FieldKind> {
        let read = self.position(name).map(|position| self.fields[position].kind);
        let unused = || {
            self.unused
                .iter()
                .find(|field| field.name == name)
                .map(|field| field.kind)
        };
        read.or_else(unused)
    }

    /// Reads request rows. All faults of all rows come back at once; `pointer` gets the row's index in front when there
    /// is more than one row.
    pub fn parse(&self, records: &[&Map<String, Value>]) -> Result<Rows, Vec<FieldProblem>> {
        let mut problems = Vec::new();
        let prefix = |row: usize| {
            if records.len() == 1 {
                String::new()
            } else {
                format!("/{row}")
            }
        };
        for (row, record) in records.iter().enumerate() {
            for (name, value) in record.iter().filter(|(name, _)| self.position(name).is_none()) {
                let checked = match self.unused.iter().find(|unused| unused.name == *name) {
                    Some(unused) => check_unused(unused, value),
                    None => Err(("unknown", "the model does not know this field; remove it".to_owned())),
                };
                if let Err((code, message)) = checked {
                    let pointer = format!("{}/{}", prefix(row), escape(name));
                    problems.push(FieldProblem { pointer, code, message });
                }
            }
        }
        let mut columns = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            let mut column = empty(field.kind, records.len());
            for (row, record) in records.iter().enumerate() {
                if let Err((code, message)) = read_value(field, record.get(&field.name), &mut column) {
                    let pointer = format!("{}/{}", prefix(row), escape(&field.name));
                    problems.push(FieldProblem { pointer, code, message });
                }
            }
            columns.push(column);
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Rows {
            columns,
            len: records.len(),
        })
    }
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn check_unused(unused: &UnusedField, value: &Value) -> Result<(), (&'static str, String)> {
    let field = Field {
        name: String::new(),
        kind: unused.kind,
        known: Known::Call,
        nullable: true,
    };
    read_value(&field, Some(value), &mut empty(unused.kind, 1))
}

fn empty(kind: FieldKind, capacity: usize) -> Column {
    match kind {
        FieldKind::Number => Column::Number(Vec::with_capacity(capacity)),
        FieldKind::Text => Column::Text(Vec::with_capacity(capacity)),
        FieldKind::Timestamp => Column::Timestamp(Vec::with_capacity(capacity)),
    }
}

fn read_value(field: &Field, value: Option<&Value>, column: &mut Column) -> Result<(), (&'static str, String)> {
    let missing = match value {
        None => return Err(("missing", format!("the field is missing; send {}", expected(field)))),
        Some(Value::Null) => true,
        Some(Value::String(text)) => text.trim().is_empty() && field.kind != FieldKind::Number,
        Some(_) => false,
    };
    if missing && !field.nullable {
        return Err(("missing", format!("a value is required; send {}", expected(field))));
    }
    let wrong = |value: &Value| {
        (
            "wrong_type",
            format!("expected {}, found {}", expected(field), type_name(value)),
        )
    };
    match (column, value) {
        (Column::Number(values), _) if missing => values.push(f64::NAN),
        (Column::Text(values), _) if missing => values.push(None),
        (Column::Timestamp(values), _) if missing => values.push(None),
        (Column::Number(values), Some(Value::Number(number))) => match number.as_f64() {
            Some(number) if number.is_finite() => values.push(number),
            _ => return Err(("not_finite", "the number is too large".to_owned())),
        },
        (Column::Text(values), Some(Value::String(text))) => values.push(normalize_text(text).map(Arc::from)),
        (Column::Timestamp(values), Some(Value::String(text))) => match parse_timestamp(text) {
            Some(seconds) => values.push(Some(seconds)),
            None => {
                let message = format!("not a civil time (no zone); write it like {TIMESTAMP_FORMATS}");
                return Err(("bad_timestamp", message));
            }
        },
        (_, Some(other)) => return Err(wrong(other)),
        (_, None) => {}
    }
    Ok(())
}

fn expected(field: &Field) -> &'static str {
    match (field.kind, field.nullable) {
        (FieldKind::Number, false) => "a number",
        (FieldKind::Number, true) => "a number or null",
        (FieldKind::Text, false) => "a text",
        (FieldKind::Text, true) => "a text or null",
        (FieldKind::Timestamp, false) => "a time such as 2017-04-01 09:30:00",
        (FieldKind::Timestamp, true) => "a time such as 2017-04-01 09:30:00, or null",
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Schema {
        let field = |name: &str, kind, nullable| Field {
            name: name.to_owned(),
            kind,
            known: Known::Call,
            nullable,
        };
        Schema {
            fields: vec![
                field("easting", FieldKind::Number, false),
                field("ward", FieldKind::Text, true),
                field("called", FieldKind::Timestamp, false),
            ],
            unused: vec![UnusedField {
                name: "festival".to_owned(),
                kind: FieldKind::Number,
                because: String::new(),
            }],
        }
    }

    #[test]
    fn every_published_date_format_gives_the_same_second() {
        let texts = [
            "2017-04-01 09:30:00",
            "2017-04-01T09:30:00",
            " 2017-04-01 09:30 ",
            "01 Apr 2017 09:30:00",
            "01-Apr-17 09:30:00",
            "01/04/2017 09:30:00.000",
        ];
        for text in texts {
            assert_eq!(
                parse_timestamp(text).map(format_timestamp).as_deref(),
                Some("2017-04-01 09:30:00"),
                "{text}"
            );
        }
        assert_eq!(
            parse_timestamp("2017-04-01").map(format_timestamp).as_deref(),
            Some("2017-04-01 00:00:00")
        );
    }

    #[test]
    fn what_is_no_civil_time_is_refused() {
        for text in [
            "",
            "soon",
            "2017-13-01",
            "2017-04-01T09:30:00Z",
            "2017-04-01 25:00:00",
            "1.5",
            "2017-02-29",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn a_row_is_read_whatever_the_blanks() {
        let record = json!({"easting": 1, "ward": " KING'S PARK  ", "called": "2017-01-01 00:04:27"});
        let rows = schema().parse(&[record.as_object().unwrap()]).unwrap();
        assert_eq!(rows.columns()[1], Column::Text(vec![Some("KING'S PARK".into())]));
    }

    #[test]
    fn all_faults_come_at_once_and_echo_no_value() {
        let record = json!({"easting": "secret", "ward": 7, "colour": "secret"});
        let problems = schema().parse(&[record.as_object().unwrap()]).unwrap_err();
        let codes: Vec<_> = problems
            .iter()
            .map(|problem| (problem.pointer.as_str(), problem.code))
            .collect();
        let expected = [
            ("/colour", "unknown"),
            ("/easting", "wrong_type"),
            ("/ward", "wrong_type"),
            ("/called", "missing"),
        ];
        assert_eq!(codes, expected);
        assert!(problems.iter().all(|problem| !problem.message.contains("secret")));
    }

    #[test]
    fn what_nothing_reads_is_checked_and_may_be_absent() {
        let asked = |festival: Value| {
            let mut record = json!({"easting": 1, "ward": "E05", "called": "2017-01-01"});
            record["festival"] = festival;
            schema().parse(&[record.as_object().unwrap()])
        };
        let rows = asked(json!(1)).unwrap();
        assert_eq!(rows.columns().len(), 3);
        assert_eq!(asked(Value::Null).unwrap(), rows);
        let problems = asked(json!("secret")).unwrap_err();
        assert_eq!(
            (problems[0].pointer.as_str(), problems[0].code),
            ("/festival", "wrong_type")
        );
    }

    #[test]
    fn null_is_an_answer_only_where_training_had_gaps() {
        let record = json!({"easting": null, "ward": null, "called": "2017-01-01"});
        let problems = schema().parse(&[record.as_object().unwrap()]).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].pointer, "/easting");
    }
}
