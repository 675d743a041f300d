use super::*;
use crate::sandbox::world::{Event, KlaviyoWorld};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

fn now() -> Moment {
    Moment::parse("2026-11-22T10:00:00Z").unwrap()
}

fn shop(profiles: usize, seed: u64) -> State {
    generate(GeneratorSettings::usual(profiles, seed, now()))
}

/// One shop for all tests that only read.
fn sample() -> &'static State {
    static SHOP: OnceLock<State> = OnceLock::new();
    SHOP.get_or_init(|| shop(2_000, 1))
}

fn events<'a>(klaviyo: &'a KlaviyoWorld, name: &str) -> &'a [Event] {
    &klaviyo.events[&standard::metric(klaviyo, name)]
}

/// Deliveries (true) and soft bounces (false) of a profile, in time order.
fn deliveries(klaviyo: &KlaviyoWorld, profile: &str) -> Vec<(i64, bool)> {
    let mine = |event: &&Event| event.profile.as_deref() == Some(profile);
    let received = events(klaviyo, standard::RECEIVED).iter().filter(mine);
    let bounced = events(klaviyo, standard::BOUNCED).iter().filter(mine);
    let soft = bounced.filter(|event| event.properties["Bounce Type"] == "Soft");
    let mut all: Vec<(i64, bool)> = received
        .map(|event| (event.timestamp, true))
        .chain(soft.map(|event| (event.timestamp, false)))
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn equal_seeds_give_equal_worlds() {
    let text = |seed| format!("{:?}", shop(120, seed));
    let first = text(5);
    assert_eq!(first, text(5));
    assert_ne!(first, text(6));
}

#[test]
fn sizes_are_believable() {
    let state = sample();
    let klaviyo = &state.klaviyo;
    assert_eq!(klaviyo.profiles.len(), 2_000);
    let mail = [
        standard::RECEIVED,
        standard::OPENED,
        standard::CLICKED,
        standard::BOUNCED,
    ];
    let mail: usize = mail.iter().map(|name| events(klaviyo, name).len()).sum();
    assert!((16_000..26_000).contains(&mail), "{mail} mail events");
    let mailed: BTreeSet<&str> = events(klaviyo, standard::RECEIVED)
        .iter()
        .filter_map(|event| event.profile.as_deref())
        .collect();
    assert!(
        (1_100..1_400).contains(&mailed.len()),
        "{} mailed",
        mailed.len()
    );
    let orders = &state.shopify.orders;
    assert!(
        (1_500..6_000).contains(&orders.len()),
        "{} orders",
        orders.len()
    );
    assert!(state.shopify.customers.len() > 800);
    assert_eq!(klaviyo.segments.len(), 29);
    for segment in klaviyo.segments.values() {
        let size = segment.members.len();
        assert!(size > 0 && size < 2_000, "{} has {size}", segment.name);
    }
    assert!(klaviyo.lists.len() >= 5);
    assert!(klaviyo.lists.values().all(|list| !list.members.is_empty()));
}

#[test]
fn nothing_lies_in_the_future_and_events_are_in_order() {
    let state = sample();
    for known in state.klaviyo.events.values() {
        assert!(known.iter().all(|event| event.timestamp <= now().secs()));
        let ordered =
            |pair: &[Event]| (pair[0].timestamp, &pair[0].id) < (pair[1].timestamp, &pair[1].id);
        assert!(known.windows(2).all(ordered));
    }
    for profile in state.klaviyo.profiles.values() {
        assert!(profile.created <= profile.updated && profile.updated <= now());
    }
    for order in state.shopify.orders.values() {
        assert!(order.created <= order.updated && order.updated <= now());
    }
}

#[test]
fn dead_mailboxes_bounce_to_the_end_and_upstream_is_later() {
    let state = sample();
    let mut open = 0;
    assert!(state.truth.dead_mailboxes.len() >= 30);
    for id in &state.truth.dead_mailboxes {
        let log = deliveries(&state.klaviyo, id);
        let run: Vec<&(i64, bool)> = log
            .iter()
            .rev()
            .take_while(|(_, arrived)| !arrived)
            .collect();
        assert!(run.len() >= 5, "{id}: {log:?}");
        let span = run[0].0 - run[run.len() - 1].0;
        assert!(span >= 21 * 86_400, "{id}: {span} s");
        open += usize::from(state.klaviyo.profiles[id].suppressions.is_empty());
    }
    assert!(open > 0 && open < state.truth.dead_mailboxes.len());
}

#[test]
fn the_outage_bounces_most_of_one_provider_and_kills_nobody() {
    let state = sample();
    let (domain, messages) = state.truth.outage.as_ref().unwrap();
    assert_eq!(messages.len(), 4);
    for message in messages {
        let of_outage = |event: &&Event| {
            event.properties["$message"] == **message
                && event.properties["Email Domain"] == **domain
        };
        let count = |name| {
            events(&state.klaviyo, name)
                .iter()
                .filter(of_outage)
                .count()
        };
        let (bounced, received) = (count(standard::BOUNCED), count(standard::RECEIVED));
        let share = bounced as f64 / (bounced + received) as f64;
        assert!(
            (0.6..=0.9).contains(&share),
            "{bounced} of {}",
            bounced + received
        );
        assert!(bounced + received >= 8);
    }
    assert!(state.truth.outage_victims.len() > 50);
    for victim in &state.truth.outage_victims {
        assert!(!state.truth.dead_mailboxes.contains(victim));
    }
}

#[test]
fn mail_is_read_by_people_and_by_machines() {
    let klaviyo = &sample().klaviyo;
    let share = |name: &str, flag: &str| {
        let all = events(klaviyo, name);
        let flagged = all
            .iter()
            .filter(|event| event.properties[flag] == true)
            .count();
        flagged as f64 / all.len() as f64
    };
    assert!((0.2..0.9).contains(&share(standard::OPENED, "machine_open")));
    assert!((0.05..0.9).contains(&share(standard::CLICKED, "Bot Click")));
}

#[test]
fn hard_bounces_and_complaints_are_suppressed_upstream_but_for_the_planted_ones() {
    let state = sample();
    let klaviyo = &state.klaviyo;
    let missed = [
        (
            &state.truth.missed_hard_bounces,
            standard::BOUNCED,
            "HARD_BOUNCE",
        ),
        (
            &state.truth.missed_complaints,
            standard::COMPLAINED,
            "SPAM_COMPLAINT",
        ),
    ];
    for (planted, metric, reason) in missed {
        assert!(!planted.is_empty());
        let struck = events(klaviyo, metric);
        let hard = |event: &&Event| {
            metric != standard::BOUNCED || event.properties["Bounce Type"] == "Hard"
        };
        for event in struck.iter().filter(hard) {
            let id = event.profile.clone().unwrap();
            let known = &klaviyo.profiles[&id].suppressions;
            let suppressed = known.iter().any(|known| known.reason == reason);
            assert_eq!(suppressed, !planted.contains(&id), "{id}");
        }
    }
}

#[test]
fn consent_and_suppression_occur_in_all_states_on_both_sides() {
    let state = sample();
    let mut consents = BTreeSet::new();
    let mut reasons = BTreeSet::new();
    for profile in state.klaviyo.profiles.values() {
        consents.insert(profile.consent);
        reasons.extend(profile.suppressions.iter().map(|known| known.reason));
    }
    assert_eq!(consents.len(), 3);
    assert_eq!(reasons.len(), 5);
    let customers = state.shopify.customers.values();
    let states: BTreeSet<&str> = customers.map(|customer| customer.email_state).collect();
    assert_eq!(states.len(), 4);
    assert!(!state.truth.consent_conflicts.is_empty());
    for (profile, customer) in &state.truth.consent_conflicts {
        let ours = state.klaviyo.profiles[profile].consent;
        assert_ne!(ours, state.shopify.customers[customer].email_state);
    }
}

#[test]
fn records_of_one_human_are_planted_as_such() {
    let state = sample();
    let profiles = &state.klaviyo.profiles;
    let plain = |email: &str| {
        let lower = email.to_lowercase();
        let (local, domain) = lower.split_once('@').unwrap();
        let local = local.split('+').next().unwrap_or_default().replace('.', "");
        format!("{local}@{domain}")
    };
    let mut ways = BTreeMap::new();
    for group in &state.truth.duplicates {
        let records: Vec<_> = group.iter().map(|id| &profiles[id]).collect();
        let emails: BTreeSet<String> = records
            .iter()
            .filter_map(|known| known.email.as_deref().map(plain))
            .collect();
        assert_eq!(emails.len(), 1, "{group:?}");
        for known in records {
            let way = match known.email.as_deref() {
                None => "phone",
                Some(email) if email.contains('+') => "plus",
                Some(email) if email.to_uppercase() == email => "case",
                Some(_) => "plain or dots",
            };
            *ways.entry(way).or_insert(0) += 1;
        }
    }
    assert_eq!(ways.len(), 4, "{ways:?}");
    let linked = state
        .truth
        .pairs
        .iter()
        .filter(|(profile, number)| profiles[profile].external_id == Some(number.to_string()));
    let share = linked.count() as f64 / state.truth.pairs.len() as f64;
    assert!((0.85..0.95).contains(&share), "{share}");
    assert!(!state.truth.customers_only.is_empty());
    let with_profile: BTreeSet<u64> = state
        .truth
        .pairs
        .iter()
        .map(|(_, number)| *number)
        .collect();
    assert!(
        state
            .truth
            .customers_only
            .iter()
            .all(|number| !with_profile.contains(number))
    );
    assert!(profiles.len() > state.truth.pairs.len());
}

#[test]
fn orders_come_in_all_kinds() {
    let orders = &sample().shopify.orders;
    assert!(sample().truth.guest_orders.iter().all(|number| {
        let order = &orders[number];
        order.customer.is_none() && order.email.is_some()
    }));
    assert!(!sample().truth.guest_orders.is_empty());
    let any = |fits: fn(&crate::sandbox::world::Order) -> bool| orders.values().any(fits);
    assert!(any(
        |order| order.customer.is_none() && order.email.is_none()
    ));
    assert!(any(|order| order.test));
    assert!(any(|order| order.cancelled.is_some()));
    assert!(any(
        |order| order.refunded == order.total && order.cancelled.is_none()
    ));
    assert!(any(
        |order| order.refunded.0 > 0 && order.refunded < order.total
    ));
    assert!(
        orders
            .values()
            .all(|order| (1..=4).contains(&order.lines.len()))
    );
    assert!(*sample().shopify.customers.keys().next().unwrap() == 7_000_000_000_001);
}

#[test]
fn segments_have_a_history() {
    let segments = &sample().klaviyo.segments;
    assert!(segments.values().all(|segment| segment.refreshed == now()));
    assert!(
        segments
            .values()
            .filter(|segment| !segment.moves.is_empty())
            .count()
            >= 5
    );
    let joins = segments
        .values()
        .flat_map(|segment| segment.members.values());
    assert!(joins.collect::<BTreeSet<_>>().len() >= 4);
}

#[test]
fn a_tiny_shop_still_works() {
    assert_eq!(shop(8, 3).klaviyo.profiles.len(), 8);
    assert!(shop(0, 3).klaviyo.profiles.is_empty());
}
