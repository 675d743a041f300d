//! `driftless verify`.

use super::lab::{Lab, Town};
use super::process::run;
use driftless::clock::Clock;
use driftless::mirror::Mirror;
use driftless::vault::Vault;
use std::fs;

#[test]
fn verify_says_what_is_sound_what_is_damaged_and_who_is_in_the_way() {
    let lab = Lab::new();
    let town = Town::fast(60, 81);
    let shop = lab.shop("acme", &town.vendors, &[]);
    let config = shop.to_str().unwrap();
    let verify = || run(&mut lab.driftless(["verify", "--config", config]));
    let nothing = verify().expect(0);
    assert!(nothing.out.contains("acme: there is no journal yet"));
    assert!(nothing.out.contains("acme: there is no mirror yet"));

    run(&mut lab.reconcile(&shop, &["--observe"])).expect(0);
    run(&mut lab.reconcile(&shop, &["--allow", "first_run=100000"])).expect(0);
    let sound = verify().expect(0);
    assert!(sound.out.contains("the mirror is sound: "), "{}", sound.out);
    assert!(sound.out.contains(" 60 profiles, "), "{}", sound.out);
    assert!(
        sound
            .out
            .contains("the journal is sound: files 1, runs 1, "),
        "{}",
        sound.out
    );
    assert!(sound.out.contains(" confirmed, 0 open"), "{}", sound.out);

    let state = lab.state("acme");
    let vault = Vault::open(&state, None).unwrap();
    let held = Mirror::open(&state, &vault, Clock::System.now()).unwrap();
    let locked = verify().expect(75);
    assert!(
        locked.out.contains("the journal is sound"),
        "{}",
        locked.out
    );
    drop(held);

    let journal = state.join("journal").join("00000001.log");
    let whole = fs::read(&journal).unwrap();
    let mut damaged = whole.clone();
    // In the first append: the last one may be torn.
    damaged[10] ^= 1;
    fs::write(&journal, damaged).unwrap();
    let refused = verify().expect(65);
    assert!(
        refused.err.contains("00000001.log is damaged at line"),
        "{}",
        refused.err
    );
    assert!(
        refused.out.contains("the mirror is sound"),
        "{}",
        refused.out
    );
}
