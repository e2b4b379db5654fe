//! Places for simulated incidents: the stations of the London Fire Brigade (public facts) and a geography around them.
//! Grounds are the cells of the nearest station; boroughs, wards and postcode districts follow from the place.

use ratchet_core::plugin::TaskError;

use super::random::Random;

/// Station, position on the national grid in meters, borough and share of incidents on its ground (in 10,000).
const STATIONS: &str = include_str!("lfb_stations.csv");

/// Seed of what belongs to the geography and not to one simulation.
const GEOGRAPHY: u64 = 0x1fb;

/// Incidents keep to built-up land, however large a ground is. Meters.
const WIDEST_SPREAD: f64 = 1_350.0;

/// Charing Cross.
const CENTER: (f64, f64) = (530_000.0, 180_400.0);

/// A fire station.
pub struct Station {
    /// Name.
    pub name: &'static str,
    /// Meters.
    pub easting: f64,
    /// Meters.
    pub northing: f64,
    borough_code: &'static str,
    borough: &'static str,
    /// Relative number of incidents on its ground.
    pub share: f64,
    /// Spread of incidents around it, meters.
    spread: f64,
    /// Factor on the times of its vehicles.
    pub pace: f64,
    /// True if two pumps stand there.
    pub two_pumps: bool,
    /// Factor by which distances to it count where boroughs are told apart.
    borough_reach: f64,
}

/// Where an incident is.
pub struct Place {
    /// Meters.
    pub easting: f64,
    /// Meters.
    pub northing: f64,
    /// All stations, the nearest first: index and distance in kilometers.
    pub nearest: Vec<(usize, f64)>,
    /// True beyond the brigade's border.
    pub outside: bool,
}

/// What an address says about a place.
pub struct Area {
    /// Code of the borough.
    pub borough_code: &'static str,
    /// Name of the borough in capitals.
    pub borough: &'static str,
    /// Name of the borough in mixed case.
    pub proper_case: String,
    /// Code of the ward.
    pub ward_code: String,
    /// Name of the ward.
    pub ward: String,
    /// Postcode district.
    pub district: String,
    /// `London`, or `OverTheBorder`.
    pub brigade: &'static str,
    /// Station whose ground it is.
    pub ground: &'static str,
}

/// All stations.
pub struct Geography {
    /// In the order of their names.
    pub stations: Vec<Station>,
}

impl Geography {
    /// Reads the table of stations.
    pub fn new() -> Result<Geography, TaskError> {
        let mut random = Random::new(GEOGRAPHY);
        let mut stations = Vec::new();
        for line in STATIONS.lines().skip(1) {
            let fields: Vec<&'static str> = line.split(';').collect();
            let [name, easting, northing, borough_code, borough, share] = fields[..] else {
                return Err(TaskError::permanent(format!(
                    "the table of stations has a bad line: {line}"
                )));
            };
            let number = |text: &str| {
                text.parse::<f64>()
                    .map_err(|_| TaskError::permanent(format!("the table of stations has a bad number: {line}")))
            };
            stations.push(Station {
                name,
                easting: number(easting)?,
                northing: number(northing)?,
                borough_code,
                borough,
                share: number(share)?,
                spread: 0.0,
                pace: libm::exp(0.07 * random.normal()),
                two_pumps: random.chance(0.42),
                borough_reach: 0.88 + 0.24 * random.uniform(),
            });
        }
        let mut geography = Geography { stations };
        let spreads: Vec<f64> = geography
            .stations
            .iter()
            .map(|station| {
                let near = geography.by_distance(station.easting, station.northing);
                let four: f64 = near.iter().skip(1).take(4).map(|(_, kilometers)| kilometers).sum();
                (four / 4.0 * 1000.0 * 0.5).min(WIDEST_SPREAD)
            })
            .collect();
        for (station, spread) in geography.stations.iter_mut().zip(spreads) {
            station.spread = spread;
        }
        Ok(geography)
    }

    fn by_distance(&self, easting: f64, northing: f64) -> Vec<(usize, f64)> {
        let mut near: Vec<(usize, f64)> = self
            .stations
            .iter()
            .enumerate()
            .map(|(index, station)| (index, kilometers(station, easting, northing)))
            .collect();
        near.sort_by(|left, right| left.1.total_cmp(&right.1).then(left.0.cmp(&right.0)));
        near
    }

    fn nearest_is(&self, index: usize, easting: f64, northing: f64) -> bool {
        let own = self
            .stations
            .get(index)
            .map_or(f64::MAX, |station| kilometers(station, easting, northing));
        self.stations
            .iter()
            .all(|station| kilometers(station, easting, northing) >= own)
    }

    /// A place on a ground that is drawn by its share of incidents, or, rarely, beyond the border.
    pub fn draw(&self, random: &mut Random, shares: &[f64], outside: bool) -> Place {
        let index = random.pick(shares);
        let Some(station) = self.stations.get(index) else {
            return Place {
                easting: CENTER.0,
                northing: CENTER.1,
                nearest: Vec::new(),
                outside,
            };
        };
        let (easting, northing) = if outside {
            beyond_the_border(random, station)
        } else {
            self.on_ground(random, index, station)
        };
        Place {
            easting,
            northing,
            nearest: self.by_distance(easting, northing),
            outside,
        }
    }

    fn on_ground(&self, random: &mut Random, index: usize, station: &Station) -> (f64, f64) {
        for _ in 0..40 {
            let easting = (station.easting + station.spread * random.normal()).floor();
            let northing = (station.northing + station.spread * random.normal()).floor();
            if self.nearest_is(index, easting, northing) {
                return (easting, northing);
            }
        }
        (station.easting, station.northing)
    }

    /// Borough, ward and the rest of a place.
    pub fn area(&self, place: &Place) -> Area {
        let (index, distance) = place.nearest.first().copied().unwrap_or_default();
        let district = district(place, index);
        if place.outside {
            return Area {
                borough_code: "E00000000",
                borough: "NOT GEO-CODED",
                proper_case: "Not geo-coded".to_owned(),
                ward_code: "E00000000".to_owned(),
                ward: "Not geo-coded".to_owned(),
                district,
                brigade: "OverTheBorder",
                ground: "OverTheBorder",
            };
        }
        let at = |index: usize| self.stations.get(index);
        let borough = place
            .nearest
            .iter()
            .take(4)
            .filter_map(|(index, distance)| at(*index).map(|station| (station, distance * station.borough_reach)))
            .min_by(|left, right| left.1.total_cmp(&right.1))
            .map(|(station, _)| station);
        let (ground, sector, quarter) = at(index).map_or(("", 0, ""), |station| {
            let (east, north) = (place.easting - station.easting, place.northing - station.northing);
            let (sector, quarter) = match (distance < 0.6, north.abs() > east.abs(), north > 0.0, east > 0.0) {
                (true, ..) => (0, "CENTRAL"),
                (_, true, true, _) => (1, "NORTH"),
                (_, true, false, _) => (2, "SOUTH"),
                (_, false, _, true) => (3, "EAST"),
                _ => (4, "WEST"),
            };
            (station.name, sector, quarter)
        });
        let borough_name = borough.map_or("", |station| station.borough);
        Area {
            borough_code: borough.map_or("", |station| station.borough_code),
            borough: borough_name,
            proper_case: proper_case(borough_name),
            ward_code: format!("E059{:05}", index * 5 + sector),
            ward: format!("{} {quarter}", ground.to_uppercase()),
            district,
            brigade: "London",
            ground,
        }
    }

    /// Kilometers from the middle of the town; traffic by day is a matter of the inner ones.
    pub fn from_center(place: &Place) -> f64 {
        libm::hypot(place.easting - CENTER.0, place.northing - CENTER.1) / 1000.0
    }

    /// Weights for places beyond the border: only the outermost grounds touch it.
    pub fn border_shares(&self) -> Vec<f64> {
        self.stations
            .iter()
            .map(|station| {
                let out = libm::hypot(station.easting - CENTER.0, station.northing - CENTER.1);
                if out > 17_000.0 { station.share } else { 0.0 }
            })
            .collect()
    }
}

fn kilometers(station: &Station, easting: f64, northing: f64) -> f64 {
    let (east, north) = (station.easting - easting, station.northing - northing);
    libm::sqrt(east * east + north * north) / 1000.0
}

fn beyond_the_border(random: &mut Random, station: &Station) -> (f64, f64) {
    let (east, north) = (station.easting - CENTER.0, station.northing - CENTER.1);
    let out = libm::hypot(east, north).max(1.0);
    let further = 3_500.0 + 2_000.0 * random.uniform();
    let aside = 1_200.0 * random.normal();
    let easting = station.easting + (east * further - north * aside) / out;
    let northing = station.northing + (north * further + east * aside) / out;
    (easting.floor(), northing.floor())
}

/// A postcode district that looks like one: the area by direction from the middle, the number by ground and side.
fn district(place: &Place, index: usize) -> String {
    let (east, north) = (place.easting - CENTER.0, place.northing - CENTER.1);
    let area = match (
        libm::hypot(east, north) < 2_500.0,
        east > 0.0,
        north > 0.0,
        north.abs() > 2.0 * east.abs(),
    ) {
        (true, true, ..) => "EC",
        (true, false, ..) => "WC",
        (_, _, true, true) => "N",
        (_, true, true, false) => "E",
        (_, true, false, _) => "SE",
        (_, false, false, _) => "SW",
        (_, false, true, false) => "NW",
    };
    let side = usize::from((place.easting / 1_500.0).floor() as i64 % 2 == 0);
    format!("{area}{}", 1 + (index * 2 + side) % 28)
}

/// As the published table writes it: the first two words begin with a capital.
fn proper_case(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_string() + &letters.as_str().to_lowercase())
            .unwrap_or_default()
    };
    let words: Vec<String> = name
        .split(' ')
        .enumerate()
        .map(|(index, word)| if index < 2 { capital(word) } else { word.to_lowercase() })
        .collect();
    words.join(" ")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn places_lie_on_the_ground_they_were_drawn_for() {
        let geography = Geography::new().unwrap();
        assert_eq!(geography.stations.len(), 102);
        let mut random = Random::new(1);
        let mut only = vec![0.0; geography.stations.len()];
        for index in [0, 17, 81] {
            only.fill(0.0);
            only[index] = 1.0;
            for _ in 0..50 {
                let place = geography.draw(&mut random, &only, false);
                assert_eq!(place.nearest[0].0, index);
                assert_eq!(geography.area(&place).ground, geography.stations[index].name);
            }
        }
    }

    #[test]
    fn boroughs_are_written_as_in_the_published_table() {
        assert_eq!(proper_case("KINGSTON UPON THAMES"), "Kingston Upon thames");
        assert_eq!(proper_case("CAMDEN"), "Camden");
    }
}
