//! One shop's state in one file, and back: the mirror as it lies, the journal byte for byte, and the
//! key of the pseudonyms in logs.
//!
//! # Form
//!
//! | what | how |
//! |---|---|
//! | title | the line `driftless backup 2`; the number is the format |
//! | [`Header`] | a line of JSON |
//! | values of the mirror, by key | `1`, length of the key (u32), key, length of the value (u32), value as it lies, with its own checksum |
//! | files of the journal, from the first | `2`, length (u64), bytes |
//! | key of the pseudonyms | `3`, length (u64), bytes |
//! | end mark | number of parts (u64), SHA-256 over everything before it, the line `end of driftless backup` |
//!
//! Numbers are little endian. It holds what mirror and journal hold, sealed as there; the keys are not in
//! it ([`crate::vault`]).
//!
//! # Consistency
//!
//! A copy must belong to one moment: no cursor ahead of its records, no receipt without its intent.
//! So it is taken between two passes, when nobody writes. In the daemon the task that owns the shop
//! takes it, after the pass under way; elsewhere whoever asks holds the locks on mirror and journal.
//! [`Mirror::copy`](crate::mirror::Mirror::copy) lets no page be committed meanwhile, and the journal
//! comes after it, so that even a careless caller gets every intent that a receipt rests on.
//!
//! # Restoring
//!
//! The file is checked from its title to its end mark before anything is made of it. Then everything
//! is built and audited in `restoring` within the state directory, which is renamed to `restored`:
//! before this nothing was restored, after it everything is, for whoever opens the shop moves it to
//! its place first ([`settle`]).

mod draft;
mod error;
mod file;
mod restore;
mod write;

#[cfg(test)]
mod tests;

pub use draft::{Draft, spool};
pub use error::BackupError;
pub use file::{Backup, Header};
pub use restore::{restore, settle};
pub use write::{Source, write};
