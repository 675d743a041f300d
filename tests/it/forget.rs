//! Forgetting a person: what is left of them here, in backups and at Klaviyo.

use crate::house::{House, ROOMY, files_with, hours};
use driftless::backup::{self, Backup};
use driftless::journal::{Entry, Intent};
use driftless::pass::Belongings;
use driftless::vault::vault_file;
use std::fs::{self, File};
use std::io;

/// Somebody whom driftless has written to, with profile and customer: by profile id, with what must not
/// be found any more.
fn somebody(house: &House) -> (String, Vec<String>) {
    let intents = house.intents();
    let state = house.world.state();
    let customers = &state.shopify.customers;
    for Intent { subject, .. } in intents {
        let Some(id) = subject.filter(|id| state.klaviyo.profiles.contains_key(id)) else {
            continue;
        };
        let profile = &state.klaviyo.profiles[&id];
        let email = profile.email.clone().unwrap_or_default();
        let customer = customers
            .values()
            .find(|one| one.email.as_ref() == Some(&email));
        if let (Some(_), Some(phone)) = (customer, &profile.phone_number) {
            return (id, vec![email, phone.clone()]);
        }
    }
    panic!("nobody has all of it");
}

/// The one person with this name.
fn one(house: &mut House, name: &str) -> Belongings {
    let [one] = house.shop().belongings(name).unwrap().try_into().unwrap();
    one
}

fn is_unknown(house: &mut House, name: &str) -> bool {
    house.shop().belongings(name).unwrap().is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_forgotten_person_can_be_read_and_nothing_is_written_to_them() {
    let backups = tempfile::tempdir().unwrap();
    let place = backups.path().join("before.backup");
    let mut house = House::of(120, &ROOMY).await;
    house.settle().await;
    let mut made = house.shop().back_up().unwrap();
    io::copy(&mut made, &mut File::create(&place).unwrap()).unwrap();
    let (id, names) = somebody(&house);
    // At rest names are sealed as long as they are kept, too.
    assert_eq!(files_with(&house.state_dir(), &names), [""; 0]);
    assert_eq!(files_with(backups.path(), &names), [""; 0]);
    let of_them = |house: &House| {
        let intents = house.intents().into_iter();
        intents
            .filter(|one| one.subject.as_ref() == Some(&id))
            .collect::<Vec<_>>()
    };
    assert!(of_them(&house).iter().all(|intent| !intent.is_closed()));

    let who = one(&mut house, &names[0].to_uppercase());
    assert!(
        who.profiles.len() == 1 && who.customers.len() == 1,
        "{who:?}"
    );
    assert!(who.events > 0, "{who:?}");
    house.shop().forget(&who, false).unwrap();
    assert!(is_unknown(&mut house, &names[0]));
    assert!(of_them(&house).iter().all(Intent::is_closed));
    assert!(matches!(
        house.journal().last(),
        Some(Entry::Forgotten { .. })
    ));

    // Klaviyo and Shopify still show them; time goes by and they change.
    let before = of_them(&house).len();
    for _ in 0..3 {
        house.clock.advance(hours(30));
        let now = house.clock.now();
        {
            let klaviyo = &mut house.world.state().klaviyo;
            let profile = klaviyo.profiles.get_mut(&id).unwrap();
            let name = "driftless_stage".to_owned();
            profile.properties.insert(name, "vip".into());
            profile.updated = now;
            klaviyo.note_change(&id, now);
        }
        house.pass().await;
    }
    assert_eq!(of_them(&house).len(), before);
    assert!(is_unknown(&mut house, &names[0]));
    let mirror = house.mirror().join("\n");
    assert!(!names.iter().chain([&id]).any(|name| mirror.contains(name)));
    let audit = house.shop().mirror().audit().unwrap();
    assert_eq!(audit.faults, [""; 0]);
    house.close();
    assert_eq!(files_with(&house.state_dir(), &names), [""; 0]);

    // A backup of before knows them no more either.
    let vault = vault_file(&house.state_dir());
    house.move_to("restored");
    fs::create_dir(house.state_dir()).unwrap();
    fs::copy(vault, vault_file(&house.state_dir())).unwrap();
    let mut old = Backup::open(&place).unwrap();
    backup::restore(&mut old, &house.config(), house.clock.now(), || Ok(())).unwrap();
    assert!(is_unknown(&mut house, &names[0]));
    assert!(of_them(&house).iter().all(Intent::is_closed));
    let mirror = house.mirror().join("\n");
    assert!(!names.iter().chain([&id]).any(|name| mirror.contains(name)));
}

#[tokio::test(flavor = "multi_thread")]
async fn klaviyo_is_asked_until_it_accepts() {
    let mut house = House::of(120, &ROOMY).await;
    house.settle().await;
    let (id, names) = somebody(&house);
    let who = one(&mut house, &id);
    let wrong = "pk_other".to_owned();
    let key = std::mem::replace(&mut house.world.state().klaviyo.api_key, wrong);
    house.shop().forget(&who, true).unwrap();
    house.shop().forget_at_klaviyo().await.unwrap_err();
    assert!(house.shop().was_forgotten(&names[0].to_uppercase()));
    assert!(is_unknown(&mut house, &names[0]));
    let ended = |house: &House| {
        let entries = house.journal().into_iter();
        entries
            .filter(|entry| matches!(entry, Entry::Forgotten { .. }))
            .count()
    };
    assert_eq!(ended(&house), 0);

    house.world.state().klaviyo.api_key = key;
    house.close();
    house.pass().await;
    assert_eq!(ended(&house), 1);
    house.clock.advance(hours(1));
    let quiet = house.pass().await;
    assert!(!house.world.state().klaviyo.profiles.contains_key(&id));
    assert!(quiet.is_quiet(), "{:?} {:?}", quiet.planned, quiet.trips);
    let deletions = house
        .history()
        .into_iter()
        .filter(|write| write.kind == "delete");
    assert_eq!(deletions.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_vault_learns_from_the_journal_who_was_forgotten() {
    let mut house = House::of(120, &ROOMY).await;
    house.settle().await;
    let (_, names) = somebody(&house);
    let vault = vault_file(&house.state_dir());
    let copy = fs::read(&vault).unwrap();
    let who = one(&mut house, &names[0]);
    house.shop().forget(&who, false).unwrap();
    house.close();
    fs::write(&vault, &copy).unwrap();
    house.rebuild();
    house.pass().await;
    assert!(is_unknown(&mut house, &names[0]));
    assert_ne!(fs::read(&vault).unwrap(), copy);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_back_under_another_id_is_forgotten_with_it() {
    let mut house = House::of(120, &ROOMY).await;
    house.settle().await;
    let (id, names) = somebody(&house);
    let who = one(&mut house, &id);
    house.shop().forget(&who, false).unwrap();
    let (again, now) = ("01ZAGAIN000000000000000000".to_owned(), house.clock.now());
    {
        let klaviyo = &mut house.world.state().klaviyo;
        let mut profile = klaviyo.profiles.remove(&id).unwrap();
        (profile.created, profile.updated) = (now, now);
        klaviyo.profiles.insert(again.clone(), profile);
        klaviyo.note_change(&again, now);
        for list in klaviyo.lists.values_mut() {
            list.members.insert(again.clone(), now);
        }
    }
    let writes = house.writes();
    for _ in 0..3 {
        house.clock.advance(hours(30));
        house.pass().await;
    }
    assert!(is_unknown(&mut house, &names[0]) && is_unknown(&mut house, &again));
    let history = house.history();
    let to_them = history[writes..]
        .iter()
        .filter(|write| write.subjects.contains(&again));
    assert_eq!(to_them.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_several_people_forgets_nobody() {
    let mut house = House::of(120, &ROOMY).await;
    {
        let state = &mut *house.world.state();
        let mut profiles = state.klaviyo.profiles.values_mut();
        let phone = Some("+14155550123".to_owned());
        for profile in profiles.by_ref().take(2) {
            profile.phone_number = phone.clone();
        }
    }
    house.pass().await;
    assert_eq!(house.shop().belongings("+14155550123").unwrap().len(), 2);
}
