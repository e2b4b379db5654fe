//! Incidents in the schema of the London Fire Brigade: same columns, same spellings, same gaps, no real incident.

use jiff::ToSpan;
use jiff::civil::Date;
use ratchet_core::plugin::TaskError;

use super::lfb_geography::{Geography, Station};
use super::lfb_incident::{Incident, Vehicle, World};
use super::lfb_vocabulary::{HEADER, Property, hours, properties};
use super::random::Random;
use super::simulation::{Simulation, write_csv};

/// Number of incidents by day of the week, Monday first, as a factor on the mean.
const BY_WEEKDAY: [f64; 7] = [0.936, 0.965, 0.947, 1.046, 1.002, 1.054, 1.05];

/// When a simulated call comes and what it is about.
struct Call {
    day: usize,
    second: u32,
    property: usize,
}

/// An incident with when it was called and under which number.
pub(super) struct Drawn {
    /// Number as the brigade writes it, such as `000003-01012017`.
    pub(super) number: String,
    pub(super) date: Date,
    /// Second of the day.
    pub(super) second: u32,
    pub(super) property: usize,
    pub(super) incident: Incident,
}

/// What a simulation draws, sorted by time.
pub(super) struct Scene {
    pub(super) world: World,
    properties: Vec<Property>,
    pub(super) incidents: Vec<Drawn>,
}

impl Scene {
    /// Draws all incidents.
    ///
    /// # Errors
    /// None that a simulation's values can cause; the calendar's end, or tables that were built in wrongly.
    pub(super) fn draw(simulation: &Simulation) -> Result<Scene, TaskError> {
        let properties = properties()?;
        let world = World::new(Geography::new()?);
        let mut random = Random::new(simulation.seed);
        let dates = dates(simulation)?;
        let calls = calls(simulation, &dates, &properties, &mut random);
        let per_day = simulation.rows as f64 / simulation.days as f64;
        let mut number = 0;
        let mut year = None;
        let mut incidents = Vec::with_capacity(calls.len());
        for call in &calls {
            let (Some(date), Some(property)) = (dates.get(call.day), properties.get(call.property)) else {
                continue;
            };
            if year != Some(date.year()) {
                year = Some(date.year());
                number = (f64::from(date.day_of_year() - 1) * per_day) as u64;
            }
            number += 1 + u64::from(random.chance(0.04));
            incidents.push(Drawn {
                number: format!("{number:06}-{:02}{:02}{:04}", date.day(), date.month(), date.year()),
                date: *date,
                second: call.second,
                property: call.property,
                incident: world.draw(&mut random, property, (call.second / 3_600) as usize),
            });
        }
        Ok(Scene {
            world,
            properties,
            incidents,
        })
    }
}

/// The incidents of a simulation as delimited text with a header.
///
/// # Errors
/// As [`Scene::draw`].
pub(super) fn to_csv(simulation: &Simulation) -> Result<Vec<u8>, TaskError> {
    let scene = Scene::draw(simulation)?;
    let rows = scene.incidents.iter().filter_map(|drawn| {
        let property = scene.properties.get(drawn.property)?;
        Some(row(drawn, property, &scene.world.geography.stations).into())
    });
    write_csv(&HEADER, rows)
}

fn dates(simulation: &Simulation) -> Result<Vec<Date>, TaskError> {
    (0..simulation.days)
        .map(|day| {
            i64::try_from(day)
                .ok()
                .and_then(|day| simulation.from.checked_add(day.days()).ok())
                .ok_or_else(|| {
                    TaskError::permanent(format!(
                        "{} days from {} leave the calendar",
                        simulation.days, simulation.from
                    ))
                })
        })
        .collect()
}

fn calls(simulation: &Simulation, dates: &[Date], properties: &[Property], random: &mut Random) -> Vec<Call> {
    let day_weights: Vec<f64> = dates
        .iter()
        .map(|date| {
            let weekday = usize::from(date.weekday().to_monday_zero_offset().unsigned_abs());
            BY_WEEKDAY.get(weekday).copied().unwrap_or(1.0) * libm::exp(0.09 * random.normal())
        })
        .collect();
    let day_totals = running_totals(&day_weights);
    let shares: Vec<f64> = properties.iter().map(|property| property.share).collect();
    let mut calls: Vec<Call> = (0..simulation.rows)
        .map(|_| {
            let property = random.pick(&shares);
            let hour = random.pick(&hours(
                properties.get(property).map_or("", |property| property.category),
            ));
            let whole = day_totals.last().copied().unwrap_or_default();
            let at = random.uniform() * whole;
            let day = day_totals
                .partition_point(|total| *total <= at)
                .min(dates.len().saturating_sub(1));
            Call {
                day,
                second: (hour * 3_600 + random.below(3_600)) as u32,
                property,
            }
        })
        .collect();
    // A stable sort: calls of one second keep the order in which they were drawn.
    calls.sort_by_key(|call| (call.day, call.second));
    calls
}

fn running_totals(weights: &[f64]) -> Vec<f64> {
    weights
        .iter()
        .scan(0.0, |total, weight| {
            *total += weight;
            Some(*total)
        })
        .collect()
}

fn row(drawn: &Drawn, property: &Property, stations: &[Station]) -> [String; 32] {
    let Drawn {
        number,
        date,
        second,
        incident,
        ..
    } = drawn;
    let time = format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
    let area = &incident.area;
    let (easting, northing) = (incident.place.easting as i64, incident.place.northing as i64);
    let exact = |meters: i64| {
        incident
            .postcode
            .as_ref()
            .map(|_| meters.to_string())
            .unwrap_or_default()
    };
    let rounded = |meters: i64| (meters.div_euclid(100) * 100 + 50).to_string();
    let seconds = |vehicle: &Option<Vehicle>| {
        vehicle
            .as_ref()
            .map(|vehicle| vehicle.seconds.to_string())
            .unwrap_or_default()
    };
    let station = |vehicle: &Option<Vehicle>| {
        let name = vehicle
            .as_ref()
            .and_then(|vehicle| stations.get(vehicle.station))
            .map(|station| station.name);
        name.unwrap_or_default().to_owned()
    };
    [
        number.clone(),
        date.to_string(),
        date.year().to_string(),
        time.clone(),
        (second / 3_600).to_string(),
        format!("{date} {time}"),
        incident.group.to_owned(),
        incident.stop_code.to_owned(),
        incident.special_service.unwrap_or_default().to_owned(),
        property.category.to_owned(),
        property.name.clone(),
        incident.address_qualifier.to_owned(),
        incident.postcode.clone().unwrap_or_default(),
        area.district.clone(),
        area.borough_code.to_owned(),
        area.borough.to_owned(),
        area.proper_case.clone(),
        area.ward_code.clone(),
        area.ward.clone(),
        area.ward.clone(),
        exact(easting),
        exact(northing),
        rounded(easting),
        rounded(northing),
        area.brigade.to_owned(),
        area.ground.to_owned(),
        seconds(&incident.first),
        station(&incident.first),
        seconds(&incident.second),
        station(&incident.second),
        incident
            .attending
            .map(|(stations, _)| stations.to_string())
            .unwrap_or_default(),
        incident
            .attending
            .map(|(_, pumps)| pumps.to_string())
            .unwrap_or_default(),
    ]
}
