//! A real order history: what the daemon says of it equals an independent count over the file.

use crate::house::{House, hours, morning};
use driftless::model::{EffectKind, Moment};
use driftless::pass::Options;
use driftless::policy::Stage;
use driftless::sandbox::{Speed, from_csv};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The CDNOW sample, or `None` with a printed line where it is absent.
fn sample() -> Option<String> {
    let golden = std::env::var_os("DRIFTLESS_GOLDEN").map(PathBuf::from);
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/golden");
    let path = golden
        .unwrap_or_else(|| beside.into())
        .join("clv/cdnow_sample_transactions.csv");
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        println!("skipped: {} is absent", path.display());
    }
    text
}

/// Days since 1970-01-01 of a Gregorian date, by Fliegel and Van Flandern.
fn day(date: &str) -> i64 {
    let parts: Vec<i64> = date.split('-').map(|part| part.parse().unwrap()).collect();
    let [year, month, day] = parts[..] else {
        panic!("{date} is no date")
    };
    let a = (month - 14) / 12;
    let julian = (1461 * (year + 4800 + a)) / 4 + (367 * (month - 2 - 12 * a)) / 12
        - (3 * ((year + 4900 + a) / 100)) / 4
        + day
        - 32075;
    julian - 2_440_588
}

/// An independent count over the file: days of purchase by customer, and cents spent.
struct Count {
    days: BTreeMap<u64, BTreeSet<i64>>,
    cents: i64,
}

fn count(text: &str) -> Count {
    let mut count = Count {
        days: BTreeMap::new(),
        cents: 0,
    };
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let customer = cells[0].parse().unwrap();
        count
            .days
            .entry(customer)
            .or_default()
            .insert(day(cells[1]));
        let (units, cents) = cells[3].split_once('.').unwrap_or((cells[3], "0"));
        let cents: i64 = format!("{cents:0<2}").parse().unwrap();
        count.cents += units.parse::<i64>().unwrap() * 100 + cents;
    }
    count
}

impl Count {
    fn orders(&self) -> u64 {
        self.days.values().map(|days| days.len() as u64).sum()
    }

    fn repeat_buyers(&self) -> u64 {
        self.days.values().filter(|days| days.len() > 1).count() as u64
    }

    /// Profiles whose customer's last purchase is more than 395 days before that day.
    fn lapsed(&self, today: i64) -> BTreeSet<u64> {
        let last = self
            .days
            .iter()
            .map(|(id, days)| (*id, *days.last().unwrap()));
        let lapsed = last.filter(|(_, last)| today - last > 395);
        lapsed.map(|(id, _)| id).collect()
    }
}

/// The customers behind the members of a list, by the ids of the file.
fn customers_on(house: &House, list: &str) -> BTreeSet<u64> {
    let members = house.members(list);
    let state = house.world.state();
    let number = |id: &String| {
        let external = state.klaviyo.profiles[id].external_id.clone().unwrap();
        external.parse::<u64>().unwrap() - 7_000_000_000_000
    };
    members.iter().map(number).collect()
}

async fn shop(text: &str, now: Moment) -> House {
    let state = from_csv(text.as_bytes(), now).unwrap();
    House::build(state, now, Speed::Fast, &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn todays_numbers_and_those_of_1998_equal_a_count_over_the_file() {
    let Some(text) = sample() else { return };
    let expected = count(&text);
    let mut house = shop(&text, morning()).await;
    let today = house.pass().await;
    let then = Options {
        as_of: Moment::parse("1998-06-30T23:59:59Z"),
        ..Options::default()
    };
    let then = house.run(&then).await.unwrap();
    for summary in [&today, &then] {
        let people = &summary.people;
        assert_eq!(people.customers, expected.days.len() as u64);
        assert_eq!(people.persons, expected.days.len() as u64);
        assert_eq!(people.orders, expected.orders());
        assert_eq!(people.repeat_buyers, expected.repeat_buyers());
        assert_eq!(people.spent.0, expected.cents * 10);
        let lapsed = expected.lapsed(summary.now.day()).len() as u64;
        assert_eq!(people.stages.get(&Stage::Lapsed).copied(), Some(lapsed));
        assert_eq!(
            (summary.lists[0].wanted, summary.lists[0].join),
            (lapsed, lapsed)
        );
    }
    assert_eq!(then.now.day(), day("1998-06-30"));
    assert!(then.lists[0].wanted < today.lists[0].wanted);
    println!(
        "{} customers, {} orders, {} repeat buyers, {} spent, {} lapsed on 1998-06-30, {} today",
        today.people.customers,
        today.people.orders,
        today.people.repeat_buyers,
        today.people.spent,
        then.lists[0].wanted,
        today.lists[0].wanted
    );
    assert_eq!(house.writes(), 0);
    house.pass().await;
    let all: BTreeSet<u64> = expected.days.keys().copied().collect();
    assert_eq!(
        customers_on(&house, "Lapsed customers"),
        all,
        "everybody has lapsed by now"
    );
    assert!(house.pass().await.is_quiet());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lapsed_customers_of_1998_are_exactly_those_of_the_file() {
    let Some(text) = sample() else { return };
    let expected = count(&text);
    let mut house = shop(&text, Moment::parse("1998-06-30T20:00:00Z").unwrap()).await;
    house.pass().await;
    let applied = house.pass().await;
    assert_eq!(applied.trips, []);
    assert_eq!(applied.now.day(), day("1998-06-30"));
    let lapsed = expected.lapsed(day("1998-06-30"));
    assert!(lapsed.len() > 500 && lapsed.len() < expected.days.len());
    assert_eq!(customers_on(&house, "Lapsed customers"), lapsed);

    // A day later exactly those follow whose last purchase was 396 days before.
    house.clock.advance(hours(24));
    let next = house.pass().await;
    let following = expected.lapsed(day("1998-07-01"));
    assert_eq!(customers_on(&house, "Lapsed customers"), following);
    let joined = following.difference(&lapsed).count() as u64;
    assert_eq!(next.lists[0].join, joined);
    assert!(!next.planned.contains_key(&EffectKind::ListCreate));
}
