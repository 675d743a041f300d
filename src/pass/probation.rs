//! A mirror that was filled anew after damage, or came from a backup, must prove itself: nothing is
//! written before two passes have read both platforms to the end (reliability.md, section 7, rows 9
//! and 64).
//!
//! The file lies beside the mirror, so that it outlives one that cannot be read.

use super::files::replace;
use super::{OpenError, PassError, Shop, Summary};
use crate::config;
use crate::disk::{Disk, sync_dir};
use crate::mirror::{Mirror, Rebuilt, Repaired};
use crate::model::Moment;
use crate::plan::guard;
use crate::pull::{PullError, Pulled};
use crate::push::PushError;
use crate::vault::Vault;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// So many complete readings prove a mirror.
const READINGS: u64 = 2;

/// What the file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Probation {
    /// Complete readings so far.
    readings: u64,
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

    fn write(self, state_dir: &Path) -> Result<(), PassError> {
        let path = path(state_dir);
        let failed = |source| PassError::File {
            path: path.clone(),
            source,
        };
        replace(&path, |out| {
            serde_json::to_writer(out, &self).map_err(|error| failed(error.into()))
        })?;
        sync_dir(state_dir).map_err(failed)
    }

    fn end(state_dir: &Path) -> Result<(), PassError> {
        let path = path(state_dir);
        let removed = std::fs::remove_file(&path).and_then(|()| sync_dir(state_dir));
        removed.map_err(|source| PassError::File { path, source })
    }
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("probation.json")
}

/// From now on nothing is written until the mirror has proved itself. Call it before the mirror is
/// changed.
///
/// # Errors
/// [`PassError::File`] when that cannot be kept.
pub fn put_on_probation(state_dir: &Path) -> Result<(), PassError> {
    Probation::default().write(state_dir)
}

/// Opens a shop's mirror. One that is damaged beyond repair is set aside, and a new one begun, unless
/// that happened before and the new one has not proved itself yet: then the disk is to be doubted.
pub(super) fn open_mirror(
    disk: &Disk,
    config: &config::Shop,
    vault: &Vault,
    now: Moment,
) -> Result<(Mirror, Option<Repaired>, Option<Rebuilt>), OpenError> {
    let dir = &config.state_dir;
    let open = || Mirror::open_on(disk.clone(), dir, vault, now);
    let probation = Probation::of(dir)?;
    if !probation.is_some_and(|probation| probation.damaged) {
        match open() {
            Err(error) if error.is_rot() && probation.is_none() => {
                tracing::error!(%error, "the mirror is damaged");
                mark_damaged(dir)?;
            }
            opened => {
                let (mirror, repaired) = opened?;
                return Ok((mirror, repaired, None));
            }
        }
    }
    Mirror::probe(dir, now)?;
    let rebuilt = Mirror::rebuild(dir, vault, now)?;
    put_on_probation(dir)?;
    let (mirror, repaired) = open()?;
    Ok((mirror, repaired, Some(rebuilt)))
}

fn mark_damaged(state_dir: &Path) -> Result<(), PassError> {
    let damaged = Probation {
        readings: 0,
        damaged: true,
    };
    damaged.write(state_dir)
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

    /// Counts this pass as a reading, if every listing was sound and reached its end.
    pub(super) fn count_reading(&self, pulled: &Pulled) -> Result<(), PassError> {
        let dir = &self.config.state_dir;
        let Some(mut probation) = Probation::of(dir)? else {
            return Ok(());
        };
        let guards = &self.config.policy.guards;
        let mut listings = pulled.listings.iter();
        if !listings.all(|counted| guard::is_sound(&counted.listing, guards)) {
            return Ok(());
        }
        probation.readings += 1;
        match probation.readings >= READINGS {
            true => Probation::end(dir),
            false => probation.write(dir),
        }
    }

    /// Notes damage that a pass met, so that the next opening sets the mirror aside; one that has not
    /// proved itself since the last time is left to the operator.
    pub(super) fn note_damage(
        &mut self,
        result: &Result<Summary, PassError>,
    ) -> Result<(), PassError> {
        let dir = &self.config.state_dir;
        let met = match result {
            Ok(summary) => summary.failure.as_deref().is_some_and(push_met_rot),
            Err(error) => met_rot(error),
        };
        if met && Probation::of(dir)?.is_none() {
            mark_damaged(dir)?;
            self.is_damaged = true;
        }
        Ok(())
    }
}

fn met_rot(error: &PassError) -> bool {
    match error {
        PassError::Mirror(error) | PassError::Pull(PullError::Mirror(error)) => error.is_rot(),
        PassError::Push(error) => push_met_rot(error),
        _ => false,
    }
}

fn push_met_rot(error: &PushError) -> bool {
    matches!(error, PushError::Mirror(error) if error.is_rot())
}
