//! What passes make of a mirror that was restored or rebuilt.

use crate::house::{House, ROOMY, hours};
use driftless::backup::{self, Backup, BackupError};
use driftless::pass::put_on_probation;
use driftless::policy::Guard;
use driftless::vault::vault_file;
use std::fs::File;
use std::io;
use std::path::Path;

pub fn back_up(house: &mut House, path: &Path) {
    let mut made = house.shop().back_up().unwrap();
    io::copy(&mut made, &mut File::create(path).unwrap()).unwrap();
}

/// Goes on in another state directory, with what the backup holds.
pub fn restore(house: &mut House, name: &str, path: &Path) {
    let vault = vault_file(&house.state_dir());
    house.move_to(name);
    let place = house.state_dir();
    std::fs::create_dir(&place).unwrap();
    std::fs::copy(vault, vault_file(&place)).unwrap();
    let mut backup = Backup::open(path).unwrap();
    let first = || {
        put_on_probation(&place, house.clock.now()).unwrap();
        Ok(())
    };
    backup::restore(&mut backup, &house.config(), house.clock.now(), first).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_shop_observes_then_goes_on_and_repeats_nothing_it_no_longer_knows_of() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("acme.backup");
    let mut house = House::of(120, &ROOMY).await;
    house.pass().await;
    back_up(&mut house, &path);

    restore(&mut house, "once", &path);
    let observed = house.pass().await;
    let guards: Vec<_> = observed.trips.iter().map(|trip| trip.guard).collect();
    assert_eq!(guards, [Guard::FirstRun, Guard::Probation]);
    assert_eq!(house.writes(), 0);
    house.clock.advance(hours(1));
    let applied = house.pass().await;
    assert_eq!(applied.trips, []);
    let writes = house.writes();
    assert!(writes > 0);

    // The old backup knows of none of these writes; what it pulls shows them.
    restore(&mut house, "again", &path);
    let seen = house.pass().await;
    assert!(seen.is_quiet(), "{:?} {:?}", seen.planned, seen.trips);
    house.pass().await;
    assert_eq!(house.writes(), writes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilt_mirror_is_the_same_and_knows_its_lists_by_other_names() {
    let mut house = House::of(120, &ROOMY).await;
    house.settle().await;
    let (before, writes) = (house.mirror(), house.writes());
    house.close();
    let rebuilt = house.rebuild();
    assert!(rebuilt.carried.unwrap() > 0);
    let seen = house.pass().await;
    assert!(seen.is_quiet(), "{:?} {:?}", seen.planned, seen.trips);
    assert!(house.mirror() == before, "the mirrors differ");

    for list in house.world.state().klaviyo.lists.values_mut() {
        list.name.push_str(" (new)");
    }
    house.close();
    house.rebuild();
    let seen = house.pass().await;
    assert!(seen.is_quiet(), "{:?} {:?}", seen.planned, seen.trips);
    assert_eq!(house.writes(), writes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_might_fill_the_disk_is_not_begun() {
    let mut house = House::of(20, &[]).await;
    house.pass().await;
    house.edit(&[("shop", "min_free_disk", "\"1000TB\"")]);
    let refused = house.shop().back_up().unwrap_err();
    assert!(
        matches!(refused, BackupError::NoRoom { wanted, .. } if wanted > 1_000_000_000_000_000),
        "{refused}"
    );
}
