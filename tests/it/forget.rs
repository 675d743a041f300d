//! Forgetting a person: what is left of them here, in backups and at Klaviyo.

use crate::house::{House, ROOMY, hours};
use driftless::backup::{self, Backup};
use driftless::journal::{Entry, Intent};
use driftless::vault::vault_file;
use std::fs::{self, File};
use std::io;
use std::path::Path;

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

/// Every file below a directory that holds one of these texts.
fn files_with(dir: &Path, texts: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, texts));
        } else if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            let holds = |text: &String| bytes.windows(text.len()).any(|at| at == text.as_bytes());
            found.extend(texts.iter().any(holds).then(|| path.display().to_string()));
        }
    }
    found
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

    let who = house.shop().belongings(&names[0].to_uppercase()).unwrap();
    assert!(
        who.profiles.len() == 1 && who.customers.len() == 1,
        "{who:?}"
    );
    assert!(who.events > 0, "{who:?}");
    house.shop().forget(&who, false).await.unwrap();
    assert_eq!(house.shop().belongings(&names[0]).unwrap().records(), 0);
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
        let mut state = house.world.state();
        let profile = state.klaviyo.profiles.get_mut(&id).unwrap();
        profile
            .properties
            .insert("driftless_stage".to_owned(), "vip".into());
        profile.updated = now;
        state.klaviyo.note_change(&id, now);
        drop(state);
        house.pass().await;
    }
    assert_eq!(of_them(&house).len(), before);
    assert_eq!(house.shop().belongings(&names[0]).unwrap().records(), 0);
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
    backup::restore(&mut old, &house.config(), house.clock.now()).unwrap();
    assert_eq!(house.shop().belongings(&names[0]).unwrap().records(), 0);
    assert!(of_them(&house).iter().all(Intent::is_closed));
    let mirror = house.mirror().join("\n");
    assert!(!names.iter().chain([&id]).any(|name| mirror.contains(name)));
}

#[tokio::test(flavor = "multi_thread")]
async fn klaviyo_deletes_the_profile_first_and_a_refusal_leaves_everything_as_it_was() {
    let mut house = House::of(120, &ROOMY).await;
    house.settle().await;
    let (id, names) = somebody(&house);
    let who = house.shop().belongings(&id).unwrap();
    let key = std::mem::replace(
        &mut house.world.state().klaviyo.api_key,
        "pk_other".to_owned(),
    );
    house.shop().forget(&who, true).await.unwrap_err();
    house.world.state().klaviyo.api_key = key;
    assert_eq!(house.shop().belongings(&id).unwrap(), who);
    // Until it is asked for again, every start says so.
    house.close();
    let opened =
        driftless::pass::Shop::open(house.config(), house.clock.clone(), Default::default());
    assert_eq!(opened.unwrap().1.not_forgotten, 1);

    house.shop().forget(&who, true).await.unwrap();
    assert_eq!(house.shop().belongings(&names[0]).unwrap().records(), 0);
    house.clock.advance(hours(1));
    let quiet = house.pass().await;
    assert!(!house.world.state().klaviyo.profiles.contains_key(&id));
    assert!(quiet.is_quiet(), "{:?} {:?}", quiet.planned, quiet.trips);
    house.close();
    let opened =
        driftless::pass::Shop::open(house.config(), house.clock.clone(), Default::default());
    assert_eq!(opened.unwrap().1.not_forgotten, 0);
}
