//! Small files beside the mirror, replaced whole so that a reader never sees half of one.

use super::{OpenError, PassError, Shop};
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Writes a file that only we may read.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), PassError>,
) -> Result<(), PassError> {
    let half = path.with_extension("new");
    let failed = |source| PassError::File {
        path: path.to_owned(),
        source,
    };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut out = BufWriter::new(options.open(&half).map_err(failed)?);
    write(&mut out)?;
    let file = out
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    // A power cut must not leave the name of the new file with nothing in it.
    file.sync_all().map_err(failed)?;
    std::fs::rename(&half, path).map_err(failed)
}

impl Shop {
    fn budget_path(dir: &Path) -> PathBuf {
        dir.join("budget.json")
    }

    /// Keeps what was spent of daily limits over a restart, which must not refill them.
    pub(super) fn remember_budget(&self) -> Result<(), PassError> {
        let path = Self::budget_path(&self.config.state_dir);
        let memory = self.vendors.klaviyo.memory();
        replace(&path, |out| {
            let written = serde_json::to_writer(out, &memory).map_err(io::Error::from);
            written.map_err(|source| PassError::File {
                path: path.clone(),
                source,
            })
        })
    }

    /// Takes up what an earlier process spent. A file that cannot be read is worth less than a start.
    pub(super) fn recall_budget(&self) -> Result<(), OpenError> {
        let path = Self::budget_path(&self.config.state_dir);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(OpenError::StateDir { path, source }),
        };
        match serde_json::from_slice(&text) {
            Ok(memory) => self.vendors.klaviyo.recall(memory),
            Err(_) => tracing::warn!(path = %path.display(), "daily budgets forgotten: unreadable"),
        }
        Ok(())
    }
}
