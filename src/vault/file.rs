//! The vault as a file: a title, then the content with a checksum, or sealed with the store key.

use super::tree::{Key, Tree};
use super::{Content, Mark, VaultError, cipher};
use crate::model::Moment;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
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

/// What a file held.
pub(super) struct Found {
    pub(super) content: Content,
    pub(super) is_sealed: bool,
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
pub(super) fn read(path: &Path, store_key: Option<&Key>) -> Result<Option<Found>, VaultError> {
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
        (FORMAT, PLAIN, _) => match checked(body) {
            Some(plain) => found(plain, false),
            None => None,
        }
        .ok_or(VaultError::Damaged { path }),
        (FORMAT, SEALED, None) => Err(VaultError::Locked { path }),
        (FORMAT, SEALED, Some(key)) => {
            let mut plain = Vec::new();
            match cipher::open(key, TITLE, body, &mut plain) {
                Some(()) => found(&plain, true).ok_or(VaultError::Damaged { path }),
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

fn found(plain: &[u8], is_sealed: bool) -> Option<Found> {
    let stored: Stored = postcard::from_bytes(plain).ok()?;
    let forgotten = stored.forgotten.into_iter();
    let content = Content {
        mark_key: stored.mark_key,
        tree: Tree::of(stored.nodes),
        forgotten: forgotten.map(|(mark, at)| (Mark(mark), at)).collect(),
    };
    Some(Found { content, is_sealed })
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

/// Makes the file, whole or not at all. Of two processes that start at once the first one's vault
/// counts for both.
pub(super) fn create(
    path: &Path,
    content: &Content,
    store_key: Option<&Key>,
) -> Result<Content, VaultError> {
    let draft = draft(path, content, store_key)?;
    let linked = fs::hard_link(&draft, path);
    let removed = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(VaultError::io("create", path)(error));
        }
        _ => removed.map_err(VaultError::io("create", path))?,
    }
    sync_dir(path)?;
    match read(path, store_key)? {
        Some(found) => Ok(found.content),
        None => Err(VaultError::io("read", path)(ErrorKind::NotFound.into())),
    }
}

/// Puts another content in the file's place and overwrites the old one's bytes, so that a key that
/// was destroyed is not left on the disk, as far as a file system can promise that.
pub(super) fn replace(
    path: &Path,
    content: &Content,
    store_key: Option<&Key>,
) -> Result<(), VaultError> {
    let old = OpenOptions::new().write(true).open(path);
    let draft = draft(path, content, store_key)?;
    fs::rename(&draft, path).map_err(VaultError::io("replace", path))?;
    sync_dir(path)?;
    match old {
        Ok(old) => overwrite(old).map_err(VaultError::io("overwrite the old", path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(VaultError::io("overwrite the old", path)(error)),
    }
}

fn overwrite(mut file: File) -> io::Result<()> {
    let length = file.metadata()?.len();
    file.rewind()?;
    io::copy(&mut io::Read::take(io::repeat(0), length), &mut file)?;
    file.sync_all()
}

fn draft(path: &Path, content: &Content, store_key: Option<&Key>) -> Result<PathBuf, VaultError> {
    let bytes = written(content, store_key)?;
    let draft = path.with_extension(std::process::id().to_string());
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&draft)?;
        file.write_all(&bytes)?;
        file.sync_all()
    };
    write().map_err(VaultError::io("write", &draft))?;
    Ok(draft)
}

fn sync_dir(path: &Path) -> Result<(), VaultError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(VaultError::io("sync the directory of", path))
}
