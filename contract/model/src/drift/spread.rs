//! How a measure is spread over windows in which nothing has changed, and how rare a value has to be.

use super::statistics::binomial_tails;

/// Steps that halve the interval of the common chance.
const STEPS: usize = 50;

/// How a measure is spread when nothing has changed: values in ascending order with the chance of at least so much.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spread {
    steps: Vec<(f64, f64)>,
}

impl Spread {
    /// Of simulated values.
    pub(super) fn simulated(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let count = values.len() as f64;
        let mut steps: Vec<(f64, f64)> = Vec::new();
        for (index, value) in values.iter().enumerate() {
            if steps.last().is_none_or(|(last, _)| *last < *value) {
                steps.push((*value, (count - index as f64) / count));
            }
        }
        Spread { steps }
    }

    /// Of the share of `rows` rows of which each counts with chance `share`.
    pub(super) fn binomial(rows: u64, share: f64) -> Spread {
        let tails = binomial_tails(rows, share, 1e-9).into_iter();
        let steps = tails
            .zip(0_u64..)
            .map(|(tail, count)| (count as f64 / rows as f64, tail));
        Spread { steps: steps.collect() }
    }

    /// The first value whose chance is at most `chance`, and that chance; none if no value is as rare.
    fn critical(&self, chance: f64) -> Option<(usize, f64)> {
        let place = self.steps.partition_point(|(_, tail)| *tail > chance);
        self.steps.get(place).map(|(_, tail)| (place, *tail))
    }

    /// A number between the critical value and the one before it.
    pub(super) fn threshold(&self, chance: f64) -> f64 {
        let last = self.steps.last().map_or(0.0, |(value, _)| *value);
        match self.critical(chance) {
            Some((0, _)) => self.steps[0].0 / 2.0,
            Some((place, _)) => (self.steps[place - 1].0 + self.steps[place].0) / 2.0,
            None => last,
        }
    }
}

/// The greatest chance for each measure with which all of them together fire with a chance of at most `rate`. Measures move in steps, so
/// that many fire less often than they may; what they leave is given to the others.
pub(super) fn common_chance<'a>(spreads: impl Iterator<Item = &'a Spread> + Clone, rate: f64) -> f64 {
    let together = |chance: f64| {
        let quiet = spreads
            .clone()
            .map(|spread| 1.0 - spread.critical(chance).map_or(0.0, |(_, tail)| tail));
        1.0 - quiet.product::<f64>()
    };
    let (mut low, mut high) = (0.0, rate);
    if together(high) <= rate {
        return high;
    }
    for _ in 0..STEPS {
        let middle = (low + high) / 2.0;
        if together(middle) <= rate {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}
