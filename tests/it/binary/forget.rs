//! `driftless forget`.

use super::daemon::{daemon, status};
use super::lab::{Lab, Town, export};
use super::process::run;
use rustix::process::Signal;
use std::path::Path;
use std::process::Command;

fn forget(lab: &Lab, shop: &Path, person: &str, more: &[&str]) -> Command {
    let mut command = lab.driftless(["forget", "--config"]);
    command.arg(shop).arg(person).args(more);
    command
}

/// The address of a profile without another record, and of one more.
fn addresses(town: &Town) -> [String; 2] {
    let state = town.world.state();
    let customers = &state.shopify.customers;
    let profiles = state.klaviyo.profiles.values();
    let emails = profiles.filter_map(|profile| profile.email.clone());
    let alone = |email: &String| {
        customers
            .values()
            .all(|one| one.email.as_ref() != Some(email))
    };
    let mut alone = emails.filter(alone);
    [alone.next().unwrap(), alone.next().unwrap()]
}

#[test]
fn somebody_is_counted_then_forgotten_by_the_daemon_or_without_it() {
    let lab = Lab::new();
    let town = Town::fast(60, 92);
    let shop = lab.shop(
        "acme",
        &town.vendors,
        &[("read = \"all\"", "read = \"none\"")],
    );
    let absent = run(&mut forget(&lab, &shop, "anne@example.org", &[])).expect(64);
    assert!(absent.err.contains("no mirror yet"), "{}", absent.err);
    let (daemon, listen) = daemon(&lab, &[]);
    status(&listen, "acme", |shop| shop["last_pass"]["exit"] == 10);
    let [first, second] = addresses(&town);

    let shown = run(&mut forget(&lab, &shop, &first, &[])).expect(0);
    assert!(
        shown.out.contains("1 profiles, 0 customers"),
        "{}",
        shown.out
    );
    assert!(shown.out.contains("--records 1"), "{}", shown.out);
    let wrong = run(&mut forget(&lab, &shop, &first, &["--records", "2"])).expect(64);
    assert!(wrong.err.contains("nothing was done"), "{}", wrong.err);
    run(&mut forget(
        &lab,
        &shop,
        &first,
        &["--records", "1", "--at-klaviyo", "2"],
    ))
    .expect(64);
    let done = run(&mut forget(
        &lab,
        &shop,
        &first,
        &["--records", "1", "--at-klaviyo", "1"],
    ))
    .expect(0);
    assert!(
        done.out.contains("accepted to delete 1 profiles"),
        "{}",
        done.out
    );
    assert_eq!(town.writes(), 1);
    let gone = run(&mut forget(&lab, &shop, &first, &[])).expect(64);
    assert!(gone.err.contains("forgotten already"), "{}", gone.err);
    daemon.signal(Signal::TERM);
    let log = daemon.end().expect(0).all();
    assert!(
        log.contains("forget somebody") && !log.contains(&first),
        "{log}"
    );

    run(&mut forget(&lab, &shop, &second, &["--records", "1"])).expect(0);
    let known = export(&lab.state("acme")).join("\n");
    assert!(!known.contains(&first) && !known.contains(&second));
    let receipts =
        run(&mut lab.driftless(["receipts", "--config", shop.to_str().unwrap()])).expect(0);
    assert_eq!(
        receipts.out.matches("of a person forgotten").count(),
        2,
        "{}",
        receipts.out
    );
    run(&mut lab.driftless(["verify", "--config", shop.to_str().unwrap()])).expect(0);
}
