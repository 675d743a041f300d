//! What customers, mailboxes and the merchant do, and whose records it touches.

use super::step::Step;
use crate::merchant::{self, Edit};
use driftless::model::Moment;
use driftless::sandbox::world::{Customer, Profile, State, Suppression};
use fastrand::Rng;
use std::collections::BTreeSet;

/// Ids of the records that were changed in what driftless writes to, too.
pub type Touched = Vec<String>;

/// Mailboxes that are dying: bounces of others would be too rare to add up.
const DYING: usize = 3;

/// Carries out a step of others; `None` if it is none of theirs.
pub fn act(step: Step, state: &mut State, random: &mut Rng, at: Moment) -> Option<Touched> {
    Some(match step {
        Step::Order => buy(state, random, at),
        Step::Cancel => cancel(state, random, at),
        Step::Click => {
            let id = somebody(state, random);
            merchant::click(state, &id, at);
            vec![]
        }
        Step::SoftBounce => {
            let id = dying(state, random);
            merchant::bounce(state, &id, false, at);
            vec![]
        }
        Step::HardBounce => {
            let id = somebody(state, random);
            merchant::bounce(state, &id, true, at);
            vec![id]
        }
        Step::Merge => merge(state, random, at),
        Step::Join => {
            merchant::join(state, at);
            vec![]
        }
        Step::Consent => consent(state, random, at),
        Step::ShopConsent => shop_consent(state, random, at),
        Step::Edit => {
            let edit = *random.choice(&Edit::ALL).unwrap();
            edit.make(state, random, at).into_iter().collect()
        }
        Step::TakeOff => take_off(state, random),
        Step::DropList => drop_list(state),
        _ => return None,
    })
}

fn somebody(state: &State, random: &mut Rng) -> String {
    random
        .choice(state.klaviyo.profiles.keys())
        .unwrap()
        .clone()
}

fn dying(state: &State, random: &mut Rng) -> String {
    let mailboxes = state.klaviyo.profiles.keys().take(DYING);
    random
        .choice(mailboxes.collect::<Vec<_>>())
        .unwrap()
        .clone()
}

fn customer<'s>(state: &'s mut State, random: &mut Rng) -> (u64, &'s mut Customer) {
    let customers = state.shopify.customers.iter_mut();
    let (number, customer) = random.choice(customers.collect::<Vec<_>>()).unwrap();
    (*number, customer)
}

fn buy(state: &mut State, random: &mut Rng, at: Moment) -> Touched {
    let (number, _) = customer(state, random);
    merchant::buy(state, number, at);
    vec![]
}

fn cancel(state: &mut State, random: &mut Rng, at: Moment) -> Touched {
    let orders = state.shopify.orders.values_mut();
    let order = random.choice(orders.collect::<Vec<_>>()).unwrap();
    (order.cancelled, order.updated) = (order.cancelled.or(Some(at)), at);
    vec![]
}

/// Twins, or somebody of whom the shop knows nothing: two customers are never one human. A guest's
/// orders stay with the address that was typed, so no guest is merged away.
fn merge(state: &mut State, random: &mut Rng, at: Moment) -> Touched {
    let twins = |id: &String| {
        let mut groups = state.truth.duplicates.iter();
        groups.find(|group| group.contains(id))
    };
    let paired = |id: &String| state.truth.pairs.iter().any(|(profile, _)| profile == id);
    let buyers = buyers(state);
    let profiles = state.klaviyo.profiles.keys();
    let sources = profiles.filter(|id| !paired(id) && !buyers.contains(*id));
    let sources: Vec<&String> = sources.collect();
    let Some(source) = random.choice(sources).cloned() else {
        return vec![];
    };
    let into = match twins(&source) {
        Some(group) => random.choice(group).unwrap().clone(),
        None => somebody(state, random),
    };
    if source == into {
        return vec![];
    }
    merchant::merge(state, &source, &into, at);
    vec![source, into]
}

/// Profiles that Klaviyo saw buying.
fn buyers(state: &State) -> BTreeSet<String> {
    let metrics = state.klaviyo.metrics.iter();
    let mut orders = metrics.filter(|(_, metric)| metric.name == "Placed Order");
    let (id, _) = orders.next().unwrap();
    let events = state.klaviyo.events.get(id).into_iter().flatten();
    events.filter_map(|event| event.profile.clone()).collect()
}

fn consent(state: &mut State, random: &mut Rng, at: Moment) -> Touched {
    let id = somebody(state, random);
    let profile = state.klaviyo.profiles.get_mut(&id).unwrap();
    let suppression = |reason| Suppression { reason, at };
    let agree = |profile: &mut Profile, consent| {
        (profile.consent, profile.consent_at) = (consent, Some(at));
    };
    match random.u8(..4) {
        0 => {
            agree(profile, "UNSUBSCRIBED");
            profile.suppressions.push(suppression("UNSUBSCRIBE"));
        }
        1 => {
            agree(profile, "SUBSCRIBED");
            let given_up = |known: &Suppression| known.reason != "UNSUBSCRIBE";
            profile.suppressions.retain(given_up);
        }
        2 => profile.suppressions.push(suppression("USER_SUPPRESSED")),
        _ => profile.suppressions.clear(),
    }
    profile.updated = at;
    state.klaviyo.note_change(&id, at);
    vec![id]
}

fn shop_consent(state: &mut State, random: &mut Rng, at: Moment) -> Touched {
    let states = ["SUBSCRIBED", "UNSUBSCRIBED", "NOT_SUBSCRIBED", "PENDING"];
    let to = *random.choice(&states).unwrap();
    let (_, customer) = customer(state, random);
    (customer.email_state, customer.email_state_at) = (to, Some(at));
    customer.updated = at;
    vec![]
}

fn take_off(state: &mut State, random: &mut Rng) -> Touched {
    let lists = state.klaviyo.lists.values_mut();
    let managed = lists.filter(|list| ["Lapsed customers", "Win-back"].contains(&&*list.name));
    let Some(list) = random.choice(managed.collect::<Vec<_>>()) else {
        return vec![];
    };
    let gone = random.choice(list.members.keys()).cloned();
    list.members.retain(|id, _| Some(id) != gone.as_ref());
    gone.into_iter().collect()
}

/// Nobody's list any more: whoever was on it is not, and there is room for a new one of its name.
fn drop_list(state: &mut State) -> Touched {
    let lists = state.klaviyo.lists.iter();
    let mut managed = lists.filter(|(_, list)| list.name == "Lapsed customers");
    let Some(id) = managed.next().map(|(id, _)| id.clone()) else {
        return vec![];
    };
    let list = state.klaviyo.lists.remove(&id).unwrap();
    list.members
        .keys()
        .cloned()
        .chain([String::new()])
        .collect()
}
