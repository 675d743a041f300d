//! From a shop's state to a backup.

use super::BackupError;
use super::file::{END, FORMAT, Header, JOURNAL_FILE, LOG_KEY, TITLE, VALUE};
use crate::journal::Journal;
use crate::mirror::{self, Mirror};
use crate::model::Moment;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::Path;

/// What is backed up. Nothing writes to it meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The shop's name.
    pub shop: &'a str,
    /// Where the key of the pseudonyms lies, once there is one.
    pub key_file: &'a Path,
    /// What both platforms said.
    pub mirror: &'a Mirror,
    /// What was done.
    pub journal: &'a Journal,
}

impl Source<'_> {
    /// About how many bytes a backup of it takes, rather too many: the store packs its values less
    /// densely. What cannot be looked at counts nothing.
    pub fn size(&self) -> u64 {
        let files = self.journal.files().unwrap_or_default().into_iter();
        let files = files.filter_map(|path| Some(path.metadata().ok()?.len()));
        self.mirror.size_on_disk() + files.sum::<u64>()
    }
}

/// Writes a whole backup to a file without content, and goes back to its beginning. `place` is what
/// errors call it. Needs the same small memory for any shop.
///
/// # Errors
/// Damage in mirror or journal, for it must not be passed on, and whatever the disk says.
pub fn write(
    source: &Source<'_>,
    now: Moment,
    out: &mut File,
    place: &Path,
) -> Result<(), BackupError> {
    let failed = |error| BackupError::io("write", place)(error);
    let files = source.journal.files()?;
    let header = serde_json::to_string(&header(source, now, files.len())?);
    let header = header.expect("a header has text keys");
    let mut out = Writer::new(BufWriter::new(out));
    let lines = format!("{TITLE}{FORMAT}\n{header}\n");
    out.put(lines.as_bytes()).map_err(failed)?;
    source.mirror.copy(|key, sealed| {
        let written = out.value(key, sealed);
        written.map_err(failed)
    })?;
    for path in files {
        out.copy_of(JOURNAL_FILE, &path, place)?;
    }
    if source.key_file.exists() {
        out.copy_of(LOG_KEY, source.key_file, place)?;
    }
    out.finish()
        .and_then(|mut out| out.rewind())
        .map_err(failed)
}

fn header(source: &Source<'_>, now: Moment, files: usize) -> Result<Header, BackupError> {
    let totals = source.mirror.totals()?;
    let pins = source.mirror.pins()?;
    Ok(Header {
        shop: source.shop.to_owned(),
        klaviyo_account: pins.klaviyo_account,
        made: now.to_string(),
        vault: source.mirror.vault().id(),
        mirror_format: mirror::FORMAT,
        profiles: totals.profiles,
        customers: totals.customers,
        orders: totals.orders,
        events: totals.events,
        journal_files: files as u64,
    })
}

/// Counts and hashes what goes through it.
struct Writer<W> {
    out: W,
    hash: Sha256,
    parts: u64,
}

impl<W: Write> Writer<W> {
    fn new(out: W) -> Self {
        let hash = Sha256::new();
        let parts = 0;
        Self { out, hash, parts }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.out.write_all(bytes)
    }

    fn value(&mut self, key: &[u8], sealed: &[u8]) -> io::Result<()> {
        self.put(&[VALUE])?;
        for bytes in [key, sealed] {
            let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
            self.put(&length.to_le_bytes())?;
            self.put(bytes)?;
        }
        self.parts += 1;
        Ok(())
    }

    /// A whole file, as long as it is now.
    fn copy_of(&mut self, kind: u8, path: &Path, place: &Path) -> Result<(), BackupError> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (length, file) = opened.map_err(BackupError::io("read", path))?;
        let failed = |error| BackupError::io("write", place)(error);
        self.put(&[kind]).map_err(failed)?;
        self.put(&length.to_le_bytes()).map_err(failed)?;
        let mut file = file.take(length);
        let mut chunk = vec![0; 1 << 16];
        loop {
            let read = file.read(&mut chunk);
            match read.map_err(BackupError::io("read", path))? {
                0 => break,
                read => self.put(&chunk[..read]).map_err(failed)?,
            }
        }
        self.parts += 1;
        match file.limit() {
            0 => Ok(()),
            _ => Err(BackupError::io("read", path)(
                io::ErrorKind::UnexpectedEof.into(),
            )),
        }
    }

    fn finish(mut self) -> io::Result<W> {
        self.put(&self.parts.to_le_bytes())?;
        self.out.write_all(&self.hash.finalize())?;
        self.out.write_all(END)?;
        self.out.flush()?;
        Ok(self.out)
    }
}
