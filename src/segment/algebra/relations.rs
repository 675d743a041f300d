//! All definitions of an account, each alone and each with each.

use super::theory::Theory;
use super::{Pair, Relation, Single, compare, judge};
use crate::segment::Definition;

/// What the definitions of an account say. Pairs that merely overlap are only counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Relations<K> {
    /// Segments that nobody can be in, or everybody is in, or of which that is open.
    pub notable: Vec<Nature<K>>,
    /// Pairs that are equal, contained, disjoint, open or leak, in the order of the definitions.
    pub related: Vec<Related<K>>,
    /// How many other pairs there are.
    pub overlapping: usize,
}

/// One segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Nature<K> {
    /// Which.
    pub segment: K,
    /// What its definition says.
    pub single: Single,
}

/// Two segments.
#[derive(Clone, Debug, PartialEq)]
pub struct Related<K> {
    /// The one that came first.
    pub first: K,
    /// The other.
    pub second: K,
    /// How they stand to each other.
    pub pair: Pair,
}

/// Relates all definitions of an account at an instant, in Unix seconds.
pub fn relations<K: Clone>(definitions: &[(K, &Definition)], now: i64) -> Relations<K> {
    let mut theory = Theory::new(now);
    let formulas: Vec<_> = definitions
        .iter()
        .map(|(_, definition)| theory.formula(definition))
        .collect();
    let mut relations = Relations {
        notable: Vec::new(),
        related: Vec::new(),
        overlapping: 0,
    };
    let mut plain = Vec::with_capacity(definitions.len());
    for ((key, definition), formula) in definitions.iter().zip(&formulas) {
        let problem = theory.problem(&[formula]);
        let single = judge(definition, formula, &problem, now);
        let is_plain = single.empty.is_refuted() && single.always.is_refuted();
        plain.push(is_plain);
        if !is_plain {
            relations.notable.push(Nature {
                segment: key.clone(),
                single,
            });
        }
    }
    for (at, (key, first)) in definitions.iter().enumerate() {
        for (other, (other_key, second)) in definitions.iter().enumerate().skip(at + 1) {
            // Somebody in the one and somebody out of the other are one person where nothing that the
            // one asks for bears on the other.
            if plain[at] && plain[other] && !theory.touch(&formulas[at], &formulas[other]) {
                relations.overlapping += 1;
                continue;
            }
            let pair = compare(
                [first, second],
                [&formulas[at], &formulas[other]],
                &mut theory,
            );
            match pair.relation() == Relation::Overlapping && pair.leak.is_none() {
                true => relations.overlapping += 1,
                false => relations.related.push(Related {
                    first: key.clone(),
                    second: other_key.clone(),
                    pair,
                }),
            }
        }
    }
    relations
}
