//! The journal's files: `00000001.log` and so on, each up to a size.

use super::{Entry, JournalError, line};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file that is written to.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) file: File,
    number: u64,
    bytes: u64,
}

/// How reading one file ended.
pub(super) struct Read {
    /// Where the last sound record ends.
    pub(super) sound: u64,
    /// Bytes of a torn last record behind it.
    pub(super) torn: u64,
}

pub(super) fn create_dir(dir: &Path) -> Result<(), JournalError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(JournalError::io("create the directory of"))
}

/// The numbers of all files, ascending, without a gap.
pub(super) fn numbers(dir: &Path) -> Result<Vec<u64>, JournalError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(JournalError::io("list"))? {
        let name = entry.map_err(JournalError::io("list"))?.file_name();
        let name = name.to_string_lossy();
        let number = name.strip_suffix(".log").and_then(|n| n.parse().ok());
        numbers.extend(number.filter(|number| file_name(*number) == name));
    }
    numbers.sort_unstable();
    for pair in numbers.windows(2) {
        if pair[0] + 1 != pair[1] {
            return Err(JournalError::Missing { file: pair[0] + 1 });
        }
    }
    Ok(numbers)
}

/// Reads one file, record by record. Only in the last file may the last record be torn.
pub(super) fn read(
    dir: &Path,
    number: u64,
    is_last: bool,
    mut visit: impl FnMut(Entry) -> Result<(), ()>,
) -> Result<Read, JournalError> {
    let file = File::open(path(dir, number)).map_err(JournalError::io("open"))?;
    let mut reader = BufReader::new(file);
    let (mut line, mut sound, mut count) = (Vec::new(), 0, 0_u64);
    loop {
        line.clear();
        let got = reader.read_until(b'\n', &mut line);
        let length = got.map_err(JournalError::io("read"))? as u64;
        if length == 0 {
            return Ok(Read { sound, torn: 0 });
        }
        count += 1;
        let damaged = JournalError::Damaged {
            file: number,
            line: count,
        };
        let Some(json) = line::read(&line) else {
            let rest = reader.fill_buf().map_err(JournalError::io("read"))?;
            return match is_last && rest.is_empty() {
                true => Ok(Read {
                    sound,
                    torn: length,
                }),
                false => Err(damaged),
            };
        };
        let entry = serde_json::from_slice(json).map_err(|_| JournalError::Newer {
            file: number,
            line: count,
        })?;
        visit(entry).map_err(|()| damaged)?;
        sound += length;
    }
}

impl Tail {
    /// Opens an existing file behind its last sound record, cutting what is torn.
    pub(super) fn open(dir: &Path, number: u64, read: &Read) -> Result<Self, JournalError> {
        let opened = OpenOptions::new().append(true).open(path(dir, number));
        let file = opened.map_err(JournalError::io("open"))?;
        if read.torn > 0 {
            let cut = file.set_len(read.sound).and_then(|()| file.sync_all());
            cut.map_err(JournalError::io("cut the torn end of"))?;
        }
        let bytes = read.sound;
        Ok(Self {
            file,
            number,
            bytes,
        })
    }

    /// Creates a file, so that it is still there after a power cut.
    pub(super) fn create(dir: &Path, number: u64) -> Result<Self, JournalError> {
        let mut options = OpenOptions::new();
        let created = options.append(true).create_new(true).mode(0o600);
        let file = created.open(path(dir, number));
        let file = file.map_err(JournalError::io("create a file of"))?;
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(JournalError::io("sync the directory of"))?;
        let bytes = 0;
        Ok(Self {
            file,
            number,
            bytes,
        })
    }

    /// Appends and syncs. A file that has reached `limit` bytes is left for a new one before.
    pub(super) fn append(
        &mut self,
        dir: &Path,
        lines: &[u8],
        limit: u64,
    ) -> Result<(), JournalError> {
        if self.bytes >= limit {
            *self = Self::create(dir, self.number + 1)?;
        }
        let written = self.file.write_all(lines);
        written.map_err(JournalError::io("write to"))?;
        self.file.sync_data().map_err(JournalError::io("sync"))?;
        self.bytes += lines.len() as u64;
        Ok(())
    }
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(file_name(number))
}

fn file_name(number: u64) -> String {
    format!("{number:08}.log")
}
