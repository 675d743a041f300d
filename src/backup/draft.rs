//! A file that is there as a whole, or not at all.

use super::{Backup, BackupError};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A backup that is being written beside its place, `<file>.part`. Dropped, it is gone.
#[derive(Debug)]
pub struct Draft {
    file: File,
    part: PathBuf,
    place: PathBuf,
}

impl Draft {
    /// Begins a file for ourselves alone. What a killed attempt left beside the place is removed.
    ///
    /// # Errors
    /// [`BackupError::Exists`] when the place is taken, and whatever the file system says.
    pub fn create(place: &Path) -> Result<Self, BackupError> {
        refuse_existing(place)?;
        let mut part = OsString::from(place);
        part.push(".part");
        let part = PathBuf::from(part);
        let file = create_anew(&part).map_err(BackupError::io("create", &part))?;
        let place = place.to_owned();
        Ok(Self { file, part, place })
    }

    /// What the backup is written to.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Reads the whole backup again, and gives it its name.
    ///
    /// # Errors
    /// When it is not whole or cannot be kept; then there is no file.
    pub fn finish(self) -> Result<Backup, BackupError> {
        let synced = self.file.sync_all();
        synced.map_err(BackupError::io("sync", &self.part))?;
        let backup = Backup::open(&self.part)?;
        refuse_existing(&self.place)?;
        let named = fs::rename(&self.part, &self.place);
        named.map_err(BackupError::io("create", &self.place))?;
        let dir = self
            .place
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new("."));
        sync_dir(dir)?;
        Ok(backup)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After `finish` it has another name.
        let _ = fs::remove_file(&self.part);
    }
}

/// A file without a name in a directory: it goes when it is closed, however the process ends.
///
/// # Errors
/// Whatever the file system says.
pub fn spool(dir: &Path) -> Result<File, BackupError> {
    let path = dir.join("backup.spool");
    let file = create_anew(&path).map_err(BackupError::io("create", &path))?;
    fs::remove_file(&path).map_err(BackupError::io("unlink", &path))?;
    Ok(file)
}

/// Never through a link, and never one that others could have prepared.
fn create_anew(path: &Path) -> io::Result<File> {
    unless_gone(fs::remove_file(path))?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    options.open(path)
}

fn refuse_existing(place: &Path) -> Result<(), BackupError> {
    match fs::symlink_metadata(place) {
        Ok(_) => Err(BackupError::Exists {
            path: place.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(BackupError::io("look for", place)(error)),
    }
}

/// What is gone already need not be taken away.
pub(super) fn unless_gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Makes names in a directory survive a power cut.
pub(super) fn sync_dir(dir: &Path) -> Result<(), BackupError> {
    crate::disk::sync_dir(dir).map_err(BackupError::io("sync", dir))
}
