//! The vehicles of the simulated incidents, in the schema of the brigade's second table: one row each.

use jiff::ToSpan;
use ratchet_core::plugin::TaskError;

use super::lfb::{Drawn, Scene};
use super::lfb_incident::Vehicle;
use super::random::Random;
use super::simulation::{Simulation, write_csv};

const HEADER: [&str; 22] = [
    "IncidentNumber",
    "CalYear",
    "HourOfCall",
    "ResourceMobilisationId",
    "Resource_Code",
    "PerformanceReporting",
    "DateAndTimeMobilised",
    "DateAndTimeMobile",
    "DateAndTimeArrived",
    "TurnoutTimeSeconds",
    "TravelTimeSeconds",
    "AttendanceTimeSeconds",
    "DateAndTimeLeft",
    "DateAndTimeReturned",
    "DeployedFromStation_Code",
    "DeployedFromStation_Name",
    "DeployedFromLocation",
    "PumpOrder",
    "PlusCode_Code",
    "PlusCode_Description",
    "DelayCodeId",
    "DelayCode_Description",
];

/// Set beside the seed, so that the vehicles' own numbers are others than those that drew the incidents.
const STREAM: u64 = 0x4D0B_1115_A710_0002;

/// Letters of the brigade's areas.
const AREAS: [char; 5] = ['A', 'E', 'F', 'G', 'H'];

/// The vehicles of a simulation, by incident and in the order in which they were sent, as delimited text with a header.
pub(super) fn to_csv(simulation: &Simulation) -> Result<Vec<u8>, TaskError> {
    let scene = Scene::draw(simulation)?;
    let mut random = Random::new(simulation.seed ^ STREAM);
    let mut rows = Vec::new();
    for drawn in &scene.incidents {
        let further = further(&scene, drawn, &mut random);
        let vehicles = drawn
            .incident
            .first
            .iter()
            .chain(&drawn.incident.second)
            .chain(&further);
        for (order, vehicle) in (1..).zip(vehicles) {
            let id = rows.len() + 1;
            rows.push(row(&scene, drawn, vehicle, order, id, &mut random)?);
        }
    }
    write_csv(&HEADER, rows)
}

/// The vehicles after the second, which the incidents' table only counts.
fn further(scene: &Scene, drawn: &Drawn, random: &mut Random) -> Vec<Vehicle> {
    let incident = &drawn.incident;
    let (Some((_, pumps)), Some(second)) = (incident.attending, &incident.second) else {
        return Vec::new();
    };
    let hour = (drawn.second / 3_600) as usize;
    let mut vehicles: Vec<Vehicle> = Vec::new();
    for _ in 2..pumps {
        let before = vehicles.last().unwrap_or(second);
        match scene.world.further_vehicle(random, &incident.place, before, hour) {
            Some(vehicle) => vehicles.push(vehicle),
            None => break,
        }
    }
    vehicles
}

fn row(
    scene: &Scene,
    drawn: &Drawn,
    vehicle: &Vehicle,
    order: usize,
    id: usize,
    random: &mut Random,
) -> Result<Vec<String>, TaskError> {
    let called = drawn.date.at(0, 0, 0, 0);
    let after = |seconds: i64| {
        let moment = called.checked_add((i64::from(drawn.second) + seconds).seconds());
        let moment = moment
            .map_err(|error| TaskError::permanent(format!("a simulated vehicle leaves the calendar: {error}")))?;
        Ok::<String, TaskError>(moment.strftime("%Y-%m-%d %H:%M:%S").to_string())
    };
    let mobilised = 40 + random.below(90) as i64;
    let turnout = (45 + random.below(60) as i64).min(vehicle.seconds - 1);
    let arrived = mobilised + vehicle.seconds;
    let left = arrived + 300 + random.below(3_000) as i64;
    let name = scene
        .world
        .geography
        .stations
        .get(vehicle.station)
        .map_or("", |station| station.name);
    let area = AREAS.get(vehicle.station / 25).copied().unwrap_or('H');
    let station = format!("{area}{:02}", 20 + vehicle.station % 25);
    Ok(vec![
        drawn.number.clone(),
        drawn.date.year().to_string(),
        (drawn.second / 3_600).to_string(),
        id.to_string(),
        format!("{station}{}", 1 + order % 2),
        order.min(3).to_string(),
        after(mobilised)?,
        after(mobilised + turnout)?,
        after(arrived)?,
        turnout.to_string(),
        (vehicle.seconds - turnout).to_string(),
        vehicle.seconds.to_string(),
        after(left)?,
        after(left + 600)?,
        station,
        name.to_owned(),
        "Home Station".to_owned(),
        order.to_string(),
        "Initial".to_owned(),
        "Initial Mobilisation".to_owned(),
        String::new(),
        String::new(),
    ])
}
