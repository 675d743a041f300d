//! The envelope of every value: a version byte, the payload, a checksum.
//!
//! The checksum (CRC32C, little endian) covers the key as well, so that a sound value under a
//! wrong key is noticed too.

use super::{MirrorError, shelf::Shelf};
use serde::{Deserialize, Serialize};

/// The one format this version reads and writes: postcard does not say what it holds, so that every
/// change of a record's shape is a new one.
pub(super) const VERSION: u8 = 8;

const CRC_BYTES: usize = 4;

/// Version byte and postcard payload; the checksum comes with [`seal`].
pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let start = vec![VERSION];
    postcard::to_extend(value, start).expect("plain data with known lengths always encodes")
}

/// Appends the checksum to version byte and payload.
pub(super) fn seal(key: &[u8], mut body: Vec<u8>) -> Vec<u8> {
    let sum = checksum(key, &body);
    body.extend_from_slice(&sum.to_le_bytes());
    body
}

/// The payload of a sealed value.
pub(super) fn payload<'a>(key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], MirrorError> {
    let (body, sum) = sealed
        .split_last_chunk::<CRC_BYTES>()
        .ok_or_else(|| bad(key))?;
    if checksum(key, body) != u32::from_le_bytes(*sum) {
        return Err(bad(key));
    }
    body_payload(key, body)
}

/// The payload behind the version byte.
pub(super) fn body_payload<'a>(key: &[u8], body: &'a [u8]) -> Result<&'a [u8], MirrorError> {
    match body.split_first() {
        Some((&VERSION, payload)) => Ok(payload),
        Some((&found, _)) if found > VERSION => Err(MirrorError::Newer {
            shelf: Shelf::name_of(key),
            found,
            known: VERSION,
        }),
        Some((&found, _)) if found > 0 => Err(MirrorError::Older {
            found,
            known: VERSION,
        }),
        _ => Err(bad(key)),
    }
}

/// Texts may be borrowed from the payload.
pub(super) fn decode<'p, T: Deserialize<'p>>(
    key: &[u8],
    payload: &'p [u8],
) -> Result<T, MirrorError> {
    postcard::from_bytes(payload).map_err(|_| bad(key))
}

pub(super) fn bad(key: &[u8]) -> MirrorError {
    MirrorError::BadValue {
        shelf: Shelf::name_of(key),
    }
}

fn checksum(key: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_is_noticed() {
        let key = Shelf::Lists.key(&[b"AbC123"]);
        let sealed = seal(&key, encode("some text"));
        assert_eq!(
            decode::<String>(&key, payload(&key, &sealed).unwrap()).unwrap(),
            "some text"
        );
        for bit in 0..sealed.len() * 8 {
            let mut torn = sealed.clone();
            torn[bit / 8] ^= 1 << (bit % 8);
            let refused = payload(&key, &torn);
            assert!(
                matches!(refused, Err(MirrorError::BadValue { shelf: "lists" })),
                "bit {bit}"
            );
        }
        for length in 0..sealed.len() {
            assert!(payload(&key, &sealed[..length]).is_err());
        }
        assert!(payload(&Shelf::Lists.key(&[b"other"]), &sealed).is_err());
    }

    #[test]
    fn an_older_format_is_refused_with_its_remedy() {
        let key = Shelf::Profiles.key(&[b"x"]);
        let sealed = seal(&key, vec![VERSION - 1, 7]);
        let refused = payload(&key, &sealed).unwrap_err();
        assert!(matches!(refused, MirrorError::Older { .. }));
        assert!(refused.to_string().contains("driftless rebuild"));
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let key = Shelf::Segments.key(&[b"x"]);
        let sealed = seal(&key, vec![VERSION + 1, 7]);
        let refused = payload(&key, &sealed).unwrap_err();
        assert!(
            matches!(refused, MirrorError::Newer { shelf: "segments", found, .. } if found == VERSION + 1)
        );
    }
}
