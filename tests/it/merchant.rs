//! What others do to a shop: customers buy and click, people join, the merchant edits by hand.

use driftless::model::{Moment, Money};
use driftless::sandbox::world::{Event, Line, Order, Profile, State, Suppression};
use fastrand::Rng;
use serde_json::json;
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
    let klaviyo = &mut state.klaviyo;
    let mut metrics = klaviyo.metrics.iter();
    let metric = metrics.find(|(_, metric)| metric.name == "Clicked Email");
    let metric = metric.unwrap().0.clone();
    let events = klaviyo.events.get_mut(&metric).unwrap();
    let event = Event {
        id: format!("click{:06}", events.len()),
        timestamp: at.secs(),
        profile: Some(profile.to_owned()),
        properties: Arc::new(json!({ "Bot Click": false })),
    };
    let place = |known: &Event| (known.timestamp, &known.id) < (event.timestamp, &event.id);
    events.insert(events.partition_point(place), event);
    klaviyo.note_change(profile, at);
}

/// Somebody subscribes.
pub fn join(state: &mut State, at: Moment) {
    let nth = state.klaviyo.profiles.len();
    let id = format!("01JOINED{nth:018}");
    let profile = Profile {
        email: Some(format!("joined-{nth}@example.org")),
        consent: "SUBSCRIBED",
        consent_at: Some(at),
        ..fresh(at)
    };
    state.klaviyo.note_change(&id, at);
    state.klaviyo.profiles.insert(id, profile);
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
