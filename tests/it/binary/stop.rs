//! SIGTERM, and the start after it.

use super::daemon::{daemon, status};
use super::lab::{Lab, Town, export};
use super::process::{Running, eventually, run};
use driftless::model::Moment;
use driftless::sandbox::Speed;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// From SIGTERM to the end, which must be clean.
fn terminate(process: Running) -> Duration {
    let begun = Instant::now();
    process.signal(Signal::TERM);
    process.end().expect(0);
    begun.elapsed()
}

#[test]
fn a_fill_ends_within_ten_seconds_of_sigterm_and_the_next_start_finishes_it() {
    let lab = Lab::new();
    // With the vendors' limits in force, most of the fill is waiting for budgets.
    let town = Town::open(1500, 40, Speed::Real);
    let shop = lab.shop("acme", &town.vendors, &[]);
    let (first, _) = daemon(&lab, &["--observe"]);
    eventually("most pages of profiles", || {
        (town.asked("/api/profiles") >= 14).then_some(())
    });
    let stopped = terminate(first);
    assert_eq!(town.writes(), 0);

    // The same in the hands of a vendor who does not answer: requests hang until they time out.
    town.world.state().faults.latency = Duration::from_secs(3600);
    let (second, _) = daemon(&lab, &["--observe"]);
    second.logs("Pass begins");
    let cut_short = terminate(second);
    println!("stopped after {stopped:?} between pages, {cut_short:?} in a hanging request");
    assert!(stopped.max(cut_short) < Duration::from_secs(10));

    town.world.state().faults.latency = Duration::ZERO;
    let kept = export(&lab.state("acme"));
    assert!(
        kept.len() >= 300,
        "what was committed stayed: {}",
        kept.len()
    );
    run(&mut lab.reconcile(&shop, &["--observe"])).expect(0);
    let calm = Lab::new();
    let undisturbed = calm.shop("acme", &town.vendors, &[]);
    run(&mut calm.reconcile(&undisturbed, &["--observe"])).expect(0);
    let same = export(&lab.state("acme")) == export(&calm.state("acme"));
    assert!(same, "the mirrors differ");
}

#[test]
fn a_restart_waits_for_the_next_date_unless_the_last_pass_was_cut_short() {
    let lab = Lab::new();
    let town = Town::fast(60, 41);
    lab.shop("acme", &town.vendors, &[]);
    let (first, listen) = daemon(&lab, &[]);
    let done = status(&listen, "acme", |shop| shop["last_pass"].is_object());
    let began = done["last_pass"]["started"].as_str().unwrap();
    let began = Moment::parse(began).unwrap();
    terminate(first);

    let (second, listen) = daemon(&lab, &[]);
    second.logs("Ready");
    let waiting = status(&listen, "acme", |shop| shop["state"] == "waiting");
    let next = waiting["next_pass"].as_str().unwrap();
    let next = Moment::parse(next).unwrap();
    // pass = "15m", and up to a minute of jitter.
    let gap = next.since(began).as_secs();
    assert!((15 * 60 - 1..=16 * 60 + 1).contains(&gap), "{gap} s");
    assert_eq!(waiting["last_pass"], serde_json::Value::Null);
    terminate(second);

    // A fill that was cut short is taken up at once.
    let fresh = Lab::new();
    let shop = fresh.shop("acme", &town.vendors, &[]);
    town.world.state().faults.latency = Duration::from_secs(3600);
    let (cut, _) = daemon(&fresh, &["--observe"]);
    cut.logs("Pass begins");
    terminate(cut);
    town.world.state().faults.latency = Duration::ZERO;
    let (again, _) = daemon(&fresh, &["--observe"]);
    again.logs("Pass begins");
    again.logs("Pass done");
    terminate(again);
    run(&mut fresh.reconcile(&shop, &["--observe"])).expect(0);
}

#[test]
fn sigterm_in_the_middle_of_a_push_leaves_nothing_undone_after_the_next_pass() {
    let lab = Lab::new();
    let town = Town::fast(1200, 42);
    let shop = lab.shop("acme", &town.vendors, &[]);
    run(&mut lab.reconcile(&shop, &["--observe"])).expect(0);
    lab.release(&shop);
    town.world.state().faults.latency = Duration::from_millis(150);
    // The pass before only looked, so that the daemon's first one is due at once.
    let (pushing, _) = daemon(&lab, &[]);
    eventually("a write", || (town.writes() > 0).then_some(()));
    // Batches are short: it ends between two of them, long before the drain's 8 s are over.
    let took = terminate(pushing);
    println!("stopped after {took:?}, {} writes", town.writes());
    assert!(took < Duration::from_secs(6), "{took:?}");
    town.world.state().faults.latency = Duration::ZERO;
    run(&mut lab.reconcile(&shop, &[])).expect(0);
    let quiet = run(&mut lab.reconcile(&shop, &[])).expect(0);
    assert!(quiet.out.contains("nothing to do"), "{}", quiet.out);
}
