//! `--reconcile`: what it prints where, how it ends, and who may run beside it.

use super::lab::{Lab, Town};
use super::process::{Running, run};
use serde_json::Value as Json;
use std::collections::BTreeSet;

#[test]
fn progress_goes_to_stderr_as_plain_lines_and_the_table_to_stdout() {
    let lab = Lab::new();
    let town = Town::fast(120, 7);
    let shop = lab.shop("acme", &town.vendors, &[]);
    let first = run(&mut lab.reconcile(&shop, &[])).expect(10);
    assert_eq!(
        town.writes(),
        0,
        "the guard `first_run` stops the first pass"
    );
    for stage in ["profiles: 120", "customers: ", "orders: ", "timelines: "] {
        assert!(
            first.err.lines().any(|line| line.starts_with(stage)),
            "{}",
            first.err
        );
    }
    assert!(
        !first.all().contains('\u{1b}'),
        "no terminal, no escape sequences"
    );
    for part in [
        "acme at ",
        "  pulled",
        "  people",
        "  findings",
        "  plan",
        "  requests",
        "  took ",
    ] {
        assert!(first.out.contains(part), "no `{part}` in\n{}", first.out);
    }
    assert!(
        first.out.contains("guard first_run stopped the plan"),
        "{}",
        first.out
    );

    let detailed = ["--observe", "--detailed-exit-code"];
    run(&mut lab.reconcile(&shop, &["--observe"])).expect(0);
    run(&mut lab.reconcile(&shop, &detailed)).expect(2);
    run(&mut lab.reconcile(&shop, &detailed[1..])).expect(64);
    run(&mut lab.reconcile(&shop, &[])).expect(10);
    assert_eq!(town.writes(), 0);
    lab.release(&shop);
    let second = run(&mut lab.reconcile(&shop, &[])).expect(0);
    assert!(second.out.contains("property confirmed"), "{}", second.out);
    assert!(town.writes() > 0);
    run(&mut lab.reconcile(&shop, &detailed)).expect(0);
    let third = run(&mut lab.reconcile(&shop, &[])).expect(0);
    assert!(third.out.contains("nothing to do"), "{}", third.out);
}

#[test]
fn json_is_one_object_with_stable_keys_and_a_failed_shop_is_in_it() {
    let lab = Lab::new();
    let (town, mut dead) = (Town::fast(120, 8), Town::fast(20, 9));
    lab.shop("acme", &town.vendors, &[]);
    lab.shop("dead", &dead.vendors, &[]);
    dead.close();
    let ended = run(&mut lab.reconcile(&lab.shops(), &["--json"])).expect(69);
    assert_eq!(ended.out.lines().count(), 1);
    let whole: Json = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(keys(&whole), BTreeSet::from(["exit", "shops"]));
    assert_eq!(whole["exit"], 69);
    let (acme, dead) = (&whole["shops"][0], &whole["shops"][1]);
    let expected = "data_requests dry_run effects exit failure findings freshness mode now parked people plan pulled quarantined recovered \
                    refusals requests requests_by_endpoint run segments shop state_dir throttled took_seconds unknown \
                    sweeps unkept waited_seconds";
    assert_eq!(keys(acme), expected.split_whitespace().collect());
    assert_eq!((&acme["shop"], &acme["exit"]), (&"acme".into(), &10.into()));
    assert_eq!(acme["people"]["profiles"], 120);
    assert_eq!(acme["plan"]["guards"][0]["guard"], "first_run");
    assert_eq!(keys(dead), BTreeSet::from(["error", "exit", "shop"]));
    assert_eq!((&dead["shop"], &dead["exit"]), (&"dead".into(), &69.into()));
}

fn keys(object: &Json) -> BTreeSet<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn observe_and_as_of_write_nothing_even_when_every_guard_agrees() {
    let lab = Lab::new();
    let town = Town::fast(120, 10);
    let shop = lab.shop("acme", &town.vendors, &[]);
    run(&mut lab.reconcile(&shop, &[])).expect(10);
    for dry in [
        &["--observe"][..],
        &["--as-of", "2026-01-31"],
        &["--as-of", "2030-01-31T08:00:00Z"],
    ] {
        let ended = run(&mut lab.reconcile(&shop, &[dry, &["--json"]].concat())).expect(0);
        let whole: Json = serde_json::from_str(&ended.out).unwrap();
        let acme = &whole["shops"][0];
        assert_eq!(acme["dry_run"], true);
        assert!(
            acme["plan"]["effects"]["property"].as_u64() > Some(0),
            "{acme}"
        );
        assert_eq!(acme["effects"], Json::Array(Vec::new()));
    }
    assert_eq!(town.writes(), 0);
    assert_eq!(lab.journal("acme"), [Json::Null; 0]);
    // As of a later day more customers have lapsed: the instant really is used.
    let later = run(&mut lab.reconcile(&shop, &["--as-of", "2030-01-31"])).expect(0);
    assert!(
        later.out.contains("acme at 2030-01-31T23:59:59"),
        "{}",
        later.out
    );
    run(&mut lab.reconcile(&shop, &["--observe"])).expect(0);
    lab.release(&shop);
    run(&mut lab.reconcile(&shop, &[])).expect(0);
    assert!(town.writes() > 0);
}

#[test]
fn a_second_process_with_the_same_key_or_state_exits_75_and_names_the_holder() {
    let lab = Lab::new();
    let (town, other) = (Town::fast(60, 11), Town::fast(60, 12));
    let shop = lab.shop("acme", &town.vendors, &[]);
    let daemon = Running::start(lab.driftless(["--observe", "--config"]).arg(&shop));
    daemon.logs("Ready");
    let pid = daemon.id().to_string();

    let same_key = lab.shop("same-key", &town.vendors, &[]);
    for config in [&shop, &same_key] {
        let second = run(&mut lab.reconcile(config, &[])).expect(75);
        assert!(
            second.err.contains(&format!("pid {pid} since")),
            "{}",
            second.err
        );
    }
    let (theirs, ours) = (lab.state("same-state"), lab.state("acme"));
    let (theirs, ours) = (theirs.display().to_string(), ours.display().to_string());
    let same_state = lab.shop("same-state", &other.vendors, &[(&theirs, &ours)]);
    let second = run(&mut lab.reconcile(&same_state, &[])).expect(75);
    assert!(
        second.err.contains(&format!("process {pid} on ")),
        "{}",
        second.err
    );
    assert_eq!(town.writes() + other.writes(), 0);

    daemon.logs("Pass done");
    daemon.signal(rustix::process::Signal::TERM);
    daemon.end().expect(0);
    run(&mut lab.reconcile(&shop, &["--observe"])).expect(0);
}
