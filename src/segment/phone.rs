//! `phone-country-code-in` compares calling codes, not countries (A16).

use phonenumber::metadata::DATABASE;
use std::collections::BTreeSet;

/// Calling codes, by the countries that were named.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CallingCodes(BTreeSet<u16>);

impl CallingCodes {
    /// The codes of countries by ISO 3166 alpha-2; unknown ones are ignored.
    pub(super) fn of<'a>(countries: impl Iterator<Item = &'a String>) -> Self {
        let code = |country: &String| Some(DATABASE.by_id(country)?.country_code());
        Self(countries.filter_map(code).collect())
    }

    /// Whether a number in E.164 has one of the codes; `None` when it is none, or of no known code.
    pub(super) fn hold(&self, number: &str) -> Option<bool> {
        let digits = number.strip_prefix('+')?;
        let well_formed = (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if !well_formed {
            return None;
        }
        // No calling code begins with another one.
        let assigned = |length: usize| {
            let code: u16 = digits.get(..length)?.parse().ok()?;
            DATABASE.by_code(&code).map(|_| code)
        };
        let code = (1..=3).find_map(assigned)?;
        Some(self.0.contains(&code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_shared_by_countries_and_numbers_must_be_e164() {
        let north_america = CallingCodes::of(["US".to_owned(), "us".to_owned()].iter());
        assert_eq!(north_america.hold("+14165550123"), Some(true));
        assert_eq!(north_america.hold("+4915112345678"), Some(false));
        for wrong in [
            "4165550123",
            "+0416555012",
            "+123456",
            "+1416555x123",
            "+21012345678",
        ] {
            assert_eq!(north_america.hold(wrong), None, "{wrong}");
        }
    }
}
