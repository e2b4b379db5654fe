//! From distances to alarms with a stated rate.
//!
//! A constant threshold (0.1, 0.25) fires on most windows of fifty rows where nothing has changed, and misses a shift of five percent
//! in a thousand. Here each measure's own distribution is known for windows of this size in which nothing has changed: for shares it is
//! the binomial, for distances it is simulated from the training's shares with a fixed seed, widened by what a training set of this size
//! does not know itself. One chance for all measures is then chosen, the greatest with which a window of this size fires with at most the
//! stated rate. So the thresholds depend on the size of the window and on the number of columns.

use std::collections::HashMap;

use super::counts::{Bins, Counts, Expected, Reference};
use super::spread::{Spread, common_chance};
use super::statistics::{chi_square, ks, psi};

/// Windows that are simulated for each measure.
const SIMULATED: usize = 20_000;
/// Rows of a simulated window, at most: scaled by their number the distances of larger windows are spread alike.
const SIMULATED_ROWS: u64 = 1_000;
/// Seed of the simulation: the same bundle and the same size give the same thresholds everywhere.
const SEED: u64 = 0x5EED_0D21_F700_0001;

/// What a measure looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Measure {
    Ks,
    ChiSquare,
    Missing,
    OutOfRange,
    Unseen,
}

impl Measure {
    fn name(self) -> &'static str {
        match self {
            Measure::Ks => "ks",
            Measure::ChiSquare => "chi_square",
            Measure::Missing => "missing",
            Measure::OutOfRange => "out_of_range",
            Measure::Unseen => "unseen",
        }
    }
}

/// Whose values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Field(usize),
    Answers,
}

#[derive(Clone, Debug, PartialEq)]
struct Test {
    whose: Whose,
    measure: Measure,
    spread: usize,
    threshold: f64,
}

/// A measure of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// The field, the answer's name, or `*` for the rows as a whole.
    pub field: String,
    /// `ks`, `chi_square`, `missing`, `out_of_range`, `unseen`, `out_of_distribution`; `psi`, which decides nothing.
    pub measure: &'static str,
    /// Its value.
    pub value: f64,
    /// Above this it is an alarm; none: it decides nothing.
    pub threshold: Option<f64>,
}

impl Drift {
    /// Whether the value lies above the threshold.
    pub fn is_alarm(&self) -> bool {
        self.threshold.is_some_and(|threshold| self.value > threshold)
    }
}

/// Thresholds for windows of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    rows: u64,
    tests: Vec<Test>,
    strange: f64,
    rate: f64,
}

impl Calibration {
    /// Thresholds with which windows of `rows` rows, in which nothing has changed, fire with a chance of at most `rate`. Takes up to a
    /// second.
    pub fn new(reference: &Reference, rows: u64, rate: f64) -> Calibration {
        let mut simulation = Simulation::default();
        let mut spreads: Vec<Spread> = Vec::new();
        let mut tests: Vec<Test> = Vec::new();
        let mut add = |whose, measure, spread: Spread| {
            spreads.push(spread);
            tests.push(Test {
                whose,
                measure,
                spread: spreads.len() - 1,
                threshold: 0.0,
            });
        };
        let all = reference
            .fields
            .iter()
            .enumerate()
            .map(|(number, field)| (Whose::Field(number), field));
        for (whose, expected) in all.chain(reference.answers.iter().map(|answers| (Whose::Answers, answers))) {
            // A column with one value has no distribution that could change.
            if let Some(measure) = distance(expected).filter(|_| expected.shares.len() > 1) {
                let with_value = ((rows as f64) * (1.0 - expected.missing)).round().max(1.0) as u64;
                add(whose, measure, simulation.spread(measure, &expected.shares, with_value));
            }
            if whose == Whose::Answers {
                continue;
            }
            add(whose, Measure::Missing, Spread::binomial(rows, expected.missing));
            let outside = match expected.bins {
                Bins::Text { .. } => Measure::Unseen,
                _ => Measure::OutOfRange,
            };
            add(whose, outside, Spread::binomial(rows, expected.outside.min(1.0)));
        }
        // Any of the fields may be the strange one.
        let strange: f64 = reference.fields.iter().map(|field| field.outside).sum();
        let strange = Spread::binomial(rows, strange.min(1.0));
        let chance = common_chance(spreads.iter().chain([&strange]), rate);
        for test in &mut tests {
            test.threshold = spreads[test.spread].threshold(chance);
        }
        Calibration {
            rows,
            tests,
            strange: strange.threshold(chance),
            rate,
        }
    }

    /// Rows of a window.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The chance that a window in which nothing has changed fires, at most.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// All measures of a window.
    pub fn measure(&self, reference: &Reference, counts: &Counts) -> Vec<Drift> {
        let mut measured = Vec::with_capacity(2 * self.tests.len());
        let rows = counts.rows.max(1) as f64;
        for test in &self.tests {
            let (field, expected, counted) = match test.whose {
                Whose::Field(number) => (
                    &reference.names[number],
                    &reference.fields[number],
                    &counts.fields[number],
                ),
                Whose::Answers => match (&reference.answers, &counts.answers) {
                    (Some(expected), Some(counted)) => (&reference.answer, expected, counted),
                    _ => continue,
                },
            };
            let with_value = counted.bins.iter().sum::<u64>() as f64;
            // What a training set of this size does not know about its own shares.
            let unsure = 1.0 + with_value / expected.rows.max(1.0);
            let (value, threshold) = match test.measure {
                Measure::Ks => {
                    let scale = (unsure / with_value.max(1.0)).sqrt();
                    (ks(&counted.bins, &expected.shares), test.threshold * scale)
                }
                Measure::ChiSquare => (chi_square(&counted.bins, &expected.shares), test.threshold * unsure),
                Measure::Missing => (counted.missing as f64 / rows, test.threshold),
                Measure::OutOfRange | Measure::Unseen => (counted.outside as f64 / rows, test.threshold),
            };
            if matches!(test.measure, Measure::Ks | Measure::ChiSquare) {
                measured.push(Drift {
                    field: field.clone(),
                    measure: "psi",
                    value: psi(&counted.bins, &expected.shares),
                    threshold: None,
                });
            }
            measured.push(Drift {
                field: field.clone(),
                measure: test.measure.name(),
                value,
                threshold: Some(threshold),
            });
        }
        measured.push(Drift {
            field: "*".to_owned(),
            measure: "out_of_distribution",
            value: counts.strange as f64 / rows,
            threshold: Some(self.strange),
        });
        measured
    }
}

fn distance(expected: &Expected) -> Option<Measure> {
    match expected.bins {
        Bins::Number { .. } => Some(Measure::Ks),
        Bins::Text { .. } => Some(Measure::ChiSquare),
        Bins::Timestamp { .. } => None,
    }
}

/// Windows in which nothing has changed. Columns with the same shares have the same spread: quantile bins all do.
#[derive(Default)]
struct Simulation {
    known: HashMap<(Measure, Vec<u64>, u64), Spread>,
}

impl Simulation {
    fn spread(&mut self, measure: Measure, shares: &[f64], rows: u64) -> Spread {
        let rows = rows.min(SIMULATED_ROWS);
        let key = (measure, shares.iter().map(|share| share.to_bits()).collect(), rows);
        let spread = self.known.entry(key).or_insert_with(|| {
            let mut random = Random(SEED);
            let upper: Vec<f64> = shares
                .iter()
                .scan(0.0, |sum, share| {
                    *sum += share;
                    Some(*sum)
                })
                .collect();
            let mut counts = vec![0_u64; shares.len()];
            let values = (0..SIMULATED).map(|_| {
                counts.fill(0);
                for _ in 0..rows {
                    let place = random.next();
                    let bin = upper.partition_point(|upper| *upper <= place);
                    counts[bin.min(shares.len() - 1)] += 1;
                }
                match measure {
                    Measure::Ks => ks(&counts, shares) * (rows as f64).sqrt(),
                    _ => chi_square(&counts, shares),
                }
            });
            Spread::simulated(values.collect())
        });
        spread.clone()
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): small, fast, and the same everywhere.
struct Random(u64);

impl Random {
    /// The next number from 0 up to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::Profile;
    use super::*;
    use crate::schema::{Column, Rows};

    /// Columns of a simulated world: sixteen with numbers of several shapes, four with categories.
    const COLUMNS: usize = 20;

    struct World {
        random: Random,
        shift: f64,
    }

    impl World {
        fn rows(&mut self, count: usize) -> Rows {
            let columns = (0..COLUMNS).map(|column| match column {
                // Heavy tails, ties, missing values.
                0..=7 => Column::Number((0..count).map(|_| self.lognormal() * (1.0 + self.shift)).collect()),
                8..=11 => Column::Number((0..count).map(|_| (self.random.next() * 6.0).floor()).collect()),
                12..=15 => Column::Number(
                    (0..count)
                        .map(|_| match self.random.next() {
                            draw if draw < 0.1 => f64::NAN,
                            draw => draw,
                        })
                        .collect(),
                ),
                _ => Column::Text((0..count).map(|_| Some(self.category().into())).collect()),
            });
            Rows::new(columns.collect()).unwrap()
        }

        fn lognormal(&mut self) -> f64 {
            let sum: f64 = (0..12).map(|_| self.random.next()).sum();
            crate::arithmetic::exp(0.35 * (sum - 6.0))
        }

        /// 33 categories, each a little rarer than the one before.
        fn category(&mut self) -> String {
            let place = self.random.next();
            format!("{:02}", (33.0 * place * place) as usize)
        }
    }

    fn reference(world: &mut World, rows: usize) -> Reference {
        let profile = Profile::learn(&world.rows(rows), 0);
        let names = (0..COLUMNS).map(|column| format!("column {column}")).collect();
        Reference::new(&profile, names, "answer".to_owned())
    }

    fn fires(reference: &Reference, calibration: &Calibration, rows: &Rows) -> bool {
        let mut counts = reference.counts();
        reference.count(&mut counts, rows, &[], 0);
        calibration.measure(reference, &counts).iter().any(Drift::is_alarm)
    }

    /// With no drift the alarms fire at the stated rate; what a shift of a tenth in eight columns does is printed.
    #[test]
    fn with_nothing_changed_windows_fire_at_the_stated_rate() {
        const RATE: f64 = 0.05;
        for (size, windows) in [(50, 2000), (300, 1200), (1000, 600)] {
            let mut world = World {
                random: Random(size as u64),
                shift: 0.0,
            };
            let (mut fired, mut caught, mut tried) = (0, 0, 0);
            // Several training sets: each knows its own world a little wrongly.
            for _ in 0..6 {
                let reference = reference(&mut world, 20_000);
                let calibration = Calibration::new(&reference, size as u64, RATE);
                for _ in 0..windows / 6 {
                    tried += 1;
                    fired += u32::from(fires(&reference, &calibration, &world.rows(size)));
                }
                world.shift = 0.1;
                for _ in 0..windows / 12 {
                    caught += u32::from(fires(&reference, &calibration, &world.rows(size)));
                }
                world.shift = 0.0;
            }
            let rate = f64::from(fired) / f64::from(tried);
            let power = f64::from(caught) / f64::from(tried / 2);
            println!("window of {size}: fires at {rate:.3} where {RATE} is stated; at a shift of 10 %: {power:.3}");
            // Four standard errors above; below, what the steps of small windows leave unused.
            let error = (RATE * (1.0 - RATE) / f64::from(tried)).sqrt();
            assert!(rate < RATE + 4.0 * error, "window of {size}: {rate}");
            assert!(rate > 0.4 * RATE, "window of {size}: {rate}");
            if size == 1000 {
                assert!(power > 0.95, "{power}");
            }
        }
    }

    #[test]
    fn what_changed_is_named() {
        let mut world = World {
            random: Random(7),
            shift: 0.0,
        };
        let reference = reference(&mut world, 5_000);
        let calibration = Calibration::new(&reference, 300, 0.01);
        assert_eq!(
            calibration,
            Calibration::new(&reference, 300, 0.01),
            "the same seed, the same thresholds"
        );
        let mut columns = world.rows(300).columns().to_vec();
        columns[0] = Column::Number(vec![f64::NAN; 300]);
        columns[1] = Column::Number(vec![1e9; 300]);
        columns[16] = Column::Text(vec![Some("new".into()); 300]);
        let mut counts = reference.counts();
        reference.count(&mut counts, &Rows::new(columns).unwrap(), &[], 300);
        let measured = calibration.measure(&reference, &counts);
        let alarms: Vec<(&str, &str)> = measured
            .iter()
            .filter(|drift| drift.is_alarm())
            .map(|drift| (drift.field.as_str(), drift.measure))
            .collect();
        assert_eq!(
            alarms,
            [
                ("column 0", "missing"),
                ("column 1", "ks"),
                ("column 1", "out_of_range"),
                ("column 16", "chi_square"),
                ("column 16", "unseen"),
                ("*", "out_of_distribution"),
            ]
        );
        assert!(measured.iter().all(|drift| drift.value.is_finite()));
    }

    #[test]
    fn more_columns_and_smaller_windows_have_wider_thresholds() {
        let threshold = |columns: usize, size: u64| {
            let mut world = World {
                random: Random(9),
                shift: 0.0,
            };
            let all = world.rows(2_000);
            let rows = Rows::new(all.columns()[..columns].to_vec()).unwrap();
            let profile = Profile::learn(&rows, 0);
            let names = (0..columns).map(|column| column.to_string()).collect();
            let reference = Reference::new(&profile, names, String::new());
            let mut counts = reference.counts();
            reference.count(
                &mut counts,
                &all.select(&(0..size as usize).collect::<Vec<_>>()),
                &[],
                0,
            );
            let calibration = Calibration::new(&reference, size, 0.01);
            let measured = calibration.measure(&reference, &counts);
            measured
                .iter()
                .find(|drift| drift.measure == "ks")
                .unwrap()
                .threshold
                .unwrap()
        };
        assert!(threshold(1, 300) < threshold(20, 300));
        assert!(threshold(20, 1000) < threshold(20, 50));
    }
}
