//! Blocks of houses in the schema of the California census table: same columns, same gaps, same cap, no real block.

use ratchet_core::plugin::TaskError;

use super::random::Random;
use super::simulation::{Simulation, write_csv};

const HEADER: [&str; 10] = [
    "longitude",
    "latitude",
    "housing_median_age",
    "total_rooms",
    "total_bedrooms",
    "population",
    "households",
    "median_income",
    "median_house_value",
    "ocean_proximity",
];

/// Towns: longitude, latitude, spread in degrees, share of the blocks, worth of the place as a factor.
const TOWNS: [(f64, f64, f64, f64, f64); 6] = [
    (-118.25, 34.05, 0.35, 0.42, 1.05),
    (-122.25, 37.75, 0.30, 0.20, 1.30),
    (-117.10, 32.80, 0.25, 0.12, 1.00),
    (-121.45, 38.55, 0.35, 0.12, 0.72),
    (-119.75, 36.75, 0.45, 0.10, 0.52),
    (-120.60, 35.30, 0.40, 0.04, 0.95),
];

/// Share of the blocks whose number of bedrooms is not known: 207 of 20,640 in the census table.
const GAPS: f64 = 0.01;

/// The census wrote no value above this.
const CAP: f64 = 500_001.0;

/// The rows of a simulation as delimited text with a header.
pub(super) fn to_csv(simulation: &Simulation) -> Result<Vec<u8>, TaskError> {
    let mut random = Random::new(simulation.seed);
    write_csv(&HEADER, (0..simulation.rows).map(|_| block(&mut random)))
}

fn block(random: &mut Random) -> Vec<String> {
    let (longitude, latitude, spread, _, worth) = TOWNS[random.pick(&TOWNS.map(|town| town.3))];
    let longitude = longitude + spread * random.normal();
    let latitude = latitude + spread * random.normal();
    // The coast runs roughly from (-124.2, 40) to (-117.1, 32.5).
    let inland = (longitude + 117.1) * 0.73 + (latitude - 32.5) * 0.69;
    let proximity = match (inland, latitude > 37.3 && latitude < 38.3 && inland < 0.9) {
        (_, true) => "NEAR BAY",
        (inland, _) if inland < 0.05 => "NEAR OCEAN",
        (inland, _) if inland < 0.9 => "<1H OCEAN",
        _ => "INLAND",
    };
    let households = libm::round(libm::exp(6.0 + 0.65 * random.normal())).max(3.0);
    let income = (libm::exp(1.25 + 0.42 * random.normal())).clamp(0.5, 15.0001);
    let rooms = libm::round(households * (3.6 + 0.42 * income + 0.5 * random.normal()).max(1.2));
    let bedrooms = libm::round(households * (1.05 + 0.08 * random.normal()).max(0.5));
    let population = libm::round(households * (2.9 + 0.5 * random.normal()).max(1.0));
    let age = libm::round((28.0 + 12.5 * random.normal()).clamp(1.0, 52.0));
    let coast = libm::exp(-0.35 * inland.max(0.0));
    let value = 38_000.0 * worth * (0.55 + 0.75 * coast) * (1.0 + income) * (1.0 + 0.003 * age);
    let value = libm::round(value * libm::exp(0.17 * random.normal()) / 100.0) * 100.0;
    let bedrooms = if random.chance(GAPS) {
        String::new()
    } else {
        format!("{bedrooms:.1}")
    };
    vec![
        format!("{longitude:.2}"),
        format!("{latitude:.2}"),
        format!("{age:.1}"),
        format!("{rooms:.1}"),
        bedrooms,
        format!("{population:.1}"),
        format!("{households:.1}"),
        format!("{income:.4}"),
        format!("{:.1}", value.clamp(15_000.0, CAP)),
        proximity.to_owned(),
    ]
}
