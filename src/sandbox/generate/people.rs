//! Who there is: profiles, customers, or both; what they agreed to; and what becomes of their mailbox.

use super::chance::{between, happens, weighted};
use super::ledger::Ledger;
use super::{standard, words};
use crate::model::{DAY_MS, Moment};
use crate::sandbox::ids;
use crate::sandbox::world::{Customer, Profile, State, Suppression};
use fastrand::Rng;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Shopify's number before the first customer.
const FIRST_CUSTOMER: u64 = 7_000_000_000_000;

/// What becomes of a mailbox, and of the consent to write to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    /// Mail arrives.
    Healthy,
    /// Nobody ever agreed to mail.
    Unasked,
    /// Soft bounces without end; this many so far.
    Dies(usize),
    /// A hard bounce; upstream missed it or not.
    HardBounces { missed: bool },
    /// Marked as spam; upstream missed it or not.
    Complains { missed: bool },
    /// Opted out.
    Unsubscribes,
    /// The address cannot exist.
    Invalid,
    /// Suppressed by the merchant.
    Suppressed,
}

/// Thousandths of the people with a fate other than healthy.
const FATES: [(Fate, usize); 11] = [
    (Fate::Unasked, 340),
    (Fate::Unsubscribes, 70),
    (Fate::Dies(5), 7),
    (Fate::Dies(6), 6),
    (Fate::Dies(7), 5),
    (Fate::Dies(8), 5),
    (Fate::HardBounces { missed: false }, 14),
    (Fate::HardBounces { missed: true }, 3),
    (Fate::Complains { missed: false }, 4),
    (Fate::Complains { missed: true }, 2),
    (Fate::Invalid, 3),
];
/// Thousandths suppressed by the merchant.
const SUPPRESSED: usize = 8;
/// Thousandths of the profiles that are a second profile of somebody.
const DUPLICATES: usize = 30;
/// Thousandths of customers without a profile, on top of the profiles.
const CUSTOMERS_ONLY: usize = 50;
/// Soft bounces in a row after which upstream suppresses by itself.
pub(super) const UPSTREAM_RUN: usize = 8;

/// One human.
#[derive(Clone, Debug)]
pub(super) struct Human {
    /// Klaviyo's record.
    pub(super) profile: Option<String>,
    /// Shopify's record.
    pub(super) customer: Option<u64>,
    pub(super) email: String,
    pub(super) domain: &'static str,
    pub(super) provider: &'static str,
    pub(super) phone: Option<String>,
    name: (&'static str, &'static str),
    place: (&'static str, &'static str, &'static str),
    /// Known to the shop since.
    pub(super) since: Moment,
    pub(super) fate: Fate,
    /// When the fate struck.
    pub(super) struck: Option<Moment>,
    /// Share of mails that the human opens.
    pub(super) engagement: f64,
    /// Loses interest in mail here.
    pub(super) drifts: Moment,
    /// Mail is fetched by a privacy proxy.
    pub(super) apple: bool,
    /// Mail is scanned by a machine that follows links.
    pub(super) scanned: bool,
    /// Buys something now and then.
    pub(super) buyer: bool,
    /// Another profile of this human is at this index.
    twin_of: Option<usize>,
}

/// Makes everybody: `profiles` profiles, duplicates included, and some customers without one.
pub(super) fn crowd(profiles: usize, start: Moment, now: Moment, rng: &mut Rng) -> Vec<Human> {
    let twins = share(profiles, DUPLICATES).min(profiles / 4);
    let singles = profiles - twins;
    let fates = fates(singles, rng);
    let mut crowd = Vec::with_capacity(profiles + share(profiles, CUSTOMERS_ONLY));
    for (index, fate) in fates.into_iter().enumerate() {
        let mut human = human(index, fate, start, now, rng);
        human.profile = Some(ids::ulid(human.since, rng));
        crowd.push(human);
    }
    for index in singles..singles + share(profiles, CUSTOMERS_ONLY) {
        let mut human = human(index, Fate::Unasked, start, now, rng);
        human.buyer = happens(rng, 0.8);
        human.customer = Some(0);
        crowd.push(human);
    }
    let known = |index: &usize| crowd[*index].phone.is_some();
    let phoned: Vec<usize> = (0..singles).filter(known).collect();
    for number in 0..twins {
        let twin = twin(&crowd, number, (singles, &phoned), now, rng);
        crowd.extend(twin);
    }
    number_customers(&mut crowd);
    crowd
}

/// A part of a number, at least one as long as there is anybody.
fn share(of: usize, thousandths: usize) -> usize {
    (of * thousandths).div_ceil(1000)
}

fn fates(count: usize, rng: &mut Rng) -> Vec<Fate> {
    let mut fates = Vec::with_capacity(count);
    for (fate, thousandths) in FATES.into_iter().chain([(Fate::Suppressed, SUPPRESSED)]) {
        fates.extend(std::iter::repeat_n(fate, share(count, thousandths)));
    }
    fates.resize(count, Fate::Healthy);
    rng.shuffle(&mut fates);
    fates
}

fn human(index: usize, fate: Fate, start: Moment, now: Moment, rng: &mut Rng) -> Human {
    let &(domain, provider) = weighted(rng, &words::DOMAINS).unwrap_or(&("gmail.com", "Gmail"));
    let dies = matches!(fate, Fate::Dies(_));
    // A mailbox must have lived a while before it can die.
    let latest = if dies {
        now.0 - 240 * DAY_MS
    } else {
        now.0 - DAY_MS
    };
    let since = between(rng, start, Moment(latest.max(start.0 + 1)));
    let engaged = happens(rng, 0.55);
    let buyer = happens(rng, 0.5);
    let place = weighted(rng, &words::PLACES).copied();
    Human {
        profile: None,
        customer: (buyer || happens(rng, 0.15)).then_some(0),
        email: address(index, domain, rng),
        domain,
        provider,
        phone: phone(index),
        name: (words::FIRST[rng.usize(..24)], words::LAST[rng.usize(..24)]),
        place: place.unwrap_or(("United States", "US", "Portland")),
        since,
        fate,
        struck: None,
        engagement: if engaged {
            0.15 + 0.45 * rng.f64()
        } else {
            0.04 * rng.f64()
        },
        drifts: Moment(since.0 + (60.0 + 900.0 * rng.f64()) as i64 * DAY_MS),
        apple: provider == "Apple" || happens(rng, 0.15),
        scanned: provider.contains(' ') && happens(rng, 0.6),
        buyer,
        twin_of: None,
    }
}

/// An address that nobody else has: the index is part of it.
fn address(index: usize, domain: &str, rng: &mut Rng) -> String {
    let company = domain.contains('-');
    if company && happens(rng, 0.05) {
        let role = words::ROLES[index % words::ROLES.len()];
        return format!("{role}@{index}.{domain}");
    }
    let (colour, animal) = (
        words::COLOURS[rng.usize(..16)],
        words::ANIMALS[rng.usize(..16)],
    );
    format!("{colour}.{animal}.{}@{domain}", 10_000 + index)
}

/// A number of its own for a quarter of the people, as long as fictional numbers last.
fn phone(index: usize) -> Option<String> {
    let number = index / 4;
    let code = words::AREA_CODES.get(number / 100)?;
    let wanted = index.is_multiple_of(4);
    wanted.then(|| format!("+1{code}55501{:02}", number % 100))
}

/// A second profile of somebody: same mailbox in other spelling, or same phone without a mailbox.
fn twin(
    crowd: &[Human],
    number: usize,
    (singles, phoned): (usize, &[usize]),
    now: Moment,
    rng: &mut Rng,
) -> Option<Human> {
    let gmail = number % 4 == 2;
    let fits = |human: &Human| {
        let spelled = !gmail || human.domain == "gmail.com";
        let plain = || human.email.matches('.').count() > 2;
        human.fate == Fate::Healthy && spelled && plain()
    };
    let start = rng.usize(..singles);
    let fits = |at: &usize| fits(&crowd[*at]);
    let index = match number % 4 == 3 {
        // Only the first of many people have a phone: whoever is next to have one is far.
        true => {
            let (before, after) = phoned.split_at(phoned.partition_point(|at| *at < start));
            after.iter().chain(before).copied().find(fits)
        }
        false => (start..singles).chain(0..start).find(fits),
    };
    let index = index.unwrap_or(start);
    let original = &crowd[index];
    let (local, domain) = original.email.split_once('@')?;
    let email = match number % 4 {
        0 => original.email.to_uppercase(),
        1 => format!("{local}+shop@{domain}"),
        2 => format!("{}@{domain}", local.replacen('.', "", 1)),
        _ => String::new(),
    };
    let since = between(rng, original.since, now);
    Some(Human {
        profile: Some(ids::ulid(since, rng)),
        customer: None,
        phone: original.phone.clone().filter(|_| email.is_empty()),
        email,
        since,
        fate: Fate::Unasked,
        buyer: false,
        twin_of: Some(index),
        ..original.clone()
    })
}

/// Customers are numbered in the order of their creation, as the vendor does it.
fn number_customers(crowd: &mut [Human]) {
    let mut customers: Vec<usize> = (0..crowd.len())
        .filter(|at| crowd[*at].customer.is_some())
        .collect();
    customers.sort_by_key(|at| crowd[*at].since);
    for (number, at) in (FIRST_CUSTOMER + 1..).zip(customers) {
        crowd[at].customer = Some(number);
    }
}

/// Writes everybody into both worlds, once it is known what became of them.
pub(super) fn enroll(
    state: &mut State,
    ledger: &mut Ledger,
    crowd: &[Human],
    now: Moment,
    rng: &mut Rng,
) {
    let mut doubles: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for human in crowd {
        let consent = consent(human);
        if let Some(id) = &human.profile {
            announce(ledger, human, id, consent, rng);
            let profile = profile(human, ledger.last_active(id), consent, rng);
            state.klaviyo.profiles.insert(id.clone(), profile);
            if let Some(original) = human.twin_of {
                doubles.entry(original).or_default().push(id.clone());
            }
        }
        if let Some(number) = human.customer {
            let customer = customer(human, consent, now, rng);
            note_customer(state, human, number, &customer, consent);
            state.shopify.customers.insert(number, customer);
        }
        note_fate(state, human);
    }
    for (original, mut twins) in doubles {
        twins.extend(crowd[original].profile.clone());
        twins.sort();
        state.truth.duplicates.push(twins);
    }
}

/// What Klaviyo says the human agreed to.
fn consent(human: &Human) -> &'static str {
    match human.fate {
        Fate::Unasked => "NEVER_SUBSCRIBED",
        Fate::Unsubscribes | Fate::Complains { missed: false } => "UNSUBSCRIBED",
        _ => "SUBSCRIBED",
    }
}

/// The events that tell of consent and its end.
fn announce(ledger: &mut Ledger, human: &Human, id: &str, consent: &str, rng: &mut Rng) {
    if consent != "NEVER_SUBSCRIBED" {
        let form = Arc::new(json!({ "Method": "FORM", "List": "Newsletter" }));
        ledger.add(standard::SUBSCRIBED, id, human.since, &form, rng);
    }
    let Some(struck) = human.struck else { return };
    match human.fate {
        Fate::Unsubscribes => {
            let page = Arc::new(json!({ "Method": "PREFERENCE_PAGE" }));
            ledger.add(standard::UNSUBSCRIBED, id, struck, &page, rng);
        }
        Fate::Suppressed => {
            let hand = Arc::new(json!({ "method": "USER" }));
            ledger.add(standard::MANUALLY_SUPPRESSED, id, struck, &hand, rng);
        }
        _ => {}
    }
}

fn profile(human: &Human, last: Option<Moment>, consent: &'static str, rng: &mut Rng) -> Profile {
    let reason = match human.fate {
        Fate::HardBounces { missed: false } | Fate::Dies(UPSTREAM_RUN) => Some("HARD_BOUNCE"),
        Fate::Complains { missed: false } => Some("SPAM_COMPLAINT"),
        Fate::Unsubscribes => Some("UNSUBSCRIBE"),
        Fate::Invalid => Some("INVALID_EMAIL"),
        Fate::Suppressed => Some("USER_SUPPRESSED"),
        _ => None,
    };
    let at = human.struck.unwrap_or(human.since);
    let suppressions = reason.map(|reason| Suppression { reason, at });
    let changed = if consent == "UNSUBSCRIBED" {
        at
    } else {
        human.since
    };
    let linked = human.customer.filter(|_| happens(rng, 0.9));
    let favourite = words::WARES[rng.usize(..words::WARES.len())].0;
    Profile {
        email: Some(human.email.clone()).filter(|email| !email.is_empty()),
        phone_number: human.phone.clone(),
        external_id: linked.map(|number| number.to_string()),
        first_name: Some(human.name.0.to_owned()),
        last_name: Some(human.name.1.to_owned()),
        created: human.since,
        updated: human.since.max(last.unwrap_or_default()).max(changed),
        last_event_date: last,
        country: Some(human.place.0.to_owned()),
        city: Some(human.place.2.to_owned()),
        properties: BTreeMap::from([
            (
                "Accepts Marketing".to_owned(),
                json!(consent == "SUBSCRIBED"),
            ),
            ("Favourite".to_owned(), json!(favourite)),
        ]),
        consent,
        consent_at: (consent != "NEVER_SUBSCRIBED").then_some(changed),
        suppressions: suppressions.into_iter().collect(),
        ..Profile::default()
    }
}

/// Shopify's record; it agrees with Klaviyo's on consent but for a few.
fn customer(human: &Human, consent: &str, now: Moment, rng: &mut Rng) -> Customer {
    let differs = happens(rng, 0.02);
    let email_state = match (consent, differs) {
        ("SUBSCRIBED", false) | ("UNSUBSCRIBED", true) => "SUBSCRIBED",
        ("SUBSCRIBED", true) | ("UNSUBSCRIBED", false) => "UNSUBSCRIBED",
        (_, true) => "PENDING",
        _ => "NOT_SUBSCRIBED",
    };
    let asked = email_state != "NOT_SUBSCRIBED";
    Customer {
        email: Some(human.email.clone()),
        phone: human.phone.as_deref().map(|phone| spelled(phone, rng)),
        first_name: Some(human.name.0.to_owned()),
        last_name: Some(human.name.1.to_owned()),
        created: human.since,
        updated: between(rng, human.since, now),
        tags: if happens(rng, 0.1) {
            vec!["wholesale".to_owned()]
        } else {
            Vec::new()
        },
        email_state,
        email_state_at: asked.then_some(human.since),
        country_code: Some(human.place.1.to_owned()),
        city: Some(human.place.2.to_owned()),
        ..Customer::default()
    }
}

/// A phone number as somebody typed it.
fn spelled(phone: &str, rng: &mut Rng) -> String {
    let digits = phone.trim_start_matches("+1");
    let parts = (digits.get(..3), digits.get(3..6), digits.get(6..));
    match (rng.u8(..3), parts) {
        (0, (Some(area), Some(office), Some(line))) => format!("({area}) {office}-{line}"),
        (1, (Some(area), Some(office), Some(line))) => format!("+1 {area} {office} {line}"),
        _ => phone.to_owned(),
    }
}

fn note_customer(
    state: &mut State,
    human: &Human,
    number: u64,
    customer: &Customer,
    consent: &str,
) {
    let Some(id) = &human.profile else {
        state.truth.customers_only.push(number);
        return;
    };
    state.truth.pairs.push((id.clone(), number));
    let opposite = match consent {
        "SUBSCRIBED" => "UNSUBSCRIBED",
        "UNSUBSCRIBED" => "SUBSCRIBED",
        _ => return,
    };
    if customer.email_state == opposite {
        state.truth.consent_conflicts.push((id.clone(), number));
    }
}

fn note_fate(state: &mut State, human: &Human) {
    let (Some(id), Some(_)) = (&human.profile, human.struck) else {
        return;
    };
    let truth = &mut state.truth;
    match human.fate {
        Fate::Dies(_) => truth.dead_mailboxes.push(id.clone()),
        Fate::HardBounces { missed: true } => truth.missed_hard_bounces.push(id.clone()),
        Fate::Complains { missed: true } => truth.missed_complaints.push(id.clone()),
        _ => {}
    }
}
