//! Owns Holm's procedure over several tests.

/// Which of `count` hypotheses are refused at a family-wise error of `alpha`, and the level that each of the
/// others was last tested at.
///
/// `refused(index, level)` tests one hypothesis; what it refuses it must refuse at any higher level
/// too. Every hypothesis is tested at `alpha / count`; what that refuses hands its share to the
/// rest, which are tested again, until nothing more is refused (Holm 1979, Scandinavian Journal of
/// Statistics 6, 65-70). With group-sequential levels it is the procedure of Maurer and Bretz (2013,
/// Statistics in Biopharmaceutical Research 5, 311-320) with equal weights.
pub fn holm(
    count: usize,
    alpha: f64,
    mut refused: impl FnMut(usize, f64) -> bool,
) -> (Vec<bool>, f64) {
    let mut done = vec![false; count];
    loop {
        let left = done.iter().filter(|done| !**done).count();
        let level = alpha / left.max(1) as f64;
        let before = left;
        for (index, done) in done.iter_mut().enumerate() {
            *done = *done || refused(index, level);
        }
        let left = done.iter().filter(|done| !**done).count();
        if left == before || left == 0 {
            return (done, level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_handed_on() {
        let refused = |p: &[f64]| holm(p.len(), 0.05, |index, level| p[index] <= level);
        // The textbook's case: 0.0125, 0.0167, 0.025, 0.05 in turn.
        let (found, level) = refused(&[0.01, 0.04, 0.03, 0.005]);
        assert_eq!(found, [true, false, false, true]);
        assert!((level - 0.025).abs() < 1e-15);
        assert_eq!(refused(&[0.04, 0.04]).0, [false, false]);
        assert_eq!(refused(&[0.02, 0.04]).0, [true, true]);
        assert_eq!(refused(&[]).0, Vec::<bool>::new());
    }
}
