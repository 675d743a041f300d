//! What others do to a shop: customers buy and click, people join, the merchant edits by hand.

use driftless::model::{Moment, Money};
use driftless::sandbox::world::{Event, Line, Order, Profile, State, Suppression};
use fastrand::Rng;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The customer buys something.
pub fn buy(state: &mut State, customer: u64, at: Moment) -> u64 {
    let number = state.shopify.orders.keys().next_back().unwrap() + 1;
    let price = Money(25_500);
    let line = Line {
        id: number,
        title: "Tea".to_owned(),
        quantity: 1,
        price,
    };
    let order = Order {
        customer: Some(customer),
        created: at,
        processed: at,
        updated: at,
        total: price,
        lines: vec![line],
        ..Order::default()
    };
    state.shopify.orders.insert(number, order);
    number
}

/// The profile's owner clicks in a mail.
pub fn click(state: &mut State, profile: &str, at: Moment) {
    let properties = json!({ "Bot Click": false });
    happen(state, "Clicked Email", profile, properties, at);
}

/// The profile's owner opens a mail.
pub fn open(state: &mut State, profile: &str, at: Moment) {
    let properties = json!({ "machine_open": false });
    happen(state, "Opened Email", profile, properties, at);
}

/// A mail to the profile does not arrive. After a hard bounce Klaviyo sends no other.
pub fn bounce(state: &mut State, profile: &str, hard: bool, at: Moment) {
    let kind = if hard { "Hard" } else { "Soft" };
    let properties = json!({ "Bounce Type": kind, "$message": format!("01LETTER{}", at.0) });
    happen(state, "Bounced Email", profile, properties, at);
    if hard {
        let profile = state.klaviyo.profiles.get_mut(profile).unwrap();
        profile.updated = at;
        profile.suppressions.push(Suppression {
            reason: "HARD_BOUNCE",
            at,
        });
    }
}

fn happen(state: &mut State, metric: &str, profile: &str, properties: Json, at: Moment) {
    let mut metrics = state.klaviyo.metrics.iter();
    let metric = metrics.find(|(_, known)| known.name == metric);
    let metric = metric.unwrap().0.clone();
    let count = state.klaviyo.events.get(&metric).map_or(0, Vec::len);
    let event = Event {
        id: format!("{metric}{count:06}"),
        timestamp: at.secs(),
        profile: Some(profile.to_owned()),
        properties: Arc::new(properties),
    };
    show(state, &metric, event, at);
}

/// From now on Klaviyo shows an event, whenever it happened.
pub fn show(state: &mut State, metric: &str, event: Event, now: Moment) {
    let klaviyo = &mut state.klaviyo;
    if let Some(profile) = &event.profile {
        klaviyo.note_change(&profile.clone(), now);
    }
    let events = klaviyo.events.entry(metric.to_owned()).or_default();
    let place = |known: &Event| (known.timestamp, &known.id) < (event.timestamp, &event.id);
    events.insert(events.partition_point(place), event);
}

/// Somebody subscribes.
pub fn join(state: &mut State, at: Moment) {
    let since = at.0;
    let id = format!("01JOINED{since:018}");
    let profile = Profile {
        email: Some(format!("joined-{since}@example.org")),
        consent: "SUBSCRIBED",
        consent_at: Some(at),
        ..fresh(at)
    };
    state.klaviyo.note_change(&id, at);
    state.klaviyo.profiles.insert(id, profile);
}

/// One profile is merged into another: it is no more, and the other has its events, its places on
/// lists, and what it lacked.
pub fn merge(state: &mut State, source: &str, into: &str, at: Moment) {
    let klaviyo = &mut state.klaviyo;
    let from = klaviyo.profiles.remove(source).unwrap();
    let one = klaviyo.profiles.get_mut(into).unwrap();
    one.phone_number = one.phone_number.take().or(from.phone_number);
    one.email = one.email.take().or(from.email);
    one.external_id = one.external_id.take().or(from.external_id);
    for (name, value) in from.properties {
        one.properties.entry(name).or_insert(value);
    }
    one.suppressions.extend(from.suppressions);
    one.updated = at;
    for event in klaviyo.events.values_mut().flatten() {
        if event.profile.as_deref() == Some(source) {
            event.profile = Some(into.to_owned());
        }
    }
    for list in klaviyo.lists.values_mut() {
        if let Some(joined) = list.members.remove(source) {
            list.members.entry(into.to_owned()).or_insert(joined);
        }
    }
    klaviyo.note_change(source, at);
    klaviyo.note_change(into, at);
    let truth = &mut state.truth;
    for twins in &mut truth.duplicates {
        twins.retain(|id| id != source);
    }
    for (profile, _) in truth.pairs.iter_mut().filter(|(id, _)| id == source) {
        into.clone_into(profile);
    }
}

/// Somebody had themselves erased by both vendors; what they bought stays sold.
pub fn erase(
    state: &mut State,
    profiles: &BTreeSet<String>,
    customers: &BTreeSet<u64>,
    at: Moment,
) {
    let klaviyo = &mut state.klaviyo;
    let mut addresses = BTreeSet::new();
    for id in profiles {
        let gone = klaviyo.profiles.remove(id);
        addresses.extend(gone.and_then(|gone| gone.email));
        klaviyo.changed.remove(id);
        for list in klaviyo.lists.values_mut() {
            list.members.remove(id);
        }
        for change in &mut klaviyo.pending {
            change.profiles.retain(|member| member != id);
        }
        for event in klaviyo.events.values_mut().flatten() {
            event.profile.take_if(|profile| profile == id);
        }
    }
    for number in customers {
        let gone = state.shopify.customers.remove(number);
        addresses.extend(gone.and_then(|gone| gone.email));
    }
    for order in state.shopify.orders.values_mut() {
        let theirs = order
            .customer
            .is_some_and(|number| customers.contains(&number));
        let typed = order.email.as_ref().is_some_and(|email| {
            addresses
                .iter()
                .any(|address| address.eq_ignore_ascii_case(email))
        });
        if theirs || typed {
            (order.customer, order.email, order.updated) = (None, None, at);
        }
    }
    let truth = &mut state.truth;
    truth
        .pairs
        .retain(|(_, customer)| !customers.contains(customer));
    for twins in &mut truth.duplicates {
        twins.retain(|id| !profiles.contains(id));
    }
}

fn fresh(at: Moment) -> Profile {
    Profile {
        created: at,
        updated: at,
        ..Profile::default()
    }
}

/// Edits of records that driftless writes to, too.
#[derive(Clone, Copy, Debug)]
pub enum Edit {
    /// One of our properties gets another value.
    Property,
    /// Somebody is put on a managed list. Nobody is taken off: for a while after its own writes
    /// driftless believes them rather than a listing that may lag, and what it added moments ago
    /// would only seem to be lost.
    PutOn,
    /// A profile is suppressed.
    Suppress,
    /// A profile unsubscribes.
    Unsubscribe,
    /// One of our tags is taken from a customer.
    Untag,
}

impl Edit {
    pub const ALL: [Edit; 5] = [
        Self::Property,
        Self::PutOn,
        Self::Suppress,
        Self::Unsubscribe,
        Self::Untag,
    ];

    /// Carries it out on somebody; says on whom, by profile id or customer gid.
    pub fn make(self, state: &mut State, random: &mut Rng, at: Moment) -> Option<String> {
        if let Self::Untag = self {
            return untag(state, random, at);
        }
        let klaviyo = &mut state.klaviyo;
        let id = random.choice(klaviyo.profiles.keys())?.clone();
        let managed = klaviyo.lists.values_mut();
        let managed = managed.filter(|list| list.name == "Win-back").last();
        let profile = klaviyo.profiles.get_mut(&id)?;
        match self {
            Self::PutOn => drop(managed?.members.entry(id.clone()).or_insert(at)),
            Self::Property => {
                let name = "driftless_stage".to_owned();
                drop(profile.properties.insert(name, json!("vip")));
            }
            Self::Suppress => profile.suppressions.push(Suppression {
                reason: "USER_SUPPRESSED",
                at,
            }),
            Self::Unsubscribe => (profile.consent, profile.consent_at) = ("UNSUBSCRIBED", Some(at)),
            Self::Untag => unreachable!("of customers, above"),
        }
        profile.updated = at;
        klaviyo.note_change(&id, at);
        Some(id)
    }
}

fn untag(state: &mut State, random: &mut Rng, at: Moment) -> Option<String> {
    let customers = state.shopify.customers.iter_mut();
    let ours = |tag: &String| tag.starts_with("driftless:");
    let tagged = customers.filter(|(_, customer)| customer.tags.iter().any(ours));
    let (number, customer) = random.choice(tagged.collect::<Vec<_>>())?;
    customer.tags.retain(|tag| !ours(tag));
    customer.updated = at;
    Some(format!("gid://shopify/Customer/{number}"))
}
