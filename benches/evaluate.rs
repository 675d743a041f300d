//! A full look at 100,000 generated persons, in memory: who is who, then facts, verdicts, wishes and
//! the plan.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use driftless::detect::{IncidentLog, Incidents};
use driftless::model::{
    Atom, Consent, Customer, CustomerId, Dossier, EmailMarketing, Event, Metric, MetricNo, Moment,
    Money, Order, OrderId, OrderOwner, PersonId, Profile, PropertyNo, Record, Slot, TextNo,
    Vocabulary,
};
use driftless::pass::Evaluation;
use driftless::plan::{Memberships, Plan, Seen, SeenList};
use driftless::policy::{Fact, ManagedList, Mode, Policy, PropertyMap, Stage, TagMap, Where};
use driftless::score::Roles;
use driftless::unify::{self, People};
use fastrand::Rng;
use std::hint::black_box;

const PERSONS: u32 = 100_000;
const CAMPAIGNS: u32 = 30;
const NOW: Moment = Moment::from_secs(1_790_000_000);
const DAY: i64 = 86_400;

const METRICS: [&str; 5] = [
    "Received Email",
    "Opened Email",
    "Clicked Email",
    "Bounced Email",
    "Placed Order",
];
const PROPERTIES: [&str; 3] = ["$message", "machine_open", "Bounce Type"];
const MESSAGE: PropertyNo = PropertyNo(0);
const MACHINE_OPEN: PropertyNo = PropertyNo(1);
const BOUNCE_TYPE: PropertyNo = PropertyNo(2);
/// Behind the campaigns' message ids.
const SOFT: TextNo = TextNo(CAMPAIGNS);

fn vocabulary() -> Vocabulary {
    let metric = |name: &str| Metric {
        id: name.into(),
        name: name.to_owned(),
        integration: None,
    };
    let messages = (0..CAMPAIGNS).map(|number| format!("message {number}"));
    Vocabulary {
        metrics: METRICS.map(metric).into(),
        properties: PROPERTIES.map(str::to_owned).into(),
        texts: messages.chain(["Soft".to_owned()]).collect(),
    }
}

fn days_ago(days: i64) -> Moment {
    Moment::from_secs(NOW.secs() - days * DAY)
}

/// A profile and a customer with some orders; mailed 30 times, with the reader's own mood.
fn person(number: u32, rng: &mut Rng) -> Dossier {
    let customer = CustomerId(u64::from(number) + 1);
    let email = format!("person.{number}@example{}.com", rng.u32(..200));
    let created = days_ago(rng.i64(30..900));
    let profile = Profile {
        email: Some(email.clone()),
        phone: Some(format!("+1415{:07}", 2_000_000 + number)),
        external_id: Some(customer.0.to_string()),
        country: Some("US".to_owned()),
        created: Some(created),
        updated: Some(created),
        email_marketing: Some(EmailMarketing {
            can_receive: Some(true),
            consent_at: Some(created),
            ..EmailMarketing::new(Consent::Subscribed)
        }),
        ..Profile::new(format!("01H{number:023}"))
    };
    let bought = Customer {
        id: customer,
        email: Some(email),
        phone: None,
        country: Some("US".to_owned()),
        email_consent: None,
        tags: Vec::new(),
        metafield: None,
        created: Some(created),
        updated: Some(created),
    };
    Dossier {
        id: PersonId(2 * number),
        profiles: vec![(Slot(2 * number), profile)],
        customers: vec![(Slot(2 * number + 1), bought)],
        guests: Vec::new(),
        events: mail(rng),
        orders: orders(customer, rng),
    }
}

fn mail(rng: &mut Rng) -> Vec<Event> {
    let (mood, dead) = (rng.f64(), rng.u32(..100) == 0);
    let mut events = Vec::new();
    for campaign in 0..CAMPAIGNS {
        let at = days_ago(i64::from(CAMPAIGNS - campaign) * 7).secs();
        let message = (MESSAGE, Atom::Text(TextNo(campaign)));
        let (machine, opens, clicks) = (rng.bool(), rng.f64() < mood, rng.f64() < mood / 8.0);
        let mut add = |metric: u16, late: i64, properties: Vec<(PropertyNo, Atom)>| {
            events.push(Event {
                at: at + late,
                millis: 0,
                metric: MetricNo(metric),
                id: rng.u32(..),
                value: None,
                properties,
            });
        };
        if dead && campaign > 10 {
            add(3, 0, vec![message, (BOUNCE_TYPE, Atom::Text(SOFT))]);
            continue;
        }
        add(0, 0, vec![message]);
        if opens {
            add(1, 600, vec![(MACHINE_OPEN, Atom::Bool(machine))]);
        }
        if clicks {
            add(2, 700, Vec::new());
        }
    }
    events
}

fn orders(customer: CustomerId, rng: &mut Rng) -> Vec<Order> {
    let mut days: Vec<i64> = (0..rng.u32(..5)).map(|_| rng.i64(..700)).collect();
    days.sort_unstable_by(|a, b| b.cmp(a));
    let order = |day: i64| Order {
        id: OrderId(rng.u64(..)),
        owner: OrderOwner::Customer(customer),
        processed: days_ago(day),
        updated: days_ago(day),
        total: Money(rng.i64(5_000..200_000)),
        refunded: Money::ZERO,
        cancelled: false,
        test: false,
    };
    days.into_iter().map(order).collect()
}

fn policy() -> Policy {
    let list = |stage: Stage| ManagedList {
        name: stage.as_str().to_owned(),
        who: Where {
            stage: Some(vec![stage]),
            ..Where::default()
        },
    };
    let name = |fact: Fact| (fact, fact.as_str().to_owned());
    Policy {
        mode: Mode::Full,
        lists: Stage::ALL.map(list).into(),
        properties: PropertyMap {
            prefix: "driftless_".to_owned(),
            fields: Fact::ALL.map(name).into(),
        },
        tags: TagMap {
            prefix: "driftless:".to_owned(),
            facts: vec![Fact::Stage],
        },
        ..Policy::default()
    }
}

/// As a pass does it: whoever an outage may concern comes last.
fn plan(dossiers: &[Dossier], vocabulary: &Vocabulary, policy: &Policy, seen: &Seen) -> Plan {
    let roles = Roles::of(vocabulary);
    let no_incidents = Incidents::default();
    let mut log = IncidentLog::default();
    let mut waiting = Vec::new();
    let mut evaluation = Evaluation::new(policy, Memberships::default(), seen.clone(), NOW);
    for dossier in dossiers {
        if log.observe_person(dossier, &roles, NOW) {
            waiting.push(dossier);
        } else {
            evaluation.person(dossier, &roles, &no_incidents, policy, NOW);
        }
    }
    let incidents = log.judge(&policy.bounce);
    for dossier in waiting {
        evaluation.person(dossier, &roles, &incidents, policy, NOW);
    }
    black_box(&evaluation.findings);
    evaluation.draft.finish()
}

fn evaluate(c: &mut Criterion) {
    let mut rng = Rng::with_seed(1);
    let dossiers: Vec<Dossier> = (0..PERSONS).map(|n| person(n, &mut rng)).collect();
    let (vocabulary, policy) = (vocabulary(), policy());
    // Half of everybody is on every list already.
    let list = SeenList {
        exists: true,
        members: (0..PERSONS).map(|n| 4 * n).collect(),
    };
    let seen = Seen {
        lists: vec![list; policy.lists.len()],
        known: (0..PERSONS).map(|n| 2 * n).collect(),
        ..Seen::default()
    };

    let mut group = c.benchmark_group("100,000 persons");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(PERSONS.into()));
    let records: Vec<(Slot, Record)> = dossiers.iter().flat_map(records).collect();
    group.bench_function("unify", |b| {
        let keys = || {
            let rule = &policy.identity;
            records
                .iter()
                .map(|(slot, record)| unify::keys(*slot, record, rule))
        };
        b.iter(|| People::unite(black_box(keys())));
    });
    drop(records);
    group.bench_function("evaluate and plan", |b| {
        b.iter(|| plan(&dossiers, &vocabulary, &policy, &seen));
    });
    group.finish();
}

fn records(dossier: &Dossier) -> impl Iterator<Item = (Slot, Record)> {
    let profiles = dossier.profiles.iter().cloned();
    let profiles = profiles.map(|(slot, profile)| (slot, Record::Profile(profile)));
    let customers = dossier.customers.iter().cloned();
    profiles.chain(customers.map(|(slot, customer)| (slot, Record::Customer(customer))))
}

criterion_group!(benches, evaluate);
criterion_main!(benches);
