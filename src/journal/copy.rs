//! The journal's files as they lie, for a backup, and back.

use super::files::{self, Tail};
use super::{Journal, JournalError};
use crate::disk::Disk;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

impl Journal {
    /// Its files from the first to the last. Byte for byte they are the whole journal, as long as
    /// nothing is written to it.
    pub fn files(&self) -> Result<Vec<PathBuf>, JournalError> {
        let numbers = files::numbers(&self.dir)?;
        let paths = numbers.into_iter();
        Ok(paths.map(|number| files::path(&self.dir, number)).collect())
    }
}

/// Makes file number `number`, counted from 1, of a journal that is not open, and the directory with
/// the first. Check the whole with [`super::audit()`] afterwards.
///
/// # Errors
/// A file of this number that is there already, and whatever reading and writing meets.
pub fn restore_file(dir: &Path, number: u64, content: &mut impl Read) -> Result<(), JournalError> {
    files::create_dir(dir)?;
    let mut made = Tail::create(dir, number, Disk::default())?;
    io::copy(content, &mut made.file).map_err(JournalError::io("write to"))?;
    made.file.sync_all().map_err(JournalError::io("sync"))
}
