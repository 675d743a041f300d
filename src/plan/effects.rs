//! The effects of a plan, in the order in which they are carried out.

use super::packed::Packed;
use crate::model::{Effect, EffectKind};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An effect, and what was known of whom it changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// What should be true.
    pub effect: Effect,
    /// What was known when it was planned, never an address; `None` of a list, of whoever has no record
    /// here, and of what is done.
    pub evidence: Option<String>,
}

/// An effect without evidence.
impl From<Effect> for Planned {
    fn from(effect: Effect) -> Self {
        let evidence = None;
        Self { effect, evidence }
    }
}

/// Effects by kind, then list, then in the order in which they were added. A first plan wants something
/// of everybody, so they are packed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects(BTreeMap<(usize, Option<usize>), Group>);

/// The effects of one kind, and where they concern members, of one list; never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    kind: EffectKind,
    people: RoaringBitmap,
    effects: Packed<Planned>,
}

impl Effects {
    /// Adds an effect after those of its kind and list.
    pub fn push(&mut self, planned: &Planned) {
        let effect = &planned.effect;
        let (kind, list) = (effect.kind(), effect.members_of());
        let group = self.0.entry((rank(kind), list));
        let group = group.or_insert_with(|| Group::new(kind));
        group.people.extend(planned.effect.who().map(|slot| slot.0));
        group.effects.push(planned);
    }

    /// The groups, in order.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.0.values()
    }

    /// Every effect, in order.
    pub fn iter(&self) -> impl Iterator<Item = Planned> + '_ {
        self.groups().flat_map(Group::iter)
    }

    /// How many of a kind change the members of a list.
    pub fn of_list(&self, kind: EffectKind, list: usize) -> u64 {
        let group = self.0.get(&(rank(kind), Some(list)));
        group.map_or(0, Group::count)
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.groups().map(Group::count).sum()
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Leaves those for which `stays` says so; it is asked once for each, in order.
    ///
    /// # Errors
    /// The first that `stays` meets; what is left then is not the whole.
    pub(super) fn retain<E>(
        &mut self,
        mut stays: impl FnMut(&Effect) -> Result<bool, E>,
    ) -> Result<(), E> {
        for (key, group) in std::mem::take(&mut self.0) {
            let mut goes = RoaringBitmap::new();
            for (at, planned) in (0..).zip(group.iter()) {
                if !stays(&planned.effect)? {
                    goes.insert(at);
                }
            }
            if goes.is_empty() {
                self.0.insert(key, group);
                continue;
            }
            for (at, planned) in (0..).zip(group.iter()) {
                if !goes.contains(at) {
                    self.push(&planned);
                }
            }
        }
        Ok(())
    }
}

impl Group {
    fn new(kind: EffectKind) -> Self {
        Self {
            kind,
            people: RoaringBitmap::new(),
            effects: Packed::default(),
        }
    }

    /// What all of them are.
    pub fn kind(&self) -> EffectKind {
        self.kind
    }

    /// Whom they change.
    pub fn people(&self) -> &RoaringBitmap {
        &self.people
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.effects.len()
    }

    /// The effects, in order.
    pub fn iter(&self) -> impl Iterator<Item = Planned> + '_ {
        self.effects.iter()
    }
}

/// When a kind's turn comes.
fn rank(kind: EffectKind) -> usize {
    let mut order = EffectKind::ALL.iter();
    let place = order.position(|known| *known == kind);
    place.unwrap_or(EffectKind::ALL.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Moment, PropertyChange, Slot, Value};

    /// One of every kind, in order.
    fn one_of_each() -> Vec<Effect> {
        let (list, who, by, at) = (1, Slot(7), Slot(8), Moment(1_700_000_000_123));
        let text = |text: &str| text.to_owned();
        let values = [
            None,
            Some(Value::Null),
            Some(Value::Bool(true)),
            Some(Value::Int(-3)),
            Some(Value::Float(0.5)),
            Some(Value::Text(text("lapsed"))),
            Some(Value::List(vec![Value::Null, Value::Text(text("ü"))])),
            Some(Value::Object(text("{\"a\":1}"))),
        ];
        let next = values.iter().cycle().skip(1);
        let changes = values.iter().zip(next).map(|(from, to)| PropertyChange {
            key: text("dl_stage"),
            from: from.clone(),
            to: to.clone(),
        });
        vec![
            Effect::ListExists { list },
            Effect::Properties {
                who,
                changes: changes.collect(),
            },
            Effect::OnList { list, who },
            Effect::OffList { list, who },
            Effect::Suppressed { who },
            Effect::Unsubscribed { who, by, at },
            Effect::CustomerUnsubscribed { who, by, at },
            Effect::Tags {
                who,
                add: vec![text("a")],
                remove: Vec::new(),
            },
            Effect::Metafield {
                who,
                from: None,
                to: Some(text("{}")),
            },
        ]
    }

    #[test]
    fn every_effect_comes_back_as_it_was_in_the_order_of_the_kinds() {
        let each = one_of_each();
        let planned: Vec<Planned> = each
            .into_iter()
            .zip([None, Some("stage lapsed".to_owned())].into_iter().cycle())
            .map(|(effect, evidence)| Planned { effect, evidence })
            .collect();
        let mut effects = Effects::default();
        planned.iter().rev().for_each(|one| effects.push(one));
        assert_eq!(effects.iter().collect::<Vec<_>>(), planned);
        let kinds: Vec<EffectKind> = effects.groups().map(Group::kind).collect();
        assert_eq!(kinds, EffectKind::ALL);
    }
}
