//! Owns the order in which variants take their turns.

/// The order of `count` variants at step `step`: rotated, and reversed every other step, so that
/// each variant stands in each place and behind each other variant equally often (A B, B A for two;
/// all six orders for three).
pub fn order(count: usize, step: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).map(|index| (index + step / 2) % count).collect();
    if step % 2 == 1 {
        order.reverse();
    }
    order
}

/// The order in which the workers of a round are spawned, rounds counted from 0: a Williams design (Williams
/// 1949, Australian Journal of Scientific Research A 2). Each variant takes each place equally often in every
/// `count` rounds, and is spawned right behind each other one equally often in every `count` rounds, or twice
/// as many if `count` is odd.
///
/// Both matter: of identical processes those spawned later were found to be some percent faster for the
/// whole of the round (`docs/evidence/slowdown.md`), and one that is always spawned behind a large model, whose
/// memory has just been used, 3% faster than its copy behind a small one.
pub fn spawn_order(count: usize, round: usize) -> Vec<usize> {
    // 0, 1, n - 1, 2, n - 2, … has each difference between neighbours once.
    let first = |place: usize| match place % 2 {
        1 => place.div_ceil(2),
        _ => (count - place / 2) % count,
    };
    let mut order: Vec<usize> = (0..count).map(|place| (first(place) + round) % count).collect();
    if count % 2 == 1 && (round / count) % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn spawns_are_balanced_after_as_many_rounds_as_variants() {
        for count in 1..8 {
            for variant in 0..count {
                let place = |round| spawn_order(count, round).iter().position(|v| *v == variant);
                for first in [0, count, 2 * count] {
                    let places: BTreeSet<_> = (first..first + count).map(place).collect();
                    assert_eq!(places.len(), count, "variant {variant} of {count}");
                }
            }
        }
    }

    #[test]
    fn each_is_spawned_behind_each_other_one_equally_often() {
        for count in 2..8 {
            let rounds = if count % 2 == 0 { count } else { 2 * count };
            let mut behind = std::collections::BTreeMap::new();
            for round in 0..rounds {
                for pair in spawn_order(count, round).windows(2) {
                    *behind.entry((pair[0], pair[1])).or_insert(0) += 1;
                }
            }
            assert_eq!(behind.len(), count * (count - 1), "{count} variants: {behind:?}");
            let times: BTreeSet<_> = behind.values().collect();
            assert_eq!(times.len(), 1, "{count} variants: {behind:?}");
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
