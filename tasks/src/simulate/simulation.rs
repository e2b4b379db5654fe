//! The address of simulated rows: `simulated://lfb?rows=40000&seed=7&from=2024-01-01&days=120`.

use jiff::civil::Date;
use ratchet_core::plugin::TaskError;

use super::{delivery, housing, lfb, lfb_mobilisation, weather, workbook};
use crate::nearest::suggestion;

/// Sources that can be simulated.
const NAMES: [&str; 5] = ["lfb", "lfb-mobilisations", "housing", "delivery", "weather"];

/// The most rows of one simulation.
const MOST_ROWS: u64 = 5_000_000;

/// The most days of one simulation: ten years.
const MOST_DAYS: u64 = 3_660;

/// What the rows are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Incidents of a fire brigade.
    Lfb,
    /// The vehicles that attended them; with the same parameters those of the same incidents.
    LfbMobilisations,
    /// Blocks of houses.
    Housing,
    /// Deliveries of food.
    Delivery,
    /// Hourly weather; the days say how many rows there are.
    Weather,
}

impl Subject {
    fn parse(name: &str) -> Option<Subject> {
        match name {
            "lfb" => Some(Subject::Lfb),
            "lfb-mobilisations" => Some(Subject::LfbMobilisations),
            "housing" => Some(Subject::Housing),
            "delivery" => Some(Subject::Delivery),
            "weather" => Some(Subject::Weather),
            _ => None,
        }
    }

    fn parameters(self) -> &'static [&'static str] {
        match self {
            Subject::Lfb | Subject::LfbMobilisations => &["rows", "seed", "from", "days", "format"],
            Subject::Housing | Subject::Delivery => &["rows", "seed", "format"],
            Subject::Weather => &["seed", "from", "days", "format"],
        }
    }

    fn example(self) -> &'static str {
        match self {
            Subject::Lfb => "simulated://lfb?rows=40000&seed=7&from=2024-01-01&days=120",
            Subject::LfbMobilisations => {
                "simulated://lfb-mobilisations?rows=40000&seed=7&from=2024-01-01&days=120&format=xlsx"
            }
            Subject::Housing => "simulated://housing?rows=20000&seed=7",
            Subject::Delivery => "simulated://delivery?rows=20000&seed=7",
            Subject::Weather => "simulated://weather?seed=7&from=2010-01-01&days=1461",
        }
    }
}

/// What is to be simulated. The same values give the same bytes, on every machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// What the rows are about.
    pub subject: Subject,
    /// Number of rows; of vehicles the number of their incidents.
    pub rows: u64,
    /// Seed of the random numbers.
    pub seed: u64,
    /// First day.
    pub from: Date,
    /// Number of days over which the rows are spread.
    pub days: u64,
    /// True if they come as an Excel workbook instead of delimited text.
    pub workbook: bool,
}

impl Simulation {
    /// Reads an address. What it leaves out has its default: seed 7 and 40,000 rows over 120 days from 2024-01-01 for
    /// `lfb` and `lfb-mobilisations`, 20,000 rows for `housing` and `delivery`, four years from 2010-01-01 for `weather`.
    ///
    /// # Errors
    /// A name, a parameter or a value that is not known, as a message and a remedy.
    pub fn parse(address: &str) -> Result<Simulation, (String, String)> {
        let rest = address.strip_prefix("simulated://").unwrap_or(address);
        let (name, query) = rest.split_once('?').unwrap_or((rest, ""));
        let name = name.trim_end_matches('/');
        let Some(subject) = Subject::parse(name) else {
            return Err((
                format!("`{name}` is not a source that can be simulated"),
                suggestion(name, &NAMES, "sources"),
            ));
        };
        let (rows, from, days) = match subject {
            Subject::Lfb | Subject::LfbMobilisations => (40_000, Date::constant(2024, 1, 1), 120),
            Subject::Housing | Subject::Delivery => (20_000, Date::constant(2024, 1, 1), 120),
            Subject::Weather => (0, Date::constant(2010, 1, 1), 1_461),
        };
        let mut simulation = Simulation {
            subject,
            rows,
            seed: 7,
            from,
            days,
            workbook: false,
        };
        let example = || format!("write, for example, {}", subject.example());
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if !subject.parameters().contains(&key.as_ref()) {
                return Err((
                    format!("`{key}` is not a parameter of `simulated://{name}`"),
                    suggestion(&key, subject.parameters(), "parameters"),
                ));
            }
            let number = |most: u64| {
                value
                    .parse::<u64>()
                    .ok()
                    .filter(|number| *number <= most)
                    .ok_or_else(|| {
                        (
                            format!("`{key}={value}` in `{address}` is not a whole number from 0 to {most}"),
                            example(),
                        )
                    })
            };
            match key.as_ref() {
                "rows" => simulation.rows = number(MOST_ROWS)?,
                "seed" => simulation.seed = number(u64::MAX)?,
                "days" => simulation.days = number(MOST_DAYS)?,
                "format" => {
                    simulation.workbook = match value.as_ref() {
                        "csv" => false,
                        "xlsx" => true,
                        _ => {
                            return Err((
                                format!("`format={value}` in `{address}` is neither csv nor xlsx"),
                                example(),
                            ));
                        }
                    }
                }
                _ => {
                    simulation.from = value
                        .parse()
                        .map_err(|_| (format!("`from={value}` in `{address}` is not a date"), example()))?;
                }
            }
        }
        if subject == Subject::Weather {
            simulation.rows = simulation.days * 24;
        }
        if simulation.rows == 0 || simulation.days == 0 {
            return Err((format!("`{address}` asks for no rows or no days"), example()));
        }
        if simulation.from.year() < 1 || simulation.from.year() > 9_900 {
            return Err((
                format!("the year {} in `{address}` is out of range", simulation.from.year()),
                example(),
            ));
        }
        Ok(simulation)
    }

    /// The address with every parameter in it.
    pub fn address(&self) -> String {
        let Simulation {
            rows, seed, from, days, ..
        } = self;
        let address = match self.subject {
            Subject::Lfb => format!("simulated://lfb?rows={rows}&seed={seed}&from={from}&days={days}"),
            Subject::LfbMobilisations => {
                format!("simulated://lfb-mobilisations?rows={rows}&seed={seed}&from={from}&days={days}")
            }
            Subject::Housing => format!("simulated://housing?rows={rows}&seed={seed}"),
            Subject::Delivery => format!("simulated://delivery?rows={rows}&seed={seed}"),
            Subject::Weather => format!("simulated://weather?seed={seed}&from={from}&days={days}"),
        };
        if self.workbook {
            format!("{address}&format=xlsx")
        } else {
            address
        }
    }

    /// The rows as a file: delimited text with a header, or a workbook.
    ///
    /// # Errors
    /// More rows than a sheet of a workbook has.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TaskError> {
        let text = match self.subject {
            Subject::Lfb => lfb::to_csv(self),
            Subject::LfbMobilisations => lfb_mobilisation::to_csv(self),
            Subject::Housing => housing::to_csv(self),
            Subject::Delivery => delivery::to_csv(self),
            Subject::Weather => weather::to_csv(self),
        }?;
        if self.workbook {
            workbook::from_csv(&text)
        } else {
            Ok(text)
        }
    }
}

/// Rows as delimited text with a header.
pub(super) fn write_csv(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<Vec<u8>, TaskError> {
    let failed = |error: String| TaskError::permanent(format!("simulated rows cannot be written: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header).map_err(|error| failed(error.to_string()))?;
    for row in rows {
        writer.write_record(&row).map_err(|error| failed(error.to_string()))?;
    }
    writer.into_inner().map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_completed_by_its_defaults() {
        let simulation = Simulation::parse("simulated://lfb?rows=10").unwrap();
        assert_eq!(
            simulation.address(),
            "simulated://lfb?rows=10&seed=7&from=2024-01-01&days=120"
        );
        for address in [
            "simulated://lfb?rows=10",
            "simulated://housing?rows=10",
            "simulated://delivery?seed=3",
            "simulated://weather?days=3",
            "simulated://lfb-mobilisations?format=xlsx",
        ] {
            let simulation = Simulation::parse(address).unwrap();
            assert_eq!(Simulation::parse(&simulation.address()).unwrap(), simulation);
        }
    }

    #[test]
    fn faults_are_named() {
        let message = |address: &str| Simulation::parse(address).unwrap_err().0;
        assert!(message("simulated://lfbb").contains("`lfbb`"));
        assert!(message("simulated://lfb?row=1").contains("`row`"));
        assert!(message("simulated://lfb?rows=-1").contains("`rows=-1`"));
        assert!(message("simulated://lfb?from=yesterday").contains("`from=yesterday`"));
        assert!(message("simulated://lfb?format=pdf").contains("`format=pdf`"));
        assert!(message("simulated://lfb?rows=0").contains("no rows"));
        // Houses have no dates; who asks for some is told so.
        assert!(message("simulated://housing?from=2024-01-01").contains("`from`"));
        assert!(message("simulated://weather?rows=24").contains("`rows`"));
    }

    #[test]
    fn the_same_address_gives_the_same_bytes_and_as_many_rows_as_it_says() {
        for (address, rows) in [
            ("simulated://housing?rows=500&seed=3", 500),
            ("simulated://delivery?rows=500&seed=3", 500),
            ("simulated://weather?days=20&seed=3", 480),
        ] {
            let bytes = Simulation::parse(address).unwrap().to_bytes().unwrap();
            assert_eq!(bytes, Simulation::parse(address).unwrap().to_bytes().unwrap());
            let other = address.replace("seed=3", "seed=4");
            assert_ne!(bytes, Simulation::parse(&other).unwrap().to_bytes().unwrap());
            assert_eq!(String::from_utf8(bytes).unwrap().lines().count(), rows + 1, "{address}");
        }
    }
}
