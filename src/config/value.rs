//! The kinds of values a config holds, each read with its own complaint.

use super::leak::mask_words;
use super::reader::{Complaint, wrong_type};
use super::suggest::{listing, nearest};
use crate::model::Money;
use crate::pace::parse_span;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::de::DeValue;

/// A quoted string, ends trimmed, not empty.
pub(super) fn text(value: &DeValue<'_>) -> Result<String, Complaint> {
    let Some(text) = value.as_str() else {
        return Err(wrong_type("a quoted string", value));
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(Complaint::new("this must not be empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(Complaint::new("control characters are not allowed here"));
    }
    Ok(text.to_owned())
}

/// A string that is what `is` asks for; `wanted` says what that is.
pub(super) fn word(
    wanted: &'static str,
    is: impl Fn(&str) -> bool,
) -> impl Fn(&DeValue<'_>) -> Result<String, Complaint> {
    move |value| {
        let found = text(value)?;
        if is(&found) {
            return Ok(found);
        }
        let message = format!("{} is not {wanted}", quoted(&found));
        Err(Complaint::new(message))
    }
}

/// `true` or `false`.
pub(super) fn flag(value: &DeValue<'_>) -> Result<bool, Complaint> {
    let yes = value.as_bool();
    yes.ok_or_else(|| wrong_type("true or false", value).help("without quotes"))
}

/// A whole number within a range.
pub(super) fn whole<N>(range: RangeInclusive<N>) -> impl Fn(&DeValue<'_>) -> Result<N, Complaint>
where
    N: TryFrom<i128> + PartialOrd + Display,
{
    move |value| {
        let Some(integer) = value.as_integer() else {
            let help = match value {
                DeValue::String(_) => "write it without quotes".to_owned(),
                _ => format!("from {} to {}", range.start(), range.end()),
            };
            return Err(wrong_type("a whole number", value).help(help));
        };
        let wide = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = wide.and_then(|wide| N::try_from(wide).ok());
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                let (low, high) = (range.start(), range.end());
                Complaint::new(format!("{integer} is not between {low} and {high}"))
            })
    }
}

/// A number above `low` and up to `high`; shares and rates are fractions, not per cents.
pub(super) fn above(low: f64, high: f64) -> impl Fn(&DeValue<'_>) -> Result<f64, Complaint> {
    move |value| {
        let number = decimal(value)?;
        if number > low && number <= high {
            return Ok(number);
        }
        let complaint = Complaint::new(format!("{number} is not above {low} and at most {high}"));
        let is_percent = high == 1.0 && number > 1.0 && number <= 100.0;
        Err(match is_percent {
            true => complaint.help(format!("for {number} % write {}", number / 100.0)),
            false => complaint,
        })
    }
}

/// Any finite number.
pub(super) fn decimal(value: &DeValue<'_>) -> Result<f64, Complaint> {
    let digits = match value {
        DeValue::Float(float) => float.as_str().to_owned(),
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().to_owned(),
        _ => return Err(wrong_type("a number", value)),
    };
    let number = digits
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| Complaint::new("this number is not finite"))
}

/// An amount of money, exact: read from the digits, never through a float.
pub(super) fn money(value: &DeValue<'_>) -> Result<Money, Complaint> {
    let digits = match value {
        DeValue::Float(float) => float.as_str(),
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
        DeValue::String(text) => text,
        _ => return Err(wrong_type("an amount of money", value)),
    };
    let amount: Option<Money> = digits.parse().ok();
    amount
        .filter(|amount| *amount >= Money::ZERO)
        .ok_or_else(|| {
            Complaint::new(format!("{} is not an amount of money", quoted(digits)))
                .help("such as 100 or 99.95, at most three decimals, in the shop's currency")
        })
}

/// A span of time such as `"15m"`, within a range.
pub(super) fn span(
    range: RangeInclusive<Duration>,
) -> impl Fn(&DeValue<'_>) -> Result<Duration, Complaint> {
    move |value| {
        const HELP: &str = "such as \"30s\", \"15m\", \"1h 30m\" or \"1d\"";
        let Some(text) = value.as_str() else {
            return Err(wrong_type("a span of time in quotes", value).help(HELP));
        };
        let span = parse_span(text).ok_or_else(|| {
            Complaint::new(format!("{} is not a span of time", quoted(text))).help(HELP)
        })?;
        if range.contains(&span) {
            return Ok(span);
        }
        let (low, high) = (readable(*range.start()), readable(*range.end()));
        Err(Complaint::new(format!(
            "{} is not between {low} and {high}",
            quoted(text)
        )))
    }
}

/// A span as a config would spell it.
fn readable(span: Duration) -> String {
    let secs = span.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let unit = units
        .into_iter()
        .find(|(unit, _)| secs > 0 && secs.is_multiple_of(*unit));
    let (unit, letter) = unit.unwrap_or((1, "s"));
    format!("\"{}{letter}\"", secs / unit)
}

/// Bytes, as a number or as `"256MB"` or `"1GiB"`.
pub(super) fn bytes(value: &DeValue<'_>) -> Result<u64, Complaint> {
    const UNITS: [(&str, u64); 9] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
    ];
    let DeValue::String(text) = value else {
        return whole(0..=1 << 50)(value);
    };
    let parsed = UNITS.iter().find_map(|(unit, factor)| {
        let digits = text.trim().strip_suffix(unit)?.trim_end();
        digits.parse::<u64>().ok()?.checked_mul(*factor)
    });
    parsed.ok_or_else(|| {
        Complaint::new(format!("{} is not a size", quoted(text)))
            .help("such as \"256MB\" or \"1GiB\"")
    })
}

/// One of a fixed set of names.
pub(super) fn choice<'a, T: Copy>(
    noun: &'static str,
    all: &'a [T],
    name: impl Fn(T) -> &'static str + 'a,
) -> impl Fn(&DeValue<'_>) -> Result<T, Complaint> + 'a {
    move |value| {
        let typed = text(value)?;
        if let Some(found) = all.iter().find(|one| name(**one) == typed) {
            return Ok(*found);
        }
        let names = || all.iter().map(|one| name(*one));
        let known = format!("known: {}", listing(names()));
        let help = match nearest(&typed, names()) {
            Some(meant) => format!("did you mean `{meant}`? {known}"),
            None => known,
        };
        Err(Complaint::new(format!("there is no {noun} {}", quoted(&typed))).help(help))
    }
}

/// A text from the file as it may be repeated in a message: no secret, and not too long.
pub(super) fn quoted(text: &str) -> String {
    // Masked first: half a secret would no longer look like one.
    let masked = mask_words(text);
    let mut shown: String = masked.chars().take(60).collect();
    if shown.len() < masked.len() {
        shown.push('…');
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> DeValue<'_> {
        DeValue::parse(text).unwrap().into_inner()
    }

    #[test]
    fn money_is_exact_and_never_negative() {
        for (text, amount) in [("99.95", 99_950), ("1_000", 1_000_000), ("\"0.125\"", 125)] {
            assert_eq!(money(&value(text)), Ok(Money(amount)), "{text}");
        }
        for wrong in [
            "-1", "1e3", "inf", "nan", "0.0001", "true", "\"ten\"", "0x10",
        ] {
            assert!(money(&value(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_know_their_units() {
        for (text, size) in [
            ("\"256MB\"", 256_000_000),
            ("\"1 GiB\"", 1 << 30),
            ("\"12B\"", 12),
            ("4096", 4096),
        ] {
            assert_eq!(bytes(&value(text)), Ok(size), "{text}");
        }
        for wrong in [
            "\"256\"",
            "\"MB\"",
            "\"-1MB\"",
            "\"99999999999TB\"",
            "-1",
            "1.5",
        ] {
            assert!(bytes(&value(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_are_held_to_their_range() {
        assert_eq!(whole(1..=30u32)(&value("30")), Ok(30));
        assert_eq!(whole(1..=30u32)(&value("0x1e")), Ok(30));
        for wrong in ["0", "31", "-1", "99999999999999999999999", "3.0", "\"3\""] {
            assert!(whole(1..=30u32)(&value(wrong)).is_err(), "{wrong}");
        }
        assert_eq!(above(0.0, 1.0)(&value("1")), Ok(1.0));
        for wrong in ["0", "1.01", "nan", "inf", "\"0.5\"", "-0.5"] {
            assert!(above(0.0, 1.0)(&value(wrong)).is_err(), "{wrong}");
        }
        let percent = above(0.0, 1.0)(&value("20")).unwrap_err();
        let wanted = Complaint::new("20 is not above 0 and at most 1").help("for 20 % write 0.2");
        assert_eq!(percent, wanted);
    }
}
