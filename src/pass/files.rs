//! Small files beside the mirror, replaced whole so that a reader never sees half of one.

use super::{OpenError, PassError, Shop};
use crate::api::{BudgetMemory, Keeper};
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Writes a lasting file that only we may read.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), PassError>,
) -> Result<(), PassError> {
    let mut refused = Ok(());
    let put = put(path, true, |out| {
        refused = write(out);
        match &refused {
            Ok(()) => Ok(()),
            Err(_) => Err(io::ErrorKind::Other.into()),
        }
    });
    refused?;
    put.map_err(|source| PassError::File {
        path: path.to_owned(),
        source,
    })
}

/// As [`replace`], for a file that need not be there after a power cut, too.
fn put(
    path: &Path,
    lasting: bool,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let half = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut out = BufWriter::new(options.open(&half)?);
    write(&mut out)?;
    out.flush()?;
    if lasting {
        // Or the name of the new file is there after a power cut, with nothing in it.
        out.get_ref().sync_all()?;
    }
    drop(out);
    std::fs::rename(&half, path)?;
    match path.parent().filter(|_| lasting) {
        Some(folder) => crate::disk::sync_dir(folder),
        None => Ok(()),
    }
}

impl Shop {
    fn budget_path(dir: &Path) -> PathBuf {
        dir.join("budget.json")
    }

    /// Takes up what an earlier process spent, and keeps what this one spends: a restart must refill
    /// no limit. A file that cannot be read is worth less than a start.
    pub(super) fn remember_budget(&self) -> Result<(), OpenError> {
        let path = Self::budget_path(&self.config.state_dir);
        let past = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|_| {
                tracing::warn!(path = %path.display(), "spent budgets forgotten: unreadable");
                BudgetMemory::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BudgetMemory::default(),
            Err(source) => return Err(OpenError::StateDir { path, source }),
        };
        let keeper: Keeper = Arc::new(move |memory, lasting| {
            let text = serde_json::to_vec(memory)?;
            put(&path, lasting, |out| out.write_all(&text))
        });
        self.vendors.klaviyo.remember(past, keeper);
        Ok(())
    }
}
