//! Owns how the large values of a series come in clusters: who arrives behind one that waits long waits long too.

use super::quantile;

/// The share of the values over which clusters are looked for.
const HIGH: f64 = 0.9;

/// Fewest high values that tell of clusters.
const FEWEST_HIGH: usize = 3;

/// How many times more the number of values over a high threshold varies than if they were independent, by the values
/// in the order of their coming: a count of them says as much as one divided by this. 1 at least, and where there are too
/// few to tell.
///
/// The extremal index `θ`, the reciprocal of the mean size of a cluster, is estimated by the gaps between the values over
/// the series' own P90 (the intervals estimator of Ferro and Segers 2003, Journal of the Royal Statistical Society B 65,
/// 545-556); for a queue it is much the same over higher thresholds. With clusters that come as a Poisson process and have
/// geometric sizes, the count's variance is `E(size²) / E(size) = 2/θ - 1` times that of independent values.
pub fn cluster_effect(values: &[f64]) -> f64 {
    let high = quantile(values, HIGH);
    let over = values.iter().enumerate().filter(|(_, value)| **value > high);
    let places: Vec<usize> = over.map(|(place, _)| place).collect();
    if places.len() < FEWEST_HIGH {
        return 1.0;
    }
    let gaps: Vec<f64> = places.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
    let index = extremal_index(&gaps);
    (2.0 / index - 1.0).max(1.0)
}

/// The intervals estimator, of the gaps between values over a threshold; 1 over their number if they stand in a row.
fn extremal_index(gaps: &[f64]) -> f64 {
    let count = gaps.len() as f64;
    let of = |less: f64, lesser: f64| {
        let sum: f64 = gaps.iter().map(|gap| gap - less).sum();
        let squares: f64 = gaps.iter().map(|gap| (gap - less) * (gap - lesser)).sum();
        2.0 * sum * sum / (count * squares)
    };
    let longest = gaps.iter().copied().fold(0.0, f64::max);
    // All in a row are one cluster, of which the estimator knows nothing.
    if longest <= 1.0 {
        return 1.0 / (count + 1.0);
    }
    let index = if longest <= 2.0 { of(0.0, 0.0) } else { of(1.0, 2.0) };
    index.clamp(f64::MIN_POSITIVE, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_alone_has_no_effect_and_clusters_have_that_of_their_size() {
        assert_eq!(cluster_effect(&[]), 1.0);
        assert_eq!(cluster_effect(&[1.0; 500]), 1.0, "none is over the others");
        let alone: Vec<f64> = (0..1000).map(|n| f64::from(n * 7919 % 1000)).collect();
        assert!(cluster_effect(&alone) < 1.5, "{}", cluster_effect(&alone));
        // Ten high values in a row, every hundred.
        let clustered: Vec<f64> =
            (0..3000).map(|n| if n % 100 < 10 { 5.0 + f64::from(n % 7) } else { 1.0 }).collect();
        assert!(cluster_effect(&clustered) > 5.0, "{}", cluster_effect(&clustered));
        let rising: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(cluster_effect(&rising), 19.0, "ten in a row");
    }
}
