//! Phone numbers in E.164, by libphonenumber's rules and metadata.

use super::countries;
use phonenumber::Mode;
use phonenumber::country::Id;
use phonenumber::metadata::DATABASE;
use unicode_normalization::UnicodeNormalization;

/// A text that reads as a phone number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phone {
    /// Such as `+442079460958`.
    pub e164: String,
    /// Whether the numbering plan of its country knows such a number. Only then it identifies.
    pub valid: bool,
}

/// Reads a phone number. `country` (an ISO 3166 alpha-2 code or an English country name) tells how
/// to read one without a country code. `None` when the text is no number, or has no country.
pub fn parse(text: &str, country: Option<&str>) -> Option<Phone> {
    let text: String = text.trim().nfkc().collect();
    let region = country.and_then(countries::id);
    // Given a country, the library strips that country's prefixes from foreign numbers too. Given
    // none, it asks every plan that shares the calling code, which takes three times as long.
    let number = match international(&text, region) {
        Some(whole) => phonenumber::parse(main_country(&whole), whole),
        None => phonenumber::parse(region, text),
    };
    let number = number.ok()?;
    Some(Phone {
        e164: number.format().mode(Mode::E164).to_string(),
        valid: number.is_valid(),
    })
}

/// The number with its `+`, if it was written with one or as dialled abroad from `region`.
fn international(text: &str, region: Option<Id>) -> Option<String> {
    if text.starts_with('+') {
        return Some(text.to_owned());
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let plan = DATABASE.by_id(region?.as_ref())?;
    let prefix = plan.international_prefix()?.find(&digits)?;
    let abroad = digits.get(prefix.end()..)?;
    (prefix.start() == 0 && !abroad.starts_with('0')).then(|| format!("+{abroad}"))
}

/// The main country of the calling code that an international number starts with.
fn main_country(international: &str) -> Option<Id> {
    let digits = international.chars().filter(char::is_ascii_digit);
    let digits: String = digits.take(3).collect();
    let codes = (1..=3).filter_map(|length| digits.get(..length)?.parse::<u16>().ok());
    let plans = codes.into_iter().find_map(|code| DATABASE.by_code(&code))?;
    let main = plans.iter().find(|plan| plan.is_main_country_for_code());
    main.or(plans.first())?.id().parse().ok()
}

/// The number of a text in E.164, if it is a valid one.
pub fn match_key(text: &str, country: Option<&str>) -> Option<String> {
    parse(text, country)
        .filter(|phone| phone.valid)
        .map(|phone| phone.e164)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use proptest::prelude::*;

    /// Inputs that are no valid number, which the library words differently (or not at all) from the
    /// golden one: too short to carry a country code, and zeros only.
    const DIFFERENT: [&str; 2] = ["123", "0000000000"];

    #[test]
    fn every_golden_number_is_read_exactly() {
        let Some(golden) = golden::json("identity/phones.json") else {
            return;
        };
        let mut differing = Vec::new();
        for case in golden["cases"].as_array().unwrap() {
            let (input, region) = (case["input"].as_str().unwrap(), case["region"].as_str());
            let phone = parse(input, region);
            let expected = (case["ok"] == true).then(|| Phone {
                e164: case["e164"].as_str().unwrap().to_owned(),
                valid: case["valid"] == true,
            });
            if DIFFERENT.contains(&input) {
                assert!(phone.is_none_or(|phone| !phone.valid), "{input}");
                assert_eq!(case["valid"], false, "{input}");
            } else if phone != expected {
                differing.push(format!(
                    "{input:?} in {region:?}: {phone:?} is not {expected:?}"
                ));
            }
        }
        assert!(differing.is_empty(), "{}", differing.join("\n"));
    }

    #[test]
    fn a_number_without_a_country_identifies_nobody() {
        assert_eq!(match_key("030 901820", None), None);
        assert_eq!(match_key("030 901820", Some("Atlantis")), None);
        let berlin = Some("+4930901820".to_owned());
        assert_eq!(match_key("030 901820", Some("de")), berlin);
        assert_eq!(match_key("030 901820", Some("Germany")), berlin);
        assert_eq!(match_key("+49 30 901820", None), berlin);
    }

    proptest! {
        // Every text is read in every country's plan.
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn no_text_is_too_odd_to_be_read(text in any::<String>(), digits in "[+]?[0-9 ()-]{1,17}") {
            for plan in DATABASE.iter() {
                let _ = parse(&digits, Some(plan.id()));
            }
            let _ = parse(&text, Some("US"));
        }
    }
}
