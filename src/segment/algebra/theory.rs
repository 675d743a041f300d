//! All atoms, what is possible in each dimension, and the search for a person in some definitions
//! and out of others.

use super::atom::{Atom, Dimension, Formula, key_of, key_of_unreadable};
use super::space::{Mask, Rest, Space, membership};
use super::witness::Witness;
use crate::segment::{ConditionGroup, Definition};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// Everything known about the atoms of some definitions at one instant.
pub(super) struct Theory {
    pub(super) now: i64,
    atoms: Vec<Atom>,
    /// By key.
    known: HashMap<String, usize>,
    /// By atoms.
    spaces: HashMap<Vec<usize>, Rc<Space>>,
}

/// Whether somebody can exist.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Yes, for instance.
    Somebody(Box<Witness>),
    /// No.
    Nobody,
    /// That is not settled, and why.
    Open(String),
}

/// Atoms by dimension.
pub(super) struct Problem {
    spaces: Vec<Rc<Space>>,
    /// By atom: its space, and its bit there.
    places: BTreeMap<usize, (usize, Mask)>,
}

/// More steps are not searched.
const MOST_STEPS: usize = 20_000;

impl Theory {
    pub(super) fn new(now: i64) -> Self {
        Self {
            now,
            atoms: Vec::new(),
            known: HashMap::new(),
            spaces: HashMap::new(),
        }
    }

    /// A definition in atoms, with groups and atoms in one order whatever theirs was.
    pub(super) fn formula(&mut self, definition: &Definition) -> Formula {
        let groups = definition.groups().unwrap_or_default();
        if groups.is_empty() {
            let key = key_of_unreadable(definition);
            return Formula(vec![vec![self.unreadable(key)]]);
        }
        let groups: BTreeSet<Vec<usize>> = groups.iter().map(|group| self.group(group)).collect();
        Formula(groups.into_iter().collect())
    }

    fn group(&mut self, group: &ConditionGroup) -> Vec<usize> {
        if group.conditions().is_empty() {
            return vec![self.unreadable(key_of(group))];
        }
        let conditions = group.conditions().iter();
        let atoms: BTreeSet<usize> = conditions
            .map(|condition| {
                let key = key_of(condition);
                self.number(key, |_| Atom::of(condition))
            })
            .collect();
        atoms.into_iter().collect()
    }

    fn unreadable(&mut self, key: String) -> usize {
        self.number(key, Atom::unreadable)
    }

    fn number(&mut self, key: String, new: impl FnOnce(String) -> Atom) -> usize {
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        self.atoms.push(new(key.clone()));
        self.known.insert(key, self.atoms.len() - 1);
        self.atoms.len() - 1
    }

    pub(super) fn atom(&self, number: usize) -> &Atom {
        &self.atoms[number]
    }

    /// What can be asked about these formulas.
    pub(super) fn problem(&mut self, formulas: &[&Formula]) -> Problem {
        let atoms = formulas
            .iter()
            .flat_map(|formula| formula.0.iter().flatten().copied());
        let mut parts: Vec<Vec<usize>> = Vec::new();
        for atom in atoms.collect::<BTreeSet<usize>>() {
            let (mut own, others): (Vec<_>, Vec<_>) = parts
                .into_iter()
                .partition(|part| part.iter().any(|other| self.meet(*other, atom)));
            let mut joined: Vec<usize> = own.drain(..).flatten().chain([atom]).collect();
            joined.sort_unstable();
            parts = others;
            parts.push(joined);
        }
        parts.sort_unstable();
        let mut places = BTreeMap::new();
        for (space, part) in parts.iter().enumerate() {
            places.extend(
                part.iter()
                    .enumerate()
                    .map(|(bit, atom)| (*atom, (space, 1 << bit))),
            );
        }
        Problem {
            spaces: parts.into_iter().map(|part| self.space(part)).collect(),
            places,
        }
    }

    /// Whether two atoms may depend on one another.
    fn meet(&self, first: usize, second: usize) -> bool {
        let (first, second) = (&self.atoms[first], &self.atoms[second]);
        match (&first.dimension, &second.dimension) {
            (Dimension::Opaque | Dimension::Funnel, _) => false,
            (Dimension::Lists, Dimension::Lists) => {
                let ids = |atom| {
                    membership(atom)
                        .map(|of| of.group_ids.as_slice())
                        .unwrap_or_default()
                };
                ids(first).iter().any(|id| ids(second).contains(id))
            }
            (first, second) => first == second,
        }
    }

    /// Whether anything that one formula asks about bears on the other.
    pub(super) fn touch(&self, first: &Formula, second: &Formula) -> bool {
        let atoms =
            |formula: &Formula| formula.0.iter().flatten().copied().collect::<BTreeSet<_>>();
        let (first, second) = (atoms(first), atoms(second));
        let shares = |one: usize, other: usize| {
            let (one, other) = (self.atoms[one].grounds(), self.atoms[other].grounds());
            one.iter().any(|ground| other.contains(ground))
        };
        let meets =
            |one: usize, other: usize| one == other || self.meet(one, other) || shares(one, other);
        first
            .iter()
            .any(|one| second.iter().any(|other| meets(*one, *other)))
    }

    fn space(&mut self, part: Vec<usize>) -> Rc<Space> {
        if let Some(known) = self.spaces.get(&part) {
            return Rc::clone(known);
        }
        let atoms: Vec<&Atom> = part.iter().map(|atom| &self.atoms[*atom]).collect();
        let space = Rc::new(Space::of(&atoms, self.now));
        self.spaces.insert(part, Rc::clone(&space));
        space
    }
}

impl Problem {
    /// Somebody for whom of each clause one atom holds, and none of `without`.
    pub(super) fn satisfy(&self, clauses: &[&[usize]], without: &[usize]) -> Outcome {
        let mut search = Search::new(self, clauses, without);
        if let Some(chosen) = search.found(self) {
            let mut witness = Witness::default();
            for (space, choice) in self.spaces.iter().zip(chosen) {
                witness.add(&space.found[choice].1);
            }
            return Outcome::Somebody(Box::new(witness));
        }
        if search.steps >= MOST_STEPS {
            return Outcome::Open(
                "there are too many combinations of conditions to try".to_owned(),
            );
        }
        let reasons = self.spaces.iter().filter_map(|space| match &space.rest {
            Rest::Nothing => None,
            Rest::Within(_, why) | Rest::Anything(why) => Some(why.as_str()),
        });
        let reasons: Vec<&str> = reasons.collect();
        match reasons.is_empty() || !search.possible(self) && search.steps < MOST_STEPS {
            true => Outcome::Nobody,
            false => Outcome::Open(reasons.join("; ")),
        }
    }

    /// Somebody in every formula of `within`, for whom some group of `outside` fails.
    pub(super) fn apart(&self, within: &[&Formula], outside: &Formula) -> Outcome {
        let clauses = clauses(within);
        let mut open = None;
        for group in &outside.0 {
            match self.satisfy(&clauses, group) {
                Outcome::Somebody(witness) => return Outcome::Somebody(witness),
                Outcome::Open(why) => open = open.or(Some(why)),
                Outcome::Nobody => {}
            }
        }
        open.map_or(Outcome::Nobody, Outcome::Open)
    }

    /// Somebody in every formula.
    pub(super) fn together(&self, within: &[&Formula]) -> Outcome {
        self.satisfy(&clauses(within), &[])
    }
}

fn clauses<'a>(formulas: &[&'a Formula]) -> Vec<&'a [usize]> {
    formulas
        .iter()
        .flat_map(|formula| formula.0.iter().map(Vec::as_slice))
        .collect()
}

/// A search for one choice per space.
struct Search {
    /// Of each clause: spaces and bits of its atoms.
    clauses: Vec<Vec<(usize, Mask)>>,
    /// By space: the bits that must not be set, and those that clauses want.
    without: Vec<Mask>,
    wanted: Vec<Mask>,
    steps: usize,
}

impl Search {
    fn new(problem: &Problem, clauses: &[&[usize]], without: &[usize]) -> Self {
        let clauses = clauses.iter().map(|clause| {
            let places = clause
                .iter()
                .filter_map(|atom| problem.places.get(atom).copied());
            places.collect::<Vec<_>>()
        });
        let clauses: Vec<Vec<(usize, Mask)>> = clauses.collect();
        let mut search = Self {
            without: vec![0; problem.spaces.len()],
            wanted: vec![0; problem.spaces.len()],
            clauses,
            steps: 0,
        };
        for (space, bit) in without.iter().filter_map(|atom| problem.places.get(atom)) {
            search.without[*space] |= bit;
        }
        for (space, bit) in search.clauses.iter().flatten() {
            search.wanted[*space] |= bit;
        }
        search
    }

    /// A choice among what was found, by space.
    fn found(&mut self, problem: &Problem) -> Option<Vec<usize>> {
        let masks = |(space, without): (&Rc<Space>, &Mask)| {
            let found = space.found.iter().map(|(mask, _)| *mask).enumerate();
            let allowed = found.filter(|(_, mask)| mask & without == 0);
            allowed.collect::<Vec<(usize, Mask)>>()
        };
        let allowed: Vec<_> = problem
            .spaces
            .iter()
            .zip(&self.without)
            .map(masks)
            .collect();
        let chosen = self.choose(&allowed)?;
        let plainest = |(chosen, allowed): (Option<usize>, &Vec<(usize, Mask)>)| {
            chosen.or(allowed.first().map(|(choice, _)| *choice))
        };
        chosen.into_iter().zip(&allowed).map(plainest).collect()
    }

    /// Whether there is a choice among all that is not excluded.
    fn possible(&mut self, problem: &Problem) -> bool {
        let masks = |(space, without): (&Rc<Space>, &Mask)| {
            let found = space.found.iter().map(|(mask, _)| *mask);
            let masks: BTreeSet<Mask> = match &space.rest {
                Rest::Nothing => found.collect(),
                Rest::Within(masks, _) => masks.iter().copied().chain(found).collect(),
                Rest::Anything(_) => BTreeSet::from([!without]),
            };
            let allowed = masks.into_iter().filter(|mask| mask & without == 0);
            allowed.enumerate().collect::<Vec<(usize, Mask)>>()
        };
        let allowed: Vec<_> = problem
            .spaces
            .iter()
            .zip(&self.without)
            .map(masks)
            .collect();
        self.steps = 0;
        self.choose(&allowed).is_some()
    }

    fn choose(&mut self, allowed: &[Vec<(usize, Mask)>]) -> Option<Vec<Option<usize>>> {
        if allowed.iter().any(Vec::is_empty) {
            return None;
        }
        let useful = |(masks, wanted): (&Vec<(usize, Mask)>, &Mask)| greatest(masks, *wanted);
        let options: Vec<_> = allowed.iter().zip(&self.wanted).map(useful).collect();
        let mut chosen = vec![None; options.len()];
        self.descend(&options, &mut chosen).then(|| {
            let choice = |choice: Option<(usize, Mask)>| choice.map(|(number, _)| number);
            chosen.into_iter().map(choice).collect()
        })
    }

    fn descend(
        &mut self,
        options: &[Vec<(usize, Mask)>],
        chosen: &mut Vec<Option<(usize, Mask)>>,
    ) -> bool {
        self.steps += 1;
        if self.steps >= MOST_STEPS {
            return false;
        }
        let holds =
            |(space, bit): &(usize, Mask)| chosen[*space].is_some_and(|(_, mask)| mask & bit != 0);
        let Some(open) = self
            .clauses
            .iter()
            .position(|clause| !clause.iter().any(holds))
        else {
            return true;
        };
        for (space, bit) in self.clauses[open].clone() {
            if chosen[space].is_some() {
                continue;
            }
            for option in options[space].iter().filter(|(_, mask)| mask & bit != 0) {
                chosen[space] = Some(*option);
                if self.descend(options, chosen) {
                    return true;
                }
            }
            chosen[space] = None;
        }
        false
    }
}

/// Those that set most of the wanted bits: one that sets fewer helps no more.
fn greatest(masks: &[(usize, Mask)], wanted: Mask) -> Vec<(usize, Mask)> {
    let mut seen = BTreeSet::new();
    let distinct: Vec<(usize, Mask)> = masks
        .iter()
        .copied()
        .filter(|(_, mask)| seen.insert(mask & wanted))
        .collect();
    let is_less = |mask: Mask| {
        seen.iter()
            .any(|other| *other != mask && other & mask == mask)
    };
    distinct
        .iter()
        .copied()
        .filter(|(_, mask)| !is_less(mask & wanted))
        .collect()
}
