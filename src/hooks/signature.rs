//! Whether a body comes from whom it says: HMAC-SHA256 over its raw bytes, before anything is parsed.

use crate::config::SigningSecrets;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Which secret a signature was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignedBy {
    Current,
    Old,
}

/// Shopify's: base64 over the body.
pub(super) fn of_shopify(secrets: &SigningSecrets, body: &[u8], header: &str) -> Option<SignedBy> {
    let given = BASE64.decode(header.trim()).ok()?;
    signed_by(secrets, &[body], &given)
}

/// Klaviyo's: hexadecimal over the body and, right behind it, the header `Klaviyo-Timestamp`.
pub(super) fn of_klaviyo(
    secrets: &SigningSecrets,
    body: &[u8],
    timestamp: &[u8],
    header: &str,
) -> Option<SignedBy> {
    let given = bytes_of_hex(header.trim())?;
    signed_by(secrets, &[body, timestamp], &given)
}

fn signed_by(secrets: &SigningSecrets, parts: &[&[u8]], given: &[u8]) -> Option<SignedBy> {
    if is_by(&secrets.current, parts, given) {
        return Some(SignedBy::Current);
    }
    let old = secrets.old.as_ref()?;
    is_by(old, parts, given).then_some(SignedBy::Old)
}

/// In constant time: how long it takes tells nothing of how much was right.
fn is_by(secret: &SecretString, parts: &[&[u8]], given: &[u8]) -> bool {
    let key = secret.expose_secret().as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.verify_slice(given).is_ok()
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secrets(current: &str, old: Option<&str>) -> SigningSecrets {
        SigningSecrets {
            current: current.into(),
            old: old.map(Into::into),
        }
    }

    /// Computed with another library (Python's hmac).
    const BODY: &[u8] = br#"{"id":1,"updated_at":"2026-11-01T00:00:00Z"}"#;
    const SHOPIFY: &str = "3NNLCYh8d3ZB0FwEDX+2TBBfUL/AzLpvcVveTEwjbSA=";
    const TIMESTAMP: &[u8] = b"Sun, 01 Nov 2026 00:00:00 GMT";
    const KLAVIYO: &str = "001e2af481046d950bf516f7c4b84fda85b129fc2e1a1e934ead449ecdc76b0a";

    #[test]
    fn known_signatures_are_recognised() {
        let both = secrets("another-secret", Some("test-secret"));
        let one = secrets("test-secret", None);
        let shopify = |secrets| of_shopify(secrets, BODY, SHOPIFY);
        assert_eq!(shopify(&one), Some(SignedBy::Current));
        assert_eq!(shopify(&both), Some(SignedBy::Old));
        assert_eq!(shopify(&secrets("another-secret", None)), None);
        let klaviyo = |header: &str| of_klaviyo(&one, BODY, TIMESTAMP, header);
        assert_eq!(klaviyo(KLAVIYO), Some(SignedBy::Current));
        assert_eq!(klaviyo(&KLAVIYO.to_uppercase()), Some(SignedBy::Current));
        assert_eq!(of_klaviyo(&one, BODY, b"Mon, 02 Nov 2026", KLAVIYO), None);
    }

    #[test]
    fn no_signature_that_is_short_or_garbled_is_taken() {
        let one = secrets("test-secret", None);
        let cut = SHOPIFY.len() - 4;
        for wrong in ["", "=", "AA==", &SHOPIFY[..cut], &SHOPIFY[..40], "ünsigned"] {
            assert_eq!(of_shopify(&one, BODY, wrong), None, "{wrong}");
        }
        for wrong in ["", "0", "zz", &KLAVIYO[..62], &KLAVIYO[..63], "+1+1"] {
            assert_eq!(of_klaviyo(&one, BODY, TIMESTAMP, wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_header_nobody_signs_without_the_secret(
            header in ".*", body in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let one = secrets("test-secret", None);
            prop_assert_eq!(of_shopify(&one, &body, &header), None);
            prop_assert_eq!(of_klaviyo(&one, &body, b"", &header), None);
        }
    }
}
