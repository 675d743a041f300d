//! A machine that lacks something: memory, descriptors, a disk that answers, a file that may be read.

use super::disk::Disk;
use super::lab::{Lab, Town, export};
use super::process::{Running, eventually, run};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Nobody is looked at for a comparison of segments, and known in more detail afterwards.
const ALONE: (&str, &str) = ("read = \"all\"", "read = \"none\"");

/// Much longer than a pass takes.
const STUCK: Duration = Duration::from_secs(5);

/// The same command, started by another one.
fn within(wrapper: &[&str], command: &Command) -> Command {
    let mut wrapped = Command::new(wrapper[0]);
    wrapped.args(&wrapper[1..]).arg(command.get_program());
    wrapped.args(command.get_args()).env_clear();
    let variables = command.get_envs();
    wrapped.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    wrapped.current_dir(command.get_current_dir().unwrap());
    wrapped
}

/// A shop that is to lack something.
struct Poor {
    lab: Lab,
    town: Town,
    shop: PathBuf,
}

impl Poor {
    fn of(seed: u64) -> Self {
        let lab = Lab::new();
        let town = Town::fast(150, seed);
        let shop = lab.shop("acme", &town.vendors, &[ALONE]);
        Self { lab, town, shop }
    }

    /// A pass that may write everything.
    fn pass(&self) -> Command {
        self.lab
            .reconcile(&self.shop, &["--allow", "first_run=100000"])
    }

    /// With enough of all a pass makes up for what the others left undone: all has then been done, and
    /// the mirror is that of a shop which never lacked anything.
    fn recovers(self) {
        let Self { lab, town, shop } = &self;
        run(&mut self.pass()).expect(0);
        let quiet = run(&mut lab.reconcile(shop, &[])).expect(0);
        assert!(quiet.out.contains("nothing to do"), "{}", quiet.out);
        let mut verify = lab.driftless(["verify", "--config"]);
        let sound = run(verify.arg(shop)).expect(0);
        assert!(sound.out.contains(", 0 open"), "{}", sound.out);
        let calm = lab.shop("calm", &town.vendors, &[ALONE]);
        run(&mut lab.reconcile(&calm, &["--observe"])).expect(0);
        assert!(export(&lab.state("acme")) == export(&lab.state("calm")));
    }
}

/// Takes from a process what memory it does not have yet.
fn starve(process: &Running) {
    let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
    let nothing = Rlimit {
        current: Some(1),
        maximum: Some(1),
    };
    // It may have ended just now.
    let _ = prlimit(pid, Resource::As, nothing);
}

#[test]
fn where_memory_runs_out_nothing_is_lost() {
    let poor = Poor::of(90);
    let mut starved = 0;
    for answers in [2, 12, 25, 40] {
        let before = poor.town.answers();
        let mut process = Running::start(&mut poor.pass());
        eventually("some answers, or an end", || {
            let is_fed = poor.town.answers() < before + answers;
            let is_over = process.ends_within(Duration::ZERO).is_some();
            (!is_fed || is_over).then_some(())
        });
        starve(&process);
        // What cannot go on for want of a thread is ended by the watchdog of a daemon.
        let ended = match process.ends_within(STUCK) {
            Some(_) => process.end(),
            None => process.kill_9(),
        };
        println!(
            "after {answers} answers: {:?} {:?}",
            ended.code, ended.signal
        );
        starved += u32::from(ended.code != Some(0));
    }
    assert!(starved > 0, "nothing was lacking");
    poor.recovers();
}

#[test]
fn where_descriptors_run_out_nothing_is_lost() {
    let poor = Poor::of(91);
    let mut starved = 0;
    // Between these some are left for the vendors, and a pass knocks again and again.
    for limit in [10, 13, 16, 64] {
        let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
        let ended = run(&mut within(&["/bin/sh", "-c", &script], &poor.pass()));
        println!("{limit} descriptors: {:?} {:?}", ended.code, ended.signal);
        starved += u32::from(ended.code != Some(0));
    }
    assert!(starved > 0, "nothing was lacking");
    poor.recovers();
}

#[test]
fn a_sync_that_fails_ends_the_pass_with_74_and_is_not_tried_again() {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("skipped: there is no strace here");
        return;
    }
    let lab = Lab::new();
    let town = Town::fast(60, 92);
    let shop = lab.shop("acme", &town.vendors, &[]);
    let pass = lab.reconcile(&shop, &["--allow", "first_run=100000"]);
    run(&mut lab.reconcile(&shop, &["--observe"])).expect(0);
    for (file, syncs, told) in [
        ("mirror/db", [1, 20], "sync the mirror's file"),
        ("journal/00000001.log", [1, 3], "sync the journal"),
    ] {
        for nth in syncs {
            let inject = format!("inject=fdatasync:error=EIO:when={nth}");
            let path = lab.state("acme").join(file);
            let strace = [
                "strace",
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                &inject,
                "-P",
            ];
            let strace = [&strace[..], &[path.to_str().unwrap()]].concat();
            let ended = run(&mut within(&strace, &pass)).expect(74);
            let said = ended.all();
            assert!(
                said.contains(told) && said.contains("Input/output error"),
                "{file}, sync {nth}: {said}"
            );
        }
    }
    run(&mut lab.reconcile(&shop, &["--allow", "first_run=100000"])).expect(0);
    let quiet = run(&mut lab.reconcile(&shop, &[])).expect(0);
    assert!(quiet.out.contains("nothing to do"), "{}", quiet.out);
}

#[test]
fn files_that_may_not_be_read_or_written_start_nothing_and_name_the_remedy() {
    let lab = Lab::new();
    let town = Town::fast(50, 93);
    let shop = lab.shop("acme", &town.vendors, &[]);
    let key = lab.shops().join("acme.DRIFTLESS_KLAVIYO_KEY");
    let mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&key, 0o644);
    let open = run(&mut lab.reconcile(&shop, &[])).expect(78);
    assert!(open.err.contains("chmod 0600"), "{}", open.err);
    mode(&key, 0o600);
    if let Some(disk) = Disk::mount(&lab.path("state"), "64m") {
        fs::create_dir(lab.state("acme")).unwrap();
        disk.remount("ro");
        let read_only = run(&mut lab.reconcile(&shop, &[])).expect(77);
        assert!(
            read_only.err.contains("Read-only file system"),
            "{}",
            read_only.err
        );
        disk.remount("rw");
    }
    assert_eq!(town.answers(), 0, "somebody was asked");
    run(&mut lab.reconcile(&shop, &["--observe"])).expect(0);
}

#[test]
fn a_torn_journal_is_cut_with_a_warning_and_a_damaged_one_stops_its_shop() {
    let lab = Lab::new();
    let town = Town::fast(50, 94);
    let shop = lab.shop("acme", &town.vendors, &[]);
    run(&mut lab.reconcile(&shop, &["--observe"])).expect(0);
    lab.release(&shop);
    run(&mut lab.reconcile(&shop, &[])).expect(0);
    let file = lab.state("acme").join("journal/00000001.log");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, [&whole[..], b"97 0badc0de {\"ty"].concat()).unwrap();
    let torn = run(&mut lab.reconcile(&shop, &[])).expect(0);
    assert!(
        torn.err.contains("torn end of the journal cut"),
        "{}",
        torn.err
    );
    assert!(torn.err.contains("bytes=16"), "{}", torn.err);
    assert_eq!(fs::read(&file).unwrap(), whole);

    let mut damaged = whole;
    damaged[12] ^= 1;
    fs::write(&file, damaged).unwrap();
    let written = town.writes();
    let refused = run(&mut lab.reconcile(&shop, &[])).expect(65);
    assert!(
        refused.err.contains("00000001.log is damaged at line 1"),
        "{}",
        refused.err
    );
    assert!(refused.err.contains("driftless restore"), "{}", refused.err);
    assert_eq!(town.writes(), written);
}
