//! Ids that look like the vendor's.

use super::world::KlaviyoWorld;
use crate::model::Moment;
use fastrand::Rng;

/// Crockford's base 32, as ULIDs use it.
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A ULID of an instant: ten characters of time, sixteen of chance.
pub fn ulid(at: Moment, rng: &mut Rng) -> String {
    let millis = u64::try_from(at.0).unwrap_or(0);
    let time = (0..10)
        .rev()
        .map(|place| BASE32[(millis >> (5 * place) & 31) as usize] as char);
    let mut id: String = time.collect();
    id.extend((0..16).map(|_| BASE32[rng.usize(..32)] as char));
    id
}

/// Six letters and digits: a list, segment, metric or account.
pub fn short(rng: &mut Rng) -> String {
    text(6, rng)
}

/// Eleven letters and digits: an event.
pub fn event(rng: &mut Rng) -> String {
    text(11, rng)
}

fn text(length: usize, rng: &mut Rng) -> String {
    (0..length)
        .map(|_| ALPHANUMERIC[rng.usize(..ALPHANUMERIC.len())] as char)
        .collect()
}

impl KlaviyoWorld {
    /// A generator for the next id that the server gives out; never the same twice.
    pub(super) fn mint(&mut self) -> Rng {
        self.minted += 1;
        Rng::with_seed(self.minted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ulid_sorts_by_its_time() {
        let mut rng = Rng::with_seed(1);
        let early = ulid(Moment::from_secs(1_700_000_000), &mut rng);
        let late = ulid(Moment::from_secs(1_700_000_001), &mut rng);
        assert!(early < late);
        assert_eq!(early.len(), 26);
        assert!(early.starts_with("01H"), "{early}");
    }
}
