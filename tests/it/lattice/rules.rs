//! Random rules, and what they mean.

use super::people::Human;
use driftless::model::EffectKind;
use driftless::plan::{Memberships, SegmentMembers};
use driftless::policy::{Fact, ManagedList, MetafieldMap, Mode, Policy, PropertyMap, Stage};
use driftless::policy::{TagMap, Where};
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};

const MODES: [Mode; 4] = [Mode::Observe, Mode::Enrich, Mode::Additive, Mode::Full];
const SEGMENTS: [&str; 3] = ["vip", "staff", "nowhere"];

/// An answer; the worst of several is that of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sure {
    No,
    Unknown,
    Yes,
}

impl Sure {
    pub fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }
}

impl From<bool> for Sure {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// Who is in a segment, who is not, and of whom nobody knows.
#[derive(Debug)]
pub struct Groups(BTreeMap<&'static str, Vec<Sure>>);

impl Groups {
    /// One of the segments that rules may name is none.
    pub fn draw(random: &mut Rng, last_slot: u32) -> Self {
        let mut answers = || {
            let answers = (0..=last_slot).map(|_| match random.u8(..6) {
                0 => Sure::Unknown,
                1 | 2 => Sure::Yes,
                _ => Sure::No,
            });
            answers.collect()
        };
        Self(BTreeMap::from([
            (SEGMENTS[0], answers()),
            (SEGMENTS[1], answers()),
        ]))
    }

    /// Whether any profile of a human is in any of these.
    pub fn any(&self, names: &[String], human: &Human) -> Sure {
        let answers = names.iter().flat_map(|name| {
            let known = self.0.get(name.as_str());
            let mailboxes = human.mailboxes.iter();
            let answers: Vec<Sure> = match known {
                Some(known) => mailboxes.map(|slot| known[*slot as usize]).collect(),
                None => vec![Sure::Unknown],
            };
            answers
        });
        answers.max().unwrap_or(Sure::No)
    }

    /// As the planner reads them.
    pub fn memberships(&self) -> Memberships {
        let of = |answers: &[Sure], which: Sure| {
            let slots = (0u32..).zip(answers);
            let slots = slots.filter(|(_, answer)| **answer == which);
            slots.map(|(slot, _)| slot).collect()
        };
        let segments = self.0.iter().map(|(name, answers)| {
            let members = SegmentMembers {
                inside: of(answers, Sure::Yes),
                unknown: of(answers, Sure::Unknown),
            };
            ((*name).to_owned(), members)
        });
        Memberships(segments.collect())
    }
}

/// Rules as a config could have them.
pub fn draw(random: &mut Rng) -> Policy {
    let mode = if random.bool() {
        Mode::Full
    } else {
        one(random, &MODES)
    };
    let mut modes = BTreeMap::new();
    if random.u8(..4) == 0 {
        modes.insert(one(random, &EffectKind::ALL), one(random, &MODES));
    }
    let fields = [(Fact::Stage, "stage"), (Fact::Bouncing, "consent")];
    let fields = fields.map(|(fact, name)| (fact, name.to_owned())).to_vec();
    let names = ["Lapsed", "Reachable"].iter().take(random.usize(..=2));
    let lists = names.map(|name| ManagedList {
        name: (*name).to_owned(),
        who: wanted(random),
    });
    let lists = lists.collect();
    let mut policy = Policy {
        mode,
        modes,
        lists,
        properties: PropertyMap {
            prefix: "driftless_".to_owned(),
            fields,
        },
        tags: TagMap {
            prefix: "driftless:".to_owned(),
            facts: vec![Fact::Stage],
        },
        metafield: random.bool().then(|| MetafieldMap {
            namespace: "$app".to_owned(),
            key: "driftless".to_owned(),
            facts: vec![Fact::Orders],
        }),
        ..Policy::default()
    };
    policy.bounce.act = random.bool();
    policy.consent.act = random.bool();
    policy.bounce.unless_segment = some(random).unwrap_or_default();
    policy
}

fn wanted(random: &mut Rng) -> Where {
    let maybe = |random: &mut Rng| match random.u8(..4) {
        0 => Some(false),
        1 | 2 => Some(true),
        _ => None,
    };
    Where {
        stage: random
            .bool()
            .then(|| vec![one(random, &Stage::ALL), one(random, &Stage::ALL)]),
        reachable: maybe(random),
        bouncing: maybe(random).filter(|_| random.u8(..3) == 0),
        segment: some(random),
        not_segment: some(random),
        ..Where::default()
    }
}

/// Now and then a segment or two.
fn some(random: &mut Rng) -> Option<Vec<String>> {
    let names = || SEGMENTS.map(str::to_owned).into_iter();
    match random.u8(..8) {
        0 => Some(names().take(1).collect()),
        1 => Some(names().skip(1).collect()),
        _ => None,
    }
}

pub fn one<T: Copy>(random: &mut Rng, of: &[T]) -> T {
    of[random.usize(..of.len())]
}

/// Whether an effect of this kind may be: what each mode is said to allow.
pub fn allows(policy: &Policy, kind: EffectKind) -> bool {
    let mode = *policy.modes.get(&kind).unwrap_or(&policy.mode);
    let allowed: BTreeSet<EffectKind> = match mode {
        Mode::Observe => BTreeSet::new(),
        Mode::Enrich => ENRICH.into(),
        Mode::Additive => ENRICH.into_iter().chain(ADD).collect(),
        Mode::Full => EffectKind::ALL.into(),
    };
    allowed.contains(&kind)
}

const ENRICH: [EffectKind; 3] = [EffectKind::Property, EffectKind::Tag, EffectKind::Metafield];
const ADD: [EffectKind; 2] = [EffectKind::ListCreate, EffectKind::ListAdd];
