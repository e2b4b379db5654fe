//! Places on a planar grid, in meters, and how to learn where a place is from what is answered from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A point on a planar grid.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Meters east.
    pub x: f64,
    /// Meters north.
    pub y: f64,
}

/// Places by name. Names are compared without case, blanks and punctuation, because two tables seldom agree on them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Places(BTreeMap<String, Place>);

fn key(name: &str) -> String {
    name.chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

impl Places {
    /// Adds a place.
    pub fn insert(&mut self, name: &str, place: Place) {
        self.0.insert(key(name), place);
    }

    /// The place of that name.
    pub fn get(&self, name: &str) -> Option<Place> {
        // Serving looks up names as they stand in most tables, so the exact key is tried before one is built.
        self.0.get(name).or_else(|| self.0.get(&key(name))).copied()
    }

    /// Number of places.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if every coordinate is finite.
    pub fn is_finite(&self) -> bool {
        self.0.values().all(|place| place.x.is_finite() && place.y.is_finite())
    }
}

/// What [`learn_places`] learns from: rows answered from `place`, at a point, at a cost that grows with the distance.
#[derive(Clone, Copy, Debug)]
pub struct LearnPlaces<'a> {
    /// The place each row was answered from.
    pub place: &'a [Option<String>],
    /// Meters east of the row.
    pub x: &'a [f64],
    /// Meters north of the row.
    pub y: &'a [f64],
    /// What the row cost, such as seconds on the way.
    pub cost: &'a [f64],
}

/// Rows of a place below which its position is not learnt but left out.
const FEWEST_ROWS: usize = 8;

/// Learns where each place is: the point from which the cost of the rows is best explained as
/// `a + b * distance`, with `b` shared by all places and `a` of each place's own.
///
/// The median of the points is where the search starts; it is biased towards where calls are dense. The search is a
/// pattern search over x and y that halves its step from 800 m to 25 m and minimizes the mean absolute error, which slow
/// answers (a road that was closed) do not dominate. Two rounds: the slope from the first round's places is used in the
/// second.
pub fn learn_places(rows: LearnPlaces<'_>) -> Places {
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (row, place) in rows.place.iter().enumerate() {
        let usable = rows.x[row].is_finite() && rows.y[row].is_finite() && rows.cost[row].is_finite();
        if let (Some(place), true) = (place, usable) {
            members.entry(place).or_default().push(row);
        }
    }
    members.retain(|_, rows| rows.len() >= FEWEST_ROWS);
    let mut found: BTreeMap<&str, Place> = members
        .iter()
        .map(|(name, list)| {
            (
                *name,
                Place {
                    x: median(list, rows.x),
                    y: median(list, rows.y),
                },
            )
        })
        .collect();
    for _ in 0..2 {
        let slope = shared_slope(&rows, &members, &found);
        for (name, list) in &members {
            if let Some(place) = found.get_mut(name) {
                *place = search(&rows, list, *place, slope);
            }
        }
    }
    let mut places = Places::default();
    for (name, place) in found {
        places.insert(name, place);
    }
    places
}

fn median(list: &[usize], values: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = list.iter().map(|row| values[*row]).collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn distance(rows: &LearnPlaces<'_>, row: usize, place: Place) -> f64 {
    let (dx, dy) = (rows.x[row] - place.x, rows.y[row] - place.y);
    (dx * dx + dy * dy).sqrt()
}

/// Slope of cost over distance within places, by least squares after removing each place's means; cost above its 95th
/// percentile is left out.
fn shared_slope(rows: &LearnPlaces<'_>, members: &BTreeMap<&str, Vec<usize>>, found: &BTreeMap<&str, Place>) -> f64 {
    let (mut covariance, mut variance) = (0.0, 0.0);
    for (name, list) in members {
        let Some(place) = found.get(name) else { continue };
        let mut costs: Vec<f64> = list.iter().map(|row| rows.cost[*row]).collect();
        costs.sort_by(f64::total_cmp);
        let limit = costs[(costs.len() - 1) * 95 / 100];
        let kept: Vec<(f64, f64)> = list
            .iter()
            .filter(|row| rows.cost[**row] <= limit)
            .map(|row| (distance(rows, *row, *place), rows.cost[*row]))
            .collect();
        let count = kept.len() as f64;
        let mean_distance = kept.iter().map(|pair| pair.0).sum::<f64>() / count;
        let mean_cost = kept.iter().map(|pair| pair.1).sum::<f64>() / count;
        for (distance, cost) in kept {
            covariance += (distance - mean_distance) * (cost - mean_cost);
            variance += (distance - mean_distance) * (distance - mean_distance);
        }
    }
    if variance > 0.0 {
        (covariance / variance).max(1e-6)
    } else {
        1e-6
    }
}

/// Mean absolute error of `median offset + slope * distance` from `place`.
fn misfit(rows: &LearnPlaces<'_>, list: &[usize], place: Place, slope: f64, scratch: &mut Vec<f64>) -> f64 {
    scratch.clear();
    scratch.extend(
        list.iter()
            .map(|row| rows.cost[*row] - slope * distance(rows, *row, place)),
    );
    let middle = scratch.len() / 2;
    let (_, offset, _) = scratch.select_nth_unstable_by(middle, f64::total_cmp);
    let offset = *offset;
    // Sorted before summing: the selection leaves an order that must not decide the last bit.
    scratch.sort_by(f64::total_cmp);
    scratch.iter().map(|value| (value - offset).abs()).sum::<f64>() / list.len() as f64
}

fn search(rows: &LearnPlaces<'_>, list: &[usize], start: Place, slope: f64) -> Place {
    let mut scratch = Vec::with_capacity(list.len());
    let mut best = start;
    let mut best_misfit = misfit(rows, list, best, slope, &mut scratch);
    let mut step = 800.0;
    while step >= 25.0 {
        let mut moved = false;
        for (dx, dy) in [
            (1.0, 0.0),
            (-1.0, 0.0),
            (0.0, 1.0),
            (0.0, -1.0),
            (0.7, 0.7),
            (0.7, -0.7),
            (-0.7, 0.7),
            (-0.7, -0.7),
        ] {
            let candidate = Place {
                x: best.x + dx * step,
                y: best.y + dy * step,
            };
            let value = misfit(rows, list, candidate, slope, &mut scratch);
            if value < best_misfit - 1e-9 {
                (best, best_misfit, moved) = (candidate, value, true);
            }
        }
        if !moved {
            step /= 2.0;
        }
    }
    best
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_agree_without_case_and_punctuation() {
        let mut places = Places::default();
        places.insert("King's Cross ", Place { x: 1.0, y: 2.0 });
        assert_eq!(places.get("KINGS CROSS"), Some(Place { x: 1.0, y: 2.0 }));
        assert_eq!(places.get("Euston"), None);
    }

    #[test]
    fn a_place_off_the_middle_of_its_calls_is_found() {
        // Calls fill a square; the station stands in a corner of it, far from their median.
        let station = Place { x: 400.0, y: 500.0 };
        let mut place = Vec::new();
        let (mut x, mut y, mut cost) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..20 {
            for j in 0..20 {
                let (px, py) = (f64::from(i) * 150.0, f64::from(j) * 150.0);
                place.push(Some("A".to_owned()));
                x.push(px);
                y.push(py);
                let way = ((px - station.x).powi(2) + (py - station.y).powi(2)).sqrt();
                cost.push(90.0 + 0.1 * way + f64::from((i * 7 + j * 13) % 11));
            }
        }
        let learnt = learn_places(LearnPlaces {
            place: &place,
            x: &x,
            y: &y,
            cost: &cost,
        });
        let found = learnt.get("A").unwrap();
        let error = ((found.x - station.x).powi(2) + (found.y - station.y).powi(2)).sqrt();
        assert!(error < 150.0, "{error} m off");
    }
}
