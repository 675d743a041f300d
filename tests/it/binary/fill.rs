//! `kill -9` during the first fill, against the sandbox as a process.

use super::lab::{Lab, Vendors, export};
use super::process::{Ended, Running, run};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// `driftless sandbox` on free ports, found by what it prints.
fn sandbox(lab: &Lab, profiles: &str) -> (Running, Vendors) {
    let served = ["sandbox", "--speed", "fast", "--listen", "127.0.0.1:0"];
    let sandbox = Running::start(lab.driftless(served).args(["--profiles", profiles]));
    sandbox.says("# end");
    let said = sandbox.said();
    let (head, config) = said.split_once("# shop.toml\n").unwrap();
    let exports = head.lines().filter_map(|line| line.strip_prefix("export "));
    let secrets = exports.map(|line| {
        let (name, secret) = line.split_once('=').unwrap();
        (name.to_owned(), secret.to_owned())
    });
    let state = config.split_once("state_dir = \"").unwrap().1;
    let vendors = Vendors {
        config: config.split_once("# end").unwrap().0.to_owned(),
        state_dir: state.split_once('"').unwrap().0.to_owned(),
        secrets: secrets.collect::<BTreeMap<_, _>>(),
    };
    (sandbox, vendors)
}

#[test]
fn a_fill_killed_at_two_random_moments_ends_as_an_undisturbed_one() {
    let lab = Lab::new();
    let (sandbox, vendors) = sandbox(&lab, "1500");
    let calm = lab.shop("calm", &vendors, &[]);
    let shaken = lab.shop("shaken", &vendors, &[]);

    let begun = Instant::now();
    // 10: the first pass over new rules is stopped by the guard `first_run`, after the whole pull.
    run(&mut lab.reconcile(&calm, &["--observe"])).expect(0);
    let whole = begun.elapsed();

    let seed = std::env::var("DRIFTLESS_SEED").ok();
    let seed = seed.map_or(1, |seed| seed.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(seed);
    println!("an undisturbed fill took {whole:?}; DRIFTLESS_SEED={seed}");
    for kill in 1..=2 {
        let mut process = Running::start(&mut lab.reconcile(&shaken, &["--observe"]));
        // Every run goes on where the last one was killed, so both stay within one fill.
        let moment = whole.mul_f64(0.08 + 0.07 * random.f64());
        let early = process.ends_within(moment);
        assert_eq!(early, None, "kill {kill} after {moment:?} came too late");
        let ended = process.kill_9();
        assert_eq!(ended.signal, Some(Signal::KILL.as_raw()));
        println!(
            "kill {kill} after {moment:?}: {} stages done",
            stages(&ended).len()
        );
    }
    let last = run(&mut lab.reconcile(&shaken, &["--observe"])).expect(0);
    assert!(stages(&last).contains("timelines"), "{}", last.err);

    let (expected, found) = (export(&lab.state("calm")), export(&lab.state("shaken")));
    assert!(expected.len() > 18_000, "{} records", expected.len());
    let (few, many): (BTreeSet<_>, BTreeSet<_>) =
        (found.iter().collect(), expected.iter().collect());
    let lost = many.difference(&few).take(3).collect::<Vec<_>>();
    let extra = few.difference(&many).take(3).collect::<Vec<_>>();
    assert!(
        lost.is_empty() && extra.is_empty(),
        "lost {lost:?}, extra {extra:?}"
    );
    assert!(
        found == expected,
        "the same records in another order or number"
    );
    println!("{} records are equal", found.len());

    sandbox.signal(Signal::INT);
    sandbox.end().expect(0);
}

/// Stages that a one-shot reported as over.
fn stages(ended: &Ended) -> BTreeSet<&str> {
    let lines = ended.err.lines();
    lines
        .filter_map(|line| Some(line.split_once(": ")?.0))
        .collect()
}

#[test]
fn a_fill_goes_on_where_it_was_killed_and_reads_at_most_a_page_again() {
    let lab = Lab::new();
    let (_sandbox, vendors) = sandbox(&lab, "1500");
    let shop = lab.shop("acme", &vendors, &[]);
    let process = Running::start(&mut lab.reconcile(&shop, &["--observe"]));
    process.logs("suppressions: ");
    process.kill_9();
    let json = run(&mut lab.reconcile(&shop, &["--observe", "--json"])).expect(0);
    let whole: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    // A finished listing is not read again: only what changed since, and nothing did.
    let pulled = &whole["shops"][0]["pulled"];
    assert_eq!(pulled["profiles"], 0, "{pulled}");
    assert_eq!(whole["shops"][0]["people"]["profiles"], 1500);
}
