//! What is possible in one dimension: which of its atoms can hold together.

use super::atom::{Atom, COUNTRY, Dimension};
use super::consents::Facets;
use super::instants::representatives;
use super::metrics;
use super::values::{Home, Values};
use super::witness::Witness;
use crate::model::{Moment, Value};
use crate::segment::leaf::Leaf;
use crate::segment::{Condition, Filter, GroupMembership, Predictive, StringFilter, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// Atoms of a dimension that hold, as bits by their order.
pub(super) type Mask = u64;

/// More atoms of one dimension are not looked at together.
const MOST_ATOMS: usize = 60;

/// More open conditions on one value are not combined.
pub(super) const MOST_OPEN: usize = 8;

/// Which atoms of a dimension can hold together.
#[derive(Debug)]
pub(super) struct Space {
    /// Each possible set of atoms once, with facts that show it.
    pub(super) found: Vec<(Mask, Witness)>,
    /// What else could be possible.
    pub(super) rest: Rest,
}

/// What a space may hold beyond what was found.
#[derive(Debug)]
pub(super) enum Rest {
    /// Nothing.
    Nothing,
    /// At most these sets; and why they are not settled.
    Within(BTreeSet<Mask>, String),
    /// Anything; and why.
    Anything(String),
}

impl Space {
    /// Of the atoms of one dimension; the first one speaks for all of them.
    pub(super) fn of(atoms: &[&Atom], now: i64) -> Self {
        let Some(dimension) = atoms.first().map(|atom| &atom.dimension) else {
            return Self::complete(vec![(0, Witness::default())]);
        };
        if atoms.len() > MOST_ATOMS {
            let why = because(atoms, "there are too many conditions on one thing");
            return Self {
                found: Vec::new(),
                rest: Rest::Anything(why),
            };
        }
        match dimension {
            Dimension::Property(path) => values(atoms, now, path == COUNTRY, |value| Witness {
                properties: value
                    .map(|value| (path.clone(), value))
                    .into_iter()
                    .collect(),
                ..Witness::default()
            }),
            Dimension::Prediction(key) => values(atoms, now, false, |value| Witness {
                predictions: value
                    .map(|value| ((*key).to_owned(), value))
                    .into_iter()
                    .collect(),
                ..Witness::default()
            }),
            Dimension::Fact(name) => values(atoms, now, false, |value| Witness {
                facts: BTreeMap::from([(*name, value)]),
                ..Witness::default()
            }),
            Dimension::Ranking => rankings(atoms, now),
            Dimension::Lists => lists(atoms, now),
            Dimension::Email => channel(atoms, None, now),
            Dimension::Channel(which) => channel(atoms, Some(*which), now),
            Dimension::Metric(metric) => metrics::space(metric, atoms, now),
            Dimension::Funnel => metrics::funnel(atoms[0], now),
            Dimension::Opaque => opaque(atoms[0], now),
        }
    }

    fn complete(found: Vec<(Mask, Witness)>) -> Self {
        Self {
            found,
            rest: Rest::Nothing,
        }
    }

    fn with_gap(found: Vec<(Mask, Witness)>, atoms: &[&Atom], gap: Option<&str>) -> Self {
        let rest = gap.map_or(Rest::Nothing, |gap| Rest::Anything(because(atoms, gap)));
        Self { found, rest }
    }
}

/// Why a condition leaves something open.
pub(super) fn because(atoms: &[&Atom], why: &str) -> String {
    let keys: Vec<&str> = atoms.iter().map(|atom| atom.key.as_str()).collect();
    format!("{why}: {}", keys.join(", "))
}

/// Each set of atoms that one of these people shows, with the first of them.
fn shown(
    atoms: &[&Atom],
    people: impl IntoIterator<Item = Witness>,
    now: i64,
) -> Vec<(Mask, Witness)> {
    let mut seen = BTreeSet::new();
    let people = people
        .into_iter()
        .map(|person| (mask_of(atoms, &person, now), person));
    people.filter(|(mask, _)| seen.insert(*mask)).collect()
}

fn mask_of(atoms: &[&Atom], person: &Witness, now: i64) -> Mask {
    let profile = person.profile();
    let holds = |atom: &Atom| atom.verdict(person, &profile, now) == Verdict::In;
    bits(atoms.iter().map(|atom| holds(atom)))
}

/// Bits by order.
pub(super) fn bits(all: impl IntoIterator<Item = bool>) -> Mask {
    let set = all.into_iter().enumerate().filter(|(_, holds)| *holds);
    set.map(|(at, _)| 1 << at).sum()
}

/// The filters that conditions put on one value.
fn filters<'a>(atoms: &[&'a Atom]) -> Vec<&'a Filter> {
    let filter = |atom: &&'a Atom| match atom.condition.as_ref()? {
        Condition::ProfileProperty(property) => Some(&property.filter),
        Condition::DriftlessFact(fact) => Some(&fact.filter),
        Condition::ProfilePredictiveAnalytics(
            Predictive::Number { filter, .. } | Predictive::NextPurchase { filter, .. },
        ) => Some(filter),
        _ => None,
    };
    atoms.iter().filter_map(filter).collect()
}

fn values(
    atoms: &[&Atom],
    now: i64,
    country: bool,
    person: impl Fn(Option<Value>) -> Witness,
) -> Space {
    let is_region = |atom: &&Atom| matches!(atom.leaf(), Some(Leaf::Region { .. }));
    let country = country && atoms.iter().any(is_region);
    let values = Values::of(filters(atoms), Home::Profile, country, now);
    let found = shown(atoms, values.all.into_iter().map(&person), now);
    if values.gap.is_some() || !values.open {
        return Space::with_gap(found, atoms, values.gap);
    }
    let open: Vec<bool> = atoms.iter().map(|atom| is_open(atom)).collect();
    if open.iter().filter(|open| **open).count() > MOST_OPEN {
        return Space::with_gap(found, atoms, Some("too many texts could be anything"));
    }
    let mut masks: BTreeSet<Mask> = found.iter().map(|(mask, _)| *mask).collect();
    let twins = twins(atoms.iter().map(|atom| filters(&[atom]).first().copied()));
    for value in values.vague {
        let mask = mask_of(atoms, &person(Some(value)), now);
        masks.extend(freed(mask, &open, &twins));
    }
    let why = because(atoms, "not every combination of texts could be tried");
    Space {
        found,
        rest: Rest::Within(masks, why),
    }
}

/// Whether a condition is open on texts that were not compared whole.
fn is_open(atom: &Atom) -> bool {
    let filter = filters(&[atom]);
    filter.first().is_none_or(|filter| is_open_filter(filter))
}

/// Whether a filter is open on vague texts; see [`Values::open`].
pub(super) const fn is_open_filter(filter: &Filter) -> bool {
    use crate::segment::StringFilter as F;
    matches!(
        filter,
        Filter::Date(_)
            | Filter::String(
                F::Regex(_) | F::Nregex(_) | F::PhoneCountryCodeIn(_) | F::PhoneCountryCodeNotIn(_)
            )
    )
}

/// A mask with every choice of the open bits that leaves exactly one of two twins.
pub(super) fn freed(mask: Mask, open: &[bool], twins: &[(usize, usize)]) -> BTreeSet<Mask> {
    let open = open.iter().enumerate().filter(|(_, open)| **open);
    let all = open.fold(BTreeSet::from([mask]), |masks, (at, _)| {
        masks
            .iter()
            .flat_map(|mask| [mask | 1 << at, mask & !(1 << at)])
            .collect()
    });
    let differ = |mask: Mask, (one, other): &(usize, usize)| (mask >> one ^ mask >> other) & 1 == 1;
    all.into_iter()
        .filter(|mask| twins.iter().all(|twins| differ(*mask, twins)))
        .collect()
}

/// Positions of filters of which one matches a pattern and the other does not: of any text exactly one
/// holds.
pub(super) fn twins<'a>(filters: impl Iterator<Item = Option<&'a Filter>>) -> Vec<(usize, usize)> {
    let pattern = |filter: Option<&'a Filter>| match filter? {
        Filter::String(StringFilter::Regex(pattern)) => Some((pattern, true)),
        Filter::String(StringFilter::Nregex(pattern)) => Some((pattern, false)),
        _ => None,
    };
    let patterns: Vec<_> = filters.map(pattern).collect();
    let at = |wanted: bool| {
        let patterns = patterns.iter().enumerate();
        patterns.filter_map(move |(at, found)| {
            found
                .filter(|found| found.1 == wanted)
                .map(|found| (at, found.0))
        })
    };
    let pairs = at(true).flat_map(|one| at(false).map(move |other| (one, other)));
    let same = pairs.filter(|(one, other)| one.1 == other.1);
    same.map(|(one, other)| (one.0, other.0)).collect()
}

/// Rankings that name each channel once.
fn rankings(atoms: &[&Atom], now: i64) -> Space {
    const LONGEST: i64 = 8;
    let asked: Vec<(&str, i64)> = atoms
        .iter()
        .filter_map(|atom| match atom.leaf()? {
            Leaf::Affinity { channel, place } => Some((channel.as_str(), *place)),
            _ => None,
        })
        .collect();
    let places: BTreeSet<i64> = asked.iter().map(|(_, place)| *place).collect();
    let channels: BTreeSet<&str> = asked.iter().map(|(channel, _)| *channel).collect();
    let gap = (channels.len() > 5 || places.iter().any(|place| *place > LONGEST))
        .then_some("the ranking is too long");
    let mut rankings: Vec<Vec<String>> = vec![Vec::new()];
    for place in 1..=places
        .iter()
        .copied()
        .filter(|place| *place <= LONGEST)
        .max()
        .unwrap_or(0)
    {
        let longer = rankings.iter().flat_map(|ranking| {
            let named = channels.iter().filter(|_| places.contains(&place)).take(5);
            let named = named.map(|channel| (*channel).to_owned());
            let next = named.filter(|channel| !ranking.contains(channel));
            let next = std::iter::once(format!("other {place}")).chain(next);
            next.map(|channel| [ranking.as_slice(), &[channel]].concat())
                .collect::<Vec<_>>()
        });
        rankings = longer.collect();
    }
    let person = |ranking: Vec<String>| {
        let ranking = Value::List(ranking.into_iter().map(Value::Text).collect());
        Witness {
            predictions: BTreeMap::from([("ranked_channel_affinity".to_owned(), ranking)]),
            ..Witness::default()
        }
    };
    let people = std::iter::once(Witness::default()).chain(rankings.into_iter().map(person));
    Space::with_gap(shown(atoms, people, now), atoms, gap)
}

/// People on every choice of lists, joined at every instant that matters.
fn lists(atoms: &[&Atom], now: i64) -> Space {
    const MOST_PEOPLE: usize = 20_000;
    let mut frames: BTreeMap<&str, Vec<&Filter>> = BTreeMap::new();
    for membership in atoms.iter().filter_map(|atom| membership(atom)) {
        for id in &membership.group_ids {
            let frames = frames.entry(id).or_default();
            frames.extend(membership.timeframe_filter.iter().flatten());
        }
    }
    let mut people = vec![Witness::default()];
    for (list, frames) in frames {
        let dates: Vec<_> = frames
            .into_iter()
            .filter_map(|frame| match frame {
                Filter::Date(date) => Some(date),
                _ => None,
            })
            .collect();
        let instants = representatives(&dates, now).into_iter();
        let joined: Vec<Option<Moment>> = std::iter::once(None)
            .chain(instants.map(|micros| Some(Moment(micros.div_euclid(1000)))))
            .collect();
        let varied = people.iter().flat_map(|person| {
            let on = joined.iter().map(|at| {
                let mut person = person.clone();
                person.lists.insert(list.to_owned(), *at);
                person
            });
            std::iter::once(person.clone())
                .chain(on)
                .collect::<Vec<_>>()
        });
        people = varied.take(MOST_PEOPLE + 1).collect();
    }
    let gap = (people.len() > MOST_PEOPLE).then_some("too many lists are named together");
    Space::with_gap(shown(atoms, people, now), atoms, gap)
}

/// The condition, if it is about lists.
pub(super) fn membership(atom: &Atom) -> Option<&GroupMembership> {
    match atom.condition.as_ref()? {
        Condition::ProfileGroupMembership(membership) => Some(membership),
        _ => None,
    }
}

fn channel(atoms: &[&Atom], channel: Option<crate::model::Channel>, now: i64) -> Space {
    let conditions = atoms.iter().filter_map(|atom| atom.condition.as_ref());
    let (people, gap) = Facets::of(conditions).people(channel, now);
    Space::with_gap(shown(atoms, people, now), atoms, gap)
}

/// One that holds and one that does not. Of a condition on a channel the part that is read must not
/// speak against it.
fn opaque(atom: &Atom, now: i64) -> Space {
    let channel = match &atom.condition {
        Some(Condition::ProfileMarketingConsent(condition)) => {
            Some(condition.consent.channel.mirrored())
        }
        Some(Condition::ProfilePermissions(condition)) => Some(Some(condition.channel.mirrored())),
        _ => None,
    };
    let people = channel.map(|channel| Facets::of(&atom.condition).people(channel, now).0);
    let mut people = people.into_iter().flatten();
    let undecided =
        people.find(|person| atom.verdict(person, &person.profile(), now) == Verdict::Unknown);
    let assuming = |holds, person: Witness| Witness {
        assumed: BTreeMap::from([(atom.key.clone(), holds)]),
        ..person
    };
    Space::complete(vec![
        (0, assuming(false, Witness::default())),
        (1, assuming(true, undecided.unwrap_or_default())),
    ])
}
