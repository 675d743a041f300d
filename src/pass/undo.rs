//! A plan that takes a run back: the values from before, wherever nobody has changed them since.

use super::{PassError, Shop};
use crate::journal::{self, Effected, Entry, Intent, RunId};
use crate::mirror::MirrorError;
use crate::model::{
    Consent, Customer, CustomerId, Dossier, Effect, EffectKind, End, HoldReason, ListId, Moment,
    Profile, ProfileId, PropertyChange, Slot, Value,
};
use crate::plan::{Effects, ListChange, Plan, Planned};
use crate::policy::MetafieldMap;
use crate::unify::People;
use roaring::RoaringBitmap;
use serde_json::Value as Json;
use std::collections::btree_map::Entry as Known;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What there is to do about one effect.
type Inverse = Result<Effect, HoldReason>;

/// What of an effect a later run may have written as well: its subject and the thing that changed.
type Place = (Option<String>, String);

/// Former values are trusted so long (reliability.md, section 3).
const UNDO_DAYS: u64 = 30;

impl Shop {
    /// Whether a run can be taken back at all; asked before anything is read.
    pub(super) fn check_run(&self, run: RunId) -> Result<(), PassError> {
        if !self.config.policy.guards.first_run {
            return Err(PassError::NothingHolds);
        }
        match (1..=self.journal.last_run().0).contains(&run.0) {
            true => Ok(()),
            false => Err(PassError::NoSuchRun { run }),
        }
    }

    /// The effects that bring back what a run changed and that is still as the run left it. `lists`
    /// tells how large the managed lists are.
    pub(super) fn undo(
        &self,
        run: RunId,
        people: &People,
        lists: Vec<ListChange>,
        now: Moment,
    ) -> Result<Plan, PassError> {
        let journaled = self.journal.effects_of(run);
        let journaled = journaled.map_err(crate::push::PushError::from)?;
        let oldest = now.minus(Duration::from_secs(UNDO_DAYS * 24 * 60 * 60));
        if journaled.iter().any(|one| one.intent.at < oldest) {
            return Err(PassError::TooOld { run });
        }
        let mut undoing = Undoing {
            shop: self,
            now,
            bindings: self.mirror.bindings()?,
            members: BTreeMap::new(),
            refusers: self.refusers(people, &journaled)?,
            later: self.later_than(run)?,
        };
        let mut effects = Effects::default();
        let mut held = BTreeMap::new();
        for Effected { intent, outcome } in journaled {
            if !may_stand(outcome.map(|outcome| outcome.end)) {
                continue;
            }
            let inverse = match intent.is_closed() {
                true => Err(HoldReason::NotUndoable),
                false => undoing.inverse(&intent)?,
            };
            let inverse =
                inverse.and_then(|effect| match self.config.policy.allows(effect.kind()) {
                    true => Ok(effect),
                    false => Err(HoldReason::Mode),
                });
            match inverse {
                Ok(effect) => {
                    let evidence = Some(format!("run {run} is taken back"));
                    effects.push(&Planned { effect, evidence });
                }
                Err(reason) => *held.entry((intent.kind, reason)).or_default() += 1,
            }
        }
        let lists = lists.into_iter().enumerate();
        let lists = lists.map(|(list, before)| changed(before, list, &effects));
        let lists = lists.collect();
        Ok(Plan::new(effects, held, lists))
    }

    /// Whoever of those that a run took off a list says no, on either platform or by another of their
    /// records.
    fn refusers(
        &self,
        people: &People,
        journaled: &[Effected],
    ) -> Result<RoaringBitmap, PassError> {
        let mut removed = RoaringBitmap::new();
        for Effected { intent, .. } in journaled {
            if intent.kind == EffectKind::ListRemove
                && let Some(id) = intent.subject.as_deref().map(ProfileId::from)
                && let Some(slot) = self.mirror.slot_of_profile(&id)?
            {
                removed.insert(slot.0);
            }
        }
        let mut refusers = RoaringBitmap::new();
        for person in people.iter() {
            if person.slots.iter().any(|slot| removed.contains(slot.0))
                && said_no(&self.mirror.dossier(&person)?)
            {
                refusers.extend(person.slots.iter().map(|slot| slot.0));
            }
        }
        Ok(refusers)
    }

    /// What later runs wrote: it is theirs now, whatever its value.
    fn later_than(&self, run: RunId) -> Result<BTreeSet<Place>, PassError> {
        let mut later = BTreeSet::new();
        let mut open = BTreeMap::new();
        let dir = self.config.state_dir.join("journal");
        let read = journal::read(&dir, self.mirror.vault(), |entry| {
            match entry {
                Entry::Intent(intent) if intent.run > run => {
                    open.insert(intent.id, places(&intent));
                }
                Entry::Outcome(outcome) => {
                    // What was superseded was looked for upstream and not found.
                    if let Some(places) = open.remove(&outcome.effect)
                        && outcome.end == End::Confirmed
                    {
                        later.extend(places);
                    }
                }
                _ => {}
            }
            Ok(())
        });
        read.map_err(crate::push::PushError::from)?;
        later.extend(open.into_values().flatten());
        Ok(later)
    }
}

/// Whether an effect may be true upstream. What was superseded was sent without an answer: whether it
/// was carried out shows in what is there now.
fn may_stand(end: Option<End>) -> bool {
    matches!(end, None | Some(End::Confirmed | End::Superseded))
}

fn places(intent: &Intent) -> Vec<Place> {
    let place = |what: &str| (intent.subject.clone(), what.to_owned());
    match intent.kind {
        EffectKind::Property => {
            let keys = intent.to.as_object().into_iter().flatten();
            keys.map(|(key, _)| place(key)).collect()
        }
        _ => vec![place(&intent.target)],
    }
}

/// What is asked about again and again while a run is taken back.
struct Undoing<'s> {
    shop: &'s Shop,
    now: Moment,
    bindings: BTreeMap<String, ListId>,
    members: BTreeMap<ListId, RoaringBitmap>,
    /// They are put back on no list.
    refusers: RoaringBitmap,
    later: BTreeSet<Place>,
}

impl Undoing<'_> {
    fn inverse(&mut self, intent: &Intent) -> Result<Inverse, MirrorError> {
        let is_later = |place| self.later.contains(place);
        if intent.kind != EffectKind::Property && places(intent).iter().any(is_later) {
            return Ok(Err(HoldReason::ChangedSince));
        }
        Ok(match intent.kind {
            // Deleting a list, lifting a suppression and agreeing are a person's to do.
            EffectKind::ListCreate
            | EffectKind::Suppression
            | EffectKind::Unsubscription
            | EffectKind::CustomerUnsubscription => Err(HoldReason::NotUndoable),
            EffectKind::ListAdd | EffectKind::ListRemove => self.other_side(intent)?,
            EffectKind::Property => match self.profile_of(intent)? {
                Some((who, profile)) => self.properties(who, &profile, intent),
                None => Err(HoldReason::ChangedSince),
            },
            EffectKind::Tag => match self.customer_of(intent)? {
                Some((who, customer)) => tags(who, &customer, intent),
                None => Err(HoldReason::ChangedSince),
            },
            EffectKind::Metafield if intent.target != self.metafield_name() => {
                Err(HoldReason::NotUndoable)
            }
            EffectKind::Metafield => match self.customer_of(intent)? {
                Some((who, customer)) => metafield(who, customer, intent),
                None => Err(HoldReason::ChangedSince),
            },
        })
    }

    /// The only one that the mirror knows.
    fn metafield_name(&self) -> String {
        let map = self.shop.config.policy.metafield.as_ref();
        map.map(MetafieldMap::name).unwrap_or_default()
    }

    /// Off a list that was joined, or on one that was left.
    fn other_side(&mut self, intent: &Intent) -> Result<Inverse, MirrorError> {
        let id = ListId::from(intent.target.as_str());
        let mut managed = self.shop.config.policy.lists.iter();
        let list = managed.position(|list| self.bindings.get(&list.name) == Some(&id));
        let Some(list) = list else {
            return Ok(Err(HoldReason::NotUndoable));
        };
        let Some((who, _)) = self.profile_of(intent)? else {
            return Ok(Err(HoldReason::ChangedSince));
        };
        let joined = intent.kind == EffectKind::ListAdd;
        Ok(if self.members(id)?.contains(who.0) != joined {
            Err(HoldReason::ChangedSince)
        } else if joined {
            Ok(Effect::OffList { list, who })
        } else if self.refusers.contains(who.0) {
            Err(HoldReason::ChangedSince)
        } else {
            Ok(Effect::OnList { list, who })
        })
    }

    fn members(&mut self, list: ListId) -> Result<&RoaringBitmap, MirrorError> {
        Ok(match self.members.entry(list) {
            Known::Occupied(known) => known.into_mut(),
            Known::Vacant(new) => {
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

    /// Those that are still as the run left them, that no later run wrote, and that the mirror reads.
    fn properties(&self, who: Slot, profile: &Profile, intent: &Intent) -> Inverse {
        let (Some(before), Some(after)) = (intent.from.as_object(), intent.to.as_object()) else {
            return Err(HoldReason::NotUndoable);
        };
        let prefix = &self.shop.config.policy.properties.prefix;
        let ours = after.iter().filter(|(key, _)| {
            let place = (intent.subject.clone(), (*key).clone());
            key.starts_with(prefix) && !self.later.contains(&place)
        });
        let unchanged = ours.filter_map(|(key, after)| {
            let now = profile.properties.get(key);
            let same = Value::same(now, Value::from_json(after).as_ref());
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
}

/// Whether any record of a person says no to marketing mail, or it is not known what it says.
fn said_no(dossier: &Dossier) -> bool {
    let refuses = |profile: &Profile| {
        let marketing = profile.email_marketing.as_ref();
        let consent = marketing.map(|marketing| &marketing.consent);
        profile.is_suppressed()
            || !matches!(
                consent,
                Some(Consent::Subscribed | Consent::NeverSubscribed)
            )
    };
    dossier.profiles.iter().any(|(_, profile)| refuses(profile))
        || dossier
            .customers
            .iter()
            .any(|(_, customer)| customer.is_unsubscribed())
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
    let parsed = |text: &str| serde_json::from_str::<Json>(text).ok();
    let now = customer.metafield.as_deref();
    if now.and_then(parsed) != intent.to.as_str().and_then(parsed) {
        return Err(HoldReason::ChangedSince);
    }
    Ok(Effect::Metafield {
        who,
        from: customer.metafield,
        to: intent.from.as_str().map(str::to_owned),
    })
}

/// How the undoing changes a list.
fn changed(before: ListChange, list: usize, effects: &Effects) -> ListChange {
    let join = effects.of_list(EffectKind::ListAdd, list);
    let leave = effects.of_list(EffectKind::ListRemove, list);
    ListChange {
        wanted: (before.seen + join).saturating_sub(leave),
        join,
        leave,
        ..before
    }
}
