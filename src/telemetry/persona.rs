//! How a log line may point at a person without naming them.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::{self, Write as _};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const KEY_FILE: &str = "log.key";
const KEY_LEN: usize = 32;
/// Ten hex digits: short enough to read aloud; among a million people less than one pair is expected
/// to collide.
const SHOWN_BYTES: usize = 5;

/// Turns ids into pseudonyms that only this installation can reproduce (reliability.md, section 8).
#[derive(Clone)]
pub struct Pseudonyms(Hmac<Sha256>);

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms")
    }
}

/// The key of the pseudonyms is not usable.
#[derive(Debug, thiserror::Error)]
pub enum PseudonymError {
    /// It could not be read or written.
    #[error("cannot read or create {}: {source}; check that the state directory is writable", path.display())]
    Io {
        /// The key file, or one beside it.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// Others may read it.
    #[error("{} has mode {mode:04o}; others could undo the pseudonyms: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not a key.
    #[error("{} holds {found} bytes instead of {KEY_LEN}; delete it to get a new key and new pseudonyms", path.display())]
    Damaged {
        /// The key file.
        path: PathBuf,
        /// Its length in bytes.
        found: usize,
    },
}

impl Pseudonyms {
    /// Reads the key from `<state_dir>/log.key`; makes one with mode 0600 where there is none.
    pub fn open(state_dir: &Path) -> Result<Self, PseudonymError> {
        let path = Self::key_file(state_dir);
        let at = |source| PseudonymError::Io {
            path: path.clone(),
            source,
        };
        if !path.try_exists().map_err(at)? {
            create_key(state_dir, &path).map_err(at)?;
        }
        let mode = fs::metadata(&path).map_err(at)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(PseudonymError::Exposed { path, mode });
        }
        let key = fs::read(&path).map_err(at)?;
        if key.len() != KEY_LEN {
            let found = key.len();
            return Err(PseudonymError::Damaged { path, found });
        }
        Ok(Self::with_key(&key))
    }

    /// Where a shop's key lies. Whoever has it can undo the pseudonyms in its logs.
    pub fn key_file(state_dir: &Path) -> PathBuf {
        state_dir.join(KEY_FILE)
    }

    fn with_key(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    /// The pseudonym of an id or an address: ten hex digits, the same in every run.
    pub fn of(&self, id: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(id.as_bytes());
        let digest = mac.finalize().into_bytes();
        let mut text = String::with_capacity(SHOWN_BYTES * 2);
        for byte in digest.iter().take(SHOWN_BYTES) {
            write!(text, "{byte:02x}").expect("a String takes any text");
        }
        text
    }
}

/// Writes beside the name and links it there: a crash leaves no half key, and of two processes that
/// start at once the first one's key counts for both.
fn create_key(state_dir: &Path, path: &Path) -> io::Result<()> {
    let mut key = [0; KEY_LEN];
    let random = rustls::crypto::ring::default_provider().secure_random;
    let filled = random.fill(&mut key);
    filled.map_err(|_| io::Error::other("the system gave no random bytes"))?;
    let draft = state_dir.join(format!("{KEY_FILE}.{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&draft)?;
    file.write_all(&key)?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_stable_across_restarts_and_differs_between_installations() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = Pseudonyms::open(here.path()).unwrap();
        let again = Pseudonyms::open(here.path()).unwrap();
        let other = Pseudonyms::open(there.path()).unwrap();
        let id = "ada@example.com";
        assert_eq!(first.of(id), again.of(id));
        assert_ne!(first.of(id), other.of(id));
        assert_ne!(first.of(id), first.of("bob@example.com"));
        let entries = fs::read_dir(here.path()).unwrap().count();
        assert_eq!(entries, 1, "no draft stays behind");
    }

    #[test]
    fn a_pseudonym_is_the_head_of_the_hmac() {
        // RFC 4231, test case 2.
        let pseudonyms = Pseudonyms::with_key(b"Jefe");
        assert_eq!(pseudonyms.of("what do ya want for nothing?"), "5bdcc146bf");
    }

    #[test]
    fn a_new_key_is_for_our_eyes_only_and_an_exposed_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Pseudonyms::open(dir.path()).unwrap();
        let path = dir.path().join(KEY_FILE);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = Pseudonyms::open(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("0640") && refused.contains("chmod 600"));
    }

    #[test]
    fn a_truncated_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Pseudonyms::open(dir.path()).unwrap();
        let path = dir.path().join(KEY_FILE);
        fs::write(&path, b"short").unwrap();
        let refused = Pseudonyms::open(dir.path()).unwrap_err();
        assert!(matches!(refused, PseudonymError::Damaged { found: 5, .. }));
    }
}
