//! Segments that say the same thing twice, and the few that suffice (analytics.md, section 7).
//!
//! Members are bitmaps of dense numbers, so every pair is compared exactly. The few are the exact
//! k-medoids of 1 - Jaccard: they stand for what the segments distinguish. A greedy cover by value
//! would take the broadest segment first, whatever it means; value is therefore only reported.

use roaring::RoaringBitmap;

/// One segment, as far as its redundancy is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Audience<'a> {
    /// Its members.
    pub members: &'a RoaringBitmap,
    /// How much it counts: sends that used it, or 1 for every segment.
    pub weight: f64,
}

/// From where on a segment is redundant, too small or too broad.
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds {
    /// Jaccard from which two segments are near duplicates.
    pub duplicate: f64,
    /// Smaller ones are tiny, whatever their share.
    pub tiny_members: u64,
    /// So are those with a smaller share of everybody.
    pub tiny_share: f64,
    /// Those with a larger share of everybody catch all.
    pub catch_all_share: f64,
    /// Another medoid must save at least this share of the cost.
    pub worthwhile: f64,
    /// Up to so many candidates are enumerated; beyond, medoids are built and swapped.
    pub enumerated: usize,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            duplicate: 0.8,
            tiny_members: 50,
            tiny_share: 0.005,
            catch_all_share: 0.6,
            worthwhile: 0.1,
            enumerated: 40,
        }
    }
}

/// How two segments overlap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlap {
    /// How many are in both.
    pub both: u64,
    /// The share of those in both among those in either; two empty segments are the same.
    pub jaccard: f64,
    /// The share of the first that is in the second; nobody is missing from an empty one.
    pub first_in_second: f64,
    /// The share of the second that is in the first.
    pub second_in_first: f64,
}

impl Overlap {
    /// Of two sets.
    pub fn of(first: &RoaringBitmap, second: &RoaringBitmap) -> Self {
        let both = first.intersection_len(second);
        let either = first.len() + second.len() - both;
        Self {
            both,
            jaccard: share(both, either),
            first_in_second: share(both, first.len()),
            second_in_first: share(both, second.len()),
        }
    }

    const fn swapped(self) -> Self {
        Self {
            first_in_second: self.second_in_first,
            second_in_first: self.first_in_second,
            ..self
        }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 1.0,
        _ => part as f64 / whole as f64,
    }
}

/// Every pair of segments, compared once.
#[derive(Clone, Debug)]
pub struct Overlaps {
    count: usize,
    /// Row by row, each pair once: (0,1), (0,2), …, (1,2), …
    pairs: Vec<Overlap>,
    sizes: Vec<u64>,
}

impl Overlaps {
    /// Compares every pair.
    pub fn of(audiences: &[Audience]) -> Self {
        let pairs = audiences.iter().enumerate().flat_map(|(at, first)| {
            let others = audiences[at + 1..].iter();
            others.map(|second| Overlap::of(first.members, second.members))
        });
        Self {
            count: audiences.len(),
            pairs: pairs.collect(),
            sizes: audiences.iter().map(|a| a.members.len()).collect(),
        }
    }

    /// How two segments overlap, by their positions.
    pub fn between(&self, first: usize, second: usize) -> Overlap {
        let at = |low: usize, high: usize| low * (2 * self.count - low - 1) / 2 + high - low - 1;
        match first.cmp(&second) {
            std::cmp::Ordering::Less => self.pairs[at(first, second)],
            std::cmp::Ordering::Greater => self.pairs[at(second, first)].swapped(),
            std::cmp::Ordering::Equal => Overlap {
                both: self.sizes[first],
                jaccard: 1.0,
                first_in_second: 1.0,
                second_in_first: 1.0,
            },
        }
    }

    /// Groups of near duplicates, linked by any chain of pairs; ascending, and only groups of two
    /// or more.
    pub fn duplicates(&self, threshold: f64) -> Vec<Vec<usize>> {
        let mut leader: Vec<usize> = (0..self.count).collect();
        for first in 0..self.count {
            for second in first + 1..self.count {
                let (a, b) = (leader[first], leader[second]);
                if a != b && self.between(first, second).jaccard >= threshold {
                    let (to, from) = (a.min(b), a.max(b));
                    leader
                        .iter_mut()
                        .filter(|at| **at == from)
                        .for_each(|at| *at = to);
                }
            }
        }
        let members = |group| (0..self.count).filter(|at| leader[*at] == group).collect();
        let groups = (0..self.count).map(members);
        groups
            .filter(|group: &Vec<usize>| group.len() > 1)
            .collect()
    }
}

/// Medoids, and what it costs to let them stand for all.
#[derive(Clone, Debug, PartialEq)]
pub struct Medoids {
    /// Positions, ascending.
    pub picks: Vec<usize>,
    /// The weighted sum of everybody's distance, 1 - Jaccard, to the nearest pick.
    pub cost: f64,
}

/// A segment that the suggestion does without.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropped {
    /// Which.
    pub segment: usize,
    /// The nearest pick; `None` when no pick shares a member with it.
    pub target: Option<usize>,
    /// The share of it that is in the target.
    pub containment: f64,
}

/// What over-segmentation looks like, and a way out. Segments are positions.
#[derive(Clone, Debug, PartialEq)]
pub struct Cover {
    /// Groups of near duplicates.
    pub duplicates: Vec<Vec<usize>>,
    /// Too small to tell anything, empty ones among them.
    pub tiny: Vec<usize>,
    /// So broad that they distinguish little.
    pub catch_all: Vec<usize>,
    /// The picks for 3, 4 and 5, as far as there are candidates.
    pub options: Vec<Medoids>,
    /// The suggested one of the options: the smallest that one more would not improve worthwhile.
    pub suggestion: Option<Medoids>,
    /// The share of all value that belongs to members of the suggestion.
    pub covered_value: f64,
    /// Every segment outside the suggestion, and the pick that comes nearest.
    pub dropped: Vec<Dropped>,
}

/// Suggests three to five segments that keep what all of them distinguish. `values` holds the value
/// of each of `everybody` by member number; members beyond it have none.
pub fn cover(audiences: &[Audience], values: &[f64], everybody: u64, rule: &Thresholds) -> Cover {
    let overlaps = Overlaps::of(audiences);
    let size = |at: usize| audiences[at].members.len();
    let all = || 0..audiences.len();
    let is_tiny = |at: &usize| {
        size(*at) < rule.tiny_members || (size(*at) as f64) < rule.tiny_share * everybody as f64
    };
    let catches_all = |at: &usize| size(*at) as f64 > rule.catch_all_share * everybody as f64;
    let candidates: Vec<usize> = all()
        .filter(|at| !is_tiny(at) && !catches_all(at))
        .collect();
    let weights: Vec<f64> = candidates.iter().map(|at| audiences[*at].weight).collect();
    let space = Space::of(&overlaps, &candidates, weights);
    let options: Vec<Medoids> = (3..=5.min(candidates.len()))
        .map(|k| space.medoids(k, rule.enumerated).among(&candidates))
        .collect();
    let suggestion = worthwhile(&options, rule.worthwhile).cloned();
    let picks = suggestion
        .as_ref()
        .map_or(&[][..], |medoids| &medoids.picks);
    Cover {
        duplicates: overlaps.duplicates(rule.duplicate),
        tiny: all().filter(is_tiny).collect(),
        catch_all: all().filter(catches_all).collect(),
        covered_value: covered(audiences, picks, values),
        dropped: all()
            .filter(|at| !picks.contains(at))
            .map(|at| dropped(&overlaps, at, picks))
            .collect(),
        options,
        suggestion,
    }
}

fn worthwhile(options: &[Medoids], least: f64) -> Option<&Medoids> {
    let saves = |pair: &[Medoids]| pair[0].cost - pair[1].cost >= least * pair[0].cost;
    let better = options
        .windows(2)
        .take_while(|pair| pair[0].cost > 0.0 && saves(pair));
    options.get(better.count())
}

fn dropped(overlaps: &Overlaps, segment: usize, picks: &[usize]) -> Dropped {
    let nearest = picks
        .iter()
        .copied()
        .map(|pick| (pick, overlaps.between(segment, pick)));
    let nearest = nearest
        .filter(|(_, overlap)| overlap.both > 0)
        .reduce(|best, next| match next.1.jaccard > best.1.jaccard {
            true => next,
            false => best,
        });
    Dropped {
        segment,
        target: nearest.map(|(pick, _)| pick),
        containment: nearest.map_or(0.0, |(_, overlap)| overlap.first_in_second),
    }
}

fn covered(audiences: &[Audience], picks: &[usize], values: &[f64]) -> f64 {
    let reached = picks.iter().fold(RoaringBitmap::new(), |reached, pick| {
        reached | audiences[*pick].members
    });
    let value_of = |member: u32| values.get(usize::try_from(member).ok()?);
    let total: f64 = values.iter().sum();
    let covered: f64 = reached.iter().filter_map(value_of).sum();
    if total > 0.0 { covered / total } else { 0.0 }
}

/// Candidates with their distances, worked out once.
struct Space {
    /// Row by row, weighted by the row's candidate: what it costs if the column stands for the row.
    costs: Vec<Vec<f64>>,
}

impl Space {
    fn of(overlaps: &Overlaps, candidates: &[usize], weights: Vec<f64>) -> Self {
        let column = |pick: &usize| {
            let rows = candidates.iter().zip(&weights);
            rows.map(|(at, weight)| weight * (1.0 - overlaps.between(*at, *pick).jaccard))
                .collect()
        };
        Self {
            costs: candidates.iter().map(column).collect(),
        }
    }

    fn medoids(&self, k: usize, enumerated: usize) -> Medoids {
        match self.costs.len() <= enumerated {
            true => self.enumerate(k),
            false => self.swap(self.build(k)),
        }
    }

    /// The best of all choices; of equal ones the first.
    fn enumerate(&self, k: usize) -> Medoids {
        let mut best = Medoids {
            picks: Vec::new(),
            cost: f64::INFINITY,
        };
        let nobody = vec![f64::INFINITY; self.costs.len()];
        self.extend(&mut Vec::with_capacity(k), k, &nobody, &mut best);
        best
    }

    fn extend(&self, picks: &mut Vec<usize>, k: usize, nearest: &[f64], best: &mut Medoids) {
        let first = picks.last().map_or(0, |last| last + 1);
        let missing = k - picks.len();
        for pick in first..=self.costs.len() - missing {
            picks.push(pick);
            if missing == 1 {
                let cost = self.cost_with(nearest, pick);
                if cost < best.cost {
                    best.cost = cost;
                    best.picks.clone_from(picks);
                }
            } else {
                self.extend(picks, k, &self.nearest_with(nearest, pick), best);
            }
            picks.pop();
        }
    }

    fn cost_with(&self, nearest: &[f64], pick: usize) -> f64 {
        let pairs = nearest.iter().zip(&self.costs[pick]);
        pairs.map(|(near, cost)| near.min(*cost)).sum()
    }

    fn nearest_with(&self, nearest: &[f64], pick: usize) -> Vec<f64> {
        let pairs = nearest.iter().zip(&self.costs[pick]);
        pairs.map(|(near, cost)| near.min(*cost)).collect()
    }

    fn nearest(&self, picks: impl IntoIterator<Item = usize>) -> Vec<f64> {
        let nobody = vec![f64::INFINITY; self.costs.len()];
        picks
            .into_iter()
            .fold(nobody, |nearest, pick| self.nearest_with(&nearest, pick))
    }

    /// Takes, again and again, what lowers the cost most.
    fn build(&self, k: usize) -> Vec<usize> {
        let mut picks = Vec::with_capacity(k);
        while picks.len() < k {
            let nearest = self.nearest(picks.iter().copied());
            let best = self.best(&nearest, &picks).map(|(pick, _)| pick);
            picks.extend(best);
        }
        picks
    }

    /// The candidate outside `picks` that lowers the cost most; of equal ones the first.
    fn best(&self, nearest: &[f64], picks: &[usize]) -> Option<(usize, f64)> {
        let others = (0..self.costs.len()).filter(|at| !picks.contains(at));
        let costs = others.map(|pick| (pick, self.cost_with(nearest, pick)));
        costs.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Exchanges one pick for another candidate as long as that lowers the cost.
    fn swap(&self, mut picks: Vec<usize>) -> Medoids {
        let mut cost: f64 = self.nearest(picks.iter().copied()).iter().sum();
        loop {
            let exchanges = (0..picks.len()).filter_map(|leaving| {
                let staying = picks.iter().enumerate().filter(|(at, _)| *at != leaving);
                let nearest = self.nearest(staying.map(|(_, pick)| *pick));
                let (pick, cost) = self.best(&nearest, &picks)?;
                Some((leaving, pick, cost))
            });
            let best = exchanges.min_by(|a, b| a.2.total_cmp(&b.2));
            match best.filter(|(_, _, lower)| *lower < cost) {
                Some((leaving, pick, lower)) => {
                    picks[leaving] = pick;
                    cost = lower;
                }
                None => break,
            }
        }
        picks.sort_unstable();
        Medoids { picks, cost }
    }
}

impl Medoids {
    /// Positions among candidates become positions among all.
    fn among(self, candidates: &[usize]) -> Self {
        Self {
            picks: self.picks.iter().map(|pick| candidates[*pick]).collect(),
            cost: self.cost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use proptest::prelude::*;
    use serde_json::Value;

    struct Case {
        names: Vec<String>,
        members: Vec<RoaringBitmap>,
        values: Vec<f64>,
        everybody: u64,
        expected: Value,
    }

    fn golden_case() -> Option<Case> {
        let input = golden::json("oversegmentation/segments_input.json")?;
        let numbers = |list: &Value| -> RoaringBitmap {
            let list = list.as_array().unwrap().iter();
            list.map(|at| u32::try_from(at.as_u64().unwrap()).unwrap())
                .collect()
        };
        let members = input["members"].as_array().unwrap();
        let values = input["value"].as_array().unwrap();
        Some(Case {
            names: serde_json::from_value(input["names"].clone()).unwrap(),
            members: members.iter().map(numbers).collect(),
            values: values.iter().map(|value| value.as_f64().unwrap()).collect(),
            everybody: input["universe"].as_u64().unwrap(),
            expected: golden::json("oversegmentation/segments_expected.json")?,
        })
    }

    impl Case {
        fn audiences(&self) -> Vec<Audience<'_>> {
            let audience = |members| Audience {
                members,
                weight: 1.0,
            };
            self.members.iter().map(audience).collect()
        }

        fn named(&self, positions: &[usize]) -> Vec<&str> {
            positions
                .iter()
                .map(|at| self.names[*at].as_str())
                .collect()
        }

        fn cover(&self) -> Cover {
            let rule = Thresholds::default();
            cover(&self.audiences(), &self.values, self.everybody, &rule)
        }
    }

    fn close(a: f64, b: &Value) -> bool {
        (a - b.as_f64().unwrap()).abs() < 1e-9
    }

    #[test]
    fn pairs_are_those_of_the_golden() {
        let Some(case) = golden_case() else { return };
        let overlaps = Overlaps::of(&case.audiences());
        let rows = case.expected["pairs"].as_array().unwrap();
        assert_eq!(rows.len(), case.names.len() * (case.names.len() - 1) / 2);
        for row in rows {
            let at = |column: usize| usize::try_from(row[column].as_u64().unwrap()).unwrap();
            let overlap = overlaps.between(at(0), at(1));
            assert_eq!(overlap.both, row[2].as_u64().unwrap(), "{row}");
            assert!(close(overlap.jaccard, &row[3]), "{row}");
            assert!(close(overlap.first_in_second, &row[4]), "{row}");
            assert!(close(overlap.second_in_first, &row[5]), "{row}");
            assert_eq!(overlaps.between(at(1), at(0)), overlap.swapped());
        }
    }

    #[test]
    fn flags_and_medoids_are_those_of_the_golden() {
        let Some(case) = golden_case() else { return };
        let cover = case.cover();
        let groups: Vec<_> = cover
            .duplicates
            .iter()
            .map(|group| case.named(group))
            .collect();
        let expected = &case.expected["duplicate_groups_jaccard_ge_0_8"];
        assert_eq!(serde_json::json!(groups), *expected);
        assert_eq!(
            serde_json::json!(case.named(&cover.tiny)),
            case.expected["tiny"]
        );
        assert_eq!(case.named(&cover.catch_all), ["everyone"]);
        for option in &cover.options {
            let expected = &case.expected["k_medoids_exact"][option.picks.len().to_string()];
            assert_eq!(
                serde_json::json!(case.named(&option.picks)),
                expected["picks"]
            );
            assert!(close(option.cost, &expected["cost"]), "{option:?}");
            let share = covered(&case.audiences(), &option.picks, &case.values);
            assert!(close(share, &expected["covered_value_share"]), "{option:?}");
        }
        assert_eq!(cover.options.len(), 3);
    }

    #[test]
    fn the_suggestion_is_the_four_true_audiences() {
        let Some(case) = golden_case() else { return };
        let cover = case.cover();
        let suggestion = cover.suggestion.as_ref().unwrap();
        assert_eq!(
            case.named(&suggestion.picks),
            ["core0", "core1", "core2", "core3"]
        );
        assert_eq!(cover.dropped.len(), case.names.len() - 4);
        for dropped in &cover.dropped {
            let name = &case.names[dropped.segment];
            let Some((core, _)) = name.split_once("_dup").or(name.split_once("_sub")) else {
                continue;
            };
            assert_eq!(case.names[dropped.target.unwrap()], core, "{name}");
            assert!(dropped.containment > 0.9, "{name}");
        }
        let empty = cover
            .dropped
            .iter()
            .find(|one| case.names[one.segment] == "empty");
        assert_eq!(empty.unwrap().target, None);
    }

    #[test]
    fn too_few_candidates_give_no_suggestion() {
        let large: RoaringBitmap = (0..100).collect();
        let audience = Audience {
            members: &large,
            weight: 1.0,
        };
        let cover = cover(&[audience; 2], &[], 1000, &Thresholds::default());
        assert_eq!((cover.suggestion, cover.options.len()), (None, 0));
        assert_eq!(cover.duplicates, [[0, 1]]);
    }

    #[test]
    fn a_weight_draws_a_medoid() {
        let ranges = [0..100, 200..300, 400..500, 600..700];
        let members: Vec<RoaringBitmap> = ranges.map(|range| range.collect()).into();
        let picks = |weights: [f64; 4]| {
            let pairs = members.iter().zip(weights);
            let audiences: Vec<_> = pairs
                .map(|(members, weight)| Audience { members, weight })
                .collect();
            let cover = cover(&audiences, &[], 1000, &Thresholds::default());
            cover.options[0].picks.clone()
        };
        assert_eq!(picks([1.0, 9.0, 9.0, 9.0]), [1, 2, 3]);
        assert_eq!(picks([9.0, 9.0, 1.0, 9.0]), [0, 1, 3]);
    }

    proptest! {
        #[test]
        fn swapping_ends_where_no_exchange_helps_and_never_beats_enumeration(
            sets in proptest::collection::vec(proptest::collection::vec(0..40_u32, 1..20), 6..12)
        ) {
            let members: Vec<RoaringBitmap> = sets.into_iter().map(RoaringBitmap::from_iter).collect();
            let audiences: Vec<_> =
                members.iter().map(|members| Audience { members, weight: 1.0 }).collect();
            let candidates: Vec<usize> = (0..members.len()).collect();
            let weights = vec![1.0; members.len()];
            let space = Space::of(&Overlaps::of(&audiences), &candidates, weights);
            for k in 3..=5 {
                let (exact, swapped) = (space.medoids(k, 40), space.medoids(k, 0));
                prop_assert_eq!(swapped.picks.len(), k);
                prop_assert!(exact.cost <= swapped.cost + 1e-12);
                let told: f64 = space.nearest(swapped.picks.iter().copied()).iter().sum();
                prop_assert!((told - swapped.cost).abs() < 1e-12);
            }
        }
    }
}
