//! Owns the order in which variants take their turns.

/// The order of `count` variants at step `step`: rotated, and reversed every other step, so that
/// each variant stands in each place and behind each other variant equally often (A B, B A for two;
/// all six orders for three).
pub fn order(count: usize, step: usize) -> Vec<usize> {
    let mut order = spawn_order(count, step / 2);
    if step % 2 == 1 {
        order.reverse();
    }
    order
}

/// The order in which the workers of a round are spawned: rotated by one each round, so that each
/// variant takes each place equally often in any `count` consecutive rounds. The place matters:
/// of identical processes those spawned later were found to be some percent faster for the whole of
/// the round (`docs/evidence/slowdown.md`).
pub fn spawn_order(count: usize, round: usize) -> Vec<usize> {
    (0..count).map(|index| (index + round) % count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn spawns_are_balanced_after_as_many_rounds_as_variants() {
        for count in 1..5 {
            for variant in 0..count {
                let place = |round| spawn_order(count, round).iter().position(|v| *v == variant);
                let places: BTreeSet<_> = (3..3 + count).map(place).collect();
                assert_eq!(places.len(), count, "variant {variant} of {count}");
            }
        }
    }

    #[test]
    fn two_variants_take_turns() {
        let orders: Vec<Vec<usize>> = (0..4).map(|step| order(2, step)).collect();
        assert_eq!(orders, [[0, 1], [1, 0], [1, 0], [0, 1]]);
    }

    #[test]
    fn every_place_and_every_predecessor_comes_equally_often() {
        let steps: Vec<Vec<usize>> = (0..6).map(|step| order(3, step)).collect();
        assert_eq!(steps.iter().collect::<BTreeSet<_>>().len(), 6, "{steps:?}");
        for variant in 0..3 {
            for place in 0..3 {
                let times = steps.iter().filter(|order| order[place] == variant).count();
                assert_eq!(times, 2, "variant {variant} in place {place}");
            }
        }
    }
}
