//! sled, and what it needs around it to keep its word.

use super::cache::{Scan, Touches};
use super::codec;
use super::error::REFILL;
use super::{MirrorError, StateLock};
use crate::disk::{Disk, Operation};
use crate::model::Moment;
use serde::de::DeserializeOwned;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::ops::Bound::{Excluded, Unbounded};
use std::ops::{Deref, Range};
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// Counts what pages take on disk; in memory they take more. Twice this makes a first fill no faster (measured
/// with 40,000 profiles).
const CACHE_BYTES: u64 = 16 << 20;

/// sled gives its file lock back a moment after it was closed; a reopening waits this long.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_POLL: Duration = Duration::from_millis(50);

/// What was set aside to make the mirror open again. Worth a warning in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Where the unreadable snapshot files lie now.
    pub quarantine: PathBuf,
    /// How many there were.
    pub files: usize,
    /// Values whose checksums were verified afterwards.
    pub values: u64,
}

/// One sled database with one tree.
pub(super) struct Store {
    db: sled::Db,
    touches: Touches,
    /// The same file sled writes; see [`Store::apply`].
    file: File,
    disk: Disk,
    /// What failed first.
    failed: OnceLock<String>,
    /// Last, so that it is released after the database was closed.
    _lock: StateLock,
}

/// A value whose checksum was right.
pub(super) struct Payload {
    sealed: sled::IVec,
    start: usize,
    end: usize,
}

impl Payload {
    /// The whole value as it lies, of which this may be a part: version byte, payload, checksum.
    pub(super) fn sealed(&self) -> &[u8] {
        &self.sealed
    }

    /// A part of it; the bytes stay where they are.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        debug_assert!(range.end <= self.len());
        Self {
            sealed: self.sealed.clone(),
            start: self.start + range.start,
            end: self.start + range.end,
        }
    }
}

impl Deref for Payload {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.sealed[self.start..self.end]
    }
}

/// A key and its value.
pub(super) type Pair = (sled::IVec, Payload);

impl Store {
    /// Opens `<state_dir>/mirror`, repairing what can be repaired.
    pub(super) fn open(
        state_dir: &Path,
        now: Moment,
        disk: Disk,
    ) -> Result<(Self, Option<Repaired>), MirrorError> {
        let dir = state_dir.join("mirror");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(MirrorError::io("create the mirror's directory"))?;
        let lock = StateLock::take(state_dir, now)?;
        drop_unfinished_snapshots(&dir)?;
        let (db, set_aside) = match open_patiently(&dir) {
            Ok(db) => (db, None),
            Err(Refusal::Other(error)) => return Err(error),
            Err(Refusal::Damage(what)) => {
                let set_aside = quarantine_snapshots(state_dir, &dir, &what)?;
                (reopen(&dir)?, Some(set_aside))
            }
        };
        let file = OpenOptions::new().write(true).open(dir.join("db"));
        let store = Self {
            db,
            touches: Touches::default(),
            file: file.map_err(MirrorError::io("open the mirror's file"))?,
            disk,
            failed: OnceLock::new(),
            _lock: lock,
        };
        let repaired = match set_aside {
            None => None,
            Some((quarantine, files)) => Some(Repaired {
                quarantine,
                files,
                values: store.verify()?,
            }),
        };
        Ok((store, repaired))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Payload>, MirrorError> {
        let found = self.db.get(key).map_err(MirrorError::store("read"))?;
        if let Some(sealed) = &found {
            self.touched(key, sealed.len())?;
        }
        found.map(|sealed| checked(key, sealed)).transpose()
    }

    /// So that the cache hears of a value of so many bytes that was read or written by itself.
    pub(super) fn touched(&self, key: &[u8], bytes: usize) -> Result<(), MirrorError> {
        let noted = self.touches.note(&self.db, key, bytes);
        noted.map_err(MirrorError::store("read"))
    }

    pub(super) fn read<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, MirrorError> {
        let found = self.get(key)?;
        found
            .map(|payload| codec::decode(key, &payload))
            .transpose()
    }

    pub(super) fn contains(&self, key: &[u8]) -> Result<bool, MirrorError> {
        self.db
            .contains_key(key)
            .map_err(MirrorError::store("read"))
    }

    /// Everything whose key begins so, in key order.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<Pair, MirrorError>> + use<> {
        Scan::new(&self.db, self.db.scan_prefix(prefix)).map(checked_pair)
    }

    /// As [`Store::scan`], decoded.
    pub(super) fn scan_as<T: DeserializeOwned>(
        &self,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<T, MirrorError>> + use<T> {
        self.scan(prefix).map(|pair| {
            let (key, payload) = pair?;
            codec::decode(&key, &payload)
        })
    }

    /// The keys that begin so, in order.
    pub(super) fn keys(
        &self,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<sled::IVec, MirrorError>> + use<> {
        Scan::new(&self.db, self.db.scan_prefix(prefix)).map(key)
    }

    /// The keys that begin so and come after `after`, in order.
    pub(super) fn keys_after(
        &self,
        prefix: &[u8],
        after: &[u8],
    ) -> impl Iterator<Item = Result<sled::IVec, MirrorError>> + use<> {
        let (prefix, bounds) = (prefix.to_owned(), (Excluded(after.to_owned()), Unbounded));
        Scan::new(&self.db, self.db.range::<Vec<u8>, _>(bounds))
            .map(key)
            .take_while(move |key| key.as_ref().map_or(true, |key| key.starts_with(&prefix)))
    }

    /// The entry with the greatest key from `first` to `last`, both included.
    pub(super) fn last_between(
        &self,
        first: &[u8],
        last: &[u8],
    ) -> Result<Option<Pair>, MirrorError> {
        let found = self.db.range(first..=last).next_back();
        found.map(checked_pair).transpose()
    }

    /// All entries from `first` to `last`, both included.
    pub(super) fn between(
        &self,
        first: &[u8],
        last: &[u8],
    ) -> impl Iterator<Item = Result<Pair, MirrorError>> + use<> {
        Scan::new(&self.db, self.db.range(first..=last)).map(checked_pair)
    }

    /// Applies a batch as a whole and makes it survive a power cut.
    ///
    /// sled's flush is a `sync_file_range`, which reaches neither the file's metadata nor the
    /// drive's cache; only with an fdatasync after *every* commit did 60 of 60 power cuts leave a
    /// sound store (store.md). A failed write or sync is final: pages may be gone although a second
    /// sync would report success.
    pub(super) fn apply(&self, batch: sled::Batch) -> Result<(), MirrorError> {
        if let Some(first) = self.failed.get() {
            let first = first.clone();
            return Err(MirrorError::Failed { first });
        }
        let failed = MirrorError::io("write to the mirror's file");
        let apply = || self.apply_and_sync(batch);
        let written = self.disk.carry_out(Operation::Commit, failed, apply);
        if let Err(error) = &written {
            self.failed.get_or_init(|| error.to_string());
        }
        written
    }

    /// Whether a write or sync failed.
    pub(super) fn is_failed(&self) -> bool {
        self.failed.get().is_some()
    }

    /// Applies a batch that a power cut may take back, to a store that counts only once it is whole.
    pub(super) fn fill(&self, batch: sled::Batch) -> Result<(), MirrorError> {
        let applied = self.db.apply_batch(batch);
        applied.map_err(MirrorError::store("write a batch"))
    }

    fn apply_and_sync(&self, batch: sled::Batch) -> Result<(), MirrorError> {
        self.fill(batch)?;
        self.db.flush().map_err(MirrorError::store("flush"))?;
        let synced = self.file.sync_data();
        synced.map_err(MirrorError::io("sync the mirror's file"))
    }

    /// Bytes on disk; 0 when sled cannot say.
    pub(super) fn size_on_disk(&self) -> u64 {
        self.db.size_on_disk().unwrap_or_default()
    }

    /// Reads every value and checks its checksum; their number.
    pub(super) fn verify(&self) -> Result<u64, MirrorError> {
        let mut values = 0;
        for pair in self.scan(&[]) {
            pair?;
            values += 1;
        }
        Ok(values)
    }

    /// Writes bytes past the envelope, as damage would.
    #[cfg(test)]
    pub(super) fn put_raw(&self, key: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
        let mut value = self.db.get(key).unwrap().unwrap().to_vec();
        change(&mut value);
        self.db.insert(key, value).unwrap();
    }
}

fn key(pair: sled::Result<(sled::IVec, sled::IVec)>) -> Result<sled::IVec, MirrorError> {
    pair.map(|(key, _)| key).map_err(MirrorError::store("scan"))
}

fn checked_pair(pair: sled::Result<(sled::IVec, sled::IVec)>) -> Result<Pair, MirrorError> {
    let (key, sealed) = pair.map_err(MirrorError::store("scan"))?;
    let payload = checked(&key, sealed)?;
    Ok((key, payload))
}

fn checked(key: &[u8], sealed: sled::IVec) -> Result<Payload, MirrorError> {
    let length = codec::payload(key, &sealed)?.len();
    Ok(Payload {
        sealed,
        start: 1,
        end: 1 + length,
    })
}

/// Why an opening failed.
enum Refusal {
    /// The files are damaged, as far as sled can tell.
    Damage(String),
    /// Anything else, such as a full disk.
    Other(MirrorError),
}

fn open_patiently(dir: &Path) -> Result<sled::Db, Refusal> {
    let mut waited = Duration::ZERO;
    loop {
        match open_once(dir) {
            Err(Refusal::Other(error)) if waited < LOCK_PATIENCE && is_lock_trouble(&error) => {
                std::thread::sleep(LOCK_POLL);
                waited += LOCK_POLL;
            }
            opened => return opened,
        }
    }
}

/// sled answers some damage with an error and some with a panic.
fn open_once(dir: &Path) -> Result<sled::Db, Refusal> {
    let config = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES);
    match catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(error)) => Err(match MirrorError::store("open")(error) {
            MirrorError::Damaged { what, .. } => Refusal::Damage(what),
            error => Refusal::Other(error),
        }),
        Err(_) => Err(Refusal::Damage("its recovery panicked".to_owned())),
    }
}

fn is_lock_trouble(error: &MirrorError) -> bool {
    error.to_string().contains("could not acquire lock")
}

fn reopen(dir: &Path) -> Result<sled::Db, MirrorError> {
    open_patiently(dir).map_err(|refusal| match refusal {
        Refusal::Other(error) => error,
        Refusal::Damage(what) => MirrorError::Damaged {
            what,
            remedy: REFILL,
        },
    })
}

/// A kill while sled writes its snapshot leaves a file that makes it refuse to open; without the
/// file nothing is lost (reliability.md, F1 and F2).
fn drop_unfinished_snapshots(dir: &Path) -> Result<(), MirrorError> {
    for path in snapshots(dir)? {
        if path.extension().is_some_and(|ext| ext == "generating") {
            fs::remove_file(&path).map_err(MirrorError::io("remove an unfinished snapshot"))?;
        }
    }
    Ok(())
}

fn quarantine_snapshots(
    state_dir: &Path,
    dir: &Path,
    what: &str,
) -> Result<(PathBuf, usize), MirrorError> {
    let files = snapshots(dir)?;
    if files.is_empty() {
        return Err(MirrorError::Damaged {
            what: what.to_owned(),
            remedy: REFILL,
        });
    }
    let quarantine = quarantine(state_dir)?;
    for path in &files {
        let Some(name) = path.file_name() else {
            continue;
        };
        let moved = fs::rename(path, quarantine.join(name));
        moved.map_err(MirrorError::io("set a snapshot aside"))?;
    }
    Ok((quarantine, files.len()))
}

/// A new directory for what is set aside.
pub(super) fn quarantine(state_dir: &Path) -> Result<PathBuf, MirrorError> {
    let place = (1_u32..)
        .map(|n| state_dir.join(format!("quarantine-{n}")))
        .find(|path| !path.exists())
        .expect("some number is free");
    let made = DirBuilder::new().mode(0o700).create(&place);
    made.map_err(MirrorError::io("create a quarantine directory"))?;
    Ok(place)
}

/// Makes what was created or renamed in a directory survive a power cut.
pub(super) fn sync_dir(dir: &Path) -> Result<(), MirrorError> {
    crate::disk::sync_dir(dir).map_err(MirrorError::io("sync the state directory"))
}

fn snapshots(dir: &Path) -> Result<Vec<PathBuf>, MirrorError> {
    let mut found = Vec::new();
    let entries = fs::read_dir(dir).map_err(MirrorError::io("list the mirror's directory"))?;
    for entry in entries {
        let entry = entry.map_err(MirrorError::io("list the mirror's directory"))?;
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}
