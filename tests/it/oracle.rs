//! What ought to be true of the world, worked out from the world alone: none of the product's rules
//! is called here, so that no mistake of theirs can hide.

use driftless::model::{DAY_MS, Moment};
use driftless::sandbox::world::{Event, KlaviyoWorld, Order, Profile, State};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// Mailbox providers of the generator that ignore what follows a plus sign.
const PLUS_IS_A_TAG: [&str; 4] = ["gmail.com", "icloud.com", "hotmail.com", "outlook.com"];

/// One human as both vendors' records show them.
#[derive(Debug, Default)]
pub struct Human {
    pub profiles: Vec<String>,
    pub customers: Vec<u64>,
    pub orders: u32,
    /// In thousandths.
    pub spent: i64,
    pub last_order: Option<Moment>,
    pub stage: &'static str,
    pub tier: &'static str,
    pub reachable: bool,
}

impl Human {
    /// The profile that stands for the human on lists: one that mail reaches, then one that names
    /// the customer, then the oldest id.
    pub fn face(&self, klaviyo: &KlaviyoWorld) -> Option<&String> {
        self.profiles.iter().min_by_key(|id| {
            let profile = &klaviyo.profiles[*id];
            let linked = profile.external_id.is_some();
            (!reaches(profile), !linked, (*id).clone())
        })
    }

    /// What the sandbox's config wants written on every profile.
    pub fn properties(&self) -> BTreeMap<&'static str, Json> {
        let mut wanted = BTreeMap::from([
            ("driftless_stage", json!(self.stage)),
            ("driftless_tier", json!(self.tier)),
            ("driftless_orders", json!(f64::from(self.orders))),
            (
                "driftless_spent",
                json!((self.spent as f64 / 10.0).round() / 100.0),
            ),
        ]);
        let date = self.last_order.map(|at| json!(at.to_string()[..10]));
        wanted.extend(date.map(|date| ("driftless_last_order", date)));
        wanted
    }
}

/// Everybody, as of `now`.
pub fn everybody(state: &State, now: Moment) -> Vec<Human> {
    let mut humans = identities(state);
    let orders = orders_by_human(state, &humans);
    let events = events_by_profile(&state.klaviyo);
    for (index, human) in humans.iter_mut().enumerate() {
        let none = Vec::new();
        let orders = orders.get(&index).unwrap_or(&none);
        describe(human, state, orders, &events, now);
    }
    humans
}

/// Members that the sandbox's two managed lists should have: lapsed, and at risk and reachable.
pub fn lists(state: &State, now: Moment) -> (Vec<String>, Vec<String>) {
    let humans = everybody(state, now);
    let faces = |fits: &dyn Fn(&Human) -> bool| -> Vec<String> {
        let fitting = humans.iter().filter(|human| fits(human));
        let mut faces: Vec<String> = fitting
            .filter_map(|human| human.face(&state.klaviyo).cloned())
            .collect();
        faces.sort();
        faces
    };
    let lapsed = faces(&|human| human.stage == "lapsed");
    let at_risk = faces(&|human| human.stage == "at_risk" && human.reachable);
    (lapsed, at_risk)
}

/// The properties of every profile that differ from what they should be, one line each.
pub fn wrong_properties(state: &State, now: Moment) -> Vec<String> {
    let mut wrong = Vec::new();
    for human in everybody(state, now) {
        let wanted = human.properties();
        for id in &human.profiles {
            let have = &state.klaviyo.profiles[id].properties;
            let ours = have
                .iter()
                .filter(|(name, _)| name.starts_with("driftless_"));
            let ours: BTreeMap<&str, Json> = ours
                .map(|(name, value)| (name.as_str(), as_float(value)))
                .collect();
            if ours != wanted {
                wrong.push(format!("{id}: {ours:?} where {wanted:?} is wanted"));
            }
        }
    }
    wrong
}

/// Equal numbers are equal however they are spelt.
fn as_float(value: &Json) -> Json {
    value
        .as_f64()
        .map_or_else(|| value.clone(), |number| json!(number))
}

/// Whether marketing mail arrives, whatever the consent.
pub fn reaches(profile: &Profile) -> bool {
    profile.email.is_some() && profile.suppressions.is_empty()
}

/// Who is who, from what the generator planted. A plus sign is part of the name where the provider
/// does not ignore it: such twins cannot be known to be one.
fn identities(state: &State) -> Vec<Human> {
    let mut owner: BTreeMap<&str, usize> = BTreeMap::new();
    let mut humans: Vec<Human> = Vec::new();
    let tagged = |id: &str| {
        let email = state.klaviyo.profiles.get(id)?.email.as_deref()?;
        let (local, domain) = email.split_once('@')?;
        local
            .contains('+')
            .then_some(!PLUS_IS_A_TAG.contains(&domain))
    };
    for group in &state.truth.duplicates {
        let group = group.iter().filter(|id| tagged(id) != Some(true));
        let group = group.filter(|id| state.klaviyo.profiles.contains_key(*id));
        let profiles: Vec<String> = group.cloned().collect();
        humans.push(Human {
            profiles,
            ..Human::default()
        });
    }
    for (index, group) in state.truth.duplicates.iter().enumerate() {
        let known = group
            .iter()
            .filter(|id| humans[index].profiles.contains(id));
        owner.extend(known.map(|id| (id.as_str(), index)));
    }
    for id in state.klaviyo.profiles.keys() {
        owner.entry(id).or_insert_with(|| {
            humans.push(Human {
                profiles: vec![id.clone()],
                ..Human::default()
            });
            humans.len() - 1
        });
    }
    let mut paired = BTreeSet::new();
    for (profile, customer) in &state.truth.pairs {
        paired.insert(*customer);
        if let Some(index) = owner.get(profile.as_str()) {
            humans[*index].customers.push(*customer);
        }
    }
    let alone = state
        .shopify
        .customers
        .keys()
        .filter(|id| !paired.contains(id));
    humans.extend(alone.map(|id| Human {
        customers: vec![*id],
        ..Human::default()
    }));
    humans
}

/// Orders of customers, and of guests who typed the address of a profile.
fn orders_by_human<'a>(state: &'a State, humans: &[Human]) -> BTreeMap<usize, Vec<&'a Order>> {
    let (mut by_customer, mut by_email) = (BTreeMap::new(), BTreeMap::new());
    for (index, human) in humans.iter().enumerate() {
        by_customer.extend(human.customers.iter().map(|id| (*id, index)));
        for id in &human.profiles {
            let email = state.klaviyo.profiles[id].email.as_deref();
            by_email.extend(email.map(|email| (email.to_lowercase(), index)));
        }
    }
    let mut found: BTreeMap<usize, Vec<&Order>> = BTreeMap::new();
    for order in state.shopify.orders.values() {
        let typed = || order.email.as_ref().map(|email| email.to_lowercase());
        let owner = match order.customer {
            Some(id) => by_customer.get(&id),
            None => typed().and_then(|email| by_email.get(&email)),
        };
        if let Some(index) = owner {
            found.entry(*index).or_default().push(order);
        }
    }
    found
}

type Events<'a> = BTreeMap<&'a str, Vec<(&'a str, &'a Event)>>;

fn events_by_profile(klaviyo: &KlaviyoWorld) -> Events<'_> {
    let mut found: Events<'_> = BTreeMap::new();
    for (metric, events) in &klaviyo.events {
        let name = klaviyo.metrics[metric].name.as_str();
        for event in events {
            if let Some(profile) = &event.profile {
                found.entry(profile).or_default().push((name, event));
            }
        }
    }
    found
}

fn describe(human: &mut Human, state: &State, orders: &[&Order], events: &Events<'_>, now: Moment) {
    let past = orders.iter().filter(|order| order.processed <= now);
    let mut counted: Vec<&&Order> = past
        .filter(|order| {
            let given_back = order.refunded.0 > 0 && order.refunded >= order.total;
            !order.test && order.cancelled.is_none() && !given_back
        })
        .collect();
    counted.sort_by_key(|order| order.processed);
    human.orders = counted.len() as u32;
    human.spent = counted.iter().map(|o| o.total.0 - o.refunded.0).sum();
    human.last_order = counted.last().map(|order| order.processed);
    let before = counted.iter().rev().nth(1).map(|order| order.processed);
    let profiles = human.profiles.iter().map(|id| &state.klaviyo.profiles[id]);
    let customers = human
        .customers
        .iter()
        .map(|id| &state.shopify.customers[id]);
    let created = profiles.clone().map(|profile| profile.created);
    let created = created
        .chain(customers.map(|customer| customer.created))
        .min();
    human.reachable = profiles.clone().any(reaches);
    human.stage = stage(created, human.last_order, before, now);
    let events = human
        .profiles
        .iter()
        .filter_map(|id| events.get(id.as_str()));
    human.tier = tier(events.flatten(), human.last_order, now);
}

/// UTC dates between two instants.
fn days(from: Moment, to: Moment) -> i64 {
    to.0.div_euclid(DAY_MS) - from.0.div_euclid(DAY_MS)
}

fn stage(
    created: Option<Moment>,
    last: Option<Moment>,
    before: Option<Moment>,
    now: Moment,
) -> &'static str {
    let Some(last) = last else {
        let new = created.is_some_and(|at| days(at, now) <= 30);
        return if new { "new_lead" } else { "lead" };
    };
    let returned = before.is_some_and(|before| days(before, last) > 395);
    match days(last, now) {
        quiet if returned && quiet <= 60 => "won_back",
        ..=120 => "active",
        121..=395 => "at_risk",
        _ => "lapsed",
    }
}

fn tier<'a>(
    events: impl Iterator<Item = &'a (&'a str, &'a Event)>,
    last_order: Option<Moment>,
    now: Moment,
) -> &'static str {
    let (mut last, mut mailed) = (last_order, false);
    for (name, event) in events.filter(|(_, event)| event.timestamp * 1000 <= now.0) {
        let flag = |flag: &str| event.properties[flag] == true;
        let human = match *name {
            "Opened Email" => !flag("machine_open") && !flag("Apple Privacy Open"),
            "Clicked Email" => !flag("Bot Click"),
            "Active on Site" | "Placed Order" => true,
            _ => false,
        };
        mailed |= *name == "Received Email";
        if human {
            last = last.max(Some(Moment(event.timestamp * 1000)));
        }
    }
    match last.map(|at| days(at, now)) {
        Some(..=30) => "t30",
        Some(..=60) => "t60",
        Some(..=90) => "t90",
        Some(..=180) => "t180",
        Some(_) => "dormant",
        None if mailed => "never",
        None => "unmailed",
    }
}
