//! A mirror that was damaged is filled anew, and must prove itself before anything is written.

use crate::house::{House, ROOMY, hours};
use driftless::backup::BackupError;
use driftless::mirror::MirrorError;
use driftless::model::Moment;
use driftless::pass::{OpenError, put_on_probation};
use driftless::policy::Guard;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

type Members = BTreeMap<String, Moment>;

/// Makes the store itself unreadable: its settings, and the snapshots without which it cannot do.
pub fn wreck(state_dir: &Path) {
    let mirror = state_dir.join("mirror");
    for entry in fs::read_dir(&mirror).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("snap.") {
            fs::remove_file(path).unwrap();
        } else if name == "conf" {
            let mut bytes = fs::read(&path).unwrap();
            bytes[20] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
}

/// Changes one bit in the largest value, behind the store's back.
fn rot(state_dir: &Path) {
    let db = sled::open(state_dir.join("mirror")).unwrap();
    let pairs = db.iter().map(Result::unwrap);
    let (key, value) = pairs.max_by_key(|(_, value)| value.len()).unwrap();
    let mut value = value.to_vec();
    let middle = value.len() / 2;
    value[middle] ^= 1;
    db.insert(key, value).unwrap();
    db.flush().unwrap();
}

/// Takes somebody off a managed list, so that there is something to write.
fn give_work(house: &House) {
    let mut state = house.world.state();
    let lists = &mut state.klaviyo.lists;
    let list = lists
        .values_mut()
        .find(|list| list.name == "Lapsed customers");
    list.expect("a managed list")
        .members
        .pop_first()
        .expect("a member");
}

/// Gives the newsletter these members, and gives back those it had.
fn newsletter(house: &House, members: Members) -> Members {
    let mut state = house.world.state();
    let mut lists = state.klaviyo.lists.values_mut();
    let newsletter = lists.find(|list| list.name == "Newsletter").unwrap();
    std::mem::replace(&mut newsletter.members, members)
}

fn tripped(summary: &driftless::pass::Summary) -> Vec<(Guard, u64)> {
    let trips = summary.trips.iter();
    trips.map(|trip| (trip.guard, trip.count)).collect()
}

/// The first of two readings stops at these guards, the second writes what is missing.
async fn proves_itself(house: &mut House, more: &[Guard]) {
    let writes = house.writes();
    let first = house.pass().await;
    assert!(!first.planned.is_empty());
    let guards: Vec<Guard> = first.trips.iter().map(|trip| trip.guard).collect();
    assert_eq!(guards, [more, &[Guard::Probation]].concat());
    assert_eq!(house.writes(), writes);
    house.clock.advance(hours(1));
    let second = house.pass().await;
    assert_eq!(tripped(&second), []);
    assert!(house.writes() > writes);
    assert!(house.pass().await.is_quiet());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_beyond_repair_is_filled_anew_and_written_from_after_two_readings() {
    let mut house = House::of(120, &ROOMY).await;
    house.settle().await;
    let before = house.mirror();
    house.close();
    wreck(&house.state_dir());
    house.open().unwrap();
    assert!(house.state_dir().join("quarantine-1/mirror/db").exists());
    assert!(!house.state_dir().join("probe").exists());
    let refused = house.shop().back_up().unwrap_err();
    assert!(matches!(refused, BackupError::Unproven), "{refused}");
    give_work(&house);
    // Which list is ours, nothing that can be read says any more.
    proves_itself(&mut house, &[Guard::FirstRun]).await;
    assert_eq!(house.mirror().len(), before.len());
    house.shop().back_up().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotten_value_ends_the_pass_and_the_next_opening_fills_a_new_mirror() {
    let mut house = House::of(120, &ROOMY).await;
    house.settle().await;
    house.close();
    rot(&house.state_dir());
    let refused = house.refused().await;
    assert!(refused.to_string().contains("damaged value"), "{refused}");
    assert!(house.shop().is_broken());
    house.close();
    give_work(&house);
    proves_itself(&mut house, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_damaged_again_before_it_proved_itself_is_left_to_the_operator() {
    let mut house = House::of(60, &ROOMY).await;
    house.settle().await;
    house.close();
    wreck(&house.state_dir());
    house.pass().await;
    house.close();
    wreck(&house.state_dir());
    let refused = house.open().map(drop).unwrap_err();
    let OpenError::Mirror(MirrorError::Damaged { remedy, .. }) = &refused else {
        panic!("{refused}");
    };
    assert!(remedy.contains("driftless rebuild"), "{remedy}");
    assert!(!house.state_dir().join("quarantine-2").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_whose_listings_are_not_sound_proves_nothing() {
    let mut house = House::of(120, &ROOMY).await;
    house.settle().await;
    house.close();
    put_on_probation(&house.state_dir(), house.clock.now()).unwrap();
    house.rebuild();
    give_work(&house);
    let members = newsletter(&house, BTreeMap::new());
    let broken = house.pass().await;
    assert!(
        tripped(&broken).contains(&(Guard::Probation, 2)),
        "{:?}",
        broken.trips
    );
    newsletter(&house, members);
    proves_itself(&mut house, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_on_probation_is_written_from_when_somebody_says_so() {
    let mut house = House::of(120, &ROOMY).await;
    house.settle().await;
    house.close();
    put_on_probation(&house.state_dir(), house.clock.now()).unwrap();
    give_work(&house);
    assert_eq!(house.allowing(Guard::Probation, 2).await.trips, []);
    assert!(house.pass().await.is_quiet());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_panic_a_mirror_is_read_to_its_end_before_it_is_trusted() {
    let mut house = House::of(60, &ROOMY).await;
    house.settle().await;
    house.close();
    let (suspected, aside) = (
        house.state_dir().join("suspected"),
        house.state_dir().join("quarantine-1"),
    );
    fs::write(&suspected, "").unwrap();
    house.open().unwrap();
    assert!(!suspected.exists() && !aside.exists());
    house.close();
    rot(&house.state_dir());
    fs::write(&suspected, "").unwrap();
    house.open().unwrap();
    assert!(aside.join("mirror").exists());
    house.pass().await;
    assert!(!suspected.exists());
}
