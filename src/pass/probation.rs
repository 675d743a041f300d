//! A mirror that was filled anew after damage, or came from a backup, must prove itself: nothing is
//! written before everybody on both platforms was looked at twice (reliability.md, section 7, rows 9
//! and 64).
//!
//! The files lie beside the mirror, so that they outlive one that cannot be read.

use super::files::replace;
use super::{OpenError, Options, PassError, Shop, Summary, hold};
use crate::backup::BackupError;
use crate::config;
use crate::disk::{Disk, sync_dir};
use crate::mirror::{Mirror, MirrorError, Rebuilt, Repaired};
use crate::model::Moment;
use crate::plan::guard;
use crate::policy::Guard;
use crate::pull::{PullError, Pulled};
use crate::push::PushError;
use crate::vault::Vault;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So many complete readings prove a mirror.
pub(super) const READINGS: u64 = 2;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Probation {
    /// Complete readings so far.
    readings: u64,
    /// When the sweeps began that the last reading rests on, or the probation itself: what counts next
    /// began later.
    since: BTreeMap<String, Moment>,
    begun: Moment,
    /// The mirror is damaged and waits to be set aside.
    damaged: bool,
}

impl Probation {
    /// What stands there, if anything. A file that cannot be understood proves nothing.
    fn of(state_dir: &Path) -> Result<Option<Self>, PassError> {
        let path = path(state_dir);
        match std::fs::read(&path) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text).unwrap_or_default())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(PassError::File { path, source }),
        }
    }

    fn begin(state_dir: &Path, now: Moment, damaged: bool) -> Result<(), PassError> {
        let begun = Self {
            begun: now,
            damaged,
            ..Self::default()
        };
        begun.write(state_dir)
    }

    fn write(&self, state_dir: &Path) -> Result<(), PassError> {
        let path = path(state_dir);
        let failed = |source| PassError::File {
            path: path.clone(),
            source,
        };
        replace(&path, |out| {
            serde_json::to_writer(out, self).map_err(|error| failed(error.into()))
        })?;
        sync_dir(state_dir).map_err(failed)
    }

    /// Takes a pull in as a reading, if everybody was looked at in it, or says why not.
    fn take_in(&mut self, pulled: &Pulled) -> Result<(), &'static str> {
        if pulled.missing_sentinels > 0 {
            return Err("sentinels are missing");
        }
        if pulled.legibility().iter().any(|(_, one)| one.is_poor()) {
            return Err("too many records cannot be understood");
        }
        let mut began = BTreeMap::new();
        for (name, swept) in &pulled.sweeps {
            // The vendors tell whole seconds.
            let begun = self.begun.minus(Duration::from_secs(1));
            let since = self.since.get(*name).copied().unwrap_or(begun);
            match swept.complete {
                Some(complete) if complete > since => began.insert((*name).to_owned(), complete),
                _ => return Err("not everybody was looked at yet"),
            };
        }
        (self.since, self.readings) = (began, self.readings + 1);
        Ok(())
    }
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("probation.json")
}

/// Lies there when a pass panicked: sled answers some damage so.
fn suspicion(state_dir: &Path) -> PathBuf {
    state_dir.join("suspected")
}

/// From now on nothing is written until the mirror has proved itself. Call it before the mirror is
/// changed.
///
/// # Errors
/// [`PassError::File`] when that cannot be kept.
pub fn put_on_probation(state_dir: &Path, now: Moment) -> Result<(), PassError> {
    Probation::begin(state_dir, now, false)
}

/// Opens a shop's mirror. One that is damaged beyond repair is set aside, and a new one begun, unless
/// that happened before and the new one has not proved itself yet: then the disk is to be doubted.
pub(super) fn open_mirror(
    disk: &Disk,
    config: &config::Shop,
    vault: &Vault,
    now: Moment,
    damage: Damage,
) -> Result<(Mirror, Option<Repaired>, Option<Rebuilt>), OpenError> {
    let dir = &config.state_dir;
    let open = || Mirror::open_on(disk.clone(), dir, vault, now);
    if damage == Damage::Stays {
        let (mirror, repaired) = open()?;
        return Ok((mirror, repaired, None));
    }
    let probation = Probation::of(dir)?;
    if !probation
        .as_ref()
        .is_some_and(|probation| probation.damaged)
    {
        match open().and_then(|opened| cleared(dir, opened)) {
            Err(error) if error.is_rot() && probation.is_none() => {
                tracing::error!(%error, "the mirror is damaged");
                Probation::begin(dir, now, true)?;
            }
            opened => {
                let (mirror, repaired) = opened?;
                return Ok((mirror, repaired, None));
            }
        }
    }
    Mirror::probe(dir, now)?;
    let rebuilt = Mirror::rebuild(dir, vault, now)?;
    if rebuilt.carried.is_err() {
        // Which list is ours nobody knows for certain: somebody has to look before it is written to.
        hold(dir)?;
    }
    put_on_probation(dir, now)?;
    let (mirror, repaired) = open().and_then(|opened| cleared(dir, opened))?;
    Ok((mirror, repaired, Some(rebuilt)))
}

/// What becomes of a mirror that is damaged beyond repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// It is set aside, and a new one begun.
    IsSetAside,
    /// Nothing: it is an error.
    Stays,
}

type Opened = (Mirror, Option<Repaired>);

/// Reads a suspected mirror to its end.
fn cleared(state_dir: &Path, opened: Opened) -> Result<Opened, MirrorError> {
    let suspicion = suspicion(state_dir);
    if suspicion.exists() {
        let verified = catch_unwind(AssertUnwindSafe(|| opened.0.verify()));
        verified.unwrap_or_else(|_| Err(MirrorError::panicked()))?;
        std::fs::remove_file(&suspicion).map_err(MirrorError::io("remove a file"))?;
    }
    Ok(opened)
}

impl Shop {
    /// Complete readings that are still missing before anything may be written.
    ///
    /// # Errors
    /// [`PassError::File`] when the file beside the mirror cannot be read.
    pub fn readings_due(&self) -> Result<u64, PassError> {
        let probation = Probation::of(&self.config.state_dir)?;
        Ok(probation.map_or(0, |probation| READINGS.saturating_sub(probation.readings)))
    }

    /// Counts this pass as a reading, if it was one.
    pub(super) fn count_reading(
        &self,
        pulled: &Pulled,
        options: &Options,
    ) -> Result<(), PassError> {
        let dir = &self.config.state_dir;
        let Some(mut probation) = Probation::of(dir)? else {
            return Ok(());
        };
        let guards = &self.config.policy.guards;
        let mut broken = pulled.listings.iter().filter(|counted| {
            let listing = &counted.listing;
            let lost = listing.before.unwrap_or(0).saturating_sub(listing.count);
            let allowed = match listing.complete {
                true => options.allow.covers(Guard::EmptySource, lost),
                false => options.allow.0.contains_key(&Guard::CompleteListing),
            };
            !guard::is_sound(listing, guards) && !allowed
        });
        let counted = match broken.next() {
            Some(_) => Err("a listing is not sound"),
            None => probation.take_in(pulled),
        };
        if let Err(reason) = counted {
            tracing::warn!(reason, "this pass does not count as a complete reading");
            return Ok(());
        }
        if probation.readings < READINGS {
            return probation.write(dir);
        }
        let path = path(dir);
        let removed = std::fs::remove_file(&path).and_then(|()| sync_dir(dir));
        removed.map_err(|source| PassError::File { path, source })
    }

    /// Notes damage that a pass met.
    pub(super) fn note_damage(&mut self, result: &Result<Summary, PassError>) {
        let met = match result {
            Ok(summary) => match summary.failure.as_deref() {
                Some(PushError::Mirror(error)) => Some(error),
                _ => None,
            },
            Err(
                PassError::Mirror(error)
                | PassError::Pull(PullError::Mirror(error))
                | PassError::Push(PushError::Mirror(error)),
            ) => Some(error),
            Err(_) => None,
        };
        if let Some(error) = met {
            self.note_rot(error);
        }
    }

    /// Notes damage that a backup met.
    pub(super) fn note_damage_of_backup(&mut self, error: &BackupError) {
        if let BackupError::Mirror(error) = error {
            self.note_rot(error);
        }
    }

    /// The next opening sets a damaged mirror aside; one that has not proved itself since the last time is
    /// left to the operator.
    fn note_rot(&mut self, error: &MirrorError) {
        let dir = &self.config.state_dir;
        let is_new = || Ok::<_, PassError>(Probation::of(dir)?.is_none());
        let noted = is_new().and_then(|is_new| match is_new && error.is_rot() {
            true => Probation::begin(dir, self.clock.now(), true).map(|()| true),
            false => Ok(false),
        });
        match noted {
            Ok(noted) => self.is_damaged |= noted,
            Err(error) => tracing::warn!(%error, "the damage is not remembered"),
        }
    }

    /// A pass panicked: the next opening reads the mirror to its end before it trusts it.
    pub(super) fn suspect(&self) {
        if let Err(error) = std::fs::File::create(suspicion(&self.config.state_dir)) {
            tracing::warn!(%error, "that the mirror is suspected is not remembered");
        }
    }
}
