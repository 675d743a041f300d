//! The whole mirror as it lies, for a backup, and back; and what a rebuild carries over.

use super::page::Fact;
use super::store::{Store, quarantine, sync_dir};
use super::{Mirror, MirrorError, StateLock, codec, shelf::Shelf};
use crate::disk::Disk;
use crate::model::Moment;
use crate::vault::Vault;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The format of every value; a backup of another one cannot be read back.
pub const FORMAT: u8 = codec::VERSION;

/// A batch of a restore holds about so much: sled keeps the garbage of a batch until its end, and with
/// 1 MiB a restore took nearly twice the memory.
const BATCH_BYTES: usize = 1 << 16;

/// A key and its sealed value, as they lie in the store.
pub type RawEntry = (Vec<u8>, Vec<u8>);

/// What a rebuild did.
#[derive(Debug)]
pub struct Rebuilt {
    /// Where the old mirror lies now; `None` when there was none.
    pub set_aside: Option<PathBuf>,
    /// How many values were carried over, or why the old mirror could not be read.
    pub carried: Result<u64, MirrorError>,
}

impl Mirror {
    /// Visits every value as it lies, key and sealed value, in key order, and checks each; returns how
    /// many there are. No page is committed meanwhile, so that all belong to one moment. Not while the
    /// same thread holds a page.
    ///
    /// # Errors
    /// A damaged value, for it must not be passed on, and whatever the visitor meets.
    pub fn copy<E: From<MirrorError>>(
        &self,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let _frozen = self.writer();
        let mut values = 0;
        for pair in self.store.scan(&[]) {
            let (key, payload) = pair?;
            visit(&key, payload.sealed())?;
            values += 1;
        }
        Ok(values)
    }

    /// Bytes that the store takes on disk; 0 when it cannot say.
    pub fn size_on_disk(&self) -> u64 {
        self.store.size_on_disk()
    }

    /// Makes a mirror of what [`Mirror::copy`] visited, in a directory without one.
    ///
    /// # Errors
    /// A value that is damaged or of another format, and whatever the source meets.
    pub fn restore<E: From<MirrorError>>(
        state_dir: &Path,
        vault: &Vault,
        now: Moment,
        values: impl Iterator<Item = Result<RawEntry, E>>,
    ) -> Result<Self, E> {
        let (store, _) = Store::open(state_dir, now, Disk::default())?;
        let (mut batch, mut bytes) = (sled::Batch::default(), 0);
        for value in values {
            let (key, sealed) = value?;
            codec::payload(&key, &sealed)?;
            bytes += key.len() + sealed.len();
            batch.insert(key, sealed);
            if bytes >= BATCH_BYTES {
                store.fill(std::mem::take(&mut batch))?;
                bytes = 0;
            }
        }
        store.apply(batch)?;
        Ok(Self::over(store, vault)?)
    }

    /// Sets the mirror aside, so that the next pass fills a new one from both vendors. What neither they
    /// nor the journal know is carried over as far as it can be read: which list a managed list is, the
    /// accounts, the sentinels, and the sizes of the last complete listings. After a kill at any moment it
    /// can be done again.
    ///
    /// # Errors
    /// When the mirror is in use, or the disk fails; damage is no error.
    pub fn rebuild(state_dir: &Path, vault: &Vault, now: Moment) -> Result<Rebuilt, MirrorError> {
        let (dir, draft) = (state_dir.join("mirror"), state_dir.join("rebuilding"));
        let made = draft.join("mirror");
        if !dir.exists() {
            if made.exists() {
                fs::rename(&made, &dir)
                    .map_err(MirrorError::io("move the new mirror to its place"))?;
                sync_dir(state_dir)?;
            }
            let (set_aside, carried) = (None, Ok(0));
            return Ok(Rebuilt { set_aside, carried });
        }
        let kept = match kept_of(state_dir, vault, now) {
            Err(error) if !error.is_damage() => return Err(error),
            kept => kept,
        };
        make_anew(&draft)?;
        let carried = kept.and_then(|kept| {
            let count = kept.len() as u64;
            let kept = kept.into_iter().map(Ok::<_, MirrorError>);
            Self::restore(&draft, vault, now, kept)?;
            Ok(count)
        });
        let place = set_aside(state_dir, &dir, now)?;
        if carried.is_ok() {
            fs::rename(&made, &dir).map_err(MirrorError::io("move the new mirror to its place"))?;
        }
        fs::remove_dir_all(&draft).map_err(MirrorError::io("remove the new mirror's draft"))?;
        sync_dir(state_dir)?;
        Ok(Rebuilt {
            set_aside: Some(place),
            carried,
        })
    }

    /// Proves that a mirror can be opened here at all: a lack of threads or descriptors looks like damage.
    ///
    /// # Errors
    /// Whatever keeps it from being opened.
    pub fn probe(state_dir: &Path, now: Moment) -> Result<(), MirrorError> {
        let dir = state_dir.join("probe");
        make_anew(&dir)?;
        Store::open(&dir, now, Disk::default()).map(drop)?;
        fs::remove_dir_all(&dir).map_err(MirrorError::io("remove the mirror that was tried"))
    }

    /// Values that make sense without any record: they name things by the vendors' ids.
    fn keepsakes(&self) -> Result<Vec<RawEntry>, MirrorError> {
        let mut kept = Vec::new();
        for prefix in [
            Shelf::Bindings.key(&[]),
            Shelf::Counts.key(&[]),
            Fact::Pins.key(),
            Fact::Sentinels.key(),
        ] {
            for pair in self.store.scan(&prefix) {
                let (key, payload) = pair?;
                kept.push((key.to_vec(), payload.sealed().to_vec()));
            }
        }
        Ok(kept)
    }
}

/// What a mirror holds that is worth keeping. sled answers some damage with a panic.
fn kept_of(state_dir: &Path, vault: &Vault, now: Moment) -> Result<Vec<RawEntry>, MirrorError> {
    let read = || Mirror::open(state_dir, vault, now).and_then(|(mirror, _)| mirror.keepsakes());
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(MirrorError::panicked()))
}

fn make_anew(dir: &Path) -> Result<(), MirrorError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(MirrorError::io("remove an old draft")(error));
        }
        _ => {}
    }
    let made = fs::DirBuilder::new().mode(0o700).create(dir);
    made.map_err(MirrorError::io("make a directory for a new mirror"))
}

fn set_aside(state_dir: &Path, dir: &Path, now: Moment) -> Result<PathBuf, MirrorError> {
    let _lock = StateLock::take(state_dir, now)?;
    let place = quarantine(state_dir)?.join("mirror");
    fs::rename(dir, &place).map_err(MirrorError::io("set the mirror aside"))?;
    sync_dir(state_dir)?;
    Ok(place)
}
