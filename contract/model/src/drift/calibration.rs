//! From distances to alarms with a stated rate.
//!
//! A constant threshold (0.1, 0.25) fires on most windows of fifty rows where nothing has changed, and misses a shift of five percent
//! in a thousand. Here each measure's own distribution is known for windows of this size in which nothing has changed: for shares it is
//! the binomial, for distances it is simulated from the training's shares with a fixed seed, widened by what a training set of this size
//! does not know itself. One chance for all measures is then chosen, the greatest with which a window of this size fires with at most the
//! stated rate. So the thresholds depend on the size of the window and on the number of columns.

use std::collections::HashMap;

use super::counts::{Counts, Reference};
use super::expected::{Bins, Expected, Shares};
use super::spread::{Spread, common_chance};
use super::statistics::{chi_square, ks, psi};

/// Windows that are simulated for each measure.
const SIMULATED: usize = 20_000;
/// Rows of a simulated window, at most: scaled by their number the distances of larger windows are spread alike.
const SIMULATED_ROWS: u64 = 1_000;
/// Steps of the table that finds the bin of a drawn place.
const GUIDE: usize = 256;
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
    /// `ks`, `chi_square`, `missing`, `out_of_range`, `unseen`, `out_of_distribution`; `psi` and `unknown_season`, which
    /// decide nothing.
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

/// Thresholds for windows of one size, with rows of the same seasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    fields: Vec<Shares>,
    answers: Option<Shares>,
    tests: Vec<Test>,
    strange: f64,
}

impl Calibration {
    /// Thresholds with which windows that have as many rows as `counts`, of the same seasons, and in which nothing has changed, fire with
    /// a chance of at most `rate`. Takes about a tenth of a second for each field whose shares no other has: those of a season's rows are all
    /// different.
    pub fn new(reference: &Reference, counts: &Counts, rate: f64) -> Calibration {
        let rows = counts.rows;
        let mixed = |expected: &Expected| expected.mixed(&counts.seasons);
        let fields: Vec<Shares> = reference.fields.iter().map(mixed).collect();
        let answers = reference.answers.as_ref().map(mixed);
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
        let all = (0..).map(Whose::Field).zip(reference.fields.iter().zip(&fields));
        let answered = reference.answers.iter().zip(&answers);
        for (whose, (expected, shares)) in all.chain(answered.map(|answered| (Whose::Answers, answered))) {
            // A column with one value has no distribution that could change.
            if let Some(measure) = distance(expected).filter(|_| shares.bins.len() > 1) {
                let with_value = ((rows as f64) * (1.0 - shares.missing)).round().max(1.0) as u64;
                add(whose, measure, simulation.spread(measure, &shares.bins, with_value));
            }
            if whose == Whose::Answers {
                continue;
            }
            // Fewer rows are spread as widely as what training does not know of the share makes these.
            let certain = (rows as f64 / (1.0 + rows as f64 / shares.rows)).ceil() as u64;
            add(whose, Measure::Missing, Spread::binomial(certain, shares.missing));
            let outside = match expected.bins {
                Bins::Text { .. } => Measure::Unseen,
                _ => Measure::OutOfRange,
            };
            add(whose, outside, Spread::binomial(rows, shares.outside.min(1.0)));
        }
        // Any of the fields may be the strange one.
        let strange: f64 = fields.iter().map(|shares| shares.outside).sum();
        let strange = Spread::binomial(rows, strange.min(1.0));
        let chance = common_chance(spreads.iter().chain([&strange]), rate);
        for test in &mut tests {
            test.threshold = spreads[test.spread].threshold(chance);
        }
        Calibration {
            fields,
            answers,
            tests,
            strange: strange.threshold(chance),
        }
    }

    /// All measures of a window.
    pub fn measure(&self, reference: &Reference, counts: &Counts) -> Vec<Drift> {
        let mut measured = Vec::with_capacity(2 * self.tests.len());
        let rows = counts.rows.max(1) as f64;
        for test in &self.tests {
            let (field, expected, counted) = match test.whose {
                Whose::Field(number) => (&reference.names[number], &self.fields[number], &counts.fields[number]),
                Whose::Answers => match (&self.answers, &counts.answers) {
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
                    (ks(&counted.bins, &expected.bins), test.threshold * scale)
                }
                Measure::ChiSquare => (chi_square(&counted.bins, &expected.bins), test.threshold * unsure),
                Measure::Missing => (counted.missing as f64 / rows, test.threshold),
                Measure::OutOfRange | Measure::Unseen => (counted.outside as f64 / rows, test.threshold),
            };
            if matches!(test.measure, Measure::Ks | Measure::ChiSquare) {
                measured.push(Drift {
                    field: field.clone(),
                    measure: "psi",
                    value: psi(&counted.bins, &expected.bins),
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
        if let (Some((_, field)), Some(unknown)) = (reference.season, reference.of_unknown_seasons(counts)) {
            measured.push(Drift {
                field: reference.names[field].clone(),
                measure: "unknown_season",
                value: unknown as f64 / rows,
                threshold: None,
            });
        }
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
            // Where to begin to look for the bin of a place.
            let guide: Vec<usize> = (0..GUIDE)
                .map(|step| upper.partition_point(|upper| *upper <= step as f64 / GUIDE as f64))
                .collect();
            let last = shares.len() - 1;
            let mut counts = vec![0_u64; shares.len()];
            let values = (0..SIMULATED).map(|_| {
                counts.fill(0);
                for _ in 0..rows {
                    let place = random.next();
                    let mut bin = guide[(place * GUIDE as f64) as usize];
                    while bin < last && upper[bin] <= place {
                        bin += 1;
                    }
                    counts[bin.min(last)] += 1;
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
pub(super) struct Random(pub(super) u64);

impl Random {
    /// The next number from 0 up to 1.
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}
