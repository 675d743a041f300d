//! `driftless backup`, `restore` and `rebuild`.

use super::daemon::{daemon, status};
use super::lab::{Lab, Town, export};
use super::process::{Running, eventually, run};
use driftless::backup::Backup;
use driftless::vault::vault_file;
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Without comparing segments, which waits for Klaviyo's limits.
const BRIEF: [(&str, &str); 1] = [("read = \"all\"", "read = \"none\"")];

fn backup(lab: &Lab, shop: &Path, out: &Path) -> Command {
    let mut command = lab.driftless(["backup", "--config"]);
    command.arg(shop).arg("--out").arg(out);
    command
}

fn restore(lab: &Lab, shop: &Path, file: &Path) -> Command {
    let mut command = lab.driftless(["restore", "--config"]);
    command.arg(shop).arg(file);
    command
}

fn rebuild(lab: &Lab, shop: &Path) -> Command {
    let mut command = lab.driftless(["rebuild", "--config"]);
    command.arg(shop);
    command
}

fn journal(lab: &Lab) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(lab.state("acme").join("journal")).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|ending| ending == "log"))
        .map(|path| (path.file_name().unwrap().into(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_backup_of_a_running_daemon_goes_on_elsewhere_and_observes_first() {
    let (lab, elsewhere) = (Lab::new(), Lab::new());
    let town = Town::fast(60, 90);
    let shop = lab.shop("acme", &town.vendors, &BRIEF);
    let file = lab.path("acme.backup");
    let (daemon, listen) = daemon(&lab, &[]);
    status(&listen, "acme", |shop| shop["last_pass"]["exit"] == 10);
    let made = run(&mut backup(&lab, &shop, &file)).expect(0);
    assert!(made.out.contains(" 60 profiles, "), "{}", made.out);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    let control = lab.state("acme").join("control");
    assert_eq!(mode(&control), 0o600);
    let again = run(&mut backup(&lab, &shop, &file)).expect(64);
    assert!(again.err.contains("exists already"), "{}", again.err);
    lab.release(&shop);
    let running = run(&mut restore(&lab, &shop, &file)).expect(75);
    assert!(running.err.contains("in use by process"), "{}", running.err);
    run(&mut rebuild(&lab, &shop)).expect(75);
    // Who is refused takes nothing back.
    assert!(lab.state("acme").join("released.json").exists());
    daemon.signal(Signal::TERM);
    daemon.end().expect(0);
    assert!(!control.exists());

    let cut = elsewhere.path("cut.backup");
    let whole = fs::read(&file).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let moved = elsewhere.shop("acme", &town.vendors, &BRIEF);
    let refused = run(&mut restore(&elsewhere, &moved, &cut)).expect(65);
    assert!(
        refused.err.contains("cut.backup has no end mark"),
        "{}",
        refused.err
    );
    let closed = run(&mut restore(&elsewhere, &moved, &file)).expect(78);
    assert!(
        closed.err.contains("opens only with the vault"),
        "{}",
        closed.err
    );
    assert!(!elsewhere.state("acme").exists());
    fs::create_dir_all(elsewhere.state("acme")).unwrap();
    let vaults = [&lab, &elsewhere].map(|lab| vault_file(&lab.state("acme")));
    fs::copy(&vaults[0], &vaults[1]).unwrap();

    // The daemon had observed the rules and would have written in its next pass.
    let restored = run(&mut restore(&elsewhere, &moved, &file)).expect(0);
    assert!(restored.out.contains(" 0 min old: "), "{}", restored.out);
    assert_eq!(export(&elsewhere.state("acme")), export(&lab.state("acme")));
    assert_eq!(journal(&elsewhere), journal(&lab));
    let occupied = run(&mut restore(&elsewhere, &moved, &file)).expect(64);
    assert!(
        occupied.err.contains("mirror is there already"),
        "{}",
        occupied.err
    );
    let digest = |lab: &Lab, shop: &Path| {
        let verify = ["verify", "--digest", "--config", shop.to_str().unwrap()];
        let sound = run(&mut lab.driftless(verify)).expect(0);
        sound.out.split_once("; digest ").unwrap().1.to_owned()
    };
    assert_eq!(digest(&elsewhere, &moved), digest(&lab, &shop));

    let observed = run(&mut elsewhere.reconcile(&moved, &[])).expect(10);
    assert!(observed.out.contains("guard first_run"), "{}", observed.out);
    elsewhere.release(&moved);
    let rebuilt = run(&mut rebuild(&elsewhere, &moved)).expect(0);
    assert!(
        rebuilt.out.contains("quarantine-1/mirror now; "),
        "{}",
        rebuilt.out
    );
    run(&mut elsewhere.reconcile(&moved, &[])).expect(10);
    assert_eq!(town.writes(), 0);

    // Without a daemon the command reads mirror and journal itself.
    let later = elsewhere.path("later.backup");
    run(&mut backup(&elsewhere, &moved, &later)).expect(0);
    let other = elsewhere.shop("other", &town.vendors, &BRIEF);
    run(&mut restore(&elsewhere, &other, &later)).expect(78);
    assert!(!elsewhere.state("other").exists());
}

#[test]
fn a_kill_during_a_backup_leaves_no_file_and_the_next_one_is_whole() {
    let lab = Lab::new();
    let town = Town::fast(300, 91);
    let shop = lab.shop("acme", &town.vendors, &BRIEF);
    let file = lab.path("acme.backup");
    run(&mut lab.reconcile(&shop, &["--observe"])).expect(0);

    // The daemon is killed while a backup waits for its pass to end.
    town.world.state().faults.latency = Duration::from_secs(3600);
    let (daemon, _) = daemon(&lab, &[]);
    daemon.logs("Pass begins");
    let waiting = Running::start(&mut backup(&lab, &shop, &file));
    let part = lab.path("acme.backup.part");
    eventually("a backup that waits", || part.exists().then_some(()));
    daemon.kill_9();
    let lost = waiting.end().expect(75);
    assert!(lost.err.contains("ask again"), "{}", lost.err);
    assert!(!file.exists() && !part.exists());

    // The command is killed while it writes.
    let mut cut_short = 0;
    for millis in [4, 8, 12, 16, 24, 32, 48, 64] {
        let mut writing = Running::start(&mut backup(&lab, &shop, &file));
        writing.ends_within(Duration::from_millis(millis));
        drop(writing);
        match file.exists() {
            true => {
                Backup::open(&file).unwrap();
                fs::remove_file(&file).unwrap();
            }
            false => cut_short += usize::from(part.exists()),
        }
    }
    println!("{cut_short} were cut short while they wrote");
    run(&mut backup(&lab, &shop, &file)).expect(0);
    assert_eq!(Backup::open(&file).unwrap().header.profiles, 300);
    assert!(!part.exists());
}
