//! The inbox on disk: records one behind the other, each with its length and a checksum.

use super::delivery::{Demand, Named, Print};
use crate::model::Moment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const TITLE: &[u8] = b"driftless webhooks 1\n";

/// What is written down. The order of the variants is that on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Record {
    /// Something was heard.
    Heard {
        /// Counts up with every record of this kind.
        no: u64,
        /// When.
        at: Moment,
        /// By which it is known again.
        prints: Vec<Print>,
        /// What to fetch because of it.
        named: BTreeSet<Named>,
        /// What is demanded.
        demand: Option<Demand>,
    },
    /// What was named up to this number is fetched.
    Fetched(u64),
    /// The demand with this number is met.
    Met(u64),
}

/// The file, open for appending.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    pub bytes: u64,
    /// Set by a failed write or sync: a later sync could report success for pages that are gone.
    failed: bool,
}

impl Log {
    /// Opens the file, or makes it; every record goes to `visit`. What stands behind the last sound
    /// record is cut: how many bytes that were.
    pub fn open(path: &Path, mut visit: impl FnMut(Record)) -> io::Result<(Self, u64)> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let sound = match bytes.strip_prefix(TITLE) {
            None => 0,
            Some(mut rest) => {
                while let Some((record, behind)) = split_record(rest) {
                    visit(record);
                    rest = behind;
                }
                bytes.len() - rest.len()
            }
        };
        if sound == 0 {
            let log = Self::create(path, &[])?;
            return Ok((log, bytes.len() as u64));
        }
        let file = OpenOptions::new().append(true).open(path)?;
        if sound < bytes.len() {
            file.set_len(sound as u64)?;
            file.sync_data()?;
        }
        let log = Self {
            path: path.to_owned(),
            file,
            bytes: sound as u64,
            failed: false,
        };
        Ok((log, (bytes.len() - sound) as u64))
    }

    /// Makes the file anew, whole or not at all.
    fn create(path: &Path, records: &[Record]) -> io::Result<Self> {
        let draft = path.with_extension("new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&draft)?;
        let mut text = TITLE.to_vec();
        records
            .iter()
            .for_each(|record| put_record(&mut text, record));
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        if let Some(dir) = path.parent() {
            crate::disk::sync_dir(dir)?;
        }
        Ok(Self {
            path: path.to_owned(),
            file: OpenOptions::new().append(true).open(path)?,
            bytes: text.len() as u64,
            failed: false,
        })
    }

    /// After a failed write nobody knows what of it is there: the file is made anew from what is known.
    pub fn mend(&mut self, known: impl FnOnce() -> Vec<Record>) -> io::Result<()> {
        match self.failed {
            true => self.replace(&known()),
            false => Ok(()),
        }
    }

    /// Appends; on `Ok` it survives a power cut.
    pub fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let mut text = Vec::new();
        records
            .iter()
            .for_each(|record| put_record(&mut text, record));
        let written = self.file.write_all(&text);
        let written = written.and_then(|()| self.file.sync_data());
        self.failed = written.is_err();
        self.bytes += text.len() as u64;
        written
    }

    /// Puts these records in the place of all.
    pub fn replace(&mut self, records: &[Record]) -> io::Result<()> {
        *self = Self::create(&self.path, records)?;
        Ok(())
    }
}

fn put_record(text: &mut Vec<u8>, record: &Record) {
    let body = postcard::to_stdvec(record).expect("plain data always encodes");
    let length = u32::try_from(body.len()).expect("a record comes from 1 MiB");
    text.extend(length.to_le_bytes());
    text.extend(crc32c::crc32c(&body).to_le_bytes());
    text.extend(body);
}

/// The first record, and what stands behind it; `None` when it is torn or damaged.
fn split_record(text: &[u8]) -> Option<(Record, &[u8])> {
    let (length, rest) = text.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let (body, behind) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    Some((postcard::from_bytes(body).ok()?, behind))
}
