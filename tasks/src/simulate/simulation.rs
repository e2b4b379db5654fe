//! The address of simulated rows: `simulated://lfb?rows=40000&seed=7&from=2024-01-01&days=120`.

use jiff::civil::Date;
use ratchet_core::plugin::TaskError;

use super::lfb;
use crate::nearest::suggestion;

/// Sources that can be simulated.
const NAMES: [&str; 1] = ["lfb"];

/// Parameters of an address.
const PARAMETERS: [&str; 4] = ["rows", "seed", "from", "days"];

/// The most rows of one simulation.
const MOST_ROWS: u64 = 5_000_000;

/// The most days of one simulation: ten years.
const MOST_DAYS: u64 = 3_660;

/// What is to be simulated. The same values give the same bytes, on every machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// Number of rows.
    pub rows: u64,
    /// Seed of the random numbers.
    pub seed: u64,
    /// First day.
    pub from: Date,
    /// Number of days over which the rows are spread.
    pub days: u64,
}

impl Simulation {
    /// Reads an address. What it leaves out has its default: 40,000 rows, seed 7, 120 days from 2024-01-01.
    ///
    /// # Errors
    /// A name, a parameter or a value that is not known, as a message and a remedy.
    pub fn parse(address: &str) -> Result<Simulation, (String, String)> {
        let rest = address.strip_prefix("simulated://").unwrap_or(address);
        let (name, query) = rest.split_once('?').unwrap_or((rest, ""));
        let name = name.trim_end_matches('/');
        if !NAMES.contains(&name) {
            return Err((
                format!("`{name}` is not a source that can be simulated"),
                suggestion(name, &NAMES, "sources"),
            ));
        }
        let mut simulation = Simulation {
            rows: 40_000,
            seed: 7,
            from: Date::constant(2024, 1, 1),
            days: 120,
        };
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
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
                "from" => {
                    simulation.from = value
                        .parse()
                        .map_err(|_| (format!("`from={value}` in `{address}` is not a date"), example()))?;
                }
                _ => {
                    return Err((
                        format!("`{key}` is not a parameter of `simulated://{name}`"),
                        suggestion(&key, &PARAMETERS, "parameters"),
                    ));
                }
            }
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
        let Simulation { rows, seed, from, days } = self;
        format!("simulated://lfb?rows={rows}&seed={seed}&from={from}&days={days}")
    }

    /// The rows as delimited text with a header.
    ///
    /// # Errors
    /// None that an address can cause.
    pub fn to_csv(&self) -> Result<Vec<u8>, TaskError> {
        lfb::to_csv(self)
    }
}

fn example() -> String {
    "write, for example, simulated://lfb?rows=40000&seed=7&from=2024-01-01&days=120".to_owned()
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
        assert_eq!(Simulation::parse(&simulation.address()).unwrap(), simulation);
    }

    #[test]
    fn faults_are_named() {
        let message = |address: &str| Simulation::parse(address).unwrap_err().0;
        assert!(message("simulated://lfbb").contains("`lfbb`"));
        assert!(message("simulated://lfb?row=1").contains("`row`"));
        assert!(message("simulated://lfb?rows=-1").contains("`rows=-1`"));
        assert!(message("simulated://lfb?from=yesterday").contains("`from=yesterday`"));
        assert!(message("simulated://lfb?rows=0").contains("no rows"));
    }
}
