//! `plan`, `apply`, `receipts` and `undo`, as an operator types them.

use super::lab::{Lab, Town};
use super::process::run;
use std::ffi::OsStr;
use std::fs;

#[test]
fn a_plan_is_shown_kept_applied_once_accounted_for_and_taken_back() {
    let lab = Lab::new();
    let town = Town::fast(60, 95);
    let shop = lab.shop(
        "acme",
        &town.vendors,
        &[("read = \"all\"", "read = \"none\"")],
    );
    let file = lab.path("monday.plan");
    let ask = |words: &[&OsStr]| {
        let mut command = lab.driftless(words);
        run(command.arg("--config").arg(&shop))
    };
    let (plan, out, detailed) = (
        "plan".as_ref(),
        "--out".as_ref(),
        "--detailed-exit-code".as_ref(),
    );
    let (apply, receipts, undo) = ("apply".as_ref(), "receipts".as_ref(), "undo".as_ref());
    let one: &OsStr = "1".as_ref();

    // Nothing but a plan is written over.
    let config = ask(&[plan, out, shop.as_os_str()]).expect(64);
    assert!(
        config.err.contains("is no plan: give another name"),
        "{}",
        config.err
    );
    ask(&[apply, file.as_os_str()]).expect(64);
    let made = ask(&[plan, out, file.as_os_str(), detailed]).expect(2);
    assert!(
        made.out.contains("  property: 60\n    ~ profile "),
        "{}",
        made.out
    );
    assert!(made.out.contains("... and 50 more"), "{}", made.out);
    assert_eq!(town.writes(), 0);

    let cut = lab.path("cut.plan");
    let whole = fs::read(&file).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    ask(&[apply, cut.as_os_str()]).expect(65);
    let other = lab.shop("other", &town.vendors, &[]);
    let mut elsewhere = lab.driftless([apply, file.as_os_str(), "--config".as_ref()]);
    let foreign = run(elsewhere.arg(&other)).expect(78);
    assert!(
        foreign.err.contains("of the shop `acme`"),
        "{}",
        foreign.err
    );
    assert!(!lab.state("other").exists());

    let applied = ask(&[apply, file.as_os_str()]).expect(0);
    assert!(
        applied.out.contains("  effects of run 1\n"),
        "{}",
        applied.out
    );
    let written = town.writes();
    assert!(written > 0);
    let twice = ask(&[apply, file.as_os_str()]).expect(10);
    assert!(
        twice.err.contains("run 1 has written since"),
        "{}",
        twice.err
    );

    let runs = ask(&[receipts]).expect(0);
    assert!(runs.out.contains("60 property confirmed"), "{}", runs.out);
    let effects = ask(&[receipts, one]).expect(0);
    assert!(
        effects.out.contains("because properties: stage "),
        "{}",
        effects.out
    );
    ask(&[receipts, "7".as_ref()]).expect(64);
    ask(&[undo, "7".as_ref()]).expect(64);

    let back = lab.path("back.plan");
    ask(&[undo, one, out, back.as_os_str()]).expect(0);
    assert_eq!(town.writes(), written);
    let undone = ask(&[undo, one]).expect(0);
    assert!(
        undone.out.contains("The release is taken back"),
        "{}",
        undone.out
    );
    assert!(town.writes() > written);
    run(&mut lab.reconcile(&shop, &[])).expect(10);
}
