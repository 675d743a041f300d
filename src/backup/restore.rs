//! From a backup to a shop's state.

use super::draft::{sync_dir, unless_gone};
use super::file::{JOURNAL_FILE, LOG_KEY, VALUE};
use super::{Backup, BackupError};
use crate::config;
use crate::journal;
use crate::mirror::{self, Mirror, StateLock};
use crate::model::Moment;
use crate::telemetry::Pseudonyms;
use crate::vault::{Vault, vault_file};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Gives a shop without mirror and journal those of a backup. A kill at any moment leaves nothing, or
/// everything for [`settle`]. `first` is done once nothing can refuse it any more.
///
/// # Errors
/// When the backup is of another shop, version or form, or the state directory is in use.
pub fn restore(
    backup: &mut Backup,
    shop: &config::Shop,
    now: Moment,
    first: impl FnOnce() -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    refuse_unfit(backup, shop)?;
    let vault = fitting_vault(backup, shop)?;
    let state_dir = shop.state_dir.as_path();
    create_dir(state_dir)?;
    let _lock = StateLock::take(state_dir, now)?;
    settle(state_dir)?;
    refuse_occupied(state_dir)?;
    let staging = state_dir.join("restoring");
    unless_gone(fs::remove_dir_all(&staging)).map_err(BackupError::io("remove", &staging))?;
    create_dir(&staging)?;
    let unpacked = unpack(backup, &staging, &vault, now);
    if let Err(error) = unpacked.and_then(|()| sync_all(&staging)) {
        // It holds people's data, and nobody would look for it here.
        let _ = fs::remove_dir_all(&staging);
        return Err(error);
    }
    first()?;
    let restored = state_dir.join("restored");
    fs::rename(&staging, &restored).map_err(BackupError::io("create", &restored))?;
    sync_dir(state_dir)?;
    settle(state_dir)
}

/// Moves what a restore has built to its place, if a kill kept it from doing so itself. Call it
/// before mirror and journal are opened.
///
/// # Errors
/// Whatever the file system says.
pub fn settle(state_dir: &Path) -> Result<(), BackupError> {
    let restored = state_dir.join("restored");
    if !restored.exists() {
        return Ok(());
    }
    // A key that is here already has signed the logs that are here.
    let (key, here) = (
        Pseudonyms::key_file(&restored),
        Pseudonyms::key_file(state_dir),
    );
    let kept = match here.exists() {
        true => fs::remove_file(&key),
        false => fs::rename(&key, &here),
    };
    unless_gone(kept).map_err(BackupError::io("move to its place", &key))?;
    for name in ["journal", "mirror"] {
        let from = restored.join(name);
        let moved = fs::rename(&from, state_dir.join(name));
        unless_gone(moved).map_err(BackupError::io("move to its place", &from))?;
    }
    unless_gone(fs::remove_dir(&restored)).map_err(BackupError::io("remove", &restored))?;
    sync_dir(state_dir)
}

fn refuse_unfit(backup: &Backup, shop: &config::Shop) -> Result<(), BackupError> {
    let header = &backup.header;
    let account = header.klaviyo_account.as_ref();
    for (what, theirs, ours) in [
        ("shop", Some(&header.shop), Some(shop.name.as_str())),
        ("Klaviyo account", account, shop.klaviyo.account.as_deref()),
    ] {
        if let (Some(theirs), Some(ours)) = (theirs, ours)
            && theirs != ours
        {
            return Err(BackupError::OtherShop {
                path: backup.path().to_owned(),
                what,
                theirs: theirs.clone(),
                ours: ours.to_owned(),
            });
        }
    }
    match header.mirror_format {
        mirror::FORMAT => Ok(()),
        found => Err(BackupError::MirrorFormat {
            path: backup.path().to_owned(),
            found,
            known: mirror::FORMAT,
        }),
    }
}

/// Never a new one: it would be in the way of the right one.
fn fitting_vault(backup: &Backup, shop: &config::Shop) -> Result<Vault, BackupError> {
    let place = vault_file(&shop.state_dir);
    let found = match place.exists() {
        true => Some(shop.vault()?),
        false => None,
    };
    let found = found.filter(|vault| vault.id() == backup.header.vault);
    found.ok_or_else(|| BackupError::NoVault {
        path: backup.path().to_owned(),
        vault: place,
    })
}

fn refuse_occupied(state_dir: &Path) -> Result<(), BackupError> {
    for name in ["mirror", "journal"] {
        let path = state_dir.join(name);
        let is_empty = match fs::read_dir(&path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !is_empty {
            return Err(BackupError::Occupied { path });
        }
    }
    Ok(())
}

/// Builds everything in a directory of its own, and audits it.
fn unpack(backup: &mut Backup, dir: &Path, vault: &Vault, now: Moment) -> Result<(), BackupError> {
    let values = std::iter::from_fn(|| match backup.next(VALUE) {
        Ok(Some(part)) => Some(part.pair()),
        Ok(None) => None,
        Err(error) => Some(Err(error)),
    });
    let mirror = Mirror::restore(dir, vault, now, values)?;
    let audit = mirror.audit()?;
    drop(mirror);
    if !audit.faults.is_empty() {
        return Err(backup.damaged(&audit.faults.join("; ")));
    }
    let lock = dir.join("lock");
    fs::remove_file(&lock).map_err(BackupError::io("remove", &lock))?;

    let files = dir.join("journal");
    let mut number = 0;
    while let Some(part) = backup.next(JOURNAL_FILE)? {
        number += 1;
        journal::restore_file(&files, number, &mut part.content()?)?;
    }
    journal::audit(&files)?;
    if let Some(part) = backup.next(LOG_KEY)? {
        let place = Pseudonyms::key_file(dir);
        let mut options = OpenOptions::new();
        let made = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&place);
        let mut made = made.map_err(BackupError::io("create", &place))?;
        let copied = io::copy(&mut part.content()?, &mut made);
        copied.map_err(BackupError::io("write", &place))?;
    }
    backup.end()
}

fn create_dir(path: &Path) -> Result<(), BackupError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(BackupError::io("create", path))
}

/// Makes a directory with everything in it survive a power cut.
fn sync_all(path: &Path) -> Result<(), BackupError> {
    let failed = |error| BackupError::io("sync", path)(error);
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(failed)? {
            sync_all(&entry.map_err(failed)?.path())?;
        }
    }
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(failed)
}
