//! Samples by hash: the same people every time (analytics.md, section 9).

use super::extension::Sample;
use sha2::{Digest, Sha256};

/// Buckets of ten thousand, from one up to another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Buckets {
    salt: String,
    from: u64,
    to: u64,
}

/// How many buckets there are.
const BUCKETS: u128 = 10_000;

impl Buckets {
    /// `None` when they lie beyond the last one, or end before they begin.
    pub(super) fn compile(sample: &Sample) -> Option<Self> {
        let fits = sample.from <= sample.to && u128::from(sample.to) <= BUCKETS;
        fits.then(|| Self {
            salt: sample.salt.clone(),
            from: sample.from.into(),
            to: sample.to.into(),
        })
    }

    /// Whether an id falls into one of them.
    pub(super) fn hold(&self, id: &str) -> bool {
        (self.from..self.to).contains(&bucket(&self.salt, id))
    }
}

/// The first eight bytes of SHA-256 over salt, 0x1F and id, scaled to the number of buckets.
fn bucket(salt: &str, id: &str) -> u64 {
    let mut hash = Sha256::new();
    hash.update(salt.as_bytes());
    hash.update([0x1F]);
    hash.update(id.as_bytes());
    let digest = hash.finalize();
    let head = digest.first_chunk().copied().unwrap_or_default();
    let scaled = (u128::from(u64::from_be_bytes(head)) * BUCKETS) >> 64;
    u64::try_from(scaled).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn every_golden_id_falls_into_its_bucket() {
        let Some(golden) = golden::json("ab/hash_sampling.json") else {
            return;
        };
        let salt = golden["salt"].as_str().unwrap();
        let cases = golden["cases"].as_array().unwrap();
        assert!(!cases.is_empty());
        for case in cases {
            let id = case["id"].as_str().unwrap();
            assert_eq!(Some(bucket(salt, id)), case["bucket10000"].as_u64(), "{id}");
        }
    }
}
