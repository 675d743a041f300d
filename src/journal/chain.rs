//! What makes a journal's past hard to rewrite: every append is closed with a hash over itself and
//! the hash before it, so that whoever kept one of them can tell whether what led to it is still the
//! same.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use std::fmt;

/// A SHA-256 over all appends up to one of them; of none, it is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link([u8; 32]);

impl Link {
    /// The link of an append whose lines these are, the commit line left out.
    pub(super) fn after(self, lines: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(lines);
        Self(hash.finalize().into())
    }
}

/// The links of a journal that is being read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chain {
    pub(super) link: Link,
    /// Only the appends of old, before all others, state none.
    is_stated: bool,
}

impl Chain {
    /// Goes on with an append; whether it states what it should.
    pub(super) fn append(&mut self, lines: &[u8], stated: Option<Link>) -> bool {
        self.link = self.link.after(lines);
        let holds = match stated {
            Some(stated) => stated == self.link,
            None => !self.is_stated,
        };
        self.is_stated |= stated.is_some();
        holds
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let byte = |at: usize| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..32).map(byte).collect();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        let link = bytes.map(Self).filter(|link| link.to_string() == text);
        link.ok_or_else(|| de::Error::custom("a link has 64 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_depends_on_everything_before_it() {
        let none = Link::default();
        let (one, other) = (none.after(b"a\n"), none.after(b"b\n"));
        assert_ne!(one, other);
        assert_ne!(one.after(b"c\n"), other.after(b"c\n"));
        assert_ne!(one.after(b"c\n"), none.after(b"a\nc\n"));
    }

    #[test]
    fn an_append_without_a_link_is_of_old_only_before_the_first_that_has_one() {
        let mut chain = Chain::default();
        assert!(chain.append(b"a\n", None));
        let stated = chain.link.after(b"b\n");
        assert!(chain.append(b"b\n", Some(stated)));
        assert_eq!(chain.link, stated);
        assert!(!chain.append(b"c\n", None));
        assert!(!Chain::default().append(b"b\n", Some(stated)));
    }

    #[test]
    fn a_link_comes_back_from_its_digits() {
        let link = Link::default().after(b"a\n");
        let json = serde_json::to_string(&link).unwrap();
        assert_eq!(serde_json::from_str::<Link>(&json).unwrap(), link);
        let upper = json.to_uppercase();
        for wrong in [&json[..40], "\"\"", upper.as_str(), "\"ä\""] {
            assert!(serde_json::from_str::<Link>(wrong).is_err(), "{wrong}");
        }
    }
}
