//! A backup as a file: whether it is whole, and what is in it.

use super::BackupError;
use crate::vault::Mark;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};

/// How every backup begins; the format follows.
pub(super) const TITLE: &str = "driftless backup ";
/// The one format this version reads and writes.
pub(super) const FORMAT: u32 = 2;
/// How every whole backup ends.
pub(super) const END: &[u8] = b"\nend of driftless backup\n";

/// The kinds of parts.
pub(super) const VALUE: u8 = 1;
pub(super) const JOURNAL_FILE: u8 = 2;
pub(super) const LOG_KEY: u8 = 3;

const COUNT_BYTES: u64 = 8;
const HASH_BYTES: u64 = 32;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The shop's name in its config.
    pub shop: String,
    /// The Klaviyo account, once a pass has seen it.
    pub klaviyo_account: Option<String>,
    /// When it was made, in RFC 3339.
    pub made: String,
    /// Whose keys open it.
    pub vault: Mark,
    /// The format of the mirror's values.
    pub mirror_format: u8,
    /// Klaviyo profiles.
    pub profiles: u64,
    /// Shopify customers.
    pub customers: u64,
    /// Orders.
    pub orders: u64,
    /// Events in timelines.
    pub events: u64,
    /// Files of the journal.
    pub journal_files: u64,
}

/// A whole backup, open for reading.
#[derive(Debug)]
pub struct Backup {
    /// What it says of itself.
    pub header: Header,
    path: PathBuf,
    parts: BufReader<Take<File>>,
    unread: u64,
}

impl Backup {
    /// Reads a file from its title to its end mark, and once more to hand it out.
    ///
    /// # Errors
    /// Everything that tells it from a whole backup in a format known here.
    pub fn open(path: &Path) -> Result<Self, BackupError> {
        let failed = BackupError::io("read", path);
        let checked = File::open(path).and_then(check).map_err(failed)?;
        let path = path.to_owned();
        let (header, unread, parts) = match checked {
            Verdict::Whole {
                header,
                unread,
                parts,
            } => (*header, unread, parts),
            Verdict::Foreign => return Err(BackupError::Foreign { path }),
            Verdict::Unfinished => return Err(BackupError::Unfinished { path }),
            Verdict::OtherFormat(found) => {
                let known = FORMAT;
                return Err(BackupError::OtherFormat { path, found, known });
            }
            Verdict::Damaged => {
                let what = "its checksum is wrong".to_owned();
                return Err(BackupError::Damaged { path, what });
            }
        };
        Ok(Self {
            header,
            path,
            parts,
            unread,
        })
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next part, if it is of this kind.
    pub(super) fn next(&mut self, kind: u8) -> Result<Option<&mut Self>, BackupError> {
        let next = self.parts.fill_buf().map(|bytes| bytes.first().copied());
        if next.map_err(BackupError::io("read", &self.path))? != Some(kind) {
            return Ok(None);
        }
        self.parts.consume(1);
        // More parts than there should be show at the end.
        self.unread = self.unread.wrapping_sub(1);
        Ok(Some(self))
    }

    /// The key and the value of a part that is one.
    pub(super) fn pair(&mut self) -> Result<(Vec<u8>, Vec<u8>), BackupError> {
        let read = self.text().and_then(|key| Ok((key, self.text()?)));
        read.map_err(BackupError::io("read", &self.path))
    }

    /// The content of a part that is a file; it must be read to its end.
    pub(super) fn content(&mut self) -> Result<impl Read + use<'_>, BackupError> {
        let length = self.number().map(u64::from_le_bytes);
        let length = length.map_err(BackupError::io("read", &self.path))?;
        Ok((&mut self.parts).take(length))
    }

    /// Nothing is left, and nothing was missing.
    pub(super) fn end(&mut self) -> Result<(), BackupError> {
        let rest = self.parts.fill_buf().map(<[u8]>::len);
        let rest = rest.map_err(BackupError::io("read", &self.path))?;
        match rest == 0 && self.unread == 0 {
            true => Ok(()),
            false => Err(self.damaged("its parts are not as many as its end mark says")),
        }
    }

    pub(super) fn damaged(&self, what: &str) -> BackupError {
        BackupError::Damaged {
            path: self.path.clone(),
            what: what.to_owned(),
        }
    }

    fn text(&mut self) -> io::Result<Vec<u8>> {
        let length = u32::from_le_bytes(self.number()?);
        let mut bytes = Vec::new();
        // The length is believed only as far as there are bytes.
        let read = (&mut self.parts)
            .take(u64::from(length))
            .read_to_end(&mut bytes)?;
        match u32::try_from(read) == Ok(length) {
            true => Ok(bytes),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn number<const BYTES: usize>(&mut self) -> io::Result<[u8; BYTES]> {
        let mut bytes = [0; BYTES];
        self.parts.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// What a file turned out to be.
enum Verdict {
    Foreign,
    OtherFormat(u32),
    Unfinished,
    Damaged,
    Whole {
        header: Box<Header>,
        unread: u64,
        parts: BufReader<Take<File>>,
    },
}

fn check(mut file: File) -> io::Result<Verdict> {
    let mut title = Vec::new();
    let longest = TITLE.len() as u64 + 11;
    BufReader::new(&file)
        .take(longest)
        .read_until(b'\n', &mut title)?;
    if let Some(verdict) = judge_title(&title) {
        return Ok(verdict);
    }
    let bytes = file.metadata()?.len();
    let tail = HASH_BYTES + END.len() as u64;
    let Some(hashed) = bytes.checked_sub(tail).filter(|bytes| *bytes > COUNT_BYTES) else {
        return Ok(Verdict::Unfinished);
    };
    let mut end_mark = Vec::new();
    file.seek(SeekFrom::Start(hashed))?;
    (&file).take(tail).read_to_end(&mut end_mark)?;
    let Some(hash) = end_mark.strip_suffix(END) else {
        return Ok(Verdict::Unfinished);
    };
    if digest(&mut file, hashed)?.as_slice() != hash {
        return Ok(Verdict::Damaged);
    }
    let mut count = [0; COUNT_BYTES as usize];
    file.seek(SeekFrom::Start(hashed - COUNT_BYTES))?;
    file.read_exact(&mut count)?;
    file.rewind()?;
    let mut parts = BufReader::new(file.take(hashed - COUNT_BYTES));
    let mut line = Vec::new();
    parts.read_until(b'\n', &mut line)?;
    line.clear();
    parts.read_until(b'\n', &mut line)?;
    Ok(match serde_json::from_slice(&line) {
        Ok(header) => Verdict::Whole {
            header: Box::new(header),
            unread: u64::from_le_bytes(count),
            parts,
        },
        Err(_) => Verdict::Damaged,
    })
}

/// What the first line alone decides.
fn judge_title(line: &[u8]) -> Option<Verdict> {
    let Some(format) = line.strip_prefix(TITLE.as_bytes()) else {
        let begun = TITLE.as_bytes().starts_with(line);
        return Some(if begun {
            Verdict::Unfinished
        } else {
            Verdict::Foreign
        });
    };
    let Some(format) = format.strip_suffix(b"\n") else {
        return Some(Verdict::Unfinished);
    };
    let format = std::str::from_utf8(format)
        .ok()
        .and_then(|text| text.parse().ok());
    match format {
        Some(FORMAT) => None,
        Some(found) => Some(Verdict::OtherFormat(found)),
        None => Some(Verdict::Foreign),
    }
}

/// The SHA-256 of a file's first bytes.
fn digest(file: &mut File, bytes: u64) -> io::Result<[u8; HASH_BYTES as usize]> {
    file.rewind()?;
    let mut content = file.take(bytes);
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        match content.read(&mut chunk)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&chunk[..read]),
        }
    }
}
