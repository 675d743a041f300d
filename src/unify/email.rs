//! E-mail addresses: their one normal form, the key that tells equal mailboxes, and their quality.
//!
//! Rules: analytics.md, section 8. Syntax is that of addresses which can be delivered to on the
//! public Internet: no quoted local part, no domain literal, no reserved top-level name.

use super::providers;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Octets in a whole address at most (RFC 3696, erratum 1690).
const MAX_LENGTH: usize = 254;

/// A syntactically valid address. The local part keeps its case and spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    local: String,
    domain: String,
}

/// Why a text is no address that can be delivered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `@`.
    #[error("an e-mail address needs an @")]
    NoAt,
    /// The part before the `@` is empty or has characters or dots where none may be.
    #[error("the part before the @ is not valid")]
    Local,
    /// The part after the `@` is no host name with at least one dot.
    #[error("the part after the @ is not valid")]
    Domain,
    /// The top-level name is reserved and never carries mail.
    #[error("the domain is reserved and cannot receive mail")]
    Reserved,
    /// Longer than 254 octets.
    #[error("the address is too long")]
    Length,
}

impl Address {
    /// Reads an address: trimmed, NFC, split at the last `@`, the domain lower-case.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (local, domain) = text.trim().rsplit_once('@').ok_or(AddressError::NoAt)?;
        let local = read_local(local)?;
        let domain = read_domain(domain)?;
        if local.len() + 1 + domain.len() > MAX_LENGTH {
            return Err(AddressError::Length);
        }
        Ok(Self { local, domain })
    }

    /// The part before the `@`, as written.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part after the `@` in the ASCII form that DNS speaks.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The address for eyes, its domain in Unicode.
    pub fn normalized(&self) -> String {
        let (domain, _) = idna::domain_to_unicode(&self.domain);
        format!("{}@{domain}", self.local)
    }

    /// Equal for addresses that reach the same mailbox: the local part in lower case, for Gmail
    /// without dots, without `+tag` where the provider is known to ignore it.
    pub fn match_key(&self) -> String {
        let local = self.local.to_lowercase();
        if matches!(self.domain.as_str(), "gmail.com" | "googlemail.com") {
            let plain = without_tag(&local).replace('.', "");
            let mailbox = if plain.is_empty() { &local } else { &plain };
            return format!("{mailbox}@gmail.com");
        }
        let mailbox = match providers::PLUS_TAGS.contains(&self.domain.as_str()) {
            true => without_tag(&local),
            false => &local,
        };
        format!("{mailbox}@{}", self.domain)
    }

    /// The well-known provider that the domain is one slip away from. Only ever a question to the
    /// person: `qmail.com` exists.
    pub fn suggested_domain(&self) -> Option<&'static str> {
        let domain = self.domain.as_str();
        if providers::WELL_KNOWN.contains(&domain) {
            return None;
        }
        let near = providers::WELL_KNOWN.iter().filter_map(|known| {
            let allowed = allowed_slips(domain, known);
            if least_distance(domain, known) > allowed {
                return None;
            }
            let distance = strsim::damerau_levenshtein(domain, known);
            (distance <= allowed).then_some((distance, *known))
        });
        near.min_by_key(|(distance, _)| *distance)
            .map(|(_, known)| known)
    }

    /// Whether the mailbox belongs to a function, such as `info`.
    pub fn is_role(&self) -> bool {
        providers::ROLES.contains(&self.local.to_lowercase().as_str())
    }

    /// Whether the domain hands out throw-away mailboxes. Slips of well-known providers are parked
    /// by such services too, but whoever typed one meant the provider.
    pub fn is_disposable(&self) -> bool {
        providers::is_disposable(&self.domain) && self.suggested_domain().is_none()
    }

    /// Whether Apple forwards this address to one it keeps secret.
    pub fn is_apple_relay(&self) -> bool {
        self.domain == providers::APPLE_RELAY
    }
}

/// The match key of a text, if it is an address.
pub fn match_key(text: &str) -> Option<String> {
    Address::parse(text).ok().map(|address| address.match_key())
}

fn without_tag(local: &str) -> &str {
    match local.split_once('+') {
        Some((mailbox, _)) if !mailbox.is_empty() => mailbox,
        _ => local,
    }
}

/// A dot-atom (RFC 5322, section 3.4.1) with the Unicode letters of RFC 6531.
fn read_local(text: &str) -> Result<String, AddressError> {
    let local: String = text.nfc().collect();
    let dotted_well = local.split('.').all(|atom| !atom.is_empty());
    let starts_well = !local.starts_with(is_combining_mark);
    if !dotted_well || !starts_well || !local.chars().all(|c| c == '.' || is_atext(c)) {
        return Err(AddressError::Local);
    }
    let lower = local.to_ascii_lowercase();
    let caseless = providers::CASELESS.contains(&lower.as_str());
    Ok(if caseless { lower } else { local })
}

fn is_atext(c: char) -> bool {
    match c.is_ascii() {
        true => c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c),
        false => !c.is_whitespace() && !c.is_control() && !is_invisible(c),
    }
}

/// Format characters, private use and line separators: seen in pasted addresses, never meant.
fn is_invisible(c: char) -> bool {
    matches!(
        u32::from(c),
        0xAD | 0x61C | 0x180E | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F
            | 0xE000..=0xF8FF | 0xFEFF | 0xFFF9..=0xFFFB | 0xE0000..=0x10FFFF
    )
}

fn read_domain(text: &str) -> Result<String, AddressError> {
    let domain = idna::domain_to_ascii_strict(text).map_err(|_| AddressError::Domain)?;
    let ends_in_letter = domain.ends_with(|c: char| c.is_ascii_alphabetic());
    let top = domain.rsplit('.').next().unwrap_or_default();
    if !domain.contains('.') || !ends_in_letter {
        return Err(AddressError::Domain);
    }
    if providers::RESERVED.contains(&top) {
        return Err(AddressError::Reserved);
    }
    Ok(domain)
}

/// One slip in a domain of six characters, two from eight on if the first letter is right.
fn allowed_slips(domain: &str, known: &str) -> usize {
    let same_start = domain.as_bytes().first() == known.as_bytes().first();
    match domain.len() {
        8.. if same_start => 2,
        6.. => 1,
        _ => 0,
    }
}

/// A lower bound of the edit distance, from letter counts alone: nearly every pair is settled by it.
fn least_distance(a: &str, b: &str) -> usize {
    let mut unmatched = [0u16; 256];
    a.bytes().for_each(|byte| unmatched[usize::from(byte)] += 1);
    let mut matched = 0;
    for byte in b.bytes() {
        if let Some(left) = unmatched[usize::from(byte)].checked_sub(1) {
            unmatched[usize::from(byte)] = left;
            matched += 1;
        }
    }
    a.len().max(b.len()) - matched
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use proptest::prelude::*;

    #[test]
    fn every_golden_address_is_read_exactly() {
        let Some(golden) = golden::json("identity/emails.json") else {
            return;
        };
        assert_eq!(
            golden["top_domains"],
            serde_json::json!(providers::WELL_KNOWN.as_slice())
        );
        assert_eq!(golden["role"], serde_json::json!(providers::ROLES));
        for name in golden["disposable_sample"].as_array().unwrap() {
            assert!(providers::is_disposable(name.as_str().unwrap()), "{name}");
        }
        for case in golden["cases"].as_array().unwrap() {
            let address = Address::parse(case["input"].as_str().unwrap());
            assert_eq!(
                address.is_ok(),
                case["valid"] == true,
                "{case}: {address:?}"
            );
            let Ok(address) = address else { continue };
            assert_eq!(address.normalized(), case["normalized"], "{case}");
            assert_eq!(address.domain(), case["ascii_domain"], "{case}");
            assert_eq!(address.local(), case["local"], "{case}");
            assert_eq!(address.match_key(), case["match_key"], "{case}");
            let suggested = serde_json::json!(address.suggested_domain());
            assert_eq!(suggested, case["suggested_domain"], "{case}");
            assert_eq!(address.is_role(), case["role"], "{case}");
            assert_eq!(address.is_disposable(), case["disposable"], "{case}");
            assert_eq!(address.is_apple_relay(), case["apple_relay"], "{case}");
        }
    }

    #[test]
    fn a_tag_or_dots_alone_still_name_a_mailbox() {
        assert_eq!(
            match_key("+news@gmail.com").as_deref(),
            Some("+news@gmail.com")
        );
        assert_eq!(
            match_key("+news@outlook.com").as_deref(),
            Some("+news@outlook.com")
        );
    }

    #[test]
    fn what_cannot_be_delivered_to_says_why() {
        let long = format!("a@{}.com", "b.".repeat(130).trim_end_matches('.'));
        for (text, reason) in [
            ("", AddressError::NoAt),
            ("nobody", AddressError::NoAt),
            ("a\u{200b}b@shop.com", AddressError::Local),
            ("a..b@shop.com", AddressError::Local),
            ("a@shop.123", AddressError::Domain),
            ("a@-shop.com", AddressError::Domain),
            ("a@shop.com.", AddressError::Domain),
            ("a@printer.local", AddressError::Reserved),
            (long.as_str(), AddressError::Domain),
            (
                &format!("{}@shop.com", "a".repeat(250)),
                AddressError::Length,
            ),
        ] {
            assert_eq!(Address::parse(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn a_subdomain_of_a_disposable_domain_is_disposable_and_a_top_level_name_is_not() {
        assert!(providers::is_disposable("x.mailinator.com"));
        assert!(!providers::is_disposable("notmailinator-at-all.com"));
        assert!(!providers::is_disposable("com"));
    }

    proptest! {
        #[test]
        fn the_normal_form_is_stable(text in "[ A-Za-z0-9.+_äÜ-]{1,12}@[A-Za-z0-9.ßé-]{1,12}\\.[a-z]{2,4} ?") {
            if let Ok(address) = Address::parse(&text) {
                let again = Address::parse(&address.normalized());
                prop_assert_eq!(again.as_ref(), Ok(&address));
                let keyed = Address::parse(&address.match_key());
                prop_assert!(keyed.is_ok(), "{:?}", keyed);
            }
        }

        #[test]
        fn the_lower_bound_never_exceeds_the_distance(a in "[a-d.]{0,9}", b in "[a-d.]{0,9}") {
            prop_assert!(least_distance(&a, &b) <= strsim::damerau_levenshtein(&a, &b));
        }

        #[test]
        fn no_text_is_too_odd_to_be_read(text in any::<String>()) {
            let _ = Address::parse(&text);
        }
    }
}
