use super::*;
use crate::config::{self, Environment};
use crate::disk::Disk;
use crate::journal::{Intent, Journal};
use crate::mirror::{Cursor, Mirror, Stream};
use crate::model::{EffectKind, End, ListId, Moment, Profile};
use crate::telemetry::Pseudonyms;
use crate::vault::{Vault, vault_file};
use serde_json::json;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const NOW: Moment = Moment::from_secs(1_790_000_000);

/// A shop with a little of everything, its backup, and room for another.
struct Lab {
    dir: TempDir,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lab = Self { dir };
        let state = lab.path("old");
        fs::create_dir(&state).unwrap();
        Pseudonyms::open(&state).unwrap();
        let (mirror, _) = Mirror::open(&state, &vault(&state), NOW).unwrap();
        let mut page = mirror.page();
        for n in 0..3 {
            let id = format!("P{n}");
            let email = Some(format!("{id}@example.com"));
            let profile = Profile::new(id.as_str());
            page.profile(Profile { email, ..profile }).unwrap();
        }
        page.bind("vip", &ListId::from("L1"));
        let watermark = Some(NOW);
        let cursor = Cursor {
            watermark,
            ..Cursor::default()
        };
        page.cursor(&Stream::KlaviyoProfiles, &cursor);
        page.commit().unwrap();
        // Every append begins a file.
        let (mut journal, _) =
            Journal::open_with(Disk::default(), &state.join("journal"), &vault(&state), 1).unwrap();
        let run = journal.begin_run(NOW, "p1").unwrap();
        let (no, yes, who) = (json!(false), json!(true), Some("P1".to_owned()));
        let kind = EffectKind::Suppression;
        let intent = Intent::new("acme", run, kind, who, "mail".to_owned(), no, yes, NOW);
        journal.intend(vec![intent.clone()]).unwrap();
        journal
            .conclude(&[(intent.id, End::Confirmed, None)], NOW)
            .unwrap();
        lab.write(&mirror, &journal).finish().unwrap();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("acme.backup")
    }

    fn write(&self, mirror: &Mirror, journal: &Journal) -> Draft {
        let mut draft = Draft::create(&self.file()).unwrap();
        let source = Source {
            shop: "acme",
            key_file: &Pseudonyms::key_file(&self.path("old")),
            mirror,
            journal,
        };
        write(&source, NOW, draft.file(), &self.file()).unwrap();
        draft
    }

    fn shop(&self, name: &str) -> config::Shop {
        let text = format!(
            "[shop]\nname = \"{name}\"\nstate_dir = \"new\"\n\
             [klaviyo]\nkey = {{ env = \"K\" }}\n\
             [shopify]\ndomain = \"acme.myshopify.com\"\ntoken = {{ env = \"S\" }}\n"
        );
        let secrets = [
            ("K", "pk_0123456789abcdef0123456789abcdef01"),
            ("S", "shpat_0123456789abcdef"),
        ];
        config::parse(&self.path("acme.toml"), &text, &Environment::fixed(secrets)).unwrap()
    }

    fn restore(&self, name: &str) -> Result<(), BackupError> {
        let (old, new) = (self.path("old"), self.path("new"));
        fs::create_dir_all(&new).unwrap();
        fs::copy(vault_file(&old), vault_file(&new)).unwrap();
        self.restore_alone(name)
    }

    /// With whatever vault is there.
    fn restore_alone(&self, name: &str) -> Result<(), BackupError> {
        restore(
            &mut Backup::open(&self.file())?,
            &self.shop(name),
            NOW,
            || Ok(()),
        )
    }
}

fn vault(state: &Path) -> Vault {
    Vault::open(state, None).unwrap()
}

fn records(state: &Path) -> Vec<String> {
    let (mirror, _) = Mirror::open(state, &vault(state), NOW).unwrap();
    mirror.export().map(Result::unwrap).collect()
}

fn journal(state: &Path) -> Vec<Vec<u8>> {
    let (journal, _) = Journal::open(&state.join("journal"), &vault(state)).unwrap();
    let files = journal.files().unwrap();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

#[test]
fn what_is_restored_is_what_was_backed_up() {
    let lab = Lab::new();
    let (old, new) = (lab.path("old"), lab.path("new"));
    let mode = fs::metadata(lab.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let header = Backup::open(&lab.file()).unwrap().header;
    assert_eq!((header.shop.as_str(), header.profiles), ("acme", 3));
    assert_eq!(header.made, NOW.to_string());
    lab.restore("acme").unwrap();
    assert_eq!(records(&new), records(&old));
    assert!(journal(&old).len() > 2);
    assert_eq!(journal(&new), journal(&old));
    let key = |state| fs::read(Pseudonyms::key_file(state)).unwrap();
    assert_eq!(key(&new), key(&old));
    let (mirror, _) = Mirror::open(&new, &vault(&new), NOW).unwrap();
    assert_eq!(mirror.bindings().unwrap()["vip"], ListId::from("L1"));
    let cursor = mirror.cursor(&Stream::KlaviyoProfiles).unwrap().unwrap();
    assert_eq!(cursor.watermark, Some(NOW));
    let (restored, _) = Journal::open(&new.join("journal"), &vault(&new)).unwrap();
    assert!(restored.was_suppressed("P1"));
    for left in ["restoring", "restored"] {
        assert!(!new.join(left).exists());
    }
}

#[test]
fn every_truncation_is_refused_and_so_is_every_changed_byte() {
    let lab = Lab::new();
    let whole = fs::read(lab.file()).unwrap();
    let damaged = lab.path("damaged");
    fs::write(&damaged, &whole).unwrap();
    let file = File::options().write(true).open(&damaged).unwrap();
    for (at, byte) in whole.iter().enumerate() {
        let put = |byte| file.write_all_at(&[byte], at as u64).unwrap();
        put(byte ^ 1 << (at % 8));
        assert!(Backup::open(&damaged).is_err(), "byte {at}");
        put(*byte);
    }
    Backup::open(&damaged).unwrap();
    for length in (0..whole.len()).rev() {
        file.set_len(length as u64).unwrap();
        let refused = Backup::open(&damaged).unwrap_err();
        assert!(
            matches!(refused, BackupError::Unfinished { .. }),
            "{length}"
        );
    }
    fs::write(&damaged, [whole.as_slice(), b"\n"].concat()).unwrap();
    assert!(matches!(
        Backup::open(&damaged),
        Err(BackupError::Unfinished { .. })
    ));
    fs::write(&damaged, "driftless backup 3\nwhatever comes").unwrap();
    let newer = Backup::open(&damaged).unwrap_err();
    assert!(matches!(
        newer,
        BackupError::OtherFormat {
            found: 3,
            known: 2,
            ..
        }
    ));
    fs::write(&damaged, "-----BEGIN something else-----\n").unwrap();
    assert!(matches!(
        Backup::open(&damaged),
        Err(BackupError::Foreign { .. })
    ));
}

#[test]
fn a_draft_takes_nobodys_place_and_leaves_nothing_half_done() {
    let lab = Lab::new();
    let taken = Draft::create(&lab.file()).unwrap_err();
    assert!(matches!(taken, BackupError::Exists { .. }));
    let (place, part) = (lab.path("next"), lab.path("next.part"));
    // What a killed attempt leaves.
    fs::write(&part, "driftless backup 2\n{").unwrap();
    let draft = Draft::create(&place).unwrap();
    assert!(part.exists());
    let unfinished = draft.finish().unwrap_err();
    assert!(matches!(unfinished, BackupError::Unfinished { .. }));
    assert!(!part.exists() && !place.exists());
}

#[test]
fn a_restore_takes_nobodys_place_and_keeps_shops_apart() {
    let lab = Lab::new();
    let other = lab.restore_alone("other").unwrap_err();
    assert!(matches!(other, BackupError::OtherShop { what: "shop", .. }));
    let closed = lab.restore_alone("acme").unwrap_err();
    assert!(matches!(closed, BackupError::NoVault { .. }));
    assert!(!lab.path("new").exists());
    fs::create_dir(lab.path("new")).unwrap();
    vault(&lab.path("new"));
    let foreign = lab.restore_alone("acme").unwrap_err();
    assert!(matches!(foreign, BackupError::NoVault { .. }));
    for name in ["mirror", "journal"] {
        let place = lab.path("new").join(name);
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("something"), "").unwrap();
        let occupied = lab.restore("acme").unwrap_err();
        assert!(matches!(occupied, BackupError::Occupied { path } if path == place));
        fs::remove_dir_all(place).unwrap();
    }
    lab.restore("acme").unwrap();
}

#[test]
fn a_whole_backup_of_a_damaged_journal_leaves_nothing_behind() {
    let lab = Lab::new();
    let (mirror, _) = Mirror::open(&lab.path("old"), &vault(&lab.path("old")), NOW).unwrap();
    let (journal, _) = Journal::open(&lab.path("old/journal"), &vault(&lab.path("old"))).unwrap();
    let first = lab.path("old/journal/00000001.log");
    let mut content = fs::read(&first).unwrap();
    content[10] ^= 1;
    fs::write(first, content).unwrap();
    fs::remove_file(lab.file()).unwrap();
    lab.write(&mirror, &journal).finish().unwrap();
    let refused = lab.restore("acme").unwrap_err();
    assert!(matches!(refused, BackupError::Journal(_)));
    for left in ["restoring", "restored", "mirror", "journal"] {
        assert!(!lab.path("new").join(left).exists(), "{left}");
    }
}

#[test]
fn a_restore_that_was_killed_left_nothing_or_everything() {
    let lab = Lab::new();
    let new = lab.path("new");
    // Killed while it was built:
    fs::create_dir_all(new.join("restoring/mirror")).unwrap();
    settle(&new).unwrap();
    assert!(!new.join("mirror").exists());
    lab.restore("acme").unwrap();
    let (whole, entries) = (records(&new), journal(&new));
    // Killed between any two steps of moving it to its place:
    for moved in 0..3 {
        let restored = new.join("restored");
        fs::create_dir(&restored).unwrap();
        for name in ["log.key", "journal", "mirror"].iter().skip(moved) {
            fs::rename(new.join(name), restored.join(name)).unwrap();
        }
        settle(&new).unwrap();
        assert_eq!(
            (records(&new), journal(&new)),
            (whole.clone(), entries.clone())
        );
        assert!(!restored.exists());
    }
}
