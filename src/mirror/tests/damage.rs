use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn fill(dir: &TempDir) -> Vec<String> {
    let mirror = open(dir);
    for n in 0..20 {
        let mut page = mirror.page();
        page.profile(profile(&format!("P{n}"), 1)).unwrap();
        page.commit().unwrap();
    }
    lines(&mirror)
}

fn snapshots(dir: &TempDir) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir.path().join("mirror")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("snap.")
        })
        .collect()
}

#[test]
fn a_flipped_byte_in_a_value_is_reported_and_not_used() {
    let dir = dir();
    let mirror = open(&dir);
    let mut page = mirror.page();
    let slot = page.profile(profile("A", 1)).unwrap().unwrap();
    page.commit().unwrap();
    let sound = mirror.verify().unwrap();
    assert!(sound >= 4);
    mirror
        .store
        .put_raw(&Shelf::Profiles.slot(slot), |value| value[3] ^= 1);
    for refused in [
        mirror.profile(slot).map(drop),
        mirror.profile_id(slot).map(drop),
        mirror.verify().map(drop),
        mirror.page().profile(profile("A", 2)).map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, MirrorError::BadValue { shelf: "profiles" }));
        assert!(!error.to_string().contains("example.com"));
    }
    let all: Vec<_> = mirror.records().collect();
    assert_eq!(all.len(), 1, "reading stops at the damage");
    assert!(all[0].is_err());
}

#[test]
fn a_value_of_a_newer_version_is_refused() {
    let dir = dir();
    let mirror = open(&dir);
    let mut page = mirror.page();
    let slot = page.profile(profile("A", 1)).unwrap().unwrap();
    page.commit().unwrap();
    let key = Shelf::Profiles.slot(slot);
    mirror.store.put_raw(&key, |value| {
        let mut body = value[..value.len() - 4].to_vec();
        body[0] += 1;
        *value = codec::seal(&key, body);
    });
    let refused = mirror.profile(slot).unwrap_err();
    assert!(matches!(
        refused,
        MirrorError::Newer {
            shelf: "profiles",
            found,
            known: FORMAT
        } if found == FORMAT + 1
    ));
}

#[test]
fn an_unfinished_snapshot_does_not_stop_an_opening() {
    let dir = dir();
    let before = fill(&dir);
    let junk = dir.path().join("mirror/snap.00000000000FFFFF.generating");
    fs::write(&junk, b"half a snapsh").unwrap();
    assert_eq!(lines(&open(&dir)), before);
    assert!(!junk.exists());
}

#[test]
fn a_damaged_snapshot_is_set_aside_and_nothing_is_lost() {
    let dir = dir();
    let before = fill(&dir);
    drop(open(&dir));
    let snapshots = snapshots(&dir);
    assert!(!snapshots.is_empty());
    for path in &snapshots {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    let (mirror, repaired) = Mirror::open(dir.path(), &vault(&dir), NOW).unwrap();
    let repaired = repaired.unwrap();
    assert_eq!(repaired.quarantine, dir.path().join("quarantine-1"));
    assert_eq!(repaired.files, snapshots.len());
    assert_eq!(repaired.values, mirror.verify().unwrap());
    assert_eq!(lines(&mirror), before);
}

#[test]
fn a_damage_beyond_repair_names_the_remedy() {
    let dir = dir();
    fill(&dir);
    let conf = dir.path().join("mirror/conf");
    let mut bytes = fs::read(&conf).unwrap();
    bytes[0] ^= 1;
    fs::write(&conf, bytes).unwrap();
    for path in snapshots(&dir) {
        fs::remove_file(path).unwrap();
    }
    let refused = Mirror::open(dir.path(), &vault(&dir), NOW)
        .map(drop)
        .unwrap_err();
    assert!(matches!(refused, MirrorError::Damaged { .. }), "{refused}");
    assert!(refused.to_string().contains("driftless rebuild"));
}

/// A mirror of several of sled's segments.
fn fill_much(dir: &TempDir) {
    let mirror = open(dir);
    for n in 0..40_u32 {
        let mut page = mirror.page();
        for m in 0..100 {
            page.profile(profile(&format!("P{n}-{m}"), 1)).unwrap();
        }
        page.commit().unwrap();
    }
}

#[test]
fn bytes_changed_behind_the_stores_back_are_damage_and_no_trouble_with_the_disk() {
    let mut met = 0;
    for part in 1..5 {
        let dir = dir();
        fill_much(&dir);
        let file = dir.path().join("mirror/db");
        let mut bytes = fs::read(&file).unwrap();
        let from = bytes.len() * part / 8;
        let places = bytes[from..].iter_mut().step_by(20_000).take(8);
        places.for_each(|byte| *byte ^= 0x10);
        fs::write(&file, bytes).unwrap();
        let read = || Mirror::open(dir.path(), &vault(&dir), NOW)?.0.verify();
        // sled answers some of it with a panic.
        match catch_unwind(AssertUnwindSafe(read)) {
            Ok(Err(error)) => {
                assert!(error.is_rot(), "{error}");
                met += 1;
            }
            Ok(Ok(_)) => {}
            Err(_) => met += 1,
        }
        let rebuilt = Mirror::rebuild(dir.path(), &vault(&dir), NOW).unwrap();
        assert!(rebuilt.set_aside.unwrap().exists());
        open(&dir).verify().unwrap();
    }
    assert!(met > 0, "no byte mattered");
}

#[test]
fn a_second_opener_is_refused_and_told_who_holds_it() {
    let dir = dir();
    let first = open(&dir);
    let refused = Mirror::open(dir.path(), &vault(&dir), NOW)
        .map(drop)
        .unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, MirrorError::Locked { .. }));
    assert!(
        text.contains(&format!("process {}", std::process::id())),
        "{text}"
    );
    assert!(text.contains(&NOW.to_string()), "{text}");
    drop(first);
    open(&dir);
}

#[test]
fn only_the_owner_may_look_into_the_mirror() {
    let dir = dir();
    let _mirror = open(&dir);
    let mode = fs::metadata(dir.path().join("mirror"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}
