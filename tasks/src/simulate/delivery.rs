//! Deliveries of food in the schema of the published table: same columns, blanks and wrong coordinates, no real courier.

use ratchet_core::plugin::TaskError;

use super::random::Random;
use super::simulation::{Simulation, write_csv};

const HEADER: [&str; 11] = [
    "ID",
    "Delivery_person_ID",
    "Delivery_person_Age",
    "Delivery_person_Ratings",
    "Restaurant_latitude",
    "Restaurant_longitude",
    "Delivery_location_latitude",
    "Delivery_location_longitude",
    "Type_of_order",
    "Type_of_vehicle",
    "Time_taken(min)",
];

/// Cities: name as in the courier's id, latitude, longitude, minutes that its traffic adds.
const CITIES: [(&str, f64, f64, f64); 6] = [
    ("INDO", 22.745, 75.892, 0.0),
    ("BANG", 12.972, 77.594, 1.5),
    ("JAP", 26.913, 75.787, -0.5),
    ("MUM", 19.076, 72.878, 2.5),
    ("CHEN", 13.065, 80.244, 1.0),
    ("RANCHI", 23.351, 85.325, -1.0),
];

/// Orders; the table writes a blank behind each.
const ORDERS: [&str; 4] = ["Snack ", "Meal ", "Drinks ", "Buffet "];

/// Vehicles with their shares and the minutes that they add.
const VEHICLES: [(&str, f64, f64); 4] = [
    ("motorcycle ", 0.58, 1.5),
    ("scooter ", 0.335, -1.0),
    ("electric_scooter ", 0.083, -1.5),
    ("bicycle ", 0.002, 2.0),
];

/// Share of the rows whose restaurant stands at 0, 0 (3,640 of 45,593), and with the sign lost (431).
const NOWHERE: f64 = 0.08;
const MIRRORED: f64 = 0.0095;

/// The rows of a simulation as delimited text with a header.
pub(super) fn to_csv(simulation: &Simulation) -> Result<Vec<u8>, TaskError> {
    let mut random = Random::new(simulation.seed);
    write_csv(&HEADER, (0..simulation.rows).map(|row| delivery(row, &mut random)))
}

fn delivery(row: u64, random: &mut Random) -> Vec<String> {
    let (city, latitude, longitude, traffic) = CITIES[random.below(CITIES.len())];
    let restaurant = 1 + random.below(20);
    let courier = 1 + random.below(3);
    // Restaurants stand where their number says, so that a courier's id tells something of the place.
    let at = |number: usize| 0.004 * ((number * 7) % 20) as f64;
    let (latitude, longitude) = (latitude + at(restaurant), longitude + at(restaurant + 3));
    let away = 0.01 * (1 + random.below(13)) as f64;
    let age = 20 + random.below(20);
    let rating = (4.65 + 0.28 * random.normal()).clamp(2.5, 5.0);
    let vehicle = random.pick(&VEHICLES.map(|vehicle| vehicle.1));
    let minutes = 6.0
        + 95.0 * away
        + 0.45 * (age as f64 - 20.0)
        + 9.0 * (5.0 - rating)
        + VEHICLES[vehicle].2
        + traffic
        + 5.8 * random.normal();
    let (from_latitude, from_longitude) = if random.chance(NOWHERE) {
        (0.0, 0.0)
    } else if random.chance(MIRRORED) {
        (-latitude, longitude)
    } else {
        (latitude, longitude)
    };
    // Spreadsheets turned some ids into numbers with an exponent, so that several rows share one.
    let id = if random.chance(0.004) {
        format!("{}E+0{}", 1 + random.below(9), 1 + random.below(8))
    } else {
        format!("{:X}", 0x1000 + row)
    };
    vec![
        id,
        format!("{city}RES{restaurant:02}DEL{courier:02}"),
        age.to_string(),
        format!("{rating:.1}"),
        format!("{from_latitude:.6}"),
        format!("{from_longitude:.6}"),
        format!("{:.6}", latitude + away),
        format!("{:.6}", longitude + away),
        ORDERS[random.below(ORDERS.len())].to_owned(),
        VEHICLES[vehicle].0.to_owned(),
        format!("{:.0}", minutes.clamp(10.0, 54.0)),
    ]
}
