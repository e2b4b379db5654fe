//! A sheet of an Excel workbook (xlsx) to a frame.
//!
//! A cell is what Excel keeps, not what it shows: numbers stay numbers, and text that looks like one stays text. Dates
//! and times become text in the spelling of ISO 8601, so that a column reads the same as from delimited text: a day
//! where every value of the column is one, else a day and a time, and a time of day alone where there is no day.

use std::io::Cursor;

use calamine::{Data, DataType, ExcelDateTime, Reader, Xlsx};
use jiff::Unit;
use jiff::civil::DateTime;
use polars::prelude::DataFrame;
use ratchet_core::plugin::TaskError;
use serde_json::Value;

use super::columns::{self, Layout, check_names};
use crate::nearest::suggestion;
use crate::words::count;

/// Whole numbers up to here are exact in a cell, which keeps every number as floating point.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads the sheet that the layout names, or the first. The first row that is not empty holds the names of the columns;
/// rows without any value are passed over. Also returns what somebody should know, such as cells with errors in them.
///
/// # Errors
/// A file that is no workbook or is damaged, a sheet that is not there, a column without a name or with one that stands
/// twice, and a value that does not fit its declared type.
pub fn read(content: &[u8], layout: &Layout, from: &str) -> Result<(DataFrame, Vec<String>), TaskError> {
    let damaged = |error: calamine::XlsxError| {
        TaskError::permanent(format!("`{from}` cannot be read as an Excel workbook: {error}"))
            .with_help("fetch it again, or open it in a spreadsheet and save it as .xlsx without a password")
    };
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(content)).map_err(damaged)?;
    let sheets = workbook.sheet_names();
    let listed: Vec<&str> = sheets.iter().map(String::as_str).collect();
    let sheet = match &layout.sheet {
        Some(name) if listed.contains(&name.as_str()) => name.as_str(),
        Some(name) => {
            return Err(TaskError::permanent(format!("`{from}` has no sheet `{name}`"))
                .with_help(suggestion(name, &listed, "sheets")));
        }
        None => listed
            .first()
            .copied()
            .ok_or_else(|| TaskError::permanent(format!("`{from}` has no sheet")))?,
    };
    let range = workbook.worksheet_range(sheet).map_err(damaged)?;
    let place = format!("{from}, sheet {sheet}");
    let mut rows = range.rows().filter(|row| !row.iter().all(DataType::is_empty));
    let Some(header) = rows.next() else {
        return Err(
            TaskError::permanent(format!("`{place}` holds no header and no rows")).with_help(if sheets.len() > 1 {
                format!("name another sheet with `sheet`; {}", suggestion("", &listed, "sheets"))
            } else {
                "check that it was written whole".to_owned()
            }),
        );
    };
    let names: Vec<String> = header.iter().map(ToString::to_string).collect();
    check_names(&names, &place)?;
    let rows: Vec<&[Data]> = rows.collect();
    let mut errors = Vec::new();
    let cells = (0..names.len()).map(|column| {
        let cells: Vec<&Data> = rows.iter().filter_map(|row| row.get(column)).collect();
        errors.extend(cells.iter().filter_map(|cell| cell.get_error()));
        values(&cells)
    });
    let cells: Vec<Vec<Value>> = cells.collect();
    let frame = columns::frame(&names, cells, rows.len(), layout, &place)?;
    let notes = errors.first().map(|first| {
        let number = count(errors.len() as u64);
        format!("{number} cells of `{place}` hold errors of formulas such as {first}; they were read as nothing")
    });
    Ok((frame, notes.into_iter().collect()))
}

/// The cells of one column.
fn values(cells: &[&Data]) -> Vec<Value> {
    let moments = || cells.iter().filter_map(|cell| moment(cell));
    let days_alone = moments().all(|(_, moment)| moment.time() == jiff::civil::Time::midnight());
    let value = |cell: &&Data| match cell {
        Data::Empty | Data::Error(_) => Value::Null,
        Data::Bool(truth) => Value::from(*truth),
        Data::Int(number) => Value::from(*number),
        Data::Float(number) => number_of(*number),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => Value::from(text.as_str()),
        Data::DateTime(serial) => match moment(cell) {
            None => number_of(serial.as_f64()),
            Some((true, moment)) => Value::from(moment.time().to_string()),
            Some((false, moment)) if days_alone => Value::from(moment.date().to_string()),
            Some((false, moment)) => Value::from(moment.strftime("%Y-%m-%d %H:%M:%S").to_string()),
        },
    };
    cells.iter().map(value).collect()
}

fn number_of(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() <= EXACT {
        Value::from(number as i64)
    } else {
        Value::from(number)
    }
}

/// A date or time of day to the second, with whether it is a time of day alone; none for everything else, and for the
/// 29th of February 1900, which Excel knows and the calendar does not.
fn moment(cell: &Data) -> Option<(bool, DateTime)> {
    let Data::DateTime(serial) = cell else { return None };
    if serial.is_duration() {
        return None;
    }
    let (year, month, day, hour, minute, second, millisecond) = ExcelDateTime::to_ymd_hms_milli(serial);
    let small = |value: u8| i8::try_from(value).ok();
    let moment = DateTime::new(
        i16::try_from(year).ok()?,
        small(month)?,
        small(day)?,
        small(hour)?,
        small(minute)?,
        small(second)?,
        i32::from(millisecond) * 1_000_000,
    );
    let moment = moment.ok()?.round(Unit::Second).ok()?;
    Some(((0.0..1.0).contains(&serial.as_f64()), moment))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use rust_xlsxwriter::{ExcelDateTime as Written, Format, Formula, Workbook};

    use super::*;

    fn at(text: &str) -> Written {
        Written::parse_from_str(text).unwrap()
    }

    /// Two sheets; the second holds a value of every kind, a gap and an error.
    fn workbook() -> Vec<u8> {
        let mut workbook = Workbook::new();
        workbook.add_worksheet().set_name("Notes").unwrap();
        let sheet = workbook.add_worksheet().set_name("Calls").unwrap();
        let (day, time, both) = (
            Format::new().set_num_format("yyyy-mm-dd"),
            Format::new().set_num_format("hh:mm:ss"),
            Format::new().set_num_format("yyyy-mm-dd hh:mm:ss"),
        );
        let header = ["id", "n", "share", "day", "time", "at", "late", "mixed"];
        for (column, name) in (0..).zip(header) {
            sheet.write(2, column, name).unwrap();
        }
        for (row, id, moment) in [(3, "007", "2024-02-29 23:59:59"), (5, "8", "2024-03-01 00:00:00")] {
            sheet.write(row, 0, id).unwrap();
            sheet.write(row, 1, row).unwrap();
            sheet.write(row, 2, f64::from(row) / 2.0 + 0.25).unwrap();
            sheet.write_with_format(row, 3, at(&moment[..10]), &day).unwrap();
            sheet.write_with_format(row, 4, at(&moment[11..]), &time).unwrap();
            sheet.write_with_format(row, 5, at(moment), &both).unwrap();
            sheet.write(row, 6, row == 3).unwrap();
        }
        sheet.write(3, 7, 5).unwrap();
        let error = Formula::new("=1/0").set_result("#DIV/0!");
        sheet.write(5, 7, "five").unwrap();
        sheet.write(6, 7, error).unwrap();
        workbook.save_to_buffer().unwrap()
    }

    fn layout(sheet: Option<&str>) -> Layout {
        Layout {
            sheet: sheet.map(str::to_owned),
            ..Layout::default()
        }
    }

    #[test]
    fn every_kind_of_cell_is_read_as_it_would_stand_in_text() {
        let (frame, notes) = read(&workbook(), &layout(Some("Calls")), "a.xlsx").unwrap();
        let shown: Vec<String> = (0..frame.height())
            .map(|row| {
                let values = frame
                    .columns()
                    .iter()
                    .map(|column| column.get(row).unwrap().to_string());
                values.collect::<Vec<_>>().join(" ")
            })
            .collect();
        let expected = [
            "\"007\" 3 1.75 \"2024-02-29\" \"23:59:59\" \"2024-02-29 23:59:59\" true \"5\"",
            "\"8\" 5 2.75 \"2024-03-01\" \"00:00:00\" \"2024-03-01 00:00:00\" false \"five\"",
            "null null null null null null null null",
        ];
        assert_eq!(shown, expected);
        assert_eq!(
            notes,
            ["1 cells of `a.xlsx, sheet Calls` hold errors of formulas such as #DIV/0!; they were read as nothing"]
        );
    }

    #[test]
    fn faults_of_a_workbook_are_named() {
        let message = |content: &[u8], sheet| read(content, &layout(sheet), "a.xlsx").unwrap_err().to_string();
        let whole = workbook();
        let missing = message(&whole, Some("Call"));
        assert!(
            missing.starts_with("`a.xlsx` has no sheet `Call`") && missing.contains("`Calls`"),
            "{missing}"
        );
        let empty = message(&whole, None);
        assert!(
            empty.starts_with("`a.xlsx, sheet Notes` holds no header") && empty.contains("`Calls`"),
            "{empty}"
        );
        let cut = message(&whole[..whole.len() / 2], None);
        assert!(
            cut.starts_with("`a.xlsx` cannot be read as an Excel workbook") && cut.contains("help"),
            "{cut}"
        );
    }
}
