//! Hourly weather in the schema of the published Beijing table: same columns, same gaps, no real day.

use jiff::ToSpan;
use ratchet_core::plugin::TaskError;

use super::random::Random;
use super::simulation::{Simulation, write_csv};

const HEADER: [&str; 13] = [
    "No", "year", "month", "day", "hour", "pm2.5", "DEWP", "TEMP", "PRES", "cbwd", "Iws", "Is", "Ir",
];

/// Wind directions with their shares in the published table; `cv` is calm or changing.
const WINDS: [(&str, f64); 4] = [("SE", 0.35), ("NW", 0.32), ("cv", 0.21), ("NE", 0.12)];

/// Share of the hours without a measurement of particles.
const GAPS: f64 = 0.047;

/// The rows of a simulation as delimited text with a header.
pub(super) fn to_csv(simulation: &Simulation) -> Result<Vec<u8>, TaskError> {
    let mut random = Random::new(simulation.seed);
    let mut sky = Sky::default();
    let mut rows = Vec::with_capacity(usize::try_from(simulation.rows).unwrap_or_default());
    for number in 0..simulation.rows {
        let (day, hour) = (number / 24, number % 24);
        let date = i64::try_from(day)
            .ok()
            .and_then(|day| simulation.from.checked_add(day.days()).ok());
        let date = date.ok_or_else(|| {
            TaskError::permanent(format!(
                "{} days from {} leave the calendar",
                simulation.days, simulation.from
            ))
        })?;
        let turn = std::f64::consts::TAU;
        let season = -libm::cos(turn * f64::from(date.day_of_year() - 15) / 365.25);
        let clock = -libm::cos(turn * (hour as f64 - 3.0) / 24.0);
        sky.pass_an_hour(&mut random);
        let temperature = 12.5 + 15.0 * season + (4.5 - 1.5 * sky.clouds) * clock + sky.front;
        let dew = temperature - 12.0 + 6.0 * season + 2.5 * sky.clouds + random.normal();
        let pressure = 1_016.0 - 10.0 * season - 0.7 * sky.front + random.normal();
        let particles = libm::exp(4.2 + 0.45 * sky.clouds - 0.05 * sky.front + 0.3 * random.normal());
        let particles = if random.chance(GAPS) {
            "NA".to_owned()
        } else {
            format!("{particles:.0}")
        };
        rows.push(vec![
            (number + 1).to_string(),
            date.year().to_string(),
            date.month().to_string(),
            date.day().to_string(),
            hour.to_string(),
            particles,
            whole(dew.min(temperature)),
            whole(temperature),
            whole(pressure),
            WINDS[sky.wind].0.to_owned(),
            format!("{:.2}", sky.wind_hours * 1.79),
            "0".to_owned(),
            if sky.clouds > 2.2 { "1" } else { "0" }.to_owned(),
        ]);
    }
    write_csv(&HEADER, rows)
}

/// Rounded; minus nothing is nothing.
fn whole(value: f64) -> String {
    (libm::round(value) as i64).to_string()
}

/// What the air remembers from one hour to the next.
#[derive(Default)]
struct Sky {
    /// Degrees that the air mass adds; it lasts for days.
    front: f64,
    /// Standard normal on average; it lasts for hours.
    clouds: f64,
    wind: usize,
    wind_hours: f64,
}

impl Sky {
    fn pass_an_hour(&mut self, random: &mut Random) {
        self.front = 0.985 * self.front + 0.55 * random.normal();
        self.clouds = 0.93 * self.clouds + 0.36 * random.normal();
        self.wind_hours += 1.0;
        if random.chance(0.18) {
            self.wind = random.pick(&WINDS.map(|wind| wind.1));
            self.wind_hours = 1.0;
        }
    }
}
