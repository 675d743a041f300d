//! A disk that fills up.

use super::lab::{Lab, Town, export};
use super::process::{Running, eventually, run};
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system of its own; unmounted when dropped.
pub struct Disk(PathBuf);

impl Disk {
    /// `None`, with a printed line, where mounting is not possible.
    pub fn mount(path: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let option = format!("size={size},mode=0700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &option, "driftless-test"])
            .arg(path)
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(path.to_owned()));
        }
        println!("skipped: a tmpfs cannot be mounted here");
        None
    }

    fn resize(&self, size: &str) {
        self.remount(&format!("size={size}"));
    }

    pub fn remount(&self, option: &str) {
        let option = format!("remount,{option}");
        let mut command = Command::new("mount");
        let status = command.args(["-o", &option]).arg(&self.0).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_fills_during_the_fill_stops_with_74_and_a_larger_one_goes_on() {
    let lab = Lab::new();
    let Some(disk) = Disk::mount(&lab.path("state"), "2m") else {
        return;
    };
    let town = Town::fast(1800, 50);
    let floor = ("[klaviyo]\n", "min_free_disk = \"1KiB\"\n\n[klaviyo]\n");
    let shop = lab.shop("acme", &town.vendors, &[floor]);
    // Even a plan that every guard lets pass must not be begun.
    let allowed = ["--allow", "first_run=1000000"];
    let full = run(&mut lab.reconcile(&shop, &allowed)).expect(74);
    // What stopped the pass is told, not what else the full disk then refused.
    let told = full.err.lines().last().unwrap();
    assert!(
        told.contains("the mirror failed to") && told.contains("No space left on device"),
        "{}",
        full.err
    );
    // Again on the same full disk: still clear, still no panic.
    let again = run(&mut lab.reconcile(&shop, &allowed)).expect(74);
    assert!(
        !again.err.contains("panicked") && !full.err.contains("panicked"),
        "{}",
        again.err
    );
    assert_eq!(town.writes(), 0);

    disk.resize("64m");
    let whole = run(&mut lab.reconcile(&shop, &["--observe", "--json"])).expect(0);
    let whole: serde_json::Value = serde_json::from_str(&whole.out).unwrap();
    assert_eq!(whole["shops"][0]["people"]["profiles"], 1800);
    // The mirror that met the full disk holds what an undisturbed one holds.
    let elsewhere = Lab::new();
    let calm = elsewhere.shop("acme", &town.vendors, &[]);
    run(&mut elsewhere.reconcile(&calm, &["--observe"])).expect(0);
    let same = export(&elsewhere.state("acme")) == export(&lab.state("acme"));
    assert!(same, "the mirrors differ");
}

#[test]
fn a_disk_that_fills_during_a_push_stops_with_74_and_loses_no_effect() {
    let lab = Lab::new();
    let Some(_disk) = Disk::mount(&lab.path("state"), "64m") else {
        return;
    };
    let town = Town::fast(1500, 51);
    let floor = ("[klaviyo]\n", "min_free_disk = \"1KiB\"\n\n[klaviyo]\n");
    let shop = lab.shop("acme", &town.vendors, &[floor]);
    run(&mut lab.reconcile(&shop, &["--observe"])).expect(0);
    lab.release(&shop);
    let state = lab.path("state");
    let (mut room, mut fulls) = (64 << 10, 0);
    loop {
        let before = town.asked("/api/accounts");
        let running = Running::start(&mut lab.reconcile(&shop, &[]));
        // Not earlier: when sled opens its file it gives room back, more or less of it.
        let asked = || (town.asked("/api/accounts") > before).then_some(());
        eventually("a request", asked);
        // It must not write into the room while that is measured.
        running.signal(Signal::STOP);
        let ballast = vec![0; usize::try_from(free(&state).saturating_sub(room)).unwrap()];
        fs::write(state.join("ballast"), ballast).unwrap();
        running.signal(Signal::CONT);
        let ended = running.end();
        fs::remove_file(state.join("ballast")).unwrap();
        println!("with {room} bytes free: {} writes", town.writes());
        if ended.code == Some(0) {
            break;
        }
        let full = ended.expect(74);
        assert!(full.err.contains("No space left"), "{}", full.err);
        (room, fulls) = (room * 5, fulls + 1);
    }
    assert!(fulls > 0, "the disk was never full");

    let quiet = run(&mut lab.reconcile(&shop, &[])).expect(0);
    assert!(quiet.out.contains("nothing to do"), "{}", quiet.out);
}

fn free(path: &Path) -> u64 {
    let disk = rustix::fs::statvfs(path).unwrap();
    disk.f_bfree * disk.f_frsize
}

#[test]
fn below_min_free_disk_a_pass_reads_and_writes_nothing() {
    let lab = Lab::new();
    let town = Town::fast(50, 52);
    let floor = (
        "[klaviyo]\n",
        "min_free_disk = \"1000000TB\"\n\n[klaviyo]\n",
    );
    let shop = lab.shop("acme", &town.vendors, &[floor]);
    let low = run(&mut lab.reconcile(&shop, &["--allow", "first_run=100000"])).expect(74);
    assert!(
        low.err.contains("shop.min_free_disk") && low.err.contains("free some space"),
        "{}",
        low.err
    );
    assert_eq!(export(&lab.state("acme")), [""; 0]);
    assert_eq!(town.writes(), 0);
}
