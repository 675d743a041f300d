//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): nonces of 24 bytes, which may be drawn at random.

use super::VaultError;
use super::tree::Key;
use chacha20::{R20, hchacha};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

const NONCE_BYTES: usize = 24;

/// Random bytes from the system.
pub(super) fn random<const BYTES: usize>() -> Result<[u8; BYTES], VaultError> {
    let mut bytes = [0; BYTES];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| VaultError::NoRandom)?;
    Ok(bytes)
}

/// Appends a new nonce, the sealed text and its tag.
pub(super) fn seal(
    key: &Key,
    context: &[u8],
    plain: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), VaultError> {
    let nonce = random()?;
    out.extend_from_slice(&nonce);
    let start = out.len();
    out.extend_from_slice(plain);
    let (key, nonce) = chacha(key, &nonce);
    let sealed = key.seal_in_place_separate_tag(nonce, Aad::from(context), &mut out[start..]);
    let tag = sealed.expect("less than 256 GiB");
    out.extend_from_slice(tag.as_ref());
    Ok(())
}

/// Appends the plain text; `None`, and nothing appended, when it was not sealed so.
pub(super) fn open(key: &Key, context: &[u8], sealed: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (nonce, sealed) = sealed.split_first_chunk()?;
    let start = out.len();
    out.extend_from_slice(sealed);
    let (key, nonce) = chacha(key, nonce);
    let opened = key.open_in_place(nonce, Aad::from(context), &mut out[start..]);
    let length = opened.ok().map(|plain| plain.len());
    out.truncate(start + length.unwrap_or_default());
    length.map(drop)
}

/// HChaCha20 takes the first 16 bytes of the nonce into the key; the other 8 go to ChaCha20, behind
/// four zeros.
fn chacha(key: &Key, nonce: &[u8; NONCE_BYTES]) -> (LessSafeKey, Nonce) {
    let [first @ .., _, _, _, _, _, _, _, _] = *nonce;
    let mut rest = [0; 12];
    rest[4..].copy_from_slice(&nonce[16..]);
    let first: [u8; 16] = first;
    let subkey = hchacha::<R20>(&(*key).into(), &first.into());
    let key = UnboundKey::new(&CHACHA20_POLY1305, &subkey).expect("a key has 32 bytes");
    (LessSafeKey::new(key), Nonce::assume_unique_for_key(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        std::array::from_fn(byte)
    }

    #[test]
    fn the_draft_s_example_opens() {
        // draft-irtf-cfrg-xchacha-03, appendix A.3.1.
        let key = std::array::from_fn(|n| 0x80 + n as u8);
        let nonce: [u8; 24] = std::array::from_fn(|n| 0x40 + n as u8);
        let context: [u8; 12] = bytes("50515253c0c1c2c3c4c5c6c7");
        let text = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip \
                    for the future, sunscreen would be it.";
        let tag: [u8; 16] = bytes("c0875924c1c7987947deafd8780acf49");
        let sealed: [u8; 114] = bytes(
            "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb\
             731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452\
             2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9\
             21f9664c97637da9768812f615c68b13b52e",
        );
        let whole = [&nonce[..], &sealed, &tag].concat();
        let mut out = b"before".to_vec();
        open(&key, &context, &whole, &mut out).unwrap();
        assert_eq!(out, [b"before", text.as_bytes()].concat());
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_and_context_alone() {
        let (key, other) = ([1; 32], [2; 32]);
        let (mut sealed, mut again) = (Vec::new(), Vec::new());
        seal(&key, b"here", b"plain", &mut sealed).unwrap();
        seal(&key, b"here", b"plain", &mut again).unwrap();
        assert_ne!(sealed, again);
        let mut out = Vec::new();
        assert_eq!(open(&key, b"here", &sealed, &mut out), Some(()));
        assert_eq!(out, b"plain");
        assert_eq!(open(&other, b"here", &sealed, &mut out), None);
        assert_eq!(open(&key, b"there", &sealed, &mut out), None);
        for length in 0..sealed.len() {
            assert_eq!(open(&key, b"here", &sealed[..length], &mut out), None);
        }
        for byte in 0..sealed.len() {
            let mut torn = sealed.clone();
            torn[byte] ^= 1;
            assert_eq!(open(&key, b"here", &torn, &mut out), None);
        }
        assert_eq!(out, b"plain");
    }
}
