//! One simulated incident: what it is, where it is, who comes and when.
//!
//! Times follow the published records of 2017: a fixed part for the crew to turn out and a part that grows with the
//! straight distance (mean 195 s below half a kilometer, 298 s at 1.25, 443 s at 3.25), a factor for the hour of day,
//! one for the station, and a skewed remainder. 29 % of first vehicles take longer than 360 s, 54 % of second ones.

use super::lfb_geography::{Area, Geography, Place};
use super::lfb_vocabulary::{Property, STOP_CODES, Shares, address_qualifiers, special_services};
use super::random::Random;

/// Attendance times are published up to this many seconds.
const LONGEST_SECONDS: f64 = 1_200.0;

/// Mean attendance time by hour of day, as a factor on the mean of the day.
const PACE_BY_HOUR: [f64; 24] = [
    0.981, 0.987, 1.016, 1.006, 1.009, 1.013, 1.044, 1.0, 0.962, 0.953, 0.981, 1.009, 1.022, 1.028, 1.047, 1.066,
    1.047, 1.047, 1.013, 0.987, 0.934, 0.94, 0.931, 0.956,
];

/// Share of first vehicles that come from the ground's own station.
const OWN_STATION: f64 = 0.76;

/// Weights of the other stations, by distance.
const OTHER_STATIONS: [f64; 4] = [0.68, 0.20, 0.08, 0.04];

/// A vehicle that arrived.
pub struct Vehicle {
    /// Index of its station.
    pub station: usize,
    /// Attendance time.
    pub seconds: i64,
}

/// What is drawn for one row.
pub struct Incident {
    /// Group, such as `Fire`.
    pub group: &'static str,
    /// Stop code.
    pub stop_code: &'static str,
    /// What a special service was.
    pub special_service: Option<&'static str>,
    /// Address qualifier.
    pub address_qualifier: &'static str,
    /// Full postcode; withheld for dwellings, together with the exact coordinates.
    pub postcode: Option<String>,
    /// Borough, ward and the rest.
    pub area: Area,
    /// Where it is.
    pub place: Place,
    /// First vehicle, if its time is known.
    pub first: Option<Vehicle>,
    /// Second vehicle, if there was one and its time is known.
    pub second: Option<Vehicle>,
    /// Stations and pumps attending.
    pub attending: Option<(u32, u32)>,
}

/// What incidents are drawn from.
pub struct World {
    /// Stations and places.
    pub geography: Geography,
    shares: Vec<f64>,
    border_shares: Vec<f64>,
}

impl World {
    /// The world of a geography.
    pub fn new(geography: Geography) -> World {
        let shares = geography.stations.iter().map(|station| station.share).collect();
        let border_shares = geography.border_shares();
        World {
            geography,
            shares,
            border_shares,
        }
    }

    /// Draws an incident at a kind of property and an hour of day.
    pub fn draw(&self, random: &mut Random, property: &Property, hour: usize) -> Incident {
        let outside = random.chance(0.0052);
        let shares = if outside { &self.border_shares } else { &self.shares };
        let place = self.geography.draw(random, shares, outside);
        let area = self.geography.area(&place);
        let (group, stop_code) = STOP_CODES
            .get(random.pick(&property.stop_codes))
            .copied()
            .unwrap_or_default();
        let service = group == "Special Service";
        let special_service = service.then(|| pick(random, special_services(property.category)));
        let address_qualifier = pick(random, address_qualifiers(property.category));
        let withheld =
            property.category == "Dwelling" || (property.category == "Non Residential" && random.chance(0.022));
        let postcode = (!withheld).then(|| postcode(random, &area.district));

        let pumps = pumps(random, property, service, hour);
        let pumps_known = !random.chance(0.0021);
        let first_known =
            pumps_known && !(outside && random.chance(0.95)) && !random.chance(if pumps == 1 { 0.078 } else { 0.012 });
        let slow = match property.category {
            "Road Vehicle" => 1.06,
            "Outdoor" => 1.05,
            _ => 1.0,
        };
        let first = if first_known {
            self.first_vehicle(random, &place, hour, slow)
        } else {
            None
        };
        let second = match &first {
            Some(first) if pumps >= 2 && random.chance(if pumps == 2 { 0.886 } else { 0.946 }) => {
                self.second_vehicle(random, &place, first, hour, slow)
            }
            _ => None,
        };
        let one_station = match (&first, &second) {
            (Some(first), Some(second)) => first.station == second.station,
            _ => random.chance(0.36),
        };
        let attending = pumps_known.then(|| (stations(random, pumps, one_station), pumps));
        Incident {
            group,
            stop_code,
            special_service,
            address_qualifier,
            postcode,
            area,
            place,
            first,
            second,
            attending,
        }
    }

    fn first_vehicle(&self, random: &mut Random, place: &Place, hour: usize, slow: f64) -> Option<Vehicle> {
        let rank = if random.chance(OWN_STATION) {
            0
        } else {
            1 + random.pick(&OTHER_STATIONS)
        };
        let (station, distance) = place.nearest.get(rank).copied()?;
        let mean = 153.0 + 111.0 * libm::pow(distance, 0.8);
        let seconds = mean * slow * self.pace(station, place, hour) * remainder(random);
        arrived(station, seconds)
    }

    fn second_vehicle(
        &self,
        random: &mut Random,
        place: &Place,
        first: &Vehicle,
        hour: usize,
        slow: f64,
    ) -> Option<Vehicle> {
        let two_pumps = self
            .geography
            .stations
            .get(first.station)
            .is_some_and(|station| station.two_pumps);
        let (station, distance) = if random.chance(if two_pumps { 0.72 } else { 0.12 }) {
            place
                .nearest
                .iter()
                .copied()
                .find(|(station, _)| *station == first.station)?
        } else {
            let others: Vec<(usize, f64)> = place
                .nearest
                .iter()
                .copied()
                .filter(|(station, _)| *station != first.station)
                .take(4)
                .collect();
            others.get(random.pick(&OTHER_STATIONS)).copied()?
        };
        let mean = 127.0 + 103.0 * libm::pow(distance, 0.8);
        let seconds = mean * slow * self.pace(station, place, hour) * remainder(random);
        let behind = first.seconds as f64 + 4.0 - 16.0 * libm::log(1.0 - random.uniform());
        arrived(station, seconds.max(behind))
    }

    /// A vehicle after the second, which comes after `before`, if its time is known.
    pub fn further_vehicle(
        &self,
        random: &mut Random,
        place: &Place,
        before: &Vehicle,
        hour: usize,
    ) -> Option<Vehicle> {
        self.second_vehicle(random, place, before, hour, 1.0)
    }

    /// Factor of station and hour. Traffic by day slows the inner town more than the outer.
    fn pace(&self, station: usize, place: &Place, hour: usize) -> f64 {
        let of_station = self.geography.stations.get(station).map_or(1.0, |station| station.pace);
        let swing = if Geography::from_center(place) < 8.0 { 1.5 } else { 0.7 };
        of_station * (1.0 + swing * (PACE_BY_HOUR.get(hour).copied().unwrap_or(1.0) - 1.0))
    }
}

fn pick(random: &mut Random, shares: Shares) -> &'static str {
    let weights: Vec<f64> = shares.iter().map(|(_, weight)| *weight).collect();
    shares.get(random.pick(&weights)).map_or("", |(name, _)| *name)
}

/// The skewed rest of an attendance time, around one: most are a little off, some much later, a few were near by.
fn remainder(random: &mut Random) -> f64 {
    let usual = libm::exp(0.24 * random.normal());
    match random.uniform() {
        u if u < 0.08 => usual * libm::exp(0.25 + 0.35 * random.normal().abs()),
        u if u < 0.105 => usual * (0.3 + 0.5 * random.uniform()),
        _ => usual * 0.97,
    }
}

fn arrived(station: usize, seconds: f64) -> Option<Vehicle> {
    let seconds = seconds.floor();
    (seconds <= LONGEST_SECONDS).then_some(Vehicle {
        station,
        seconds: seconds.max(2.0) as i64,
    })
}

fn pumps(random: &mut Random, property: &Property, service: bool, hour: usize) -> u32 {
    let shares = if service {
        property.service_pumps
    } else {
        property.other_pumps
    };
    // Offices and shops get fewer pumps while people work in them.
    let factor = match (property.category, hour) {
        ("Non Residential", 4..=11) => 0.8,
        ("Non Residential", 16..) => 1.15,
        _ => 1.0,
    };
    let more = shares.map(|share| share * factor);
    let one = (1.0 - more.iter().sum::<f64>()).max(0.0);
    let [two, three, four, five] = more;
    match random.pick(&[one, two, three, four, five * 0.85, five * 0.13, five * 0.02]) {
        index @ 0..=6 => index as u32 + 1,
        _ => 1,
    }
}

fn stations(random: &mut Random, pumps: u32, one_station: bool) -> u32 {
    match (pumps, one_station) {
        (1, _) | (2, true) => 1,
        (2, false) => 2,
        (3, true) => 2,
        (3, false) => 2 + u32::from(random.chance(0.45)),
        (_, true) => pumps - 1 - u32::from(random.chance(0.2)),
        (_, false) => pumps - u32::from(random.chance(0.4)),
    }
}

fn postcode(random: &mut Random, district: &str) -> String {
    const LETTERS: &[u8] = b"ABDEFGHJLNPQRSTUWXYZ";
    let mut letter = || {
        LETTERS
            .get(random.below(LETTERS.len()))
            .copied()
            .map_or('A', char::from)
    };
    let (first, second) = (letter(), letter());
    format!("{district} {}{first}{second}", 1 + random.below(9))
}
