//! A plan that takes a run back: the values from before, wherever nobody has changed them since.

use super::{PassError, Shop};
use crate::journal::{Effected, Intent, RunId};
use crate::mirror::MirrorError;
use crate::model::{
    Consent, Customer, CustomerId, Effect, EffectKind, End, HoldReason, ListId, Moment, Profile,
    ProfileId, PropertyChange, Slot, Value,
};
use crate::plan::{ListChange, Plan};
use roaring::RoaringBitmap;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What there is to do about one effect.
type Inverse = Result<Effect, HoldReason>;

impl Shop {
    /// The effects that bring back what a run changed and that is still as the run left it. `lists`
    /// tells how large the managed lists are.
    pub(super) fn undo(
        &self,
        run: RunId,
        lists: Vec<ListChange>,
        now: Moment,
    ) -> Result<Plan, PassError> {
        let journaled = self.journal.effects_of(run);
        let journaled = journaled.map_err(crate::push::PushError::from)?;
        if journaled.is_empty() {
            return Err(PassError::NoSuchRun { run });
        }
        let mut undoing = Undoing {
            shop: self,
            now,
            bindings: self.mirror.bindings()?,
            members: BTreeMap::new(),
        };
        let mut effects = Vec::new();
        let mut held = BTreeMap::new();
        for Effected { intent, outcome } in journaled {
            if outcome.is_none_or(|outcome| outcome.end != End::Confirmed) {
                continue;
            }
            let inverse = undoing.inverse(&intent)?;
            let inverse =
                inverse.and_then(|effect| match self.config.policy.allows(effect.kind()) {
                    true => Ok(effect),
                    false => Err(HoldReason::Mode),
                });
            match inverse {
                Ok(effect) => effects.push(effect),
                Err(reason) => *held.entry((intent.kind, reason)).or_default() += 1,
            }
        }
        let lists = lists.into_iter().enumerate();
        let lists = lists.map(|(list, before)| changed(before, list, &effects));
        let lists = lists.collect();
        let touched = effects.iter().filter_map(Effect::who);
        let grounds = touched.map(|who| (who, format!("run {run} is taken back")));
        let grounds = grounds.collect();
        Ok(Plan::new(effects, held, lists, grounds))
    }
}

/// What is asked about again and again while a run is taken back.
struct Undoing<'s> {
    shop: &'s Shop,
    now: Moment,
    bindings: BTreeMap<String, ListId>,
    members: BTreeMap<ListId, RoaringBitmap>,
}

impl Undoing<'_> {
    fn inverse(&mut self, intent: &Intent) -> Result<Inverse, MirrorError> {
        Ok(match intent.kind {
            // Deleting a list and lifting a suppression are a person's to do.
            EffectKind::ListCreate | EffectKind::Suppression => Err(HoldReason::NotUndoable),
            EffectKind::ListAdd | EffectKind::ListRemove => self.other_side(intent)?,
            EffectKind::Property => match self.profile_of(intent)? {
                Some((who, profile)) => properties(who, &profile, intent),
                None => Err(HoldReason::ChangedSince),
            },
            EffectKind::Tag => match self.customer_of(intent)? {
                Some((who, customer)) => tags(who, &customer, intent),
                None => Err(HoldReason::ChangedSince),
            },
            EffectKind::Metafield => match self.customer_of(intent)? {
                Some((who, customer)) => metafield(who, customer, intent),
                None => Err(HoldReason::ChangedSince),
            },
        })
    }

    /// Off a list that was joined, or on one that was left.
    fn other_side(&mut self, intent: &Intent) -> Result<Inverse, MirrorError> {
        let id = ListId::from(intent.target.as_str());
        let mut managed = self.shop.config.policy.lists.iter();
        let list = managed.position(|list| self.bindings.get(&list.name) == Some(&id));
        let Some(list) = list else {
            return Ok(Err(HoldReason::NotUndoable));
        };
        let Some((who, profile)) = self.profile_of(intent)? else {
            return Ok(Err(HoldReason::ChangedSince));
        };
        let joined = intent.kind == EffectKind::ListAdd;
        Ok(if self.members(id)?.contains(who.0) != joined {
            Err(HoldReason::ChangedSince)
        } else if joined {
            Ok(Effect::OffList { list, who })
        } else if said_no(&profile) {
            Err(HoldReason::ChangedSince)
        } else {
            Ok(Effect::OnList { list, who })
        })
    }

    fn members(&mut self, list: ListId) -> Result<&RoaringBitmap, MirrorError> {
        Ok(match self.members.entry(list) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let members = self.shop.mirror.members(new.key(), self.now)?;
                new.insert(members.unwrap_or_default())
            }
        })
    }

    fn profile_of(&self, intent: &Intent) -> Result<Option<(Slot, Profile)>, MirrorError> {
        let Some(id) = intent.subject.as_deref().map(ProfileId::from) else {
            return Ok(None);
        };
        let Some(slot) = self.shop.mirror.slot_of_profile(&id)? else {
            return Ok(None);
        };
        Ok(self
            .shop
            .mirror
            .profile(slot)?
            .map(|profile| (slot, profile)))
    }

    fn customer_of(&self, intent: &Intent) -> Result<Option<(Slot, Customer)>, MirrorError> {
        let Some(id) = intent.subject.as_deref().and_then(CustomerId::parse) else {
            return Ok(None);
        };
        let Some(slot) = self.shop.mirror.slot_of_customer(id)? else {
            return Ok(None);
        };
        Ok(self
            .shop
            .mirror
            .customer(slot)?
            .map(|customer| (slot, customer)))
    }
}

/// Whoever unsubscribed or was suppressed since is put back on no list.
fn said_no(profile: &Profile) -> bool {
    let marketing = profile.email_marketing.as_ref();
    let consent = marketing.map(|marketing| &marketing.consent);
    profile.is_suppressed() || consent == Some(&Consent::Unsubscribed)
}

fn properties(who: Slot, profile: &Profile, intent: &Intent) -> Inverse {
    let (Some(before), Some(after)) = (intent.from.as_object(), intent.to.as_object()) else {
        return Err(HoldReason::NotUndoable);
    };
    let unchanged = after.iter().filter_map(|(key, after)| {
        let now = profile.properties.get(key);
        let same = match (now, Value::from_json(after)) {
            (Some(now), Some(after)) => now.same_as(&after),
            (now, after) => now.is_none() && after.is_none(),
        };
        same.then(|| PropertyChange {
            key: key.clone(),
            from: now.cloned(),
            to: before.get(key).and_then(Value::from_json),
        })
    });
    let changes: Vec<_> = unchanged.collect();
    match changes.is_empty() {
        true => Err(HoldReason::ChangedSince),
        false => Ok(Effect::Properties { who, changes }),
    }
}

fn tags(who: Slot, customer: &Customer, intent: &Intent) -> Inverse {
    let texts = |json: &Json| -> Vec<String> {
        let texts = json.as_array().into_iter().flatten();
        texts.filter_map(Json::as_str).map(str::to_owned).collect()
    };
    let (had, has) = (texts(&intent.from["had"]), texts(&intent.to["has"]));
    // In the spelling that Shopify keeps.
    let spelled = |tag: &String| {
        let mut tags = customer.tags.iter();
        tags.find(|known| known.to_lowercase() == tag.to_lowercase())
    };
    let remove: Vec<String> = has.iter().filter_map(spelled).cloned().collect();
    match remove.len() == has.len() && had.iter().all(|tag| spelled(tag).is_none()) {
        true => Ok(Effect::Tags {
            who,
            add: had,
            remove,
        }),
        false => Err(HoldReason::ChangedSince),
    }
}

fn metafield(who: Slot, customer: Customer, intent: &Intent) -> Inverse {
    if customer.metafield.as_deref() != intent.to.as_str() {
        return Err(HoldReason::ChangedSince);
    }
    Ok(Effect::Metafield {
        who,
        from: customer.metafield,
        to: intent.from.as_str().map(str::to_owned),
    })
}

/// How the undoing changes a list.
fn changed(before: ListChange, list: usize, effects: &[Effect]) -> ListChange {
    let (mut join, mut leave) = (0, 0);
    for effect in effects {
        match effect {
            Effect::OnList { list: at, .. } if *at == list => join += 1,
            Effect::OffList { list: at, .. } if *at == list => leave += 1,
            _ => {}
        }
    }
    ListChange {
        wanted: before.seen + join - leave,
        join,
        leave,
        ..before
    }
}
