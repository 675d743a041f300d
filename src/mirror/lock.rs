//! One driftless per state directory.

use super::MirrorError;
use crate::model::Moment;
use std::fs::{File, OpenOptions, TryLockError, read_to_string};
use std::io::{Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The right to work on a state directory. Held as long as it lives; the system releases it when the
/// process ends, however it ends. An open mirror holds it.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes `<state_dir>/lock` and writes down who holds it.
    ///
    /// # Errors
    /// [`MirrorError::Locked`] when another one is held, and whatever the file system says.
    pub fn take(state_dir: &Path, now: Moment) -> Result<Self, MirrorError> {
        let path = state_dir.join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let opened = options.mode(0o600).open(&path);
        let mut file = opened.map_err(MirrorError::io("open the lock file"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(MirrorError::Locked {
                    holder: holder(&path),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(MirrorError::io("lock the state directory")(source));
            }
        }
        sign(&mut file, now).map_err(MirrorError::io("write the lock file"))?;
        Ok(Self { _file: file })
    }
}

fn sign(file: &mut File, now: Moment) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    let host = read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "unknown",
        name => name,
    };
    writeln!(
        file,
        "process {} on {host}, since {now}",
        std::process::id()
    )
}

/// What the holder wrote; it may be about to.
fn holder(path: &Path) -> String {
    let text = read_to_string(path).unwrap_or_default();
    match text.lines().next() {
        Some(line) if !line.is_empty() => line.to_owned(),
        _ => "another process".to_owned(),
    }
}
