//! A shop's people and what they did: the same for the same numbers, whoever asks first.

use driftless::model::{
    Channel, ChannelState, Consent, EmailMarketing, IncomingEvent, IncomingValue, ListId, Moment,
    Money, Profile, ProfileId, Suppression, SuppressionReason, Value,
};
use fastrand::Rng;

pub const NOW: Moment = Moment::from_secs(1_790_000_000);
const DAY: i64 = 86_400;

/// By number, as tickets name them: id and name.
pub const METRICS: [(&str, &str); 8] = [
    ("Recvd1", "Received Email"),
    ("Opend1", "Opened Email"),
    ("Click1", "Clicked Email"),
    ("Bounc1", "Bounced Email"),
    ("Activ1", "Active on Site"),
    ("Viewd1", "Viewed Product"),
    ("Check1", "Checkout Started"),
    ("Place1", "Placed Order"),
];
const OPENED: u8 = 1;
const CLICKED: u8 = 2;
const BOUNCED: u8 = 3;
const VIEWED: u8 = 5;
const CHECKOUT: u8 = 6;
const PLACED: u8 = 7;

/// By mood, how many of a hundred events are of each metric: asleep, reading, shopping, bouncing.
const SHARES: [[u8; 8]; 4] = [
    [96, 0, 0, 4, 0, 0, 0, 0],
    [58, 33, 4, 1, 2, 2, 0, 0],
    [30, 20, 6, 1, 20, 14, 5, 4],
    [40, 10, 0, 50, 0, 0, 0, 0],
];

pub const LISTS: [&str; 2] = ["NewsL1", "VipsL1"];

const COUNTRIES: [&str; 10] = [
    "United States",
    "Canada",
    "United Kingdom",
    "Germany",
    "France",
    "Netherlands",
    "Australia",
    "Austria",
    "Spain",
    "Japan",
];
const CITIES: [&str; 8] = [
    "Boston",
    "Toronto",
    "London",
    "Berlin",
    "Paris",
    "Amsterdam",
    "Sydney",
    "Vienna",
];
const TIERS: [&str; 4] = ["bronze", "silver", "gold", "platinum"];
const GOODS: [&str; 6] = ["Shoes", "Hats", "Bags", "Jackets", "Socks", "Scarves"];
const KINDS: [&str; 5] = ["Jacket", "Shoe", "Hat", "Bag", "Scarf"];
const DOMAINS: [&str; 4] = ["gmail.com", "outlook.com", "yahoo.com", "example.com"];

/// A random source of its own for each thing, so that none depends on another.
fn source(kind: u64, number: u64) -> Rng {
    Rng::with_seed((kind << 56 | number).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn one<'a>(rng: &mut Rng, of: &[&'a str]) -> &'a str {
    of[rng.usize(..of.len())]
}

fn in_hundred(rng: &mut Rng, share: u8) -> bool {
    rng.u8(..100) < share
}

/// An instant in the last days, recent ones more often.
fn lately(rng: &mut Rng, days: i64) -> Moment {
    let share = rng.f64();
    Moment::from_secs(NOW.secs() - ((days * DAY) as f64 * share * share) as i64)
}

pub fn id(person: u32) -> ProfileId {
    format!("01HZX{person:021}").into()
}

/// The number in a profile's id.
pub fn number(id: &ProfileId) -> Option<u32> {
    id.as_str().get(5..)?.parse().ok()
}

fn created(person: u32) -> Moment {
    lately(&mut source(1, person.into()), 1_500)
}

/// The record, with what the definitions mention.
pub fn profile(person: u32) -> Profile {
    let mut rng = source(2, person.into());
    let created = created(person);
    let domain = one(&mut rng, &DOMAINS);
    let mut profile = Profile {
        email: (!in_hundred(&mut rng, 2)).then(|| format!("person.{person}@{domain}")),
        phone: in_hundred(&mut rng, 30).then(|| format!("+1415{:07}", person % 10_000_000)),
        external_id: Some((7_000_000_000_000 + u64::from(person)).to_string()),
        country: (!in_hundred(&mut rng, 5)).then(|| one(&mut rng, &COUNTRIES).to_owned()),
        created: Some(created),
        updated: Some(created),
        email_marketing: Some(email_marketing(&mut rng, created)),
        channels: Some([(Channel::Sms, sms(&mut rng))].into()),
        ..Profile::new(id(person))
    };
    if !in_hundred(&mut rng, 10) {
        let city = Value::Text(one(&mut rng, &CITIES).to_owned());
        profile
            .attributes
            .insert("location['city']".to_owned(), city);
    }
    add_properties(&mut profile, &mut rng);
    profile
}

fn email_marketing(rng: &mut Rng, created: Moment) -> EmailMarketing {
    let consent = match rng.u8(..100) {
        ..60 => Consent::Subscribed,
        60..75 => Consent::Unsubscribed,
        _ => Consent::NeverSubscribed,
    };
    let asked = consent != Consent::NeverSubscribed;
    let reasons = [
        (SuppressionReason::HardBounce, 3),
        (SuppressionReason::UserSuppressed, 2),
        (SuppressionReason::InvalidEmail, 1),
    ];
    let mut suppressions = Vec::new();
    for (reason, share) in reasons {
        if in_hundred(rng, share) {
            let at = Some(lately(rng, 700));
            suppressions.push(Suppression { reason, at });
        }
    }
    let methods = ["FORM", "API", "PREFERENCE_PAGE", "SPAM_COMPLAINT"];
    let span = created.days_until(NOW).max(1);
    EmailMarketing {
        can_receive: Some(suppressions.is_empty() && consent != Consent::Unsubscribed),
        consent_at: asked.then(|| lately(rng, span)),
        suppressions,
        method: asked.then(|| one(rng, &methods).to_owned()),
        double_optin: Some(Value::Bool(in_hundred(rng, 20))),
        ..EmailMarketing::new(consent)
    }
}

fn sms(rng: &mut Rng) -> ChannelState {
    let subscribed = in_hundred(rng, 15);
    let consent = if subscribed {
        "SUBSCRIBED"
    } else {
        "NEVER_SUBSCRIBED"
    };
    ChannelState {
        can_receive: Some(subscribed),
        consent: Some(consent.to_owned()),
        consent_at: subscribed.then(|| lately(rng, 400)),
        ..ChannelState::default()
    }
}

fn add_properties(profile: &mut Profile, rng: &mut Rng) {
    let mut set = |name: &str, value: Value| profile.properties.insert(name.to_owned(), value);
    if in_hundred(rng, 40) {
        set("loyalty_tier", Value::Text(one(rng, &TIERS).to_owned()));
        set("points", Value::Int(rng.i64(0..2_500)));
    }
    if in_hundred(rng, 25) {
        set("vip", Value::Bool(in_hundred(rng, 20)));
    }
    if in_hundred(rng, 30) {
        let mut goods = GOODS.to_vec();
        rng.shuffle(&mut goods);
        let liked = goods.iter().take(rng.usize(..5));
        let liked = liked.map(|name| Value::Text((*name).to_owned()));
        set("favorites", Value::List(liked.collect()));
    }
    if in_hundred(rng, 35) {
        let day = Moment::from_day(rng.i64(-10_000..13_000));
        set("birthday", Value::Text(day.date()));
    }
    if in_hundred(rng, 15) {
        let at = NOW.secs() + rng.i64(-90 * DAY..60 * DAY);
        let at = Moment::from_secs(at).to_string();
        set("next_refill", Value::Text(at));
    }
}

/// Whether somebody is on a list, and since when, if that is known.
pub fn on_list(list: &str, person: u32) -> Option<Option<Moment>> {
    let mut rng = source(3 + u64::from(list == LISTS[1]), person.into());
    let share = if list == LISTS[0] { 45 } else { 8 };
    in_hundred(&mut rng, share).then(|| {
        let known = in_hundred(&mut rng, 95);
        known.then(|| lately(&mut rng, created(person).days_until(NOW).max(1)))
    })
}

/// One event, before its details: small, for there are millions. Sorts as a pull of one metric after
/// the other, oldest first, meets them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    pub metric: u8,
    pub at: u32,
    pub person: u32,
    pub count: u16,
}

/// Everything that happened to one person: `mean` events, for a few of them many times as many.
pub fn tickets(person: u32, mean: f64, tickets: &mut Vec<Ticket>) {
    let mut rng = source(5, person.into());
    // Lomax with an exponent of 2, its longest tail cut; the factor makes up for that and for rounding.
    let many = mean * 1.04 * (rng.f64().max(1e-12).powf(-0.5) - 1.0);
    let many = many.min(mean * 100.0) as u16;
    let days = created(person).days_until(NOW).clamp(1, 730);
    let shares = match rng.u8(..100) {
        ..35 => &SHARES[0],
        35..70 => &SHARES[1],
        70..95 => &SHARES[2],
        _ => &SHARES[3],
    };
    for count in 0..many {
        let at = lately(&mut rng, days).secs();
        let mut left = rng.u8(..100);
        let metric = shares.iter().position(|share| match left < *share {
            true => true,
            false => {
                left -= share;
                false
            }
        });
        tickets.push(Ticket {
            metric: metric.unwrap_or_default() as u8,
            at: u32::try_from(at).expect("long after 1970"),
            person,
            count,
        });
    }
}

/// What definitions read of an event, beside its instant.
pub struct Details {
    pub value: Option<Money>,
    pub properties: Vec<(&'static str, IncomingValue)>,
}

impl Ticket {
    pub fn details(self) -> Details {
        let mut rng = source(6, u64::from(self.person) << 16 | u64::from(self.count));
        let campaign = |rng: &mut Rng| IncomingValue::Text(format!("Letter {:02}", rng.u8(..60)));
        let mut value = None;
        let mut properties = Vec::new();
        match self.metric {
            OPENED => {
                properties.push(("Campaign Name", campaign(&mut rng)));
                let machine = in_hundred(&mut rng, 40);
                properties.push(("machine_open", IncomingValue::Bool(machine)));
            }
            CLICKED => properties.push(("Campaign Name", campaign(&mut rng))),
            BOUNCED => {
                let kind = if in_hundred(&mut rng, 80) {
                    "Soft"
                } else {
                    "Hard"
                };
                properties.push(("Bounce Type", IncomingValue::Text(kind.to_owned())));
            }
            VIEWED => {
                let name = format!("{} {:02}", one(&mut rng, &KINDS), rng.u8(..60));
                properties.push(("Name", IncomingValue::Text(name)));
            }
            CHECKOUT | PLACED => {
                value = Some(Money(rng.i64(500..20_000) * 10));
                let items = f64::from(rng.u8(1..8));
                properties.push(("Item Count", IncomingValue::Number(items)));
            }
            _ => {}
        }
        Details { value, properties }
    }

    /// As a page of events brings it.
    pub fn incoming(self) -> IncomingEvent {
        let Details { value, properties } = self.details();
        let named = properties.into_iter();
        IncomingEvent {
            id: format!("{}-{}", self.person, self.count),
            at: Moment::from_secs(self.at.into()),
            profile: Some(id(self.person)),
            value,
            properties: named
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        }
    }
}

/// The ids of the lists as the mirror takes them.
pub fn lists() -> [ListId; 2] {
    LISTS.map(ListId::from)
}
