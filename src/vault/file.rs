//! The vault as a file: a title, then the content with a checksum, or sealed with the store key.

use super::tree::{Key, Tree};
use super::{Content, Mark, VaultError, cipher};
use crate::model::Moment;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const TITLE: &[u8] = b"driftless vault ";
const FORMAT: u8 = 1;
const PLAIN: u8 = 0;
const SEALED: u8 = 1;

/// The content on disk (postcard).
#[derive(Serialize, Deserialize)]
struct Stored {
    mark_key: Key,
    nodes: Vec<((u8, u64), Key)>,
    forgotten: Vec<([u8; 16], Moment)>,
}

/// Where a shop's vault lies. Whoever has it, and the store key if there is one, can open mirror,
/// journal and backups.
pub fn vault_file(state_dir: &Path) -> PathBuf {
    state_dir.join("vault")
}

/// The key behind the operator's secret, which may have any length.
pub(super) fn store_key(secret: &SecretString) -> Key {
    let mut hash = Sha256::new();
    hash.update(b"driftless store key");
    hash.update(secret.expose_secret());
    hash.finalize().into()
}

/// `None` when there is no file.
pub(super) fn read(path: &Path, store_key: Option<&Key>) -> Result<Option<Content>, VaultError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(VaultError::io("read", path)(error)),
    };
    let mode = fs::metadata(path).map_err(VaultError::io("read", path))?;
    let mode = mode.permissions().mode() & 0o7777;
    let path = path.to_owned();
    if mode & 0o077 != 0 {
        return Err(VaultError::Exposed { path, mode });
    }
    let rest = bytes
        .strip_prefix(TITLE)
        .and_then(<[u8]>::split_first_chunk);
    let Some(([format, kind], body)) = rest else {
        return Err(VaultError::Damaged { path });
    };
    let known = FORMAT;
    match (*format, *kind, store_key) {
        (found, _, _) if found > FORMAT => Err(VaultError::Newer { path, found, known }),
        (FORMAT, PLAIN, _) => {
            let content = checked(body).and_then(content);
            content.ok_or(VaultError::Damaged { path })
        }
        (FORMAT, SEALED, None) => Err(VaultError::Locked { path }),
        (FORMAT, SEALED, Some(key)) => {
            let mut plain = Vec::new();
            match cipher::open(key, TITLE, body, &mut plain) {
                Some(()) => content(&plain).ok_or(VaultError::Damaged { path }),
                None => Err(VaultError::WrongKey { path }),
            }
        }
        _ => Err(VaultError::Damaged { path }),
    }
    .map(Some)
}

fn checked(body: &[u8]) -> Option<&[u8]> {
    let (plain, sum) = body.split_last_chunk()?;
    (crc32c::crc32c(plain) == u32::from_le_bytes(*sum)).then_some(plain)
}

fn content(plain: &[u8]) -> Option<Content> {
    let stored: Stored = postcard::from_bytes(plain).ok()?;
    let forgotten = stored.forgotten.into_iter();
    let forgotten = forgotten.map(|(mark, at)| (Mark(mark), at)).collect();
    let tree = Tree::of(stored.nodes);
    Some(Content::of(stored.mark_key, tree, forgotten))
}

/// Whether the file was sealed with a store key.
pub(super) fn is_sealed(path: &Path) -> Result<bool, VaultError> {
    let bytes = fs::read(path).map_err(VaultError::io("read", path))?;
    Ok(bytes.get(TITLE.len() + 1) == Some(&SEALED))
}

fn written(content: &Content, store_key: Option<&Key>) -> Result<Vec<u8>, VaultError> {
    let forgotten = content.forgotten.iter();
    let stored = Stored {
        mark_key: content.mark_key,
        nodes: content.tree.nodes().collect(),
        forgotten: forgotten.map(|(mark, at)| (mark.0, *at)).collect(),
    };
    let plain = postcard::to_stdvec(&stored).expect("plain data always encodes");
    let mut bytes = TITLE.to_vec();
    match store_key {
        None => {
            bytes.extend([FORMAT, PLAIN]);
            bytes.extend_from_slice(&plain);
            bytes.extend(crc32c::crc32c(&plain).to_le_bytes());
        }
        Some(key) => {
            bytes.extend([FORMAT, SEALED]);
            cipher::seal(key, TITLE, &plain, &mut bytes)?;
        }
    }
    Ok(bytes)
}

/// Makes the file, whole or not at all.
pub(super) fn create(
    path: &Path,
    content: &Content,
    store_key: Option<&Key>,
) -> Result<(), VaultError> {
    write(&draft(path), content, store_key)?;
    fs::rename(draft(path), path).map_err(VaultError::io("create", path))?;
    sync_dir(path)
}

/// A file that another has taken the place of.
#[must_use]
pub(super) struct Old(PathBuf);

/// Puts another content in the file's place, whole or not at all. Whatever becomes of [`Old`], that
/// counts.
pub(super) fn replace(
    path: &Path,
    content: &Content,
    store_key: Option<&Key>,
) -> Result<Old, VaultError> {
    tidy(path)?;
    let (draft, old) = (draft(path), old(path));
    write(&draft, content, store_key)?;
    // The second name keeps the old bytes in reach until they are overwritten, over a kill, too.
    fs::hard_link(path, &old).map_err(VaultError::io("keep the old", path))?;
    fs::rename(&draft, path).map_err(VaultError::io("replace", path))?;
    Ok(Old(old))
}

impl Old {
    /// Overwrites what it holds, so that a key that was destroyed is not left on the disk, as far as a
    /// file system can promise that.
    pub(super) fn overwrite(self) -> Result<(), VaultError> {
        let failed = VaultError::io("overwrite", &self.0);
        sync_dir(&self.0)?;
        wipe(&self.0).map_err(failed)
    }
}

/// Wipes what a kill left beside the file.
pub(super) fn tidy(path: &Path) -> Result<(), VaultError> {
    for left in [draft(path), old(path)] {
        match wipe(&left) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(VaultError::io("overwrite", &left)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn wipe(path: &Path) -> io::Result<()> {
    let held = fs::metadata(path)?;
    // Killed before the new file took the name: the bytes are still those that count.
    let counts = fs::metadata(path.with_extension(""));
    if !counts.is_ok_and(|counts| counts.ino() == held.ino()) {
        let mut file = OpenOptions::new().write(true).open(path)?;
        io::copy(&mut io::Read::take(io::repeat(0), held.len()), &mut file)?;
        file.sync_all()?;
    }
    fs::remove_file(path)
}

fn draft(path: &Path) -> PathBuf {
    path.with_extension("new")
}

fn old(path: &Path) -> PathBuf {
    path.with_extension("old")
}

fn write(path: &Path, content: &Content, store_key: Option<&Key>) -> Result<(), VaultError> {
    let bytes = written(content, store_key)?;
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(path)?;
        file.write_all(&bytes)?;
        file.sync_all()
    };
    write().map_err(VaultError::io("write", path))
}

fn sync_dir(path: &Path) -> Result<(), VaultError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    crate::disk::sync_dir(dir).map_err(VaultError::io("sync the directory of", path))
}
