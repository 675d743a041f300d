//! Rules that are new or have changed only observe until an operator releases them. The release is a
//! small file beside the mirror: it may be given while the daemon runs, and no backup brings it back.

use super::files::replace;
use super::plan_file::hex;
use super::{Head, PassError, PlanFile, PlanFileError, Shop, Task};
use crate::config;
use crate::model::{EffectKind, Moment};
use crate::policy::Policy;
use crate::push::Described;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// What the file says.
#[derive(Debug, Serialize, Deserialize)]
struct Release {
    /// A hash of the rules.
    rules: String,
    at: String,
}

/// Why rules cannot be released.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// Nobody can have looked at what they would do.
    #[error(
        "the last plan is none of these rules in this mode, or older than 24 hours; look at theirs \
         first: `driftless plan`, or a pass with --observe"
    )]
    NotObserved,
    /// The last plan cannot be read.
    #[error(transparent)]
    Plan(#[from] PlanFileError),
    /// The release cannot be kept.
    #[error(transparent)]
    File(#[from] PassError),
}

/// What an operator let happen.
#[derive(Debug)]
pub struct Released {
    /// The plan that was made of these rules last.
    pub plan: Head,
    /// What it was going to do, by kind.
    pub effects: BTreeMap<EffectKind, u64>,
}

/// Releases a shop's rules as its config has them now; tells what the last plan that was made of them
/// was going to do.
///
/// # Errors
/// [`ReleaseError::NotObserved`] when the last plan was made of other rules, or there is none.
pub fn release(shop: &config::Shop, now: Moment) -> Result<Released, ReleaseError> {
    let mut effects = BTreeMap::new();
    let count = |effect: Described| *effects.entry(effect.kind).or_default() += 1;
    let head = match PlanFile::read(&plan_path(&shop.state_dir), count) {
        Err(PlanFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(ReleaseError::NotObserved);
        }
        plan => plan?.head,
    };
    let rules = rules_hash(&shop.policy);
    let shows_them = head.task == Task::Rules && head.as_of.is_none() && head.shop == shop.name;
    if head.rules != rules || !shows_them || now > head.expires {
        return Err(ReleaseError::NotObserved);
    }
    let at = now.to_string();
    let path = path(&shop.state_dir);
    replace(&path, |out| {
        let written = serde_json::to_writer(out, &Release { rules, at }).map_err(io::Error::from);
        written.map_err(|source| PassError::File {
            path: path.clone(),
            source,
        })
    })?;
    Ok(Released {
        plan: head,
        effects,
    })
}

/// Takes the release back: from the next pass on the rules only observe. The daemon may run.
///
/// # Errors
/// [`PassError::File`] when the file cannot be removed.
pub fn hold(state_dir: &Path) -> Result<(), PassError> {
    let path = path(state_dir);
    let removed = match std::fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        removed => removed,
    };
    // After a power cut it must not be back.
    let synced = removed.and_then(|()| crate::disk::sync_dir(state_dir));
    synced.map_err(|source| PassError::File { path, source })
}

/// Where the plan of the last pass lies.
pub(super) fn plan_path(state_dir: &Path) -> PathBuf {
    state_dir.join("plan.jsonl")
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("released.json")
}

/// What tells these rules, and how far they may write, from any other.
pub(super) fn rules_hash(policy: &Policy) -> String {
    let mut hash = Sha256::new();
    hash.update(policy.rules_json());
    for kind in EffectKind::ALL {
        hash.update([u8::from(policy.allows(kind))]);
    }
    hex(&hash.finalize()[..16])
}

impl Shop {
    /// Whether these very rules were released. A file that cannot be understood releases nothing.
    pub(super) fn is_released(&self) -> bool {
        let text = std::fs::read(path(&self.config.state_dir)).unwrap_or_default();
        let release: Option<Release> = serde_json::from_slice(&text).ok();
        release.is_some_and(|release| release.rules == rules_hash(&self.config.policy))
    }
}
