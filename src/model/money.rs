//! Amounts in thousandths of the shop's currency, exact for every ISO 4217 currency.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};
use std::str::FromStr;

/// An amount in thousandths of a currency unit: the three decimals of the finest currencies.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Money(pub i64);

/// The text is not a decimal number with at most three decimals that fits.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an amount of money")]
pub struct MoneyError;

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);

    /// As a floating-point number of currency units, for statistics and JSON only.
    pub fn units(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    /// Reads Shopify's `Decimal`: `"18"`, `"12.5"`, `"-0.125"`. Digits past the third must be zero.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return Err(MoneyError);
        }
        let (kept, rest) = fraction.split_at(fraction.len().min(3));
        if rest.bytes().any(|b| b != b'0') {
            return Err(MoneyError);
        }
        let whole: i64 = whole.parse().map_err(|_| MoneyError)?;
        let thousandths: i64 = format!("{kept:0<3}").parse().map_err(|_| MoneyError)?;
        let amount = whole
            .checked_mul(1000)
            .and_then(|n| n.checked_add(thousandths));
        amount
            .map(|n| Self(if negative { -n } else { n }))
            .ok_or(MoneyError)
    }
}

impl fmt::Display for Money {
    /// Two decimals, three when the third is not zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, rest) = (self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000);
        if rest.is_multiple_of(10) {
            write!(f, "{sign}{whole}.{:02}", rest / 10)
        } else {
            write!(f, "{sign}{whole}.{rest:03}")
        }
    }
}

impl Add for Money {
    type Output = Money;
    fn add(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }
}

impl Sub for Money {
    type Output = Money;
    fn sub(self, other: Money) -> Money {
        Money(self.0.saturating_sub(other.0))
    }
}

impl Neg for Money {
    type Output = Money;
    fn neg(self) -> Money {
        Money(-self.0)
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Money) {
        *self = *self + other;
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Money>>(amounts: I) -> Money {
        amounts.fold(Money::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_of_any_scale_are_exact() {
        for (text, amount) in [
            ("18", 18_000),
            ("12.5", 12_500),
            ("-0.125", -125),
            ("10.0000", 10_000),
        ] {
            assert_eq!(text.parse(), Ok(Money(amount)), "{text}");
        }
        for wrong in [
            "",
            ".",
            "1.",
            ".5",
            "1e3",
            "1,5",
            "0.0001",
            "99999999999999999999",
            "--1",
        ] {
            assert_eq!(wrong.parse::<Money>(), Err(MoneyError), "{wrong}");
        }
        assert_eq!(Money(12_500).to_string(), "12.50");
        assert_eq!(Money(-125).to_string(), "-0.125");
    }
}
