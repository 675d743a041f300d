//! The mirror through its doors.

mod audit;
mod changed;
mod copy;
mod counts;
mod damage;
mod evaluation;
mod events;
mod forget;
mod gone;
mod groups;
mod records;

use super::shelf::Shelf;
use super::*;
use crate::model::{Customer, CustomerId, Member, MetricId, Money, Order, OrderId, OrderOwner};
use crate::model::{IncomingEvent, IncomingValue, List, ListId, Profile, ProfileId};
use std::collections::BTreeMap;
use tempfile::TempDir;

const NOW: Moment = Moment::from_secs(1_790_000_000);

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn vault(dir: &TempDir) -> Vault {
    Vault::open(dir.path(), None).unwrap()
}

fn open(dir: &TempDir) -> Mirror {
    let (mirror, repaired) = Mirror::open(dir.path(), &vault(dir), NOW).unwrap();
    assert_eq!(repaired, None);
    mirror
}

fn lines(mirror: &Mirror) -> Vec<String> {
    mirror.export().map(Result::unwrap).collect()
}

fn profile(id: &str, updated: i64) -> Profile {
    Profile {
        email: Some(format!("{id}@example.com")),
        updated: Some(Moment::from_secs(updated)),
        ..Profile::new(id)
    }
}

fn customer(id: u64) -> Customer {
    Customer {
        id: CustomerId(id),
        email: None,
        phone: None,
        country: None,
        email_consent: None,
        tags: vec!["vip".to_owned(), "dl-old".to_owned()],
        metafield: None,
        created: None,
        updated: None,
    }
}

fn order(id: u64, owner: OrderOwner, updated: i64) -> Order {
    Order {
        id: OrderId(id),
        owner,
        processed: Moment::from_secs(1000 + id.cast_signed()),
        updated: Moment::from_secs(updated),
        total: Money(id.cast_signed() * 10),
        refunded: Money::ZERO,
        cancelled: false,
        test: false,
    }
}

fn event(id: &str, profile: &str, at: i64) -> IncomingEvent {
    IncomingEvent {
        id: id.to_owned(),
        at: Moment::from_secs(at),
        profile: Some(profile.into()),
        value: None,
        properties: Vec::new(),
    }
}

fn list(id: &str) -> List {
    List {
        id: id.into(),
        name: format!("list {id}"),
        updated: None,
    }
}

fn members(ids: &[&str]) -> Vec<Member> {
    let ids = ids.iter();
    ids.map(|id| Member {
        profile: (*id).into(),
        joined: None,
    })
    .collect()
}

#[test]
fn a_mirror_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Mirror>();
}
