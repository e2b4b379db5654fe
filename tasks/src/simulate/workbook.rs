//! Simulated rows as an Excel workbook: days, times and numbers as such, everything else as text.

use jiff::civil::{Date, DateTime, Time};
use ratchet_core::plugin::TaskError;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

/// A workbook with one sheet from delimited text with a header. The same text gives the same bytes.
///
/// # Errors
/// None that a simulation can cause; more rows than a sheet has (1,048,576).
pub fn from_csv(text: &[u8]) -> Result<Vec<u8>, TaskError> {
    build(text).map_err(|error| {
        TaskError::permanent(format!("simulated rows cannot be written as a workbook: {error}"))
            .with_help("ask for fewer rows, or leave `format=xlsx` out")
    })
}

fn build(text: &[u8]) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    // Whoever wrote it and when would make other bytes each time.
    let created = ExcelDateTime::from_ymd(2000, 1, 1)?;
    workbook.set_properties(&DocProperties::new().set_creation_datetime(&created));
    let formats = Formats {
        day: Format::new().set_num_format("yyyy-mm-dd"),
        time: Format::new().set_num_format("hh:mm:ss"),
        both: Format::new().set_num_format("yyyy-mm-dd hh:mm:ss"),
    };
    let sheet = workbook.add_worksheet();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text);
    for (row, record) in (0..).zip(reader.records()) {
        let record = record.map_err(|error| XlsxError::ParameterError(error.to_string()))?;
        for (column, value) in (0..).zip(&record) {
            if row == 0 {
                sheet.write_string(row, column, value)?;
            } else {
                formats.write(sheet, row, column, value)?;
            }
        }
    }
    workbook.save_to_buffer()
}

struct Formats {
    day: Format,
    time: Format,
    both: Format,
}

impl Formats {
    fn write(&self, sheet: &mut Worksheet, row: u32, column: u16, value: &str) -> Result<(), XlsxError> {
        let moment = |format| (ExcelDateTime::parse_from_str(value), format);
        let is = |shape: &str| shape.len() == value.len();
        let moment = match value {
            "" => return Ok(()),
            _ if is("2000-01-01 00:00:00") && value.parse::<DateTime>().is_ok() => Some(moment(&self.both)),
            _ if is("2000-01-01") && value.parse::<Date>().is_ok() => Some(moment(&self.day)),
            _ if is("00:00:00") && value.parse::<Time>().is_ok() => Some(moment(&self.time)),
            _ => None,
        };
        if let Some((moment, format)) = moment {
            sheet.write_datetime_with_format(row, column, moment?, format)?;
            return Ok(());
        }
        // A code such as 007 is no number.
        let is_code = value.trim_start_matches('-').starts_with('0')
            && value
                .trim_start_matches(['-', '0'])
                .starts_with(|letter: char| letter.is_ascii_digit());
        let number = value
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite() && !is_code);
        match number {
            Some(number) => sheet.write_number(row, column, number)?,
            None => sheet.write_string(row, column, value)?,
        };
        Ok(())
    }
}
