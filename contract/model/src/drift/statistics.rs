//! Distances between what was counted and what was expected.

/// Population stability index: sum of (q - p) ln(q / p) over the bins, with half a row in empty ones. Reported because people know it;
/// it decides nothing.
pub fn psi(counts: &[u64], shares: &[f64]) -> f64 {
    let total = counts.iter().sum::<u64>() as f64;
    if total == 0.0 {
        return 0.0;
    }
    let floor = 0.5 / total;
    let pairs = counts.iter().zip(shares);
    pairs
        .map(|(count, share)| {
            let (found, expected) = ((*count as f64 / total).max(floor), share.max(floor));
            (found - expected) * crate::arithmetic::ln(found / expected)
        })
        .sum()
}

/// Kolmogorov and Smirnov's greatest distance between two distribution functions, looked at on the edges of the bins.
pub(super) fn ks(counts: &[u64], shares: &[f64]) -> f64 {
    let total = counts.iter().sum::<u64>() as f64;
    if total == 0.0 {
        return 0.0;
    }
    let (mut found, mut expected, mut greatest) = (0.0, 0.0, 0.0_f64);
    for (count, share) in counts.iter().zip(shares) {
        found += *count as f64 / total;
        expected += share;
        greatest = greatest.max((found - expected).abs());
    }
    greatest
}

/// Pearson's chi-square: sum of (found - expected)^2 / expected over the bins.
pub(super) fn chi_square(counts: &[u64], shares: &[f64]) -> f64 {
    let total = counts.iter().sum::<u64>() as f64;
    let pairs = counts.iter().zip(shares).filter(|(_, share)| **share > 0.0);
    pairs
        .map(|(count, share)| {
            let expected = total * share;
            (*count as f64 - expected) * (*count as f64 - expected) / expected.max(f64::MIN_POSITIVE)
        })
        .sum()
}

/// The chances of at least 0, 1, 2, ... among `rows` that each come with chance `share`, down to the first below `least`.
pub(super) fn binomial_tails(rows: u64, share: f64, least: f64) -> Vec<f64> {
    if share >= 1.0 {
        return vec![1.0; rows as usize + 1];
    }
    if share <= 0.0 {
        return vec![1.0, 0.0];
    }
    let ratio = crate::arithmetic::ln(share / (1.0 - share));
    let mut log_term = rows as f64 * crate::arithmetic::ln(1.0 - share);
    let mut terms = Vec::with_capacity(rows as usize + 1);
    for count in 0..=rows {
        terms.push(crate::arithmetic::exp(log_term));
        log_term += crate::arithmetic::ln((rows - count) as f64 / (count + 1) as f64) + ratio;
    }
    // From the far end, so that nothing small is lost to rounding.
    let mut tails = terms;
    let mut above = 0.0;
    for term in tails.iter_mut().rev() {
        above += *term;
        *term = above;
    }
    let whole = above;
    for tail in &mut tails {
        *tail = (*tail / whole).clamp(0.0, 1.0);
    }
    let rare = tails.iter().position(|tail| *tail < least);
    tails.truncate(rare.map_or(tails.len(), |rare| rare + 1));
    tails
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_books() {
        let (counts, shares) = ([30, 50, 20], [0.25, 0.5, 0.25]);
        assert!((ks(&counts, &shares) - 0.05).abs() < 1e-12);
        // 25/25 + 0 + 25/25.
        assert!((chi_square(&counts, &shares) - 2.0).abs() < 1e-12);
        let expected = 0.05 * (0.3_f64 / 0.25).ln() - 0.05 * (0.2_f64 / 0.25).ln();
        assert!((psi(&counts, &shares) - expected).abs() < 1e-12);
        assert_eq!((ks(&[0, 0], &[0.5, 0.5]), psi(&[0, 0], &[0.5, 0.5])), (0.0, 0.0));
    }

    #[test]
    fn the_tail_of_the_binomial_is_exact() {
        // R: pbinom(2, 10, 0.1, lower.tail = FALSE), pbinom(0, 1000, 0.001, lower.tail = FALSE)
        assert!((binomial_tails(10, 0.1, 0.0)[3] - 0.070_190_826_4).abs() < 1e-9);
        assert!((binomial_tails(1000, 0.001, 0.0)[1] - 0.632_304_575_2).abs() < 1e-9);
        assert!((binomial_tails(100, 0.99, 0.0)[100] - 0.99_f64.powi(100)).abs() < 1e-12);
        // Whatever the number of rows, the first is certain and the last is the first that is too rare to matter.
        for rows in [1, 50, 100_000] {
            let tails = binomial_tails(rows, 0.3, 1e-9);
            assert_eq!(tails[0], 1.0, "{rows}");
            assert!(tails.windows(2).all(|pair| pair[0] >= pair[1]), "{rows}");
        }
        assert_eq!(
            (binomial_tails(3, 0.0, 1e-9), binomial_tails(1, 1.0, 1e-9)),
            (vec![1.0, 0.0], vec![1.0; 2])
        );
    }
}
