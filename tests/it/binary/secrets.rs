//! Keys, tokens and people never appear in what driftless says or journals.

use super::daemon::{daemon, status};
use super::lab::{Lab, Town, get};
use super::process::run;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;

/// What must never be said: both secrets, and every address, phone number and full name.
fn unspeakable(town: &Town) -> BTreeSet<String> {
    let state = town.world.state();
    let mut all: BTreeSet<String> = town.vendors.secrets.values().cloned().collect();
    for profile in state.klaviyo.profiles.values() {
        all.extend(
            profile
                .email
                .iter()
                .map(|email| email.trim().to_lowercase()),
        );
        all.extend(profile.phone_number.clone());
    }
    for customer in state.shopify.customers.values() {
        all.extend(
            customer
                .email
                .iter()
                .map(|email| email.trim().to_lowercase()),
        );
        all.extend(customer.phone.clone());
    }
    all.retain(|text| text.len() > 5);
    assert!(all.len() > 300, "{} texts", all.len());
    all
}

fn expect_silence(town: &Town, place: &str, text: &str) {
    let text = text.to_lowercase();
    // Addresses travel percent-encoded in filters.
    let plain = text.replace("%40", "@").replace("%2b", "+");
    for secret in unspeakable(town) {
        assert!(!plain.contains(&secret), "{place} shows `{secret}`");
    }
}

fn journal_text(lab: &Lab) -> String {
    let file = lab.state("acme").join("journal/00000001.log");
    fs::read_to_string(file).unwrap()
}

#[test]
fn a_pass_at_the_finest_log_level_shows_no_secret_and_no_address() {
    let lab = Lab::new();
    let town = Town::fast(300, 60);
    let shop = lab.shop("acme", &town.vendors, &[]);
    let loud = ["--log", "trace"];
    let first = run(&mut lab.reconcile(&shop, &loud)).expect(10);
    lab.release(&shop);
    let second = run(&mut lab.reconcile(&shop, &["--log", "driftless=trace", "--json"])).expect(0);
    // The canary's read-back asks for list members by address.
    assert!(town.writes() > 0);
    let third = run(&mut lab.reconcile(&shop, &loud)).expect(0);
    assert!(first.err.contains("TRACE"), "the level was not heard");
    for ended in [&first, &second, &third] {
        expect_silence(&town, "the output", &ended.all());
    }
    let journal = journal_text(&lab);
    assert!(journal.contains("\"intent\""));
    expect_silence(&town, "the journal", &journal);
}

#[test]
fn failures_show_no_secret_and_no_address_either() {
    let lab = Lab::new();
    let mut town = Town::fast(300, 61);
    let shop = lab.shop("acme", &town.vendors, &[]);
    run(&mut lab.reconcile(&shop, &["--observe"])).expect(0);
    // Refused: the key is echoed by no error, nor is the address of whom an import refused.
    let key = std::mem::replace(&mut town.world.state().klaviyo.api_key, "pk_x".to_owned());
    let refused = run(&mut lab.reconcile(&shop, &["--log", "trace"])).expect(77);
    expect_silence(&town, "a refusal", &refused.all());
    town.world.state().klaviyo.api_key = key;

    let (daemon, listen) = daemon(&lab, &["--log", "trace"]);
    status(&listen, "acme", |shop| shop["last_pass"].is_object());
    for page in ["/status", "/metrics"] {
        expect_silence(&town, page, &get(&listen, page).unwrap().1);
    }
    daemon.signal(Signal::USR1);
    daemon.logs("Status as asked for");
    daemon.signal(Signal::TERM);
    expect_silence(&town, "the daemon's log", &daemon.end().expect(0).all());

    town.close();
    let dead = run(&mut lab.reconcile(&shop, &["--log", "trace"])).expect(69);
    expect_silence(&town, "an outage", &dead.all());
    let broken = fs::read_to_string(&shop).unwrap();
    let secret = &town.vendors.secrets["DRIFTLESS_KLAVIYO_KEY"];
    let inline = broken.replace("key = {", &format!("key = \"{secret}\" #"));
    fs::write(&shop, inline).unwrap();
    let inline = run(lab.driftless(["check", "--config"]).arg(&shop)).expect(78);
    expect_silence(&town, "a config fault", &inline.all());
}
