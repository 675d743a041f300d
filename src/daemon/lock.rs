//! One Klaviyo key, one process: two would share a quota without knowing of each other, and undo
//! each other's work.
//!
//! Two locks hold together. A file in the runtime directory names its holder to a second process of
//! the same unit. Other units and users have directories of their own, so an abstract UNIX socket
//! named by the key holds across them, for the whole machine: its name belongs to the network
//! namespace, and goes when its process goes. Anybody on the machine could take the name first; that
//! stops driftless with a message, and gives nothing away.

use crate::model::Moment;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The right to work with a key, held until dropped or the process is gone.
#[derive(Debug)]
pub struct KeyLock {
    // Given back before the file, as it was taken after it: whoever gets the file finds it free.
    _socket: Option<UnixDatagram>,
    // The lock lives as long as the open file. The file itself stays: deleting it would let a third
    // process lock a new file of the same name while a second one holds the old.
    _file: File,
}

/// The keys that this process works with: its shops may share one.
#[derive(Clone, Debug)]
pub(super) struct KeyLocks(Arc<Locks>);

#[derive(Debug)]
struct Locks {
    dir: PathBuf,
    /// By fingerprint, with the number of its holders.
    held: Mutex<BTreeMap<String, (KeyLock, usize)>>,
}

/// One shop's part in a lock; the last one gives the key back.
#[derive(Debug)]
pub(super) struct SharedLock {
    locks: KeyLocks,
    fingerprint: String,
}

impl KeyLocks {
    pub fn new(dir: PathBuf) -> Self {
        let held = Mutex::default();
        Self(Arc::new(Locks { dir, held }))
    }

    /// Locks the key for this process, unless it is locked by it already.
    pub fn share(&self, fingerprint: &str, now: Moment) -> Result<SharedLock, LockError> {
        let mut held = self.held();
        match held.get_mut(fingerprint) {
            Some((_, holders)) => *holders += 1,
            None => {
                let lock = KeyLock::acquire(&self.0.dir, fingerprint, now)?;
                held.insert(fingerprint.to_owned(), (lock, 1));
            }
        }
        drop(held);
        let (locks, fingerprint) = (self.clone(), fingerprint.to_owned());
        Ok(SharedLock { locks, fingerprint })
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (KeyLock, usize)>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SharedLock {
    fn drop(&mut self) {
        let mut held = self.locks.held();
        if let Some((_, holders)) = held.get_mut(&self.fingerprint) {
            *holders -= 1;
            if *holders == 0 {
                held.remove(&self.fingerprint);
            }
        }
    }
}

/// The key cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else works with the key.
    #[error("the Klaviyo key is in use by another process ({holder}; lock {}); stop that one first", path.display())]
    Held {
        /// The lock file, or the socket's name after an `@`.
        path: PathBuf,
        /// Who holds it, by its own words.
        holder: String,
    },
    /// The file system does not play along.
    #[error("cannot lock {}: {source}; check the owner of that directory", path.display())]
    Io {
        /// The lock file or its directory.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// Others could tamper with the lock.
    #[error("{} can be written to by other users; remove it, or chmod 700 and chown it", path.display())]
    Exposed {
        /// The directory.
        path: PathBuf,
    },
}

impl LockError {
    /// The exit code (reliability.md, section 10): 75 for a held lock, 77 otherwise.
    pub fn exit(&self) -> u8 {
        match self {
            Self::Held { .. } => 75,
            Self::Io { .. } | Self::Exposed { .. } => 77,
        }
    }
}

/// Where locks are kept: `$RUNTIME_DIRECTORY` (the first, when systemd made several), else
/// `driftless-locks` in the system's directory for temporary files.
pub fn lock_dir() -> PathBuf {
    let given = std::env::var_os("RUNTIME_DIRECTORY");
    let first = given.and_then(|dirs| std::env::split_paths(&dirs).next());
    let first = first.filter(|dir| dir.is_absolute());
    first.unwrap_or_else(|| std::env::temp_dir().join("driftless-locks"))
}

impl KeyLock {
    /// Locks the key with this fingerprint, or says who has it.
    pub fn acquire(dir: &Path, fingerprint: &str, now: Moment) -> Result<Self, LockError> {
        let path = own_directory(dir)?.join(format!("driftless-{fingerprint}.lock"));
        let at = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o600);
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        let mut file = options.open(&path).map_err(at)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = holder(&mut file);
                return Err(LockError::Held { path, holder });
            }
            Err(TryLockError::Error(source)) => return Err(at(source)),
        }
        let name = format!("driftless-{fingerprint}");
        let socket = unless_forbidden(bind(&name)).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => LockError::Held {
                path: format!("@{name}").into(),
                holder: "of another unit or user of this machine".to_owned(),
            },
            _ => at(error),
        })?;
        file.set_len(0).map_err(at)?;
        let note = format!("pid {} since {now}", std::process::id());
        file.write_all(note.as_bytes()).map_err(at)?;
        Ok(Self {
            _socket: socket,
            _file: file,
        })
    }
}

/// Takes an abstract name, which one socket on the machine can have at a time.
fn bind(name: &str) -> io::Result<UnixDatagram> {
    UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?)
}

/// `None` where UNIX sockets are not allowed: the file alone must do there.
fn unless_forbidden(bound: io::Result<UnixDatagram>) -> io::Result<Option<UnixDatagram>> {
    let unsupported = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    match bound {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if error.raw_os_error() == Some(unsupported) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the directory where it is missing and refuses one that others could have prepared. Returns
/// it without links in its path, so that nobody can bend one between this look and the next step.
fn own_directory(dir: &Path) -> Result<PathBuf, LockError> {
    let at = |source| LockError::Io {
        path: dir.to_owned(),
        source,
    };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(at)?;
    let path = fs::canonicalize(dir).map_err(at)?;
    let found = fs::symlink_metadata(&path).map_err(at)?;
    let trusted = [0, rustix::process::geteuid().as_raw()].contains(&found.uid());
    match found.is_dir() && trusted && found.mode() & 0o022 == 0 {
        true => Ok(path),
        false => Err(LockError::Exposed { path }),
    }
}

fn holder(file: &mut File) -> String {
    let mut note = String::new();
    // The holder may just be writing its note, and the file is only a courtesy.
    let read = file.take(100).read_to_string(&mut note);
    match read.is_ok() && note.starts_with("pid ") {
        true => note.replace(char::is_control, " "),
        false => "it left no name".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    const NOW: Moment = Moment::from_secs(1_700_000_000);

    /// A key of this test alone: names of sockets are the whole machine's.
    fn key(test: &str) -> String {
        format!("{test}{}", std::process::id())
    }

    #[test]
    fn a_second_holder_is_refused_and_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let (key, locks) = (key("second"), dir.path().join("locks"));
        let held = KeyLock::acquire(&locks, &key, NOW).unwrap();
        let error = KeyLock::acquire(&locks, &key, NOW).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.exit(), 75);
        let holder = format!("pid {} since 2023-11-14T22:13:20Z", std::process::id());
        assert!(text.contains(&holder), "{text}");
        KeyLock::acquire(&locks, &format!("{key}x"), NOW).unwrap();
        drop(held);
        KeyLock::acquire(&locks, &key, NOW).unwrap();
    }

    #[test]
    fn shops_of_one_process_share_a_key_until_the_last_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let key = key("shared");
        let locks = KeyLocks::new(dir.path().to_owned());
        let first = locks.share(&key, NOW).unwrap();
        let second = locks.share(&key, NOW).unwrap();
        drop(first);
        KeyLock::acquire(dir.path(), &key, NOW).unwrap_err();
        drop(second);
        KeyLock::acquire(dir.path(), &key, NOW).unwrap();
    }

    #[test]
    fn a_holder_with_another_runtime_directory_is_noticed() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = key("elsewhere");
        let held = KeyLock::acquire(theirs.path(), &key, NOW).unwrap();
        let error = KeyLock::acquire(ours.path(), &key, NOW).unwrap_err();
        assert_eq!(error.exit(), 75);
        let text = error.to_string();
        assert!(text.contains("another unit or user"), "{text}");
        assert!(text.contains(&format!("lock @driftless-{key}")), "{text}");
        drop(held);
        let held = KeyLock::acquire(ours.path(), &key, NOW).unwrap();
        KeyLock::acquire(theirs.path(), &key, NOW).unwrap_err();
        drop(held);
        KeyLock::acquire(theirs.path(), &key, NOW).unwrap();
    }

    #[test]
    fn where_unix_sockets_are_forbidden_the_file_alone_does() {
        use rustix::io::Errno;
        let after = |errno: Errno| unless_forbidden(Err(errno.into()));
        for errno in [Errno::AFNOSUPPORT, Errno::ACCESS, Errno::PERM] {
            assert!(after(errno).unwrap().is_none(), "{errno}");
        }
        for errno in [Errno::ADDRINUSE, Errno::MFILE] {
            let error = after(errno).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(errno.raw_os_error()));
        }
        let free = bind(&key("free"));
        assert!(unless_forbidden(free).unwrap().is_some());
    }

    #[test]
    fn a_shorter_note_leaves_nothing_of_a_longer_one() {
        let dir = tempfile::tempdir().unwrap();
        let key = key("note");
        let path = dir.path().join(format!("driftless-{key}.lock"));
        fs::write(&path, "pid 4194304 since 2099-12-31T23:59:59.999Z and more").unwrap();
        let _held = KeyLock::acquire(dir.path(), &key, NOW).unwrap();
        let note = fs::read_to_string(path).unwrap();
        assert!(note.ends_with("since 2023-11-14T22:13:20Z"), "{note}");
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = KeyLock::acquire(dir.path(), &key("exposed"), NOW).unwrap_err();
        assert!(matches!(error, LockError::Exposed { .. }));
        assert_eq!(error.exit(), 77);
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        let key = key("planted");
        symlink(&victim, dir.path().join(format!("driftless-{key}.lock"))).unwrap();
        let error = KeyLock::acquire(dir.path(), &key, NOW).unwrap_err();
        assert!(matches!(error, LockError::Io { .. }));
        assert_eq!(fs::read_to_string(victim).unwrap(), "precious");
    }
}
