//! The keys to every person's records at rest, one for each, destroyed one by one.
//!
//! What a log-structured store or a backup once held cannot be taken back from it. So profiles,
//! customers, guests and the values of intents are sealed before they are written, in the mirror and in the journal, each with the key of the
//! record they belong to (XChaCha20-Poly1305); to forget somebody is to destroy their keys, wherever
//! the sealed bytes lie. The keys hang in a tree that needs no room for them until one is destroyed.
//!
//! All is one small file, `vault` in the state directory. It is in no backup: copy it elsewhere, and
//! replace the copy after everybody who is forgotten. Without it mirror, journal and backups stay
//! closed. It also remembers, by a keyed hash, who was forgotten, so that nobody comes back unseen.

mod cipher;
mod error;
mod file;
mod tree;

#[cfg(test)]
mod tests;

pub use error::VaultError;
pub use file::vault_file;

use crate::model::{CustomerId, Moment, ProfileId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tree::{Key, Leaf, Tree};

/// Whose record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A Klaviyo profile.
    Profile(&'a ProfileId),
    /// A Shopify customer.
    Customer(CustomerId),
    /// An e-mail address, in lower case.
    Address(&'a str),
}

/// A keyed hash of a subject: names it to this vault, and to nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark([u8; 16]);

impl Mark {
    /// Its bytes, for a key in a store.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Leaves and marks agree on their first bytes.
    fn leaf(self) -> Leaf {
        let [a, b, c, d, e, f, ..] = self.0;
        Leaf::from_bytes([a, b, c, d, e, f])
    }
}

impl From<[u8; 16]> for Mark {
    /// What [`Mark::bytes`] gave.
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Mark {
    /// Its bytes in base64: 22 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0))
    }
}

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = BASE64.decode(text).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        let mark = bytes.map(Self);
        mark.ok_or_else(|| de::Error::custom("a mark has 16 bytes in base64"))
    }
}

/// Why a sealed value does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Its key was destroyed.
    Forgotten,
    /// It is damaged, or was sealed by another vault.
    Foreign,
}

/// One shop's vault. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Vault(Arc<Shared>);

struct Shared {
    path: PathBuf,
    store_key: Option<Key>,
    content: RwLock<Content>,
}

/// The keys that are left at one moment, for a sweep that opens many values: who is forgotten after it
/// is still opened by it.
#[derive(Clone)]
pub struct Keys(Arc<Tree>);

#[derive(Clone)]
struct Content {
    /// Of the marks; never changes.
    mark_key: Key,
    marks: Hmac<Sha256>,
    tree: Arc<Tree>,
    /// Who was forgotten, and when.
    forgotten: BTreeMap<Mark, Moment>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// Reads `<state_dir>/vault`; where there is none, this is a new one. Writes nothing: that is for
    /// whoever gets the lock on the state directory, by [`Vault::take_up`].
    ///
    /// # Errors
    /// A file that is damaged or open to others, the wrong store key or none where one is needed.
    pub fn open(state_dir: &Path, store_key: Option<&SecretString>) -> Result<Self, VaultError> {
        let path = vault_file(state_dir);
        let store_key = store_key.map(file::store_key);
        let content = match file::read(&path, store_key.as_ref())? {
            Some(content) => content,
            None => Content::new()?,
        };
        Ok(Self(Arc::new(Shared {
            path,
            store_key,
            content: RwLock::new(content),
        })))
    }

    /// Takes up what is in the file now, and finishes what a kill left half done; makes the file, with
    /// mode 0600, where there is none. With a store key the file itself is sealed from then on. For whoever has
    /// just got the lock on the state directory; until then another process may have written.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn take_up(&self) -> Result<(), VaultError> {
        let Shared {
            path, store_key, ..
        } = &*self.0;
        file::tidy(path)?;
        match file::read(path, store_key.as_ref())? {
            Some(found) => *self.content_mut() = found,
            None => return file::create(path, &self.content(), store_key.as_ref()),
        }
        if store_key.is_some() && !file::is_sealed(path)? {
            let content = self.content().clone();
            file::replace(path, &content, store_key.as_ref())?.overwrite()?;
        }
        Ok(())
    }

    /// Whether there is a file.
    pub fn is_kept(&self) -> bool {
        self.0.path.exists()
    }

    /// Tells this vault from every other, and never changes.
    pub fn id(&self) -> Mark {
        self.digest(0, b"vault")
    }

    /// The mark of a subject.
    pub fn mark(&self, subject: Subject<'_>) -> Mark {
        match subject {
            Subject::Profile(id) => self.digest(1, id.as_str().as_bytes()),
            Subject::Customer(id) => self.digest(2, &id.0.to_be_bytes()),
            Subject::Address(email) => self.digest(3, email.as_bytes()),
        }
    }

    fn digest(&self, kind: u8, id: &[u8]) -> Mark {
        let mut mac = self.content().marks.clone();
        mac.update(&[kind]);
        mac.update(id);
        let digest = mac.finalize().into_bytes();
        Mark(*digest.first_chunk().expect("SHA-256 has 32 bytes"))
    }

    /// Appends a value, sealed for a subject. The same context opens it again.
    ///
    /// # Errors
    /// When the subject was forgotten, or the system gives no random bytes.
    pub fn seal(
        &self,
        whose: Mark,
        context: &[u8],
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), VaultError> {
        let key = self.content().tree.key(whose.leaf());
        let key = key.ok_or(VaultError::Forgotten)?;
        out.extend_from_slice(&whose.leaf().to_bytes());
        cipher::seal(&key, context, plain, out)
    }

    /// The keys as they are now.
    pub fn keys(&self) -> Keys {
        Keys(self.content().tree.clone())
    }

    /// Whether a subject was forgotten.
    pub fn is_forgotten(&self, whose: Subject<'_>) -> bool {
        // Mostly nobody was, and then nothing needs hashing.
        !self.content().forgotten.is_empty() && self.is_gone(self.mark(whose))
    }

    /// Whether a mark was forgotten, or shares its key with one that was.
    pub fn is_gone(&self, whose: Mark) -> bool {
        let content = self.content();
        content.forgotten.contains_key(&whose) || content.tree.key(whose.leaf()).is_none()
    }

    /// When a subject was forgotten.
    pub fn forgotten(&self, whose: Mark) -> Option<Moment> {
        self.content().forgotten.get(&whose).copied()
    }

    /// How many subjects were forgotten.
    pub fn count_forgotten(&self) -> u64 {
        self.content().forgotten.len() as u64
    }

    /// Destroys the keys of subjects and remembers that they are forgotten. On `Ok` that survives a
    /// power cut, and what the file held before is overwritten. Only for whoever has the lock on the
    /// state directory.
    ///
    /// # Errors
    /// Whatever the file system says; [`Vault::is_gone`] tells whether it was done nevertheless.
    pub fn forget(&self, subjects: &[Mark], now: Moment) -> Result<(), VaultError> {
        let mut content = self.content_mut();
        let mut after = content.clone();
        for mark in subjects {
            Arc::make_mut(&mut after.tree).destroy(mark.leaf());
            after.forgotten.entry(*mark).or_insert(now);
        }
        let old = file::replace(&self.0.path, &after, self.0.store_key.as_ref())?;
        *content = after;
        old.overwrite()
    }

    /// Destroys every key there is, for good; what was ever sealed stays closed, and nothing can be sealed
    /// any more. On `Ok` that survives a power cut, and what the file held before is overwritten. Only for
    /// whoever has the lock on the state directory.
    ///
    /// # Errors
    /// Whatever the file system says; [`Vault::is_destroyed`] tells whether it was done nevertheless.
    pub fn destroy(&self) -> Result<(), VaultError> {
        let mut content = self.content_mut();
        // Other marks than before: the old ones name nobody without their key.
        let after = Content::of(cipher::random()?, Tree::of([]), BTreeMap::new());
        let old = file::replace(&self.0.path, &after, self.0.store_key.as_ref())?;
        *content = after;
        old.overwrite()
    }

    /// Whether every key was destroyed.
    pub fn is_destroyed(&self) -> bool {
        self.content().tree.nodes().next().is_none()
    }

    fn content_mut(&self) -> RwLockWriteGuard<'_, Content> {
        let content = self.0.content.write();
        content.unwrap_or_else(PoisonError::into_inner)
    }

    fn content(&self) -> RwLockReadGuard<'_, Content> {
        let content = self.0.content.read();
        content.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys {
    /// Appends what a sealed value says.
    ///
    /// # Errors
    /// When its key is gone or is no key of it; then nothing is appended.
    pub fn unseal(&self, context: &[u8], sealed: &[u8], out: &mut Vec<u8>) -> Result<(), Closed> {
        let (leaf, sealed) = sealed.split_first_chunk().ok_or(Closed::Foreign)?;
        let key = self.0.key(Leaf::from_bytes(*leaf));
        let key = key.ok_or(Closed::Forgotten)?;
        cipher::open(&key, context, sealed, out).ok_or(Closed::Foreign)
    }
}

impl Content {
    fn new() -> Result<Self, VaultError> {
        let (mark_key, root) = (cipher::random()?, cipher::random()?);
        Ok(Self::of(mark_key, Tree::new(root), BTreeMap::new()))
    }

    fn of(mark_key: Key, tree: Tree, forgotten: BTreeMap<Mark, Moment>) -> Self {
        Self {
            mark_key,
            marks: Hmac::new_from_slice(&mark_key).expect("HMAC takes a key of any length"),
            tree: Arc::new(tree),
            forgotten,
        }
    }
}
