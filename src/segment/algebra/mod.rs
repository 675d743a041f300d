//! What definitions alone say: which segments nobody can be in, which everybody is in, and which are
//! equal, contained in one another or disjoint.
//!
//! A definition is a conjunction of disjunctions of conditions. Conditions fall into dimensions that
//! do not depend on one another; in each of them the sets of conditions that can hold together are
//! found by trying facts that stand for all others; `values`, `instants`, `metrics` and `consents` say
//! why they do. Whether a condition holds is always the evaluator's own answer. Where the facts
//! tried do not stand for all others, what else could be is bounded from above, and what lies between
//! is [`Answer::Open`].
//!
//! A statement is about "in" at one instant. It is proven, refuted by a person whom the
//! evaluator has confirmed, or open. Dimensions are taken to be independent: a profile without
//! `created`, or predictions that contradict the orders, count as possible. Conditions that nobody
//! here can evaluate hold or do not, and equal ones mean the same.

mod atom;
mod consents;
mod instants;
mod metrics;
mod operands;
mod pattern;
mod relations;
mod render;
mod space;
mod tallies;
#[cfg(test)]
mod tests;
mod theory;
mod values;
mod witness;

pub use relations::{Nature, Related, Relations, relations};
pub use witness::{Deed, Witness};

use crate::segment::{
    Condition, ConditionGroup, Definition, Filter, ListFilter, NumericFilter, StringFilter, Verdict,
};
use atom::{Formula, key_of, key_of_unreadable};
use std::collections::BTreeMap;
use theory::{Outcome, Problem, Theory};

/// What became of a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is true of everybody.
    Proven,
    /// This person shows that it is not.
    Refuted(Box<Witness>),
    /// Neither, and why.
    Open(String),
}

impl Answer {
    /// Whether the statement is true.
    pub const fn is_proven(&self) -> bool {
        matches!(self, Self::Proven)
    }

    /// Whether it is false.
    pub const fn is_refuted(&self) -> bool {
        matches!(self, Self::Refuted(_))
    }
}

/// What one definition says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Single {
    /// "Nobody can be in."
    pub empty: Answer,
    /// "Everybody is in."
    pub always: Answer,
}

/// How two definitions stand to each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// "Whoever is in the first is in the second."
    pub first_in_second: Answer,
    /// "Whoever is in the second is in the first."
    pub second_in_first: Answer,
    /// "Nobody is in both."
    pub disjoint: Answer,
    /// They look like the two halves of everybody, but whoever lacks a property is in neither.
    pub leak: Option<Leak>,
}

/// A property whose absence falls between two definitions.
#[derive(Clone, Debug, PartialEq)]
pub struct Leak {
    /// The property's path.
    pub property: String,
    /// Somebody who lacks it and is in neither.
    pub witness: Witness,
}

/// What [`Pair`] comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The same people, always.
    Equal,
    /// The first holds nobody whom the second does not hold.
    FirstInSecond,
    /// The other way round.
    SecondInFirst,
    /// No common member is possible.
    Disjoint,
    /// Each can have members of its own, and there can be common ones.
    Overlapping,
    /// Not all of it is settled.
    Open,
}

impl Pair {
    /// The strongest statement that is proven. Containment goes before being disjoint: only an empty
    /// segment is both.
    pub const fn relation(&self) -> Relation {
        let refuted = self.first_in_second.is_refuted()
            && self.second_in_first.is_refuted()
            && self.disjoint.is_refuted();
        match (
            self.first_in_second.is_proven(),
            self.second_in_first.is_proven(),
        ) {
            (true, true) => Relation::Equal,
            (true, false) => Relation::FirstInSecond,
            (false, true) => Relation::SecondInFirst,
            (false, false) if self.disjoint.is_proven() => Relation::Disjoint,
            (false, false) if refuted => Relation::Overlapping,
            (false, false) => Relation::Open,
        }
    }
}

/// What a definition says of itself at an instant, in Unix seconds.
pub fn single(definition: &Definition, now: i64) -> Single {
    let mut theory = Theory::new(now);
    let formula = theory.formula(definition);
    let problem = theory.problem(&[&formula]);
    judge(definition, &formula, &problem, now)
}

/// How two definitions stand to each other at an instant, in Unix seconds.
pub fn pair(first: &Definition, second: &Definition, now: i64) -> Pair {
    let mut theory = Theory::new(now);
    let formulas = [theory.formula(first), theory.formula(second)];
    compare([first, second], [&formulas[0], &formulas[1]], &mut theory)
}

fn judge(definition: &Definition, formula: &Formula, problem: &Problem, now: i64) -> Single {
    Single {
        empty: answer(problem.together(&[formula]), &[(definition, true)], now),
        always: answer(problem.apart(&[], formula), &[(definition, false)], now),
    }
}

fn compare(definitions: [&Definition; 2], formulas: [&Formula; 2], theory: &mut Theory) -> Pair {
    let ([first, second], [a, b], now) = (definitions, formulas, theory.now);
    if a == b {
        let problem = theory.problem(&[a]);
        return Pair {
            first_in_second: Answer::Proven,
            second_in_first: Answer::Proven,
            disjoint: answer(
                problem.together(&[a]),
                &[(first, true), (second, true)],
                now,
            ),
            leak: None,
        };
    }
    let problem = theory.problem(&[a, b]);
    Pair {
        first_in_second: answer(
            problem.apart(&[a], b),
            &[(first, true), (second, false)],
            now,
        ),
        second_in_first: answer(
            problem.apart(&[b], a),
            &[(second, true), (first, false)],
            now,
        ),
        disjoint: answer(
            problem.together(&[a, b]),
            &[(first, true), (second, true)],
            now,
        ),
        leak: leak(definitions, formulas, &problem, theory),
    }
}

/// "Nobody is": proven if nobody was possible, refuted by somebody whom the evaluator confirms.
fn answer(outcome: Outcome, wanted: &[(&Definition, bool)], now: i64) -> Answer {
    match outcome {
        Outcome::Nobody => Answer::Proven,
        Outcome::Open(why) => Answer::Open(why),
        Outcome::Somebody(witness) => match confirmed(*witness, wanted, now) {
            Some(witness) => Answer::Refuted(Box::new(witness)),
            None => {
                Answer::Open("the evaluator does not confirm the person that was found".to_owned())
            }
        },
    }
}

/// The witness, if the evaluator finds it in and out as wanted; with no assumptions if it needs none.
fn confirmed(witness: Witness, wanted: &[(&Definition, bool)], now: i64) -> Option<Witness> {
    let definitions: Vec<&Definition> = wanted.iter().map(|(definition, _)| *definition).collect();
    let agrees = |verdict: Verdict, inside: bool| match inside {
        true => verdict == Verdict::In,
        false => verdict == Verdict::Out,
    };
    let verdicts = witness.verdicts(&definitions, now);
    let mut pairs = verdicts.iter().zip(wanted);
    if pairs.all(|(verdict, (_, inside))| agrees(*verdict, *inside)) {
        return Some(Witness {
            assumed: BTreeMap::new(),
            ..witness
        });
    }
    let holds =
        |(definition, inside): &(&Definition, bool)| match assuming(definition, &witness.assumed) {
            Ok(rewritten) => agrees(witness.verdicts(&[&rewritten], now)[0], *inside),
            Err(verdict) => agrees(verdict, *inside),
        };
    let tenable = !witness.assumed.is_empty()
        && wanted.iter().all(|(definition, _)| {
            definition
                .conditions()
                .all(|condition| is_tenable(condition, &witness, now))
        });
    (tenable && wanted.iter().all(holds)).then_some(witness)
}

/// Whether the evaluator does not contradict what is assumed of a condition.
fn is_tenable(condition: &Condition, witness: &Witness, now: i64) -> bool {
    let Some(assumed) = witness.assumed.get(&key_of(condition)) else {
        return true;
    };
    let alone = Definition::of(vec![ConditionGroup::any(vec![condition.clone()])]);
    let verdict = witness.verdicts(&[&alone], now)[0];
    verdict == Verdict::Unknown || verdict == Verdict::of(*assumed)
}

/// A definition without the conditions that are assumed to hold or not; or what it comes to.
fn assuming(
    definition: &Definition,
    assumed: &BTreeMap<String, bool>,
) -> Result<Definition, Verdict> {
    let groups = definition.groups().unwrap_or_default();
    if groups.is_empty() {
        let holds = assumed.get(&key_of_unreadable(definition));
        return Err(holds.map_or(Verdict::Unknown, |holds| Verdict::of(*holds)));
    }
    let mut rest = Vec::new();
    for group in groups {
        let assumed_of = |condition: &Condition| assumed.get(&key_of(condition));
        let holds = group
            .conditions()
            .iter()
            .any(|condition| assumed_of(condition) == Some(&true));
        if holds || assumed.get(&key_of(group)) == Some(&true) {
            continue;
        }
        let conditions = group
            .conditions()
            .iter()
            .filter(|condition| assumed_of(condition).is_none());
        let conditions: Vec<Condition> = conditions.cloned().collect();
        if conditions.is_empty() {
            return Err(Verdict::Out);
        }
        rest.push(ConditionGroup::any(conditions));
    }
    match rest.is_empty() {
        true => Err(Verdict::In),
        false => Ok(Definition::of(rest)),
    }
}

/// Looks for somebody who lacks the property that two otherwise equal definitions divide people by.
fn leak(
    definitions: [&Definition; 2],
    [a, b]: [&Formula; 2],
    problem: &Problem,
    theory: &Theory,
) -> Option<Leak> {
    let (shared, [one, other]) = differing(a, b)?;
    let property = complementary(
        theory.atom(one).condition.as_ref()?,
        theory.atom(other).condition.as_ref()?,
    )?;
    let Outcome::Somebody(witness) = problem.satisfy(&shared, &[one, other]) else {
        return None;
    };
    let wanted = definitions.map(|definition| (definition, false));
    let witness = confirmed(*witness, &wanted, theory.now)?;
    let lacks = !witness.properties.contains_key(property);
    lacks.then(|| Leak {
        property: property.to_owned(),
        witness,
    })
}

/// The groups of both, if they have all but one group of a single atom each in common; and those.
fn differing<'a>(a: &'a Formula, b: &'a Formula) -> Option<(Vec<&'a [usize]>, [usize; 2])> {
    let only = |own: &'a Formula, other: &Formula| {
        let mut groups = own.0.iter().filter(|group| !other.0.contains(group));
        match (groups.next().map(Vec::as_slice), groups.next()) {
            (Some([atom]), None) => Some(*atom),
            _ => None,
        }
    };
    let shared =
        a.0.iter()
            .filter(|group| b.0.contains(group))
            .map(Vec::as_slice);
    Some((shared.collect(), [only(a, b)?, only(b, a)?]))
}

/// The path of a property of which one condition asks the opposite of the other.
fn complementary<'a>(one: &'a Condition, other: &Condition) -> Option<&'a str> {
    let (Condition::ProfileProperty(one), Condition::ProfileProperty(other)) = (one, other) else {
        return None;
    };
    let opposed = opposed(&one.filter, &other.filter) || opposed(&other.filter, &one.filter);
    (one.property == other.property && opposed).then_some(one.property.as_str())
}

/// Whether the second filter is the first one's "not", as merchants read it.
fn opposed(positive: &Filter, negative: &Filter) -> bool {
    use crate::segment::BooleanFilter::Equals as Truth;
    use crate::segment::DateFilter as D;
    match (positive, negative) {
        (Filter::String(positive), Filter::String(negative)) => opposed_texts(positive, negative),
        (Filter::List(positive), Filter::List(negative)) => opposed_lists(positive, negative),
        (Filter::Numeric(positive), Filter::Numeric(negative)) => {
            use NumericFilter as N;
            match (positive, negative) {
                (N::Equals(a), N::NotEquals(b))
                | (N::GreaterThan(a), N::LessThanOrEqual(b))
                | (N::GreaterThanOrEqual(a), N::LessThan(b)) => a == b,
                _ => false,
            }
        }
        (Filter::Boolean(Truth { value: a }), Filter::Boolean(Truth { value: b })) => a != b,
        (Filter::Date(D::InTheLast(a)), Filter::Date(D::AtLeast(b))) => a == b,
        _ => false,
    }
}

fn opposed_texts(positive: &StringFilter, negative: &StringFilter) -> bool {
    use StringFilter as F;
    match (positive, negative) {
        (F::Equals(a), F::NotEquals(b))
        | (F::Contains(a), F::NotContains(b))
        | (F::StartsWith(a), F::NotStartsWith(b))
        | (F::EndsWith(a), F::NotEndsWith(b))
        | (F::Regex(a), F::Nregex(b)) => a == b,
        (F::In(a), F::NotIn(b)) | (F::PhoneCountryCodeIn(a), F::PhoneCountryCodeNotIn(b)) => a == b,
        _ => false,
    }
}

fn opposed_lists(positive: &ListFilter, negative: &ListFilter) -> bool {
    use ListFilter as F;
    match (positive, negative) {
        (F::Contains(a), F::NotContains(b)) => a == b,
        (F::ContainsAny(a), F::NotContainsAny(b)) | (F::ContainsAll(a), F::NotContainsAll(b)) => {
            a == b
        }
        (F::ContainsSubstring(a), F::NotContainsSubstring(b)) => a == b,
        _ => false,
    }
}
