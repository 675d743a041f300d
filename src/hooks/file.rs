//! The inbox on disk: records one behind the other, each with its length and a checksum.

use super::delivery::{Demand, Named, Print};
use crate::model::Moment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const TITLE: &[u8] = b"driftless webhooks 2\n";
/// What the title of every format begins with.
const KIND: &[u8] = b"driftless webhooks ";
/// A record comes from a body of 1 MiB at most.
const MOST_BYTES: usize = 2 << 20;

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

/// Bytes that hold no record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unsound {
    /// At the end: never acknowledged.
    pub torn: usize,
    /// Before records that are sound, or in place of the title.
    pub damaged: usize,
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
    /// Opens the file, or makes it; every sound record goes to `visit`. Says what was not sound; after
    /// damage the caller puts what is known in the place of all.
    pub fn open(path: &Path, visit: impl FnMut(Record)) -> io::Result<(Self, Unsound)> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok((Self::create(path, &[])?, Unsound::default()));
            }
            Err(error) => return Err(error),
        };
        let body = match bytes.strip_prefix(TITLE) {
            Some(body) => body,
            None if is_of_another_version(&bytes) => {
                let text = "it is of another version: use the driftless that wrote it";
                return Err(io::Error::new(ErrorKind::InvalidData, text));
            }
            None => &bytes,
        };
        let mut unsound = read_records(body, visit);
        if body.len() == bytes.len() {
            // Without its title nothing of it can be taken for an end that was torn.
            unsound.damaged += unsound.torn;
            unsound.torn = 0;
            unsound.damaged += usize::from(body.is_empty());
        }
        let file = OpenOptions::new().append(true).open(path)?;
        if unsound.torn > 0 {
            file.set_len((bytes.len() - unsound.torn) as u64)?;
            file.sync_data()?;
        }
        let log = Self {
            path: path.to_owned(),
            file,
            bytes: (bytes.len() - unsound.torn) as u64,
            failed: false,
        };
        Ok((log, unsound))
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

/// Whether this may be the beginning of a record whose rest was never written.
fn is_torn(rest: &[u8]) -> bool {
    let Some((length, rest)) = rest.split_first_chunk() else {
        return true;
    };
    let wanted = (u32::from_le_bytes(*length) as usize).saturating_add(4);
    rest.len() < wanted
}

fn is_of_another_version(bytes: &[u8]) -> bool {
    let number = bytes.strip_prefix(KIND).unwrap_or_default();
    let digits = number
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    digits > 0 && number.get(digits) == Some(&b'\n')
}

/// Visits every sound record. Behind damage it looks for the next one byte by byte.
fn read_records(mut rest: &[u8], mut visit: impl FnMut(Record)) -> Unsound {
    let mut unsound = Unsound::default();
    while !rest.is_empty() {
        let found = (0..rest.len()).find_map(|at| Some((at, split_record(&rest[at..])?)));
        let Some((skipped, (record, behind))) = found else {
            match is_torn(rest) {
                true => unsound.torn = rest.len(),
                false => unsound.damaged += rest.len(),
            }
            break;
        };
        unsound.damaged += skipped;
        visit(record);
        rest = behind;
    }
    unsound
}

/// The first record, and what stands behind it; `None` when it is torn or damaged.
fn split_record(text: &[u8]) -> Option<(Record, &[u8])> {
    let (length, rest) = text.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let length = u32::from_le_bytes(*length) as usize;
    let (body, behind) = rest.split_at_checked(length)?;
    if !(1..=MOST_BYTES).contains(&length) {
        return None;
    }
    if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    Some((postcard::from_bytes(body).ok()?, behind))
}
