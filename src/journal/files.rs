//! The journal's files: `00000001.log` and so on, each up to a size.

use super::chain::Chain;
use super::line::Commit;
use super::{Entry, JournalError, line};
use crate::disk::{Disk, Operation};
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
    disk: Disk,
}

/// How reading one file ended.
pub(super) struct Read {
    /// Where the last whole append ends.
    pub(super) sound: u64,
    /// Bytes behind it: an append that was never acknowledged.
    pub(super) torn: u64,
}

/// The lines since the last whole append.
#[derive(Default)]
struct Pending {
    /// Up to the last whole append.
    chain: Chain,
    entries: Vec<Entry>,
    /// The lines as they are.
    text: Vec<u8>,
    /// How many, bad ones included.
    lines: u64,
    bytes: u64,
    /// Where the first bad one is.
    bad: Option<u64>,
    /// The commit line is there although a line is bad.
    is_closed: bool,
}

pub(super) fn create_dir(dir: &Path) -> Result<(), JournalError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(JournalError::io("create the directory of"))
}

/// The numbers of all files, ascending from 1, without a gap.
pub(super) fn numbers(dir: &Path) -> Result<Vec<u64>, JournalError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(JournalError::io("list"))? {
        let name = entry.map_err(JournalError::io("list"))?.file_name();
        let name = name.to_string_lossy();
        let number = name.strip_suffix(".log").and_then(|n| n.parse().ok());
        numbers.extend(number.filter(|number| file_name(*number) == name));
    }
    numbers.sort_unstable();
    if numbers.first().is_some_and(|first| *first != 1) {
        return Err(JournalError::Missing { file: 1 });
    }
    for pair in numbers.windows(2) {
        if pair[0] + 1 != pair[1] {
            return Err(JournalError::Missing { file: pair[0] + 1 });
        }
    }
    Ok(numbers)
}

/// Reads one file, append by append, and goes on with the chain of the file before. Only in the last
/// file may the last append be torn.
pub(super) fn read(
    dir: &Path,
    number: u64,
    is_last: bool,
    chain: &mut Chain,
    mut visit: impl FnMut(Entry) -> Result<(), ()>,
) -> Result<Read, JournalError> {
    let file = File::open(path(dir, number)).map_err(JournalError::io("open"))?;
    let damaged = |line| JournalError::Damaged { file: number, line };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut pending = Pending {
        chain: *chain,
        ..Pending::default()
    };
    let (mut sound, mut count) = (0, 0_u64);
    loop {
        line.clear();
        let got = reader.read_until(b'\n', &mut line);
        if got.map_err(JournalError::io("read"))? == 0 {
            break;
        }
        count += 1;
        if !line.ends_with(b"\n") && !pending.is_closed {
            // Torn, or being written this very moment: what follows is no line of its own.
            pending.bytes += line.len() as u64;
            pending.bad.get_or_insert(count);
            break;
        }
        if let Some(entries) = pending.take_line(number, count, &line)? {
            for (line, entry) in (count - entries.len() as u64..).zip(entries) {
                visit(entry).map_err(|()| damaged(line))?;
            }
            sound += pending.bytes;
            *chain = pending.chain;
            pending = Pending {
                chain: *chain,
                ..Pending::default()
            };
        }
    }
    let torn = pending.bytes;
    // A file is left for the next one after an acknowledged append, never before.
    match is_last || (torn == 0 && sound > 0) {
        true => Ok(Read { sound, torn }),
        false => Err(damaged(pending.bad.unwrap_or(count + 1))),
    }
}

impl Pending {
    /// Takes one more line in; the append's records when it is the commit line of a whole one.
    ///
    /// The pages of an append reach the disk in any order, so a power cut may leave the commit line
    /// and not what stands before it. Such an append was not acknowledged, and so nothing follows it.
    fn take_line(
        &mut self,
        file: u64,
        count: u64,
        line: &[u8],
    ) -> Result<Option<Vec<Entry>>, JournalError> {
        self.bytes += line.len() as u64;
        let bad = self.bad.unwrap_or(count);
        let damaged = JournalError::Damaged { file, line: bad };
        if self.is_closed {
            return Err(damaged);
        }
        let Some(json) = line::read(line) else {
            self.bad = Some(bad);
            self.lines += 1;
            return Ok(None);
        };
        let Some(Commit { records, link }) = line::commit(json) else {
            let entry = serde_json::from_slice(json);
            let newer = |_| JournalError::Newer { file, line: count };
            self.entries.push(entry.map_err(newer)?);
            self.text.extend_from_slice(line);
            self.lines += 1;
            return Ok(None);
        };
        match self.bad {
            None if self.lines == records => match self.chain.append(&self.text, link) {
                true => Ok(Some(std::mem::take(&mut self.entries))),
                false => Err(JournalError::Rewritten { file, line: count }),
            },
            // A page that was not written holds no line breaks: with more lines than the commit line
            // counts, a bad one belongs to an append before, which was acknowledged.
            Some(_) if self.lines <= records => {
                self.is_closed = true;
                Ok(None)
            }
            _ => Err(damaged),
        }
    }
}

impl Tail {
    /// Opens an existing file behind its last whole append, cutting what is torn.
    pub(super) fn open(
        dir: &Path,
        number: u64,
        read: &Read,
        disk: Disk,
    ) -> Result<Self, JournalError> {
        let opened = OpenOptions::new().append(true).open(path(dir, number));
        let file = opened.map_err(JournalError::io("open"))?;
        if read.torn > 0 {
            let cut = file.set_len(read.sound);
            cut.map_err(JournalError::io("cut the torn end of"))?;
        }
        // A process that was killed may have left whole appends, or the file itself, unsynced. They
        // count from here on, and a following file would take away the right to be torn.
        file.sync_all().map_err(JournalError::io("sync"))?;
        sync_dir(dir)?;
        let bytes = read.sound;
        Ok(Self {
            file,
            number,
            bytes,
            disk,
        })
    }

    /// Creates a file, so that it is still there after a power cut.
    pub(super) fn create(dir: &Path, number: u64, disk: Disk) -> Result<Self, JournalError> {
        let mut options = OpenOptions::new();
        let created = options.append(true).create_new(true).mode(0o600);
        let file = created.open(path(dir, number));
        let file = file.map_err(JournalError::io("create a file of"))?;
        sync_dir(dir)?;
        let bytes = 0;
        Ok(Self {
            file,
            number,
            bytes,
            disk,
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
            *self = Self::create(dir, self.number + 1, self.disk.clone())?;
        }
        let write = || self.file.write_all(lines);
        let written = self.disk.carry_out(Operation::Append, |error| error, write);
        written.map_err(JournalError::io("write to"))?;
        let sync = || self.file.sync_data();
        let synced = self.disk.carry_out(Operation::Sync, |error| error, sync);
        synced.map_err(JournalError::io("sync"))?;
        self.bytes += lines.len() as u64;
        Ok(())
    }
}

fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    crate::disk::sync_dir(dir).map_err(JournalError::io("sync the directory of"))
}

pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(file_name(number))
}

fn file_name(number: u64) -> String {
    format!("{number:08}.log")
}
