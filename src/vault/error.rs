use std::io;
use std::path::PathBuf;

/// Why the vault cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A file operation failed.
    #[error("cannot {action} {}: {source}; check space and permissions there", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others may read it.
    #[error("{} has mode {mode:04o}, and whoever reads it can open mirror and backups: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its bytes are not as they were written.
    #[error(
        "{} is damaged: put your copy of it back. Without one, move it away and `driftless rebuild`; who was \
         forgotten is known no more then, and taken in again if the vendors still show them", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later version.
    #[error("{} has format {found}, this driftless reads {known}: use the version that wrote it", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u8,
        /// The format read here.
        known: u8,
    },
    /// It was sealed with a store key, and there is none.
    #[error("{} is sealed with a store key: set shop.store_key to the one it was sealed with", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The config names a store key that cannot be had.
    #[error("shop.store_key cannot be had: {why}")]
    NoStoreKey {
        /// Why not, and what helps.
        why: String,
    },
    /// The store key is not the one it was sealed with.
    #[error("shop.store_key does not open {}: give the key it was sealed with; if it is that, the file is damaged", path.display())]
    WrongKey {
        /// The file.
        path: PathBuf,
    },
    /// The key of a subject that was forgotten is gone for good.
    #[error("this person was forgotten, and nothing of them is kept")]
    Forgotten,
    /// The system's random number generator failed.
    #[error("the system gave no random bytes")]
    NoRandom,
}

impl VaultError {
    pub(super) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
