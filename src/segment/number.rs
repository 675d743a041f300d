//! Numbers compared exactly (A10, A20): `3` is `3.0`, and no sum is a rounding away from its bound.

use super::filter::NumericFilter;
use crate::model::{Money, Value};
use serde_json::Number;
use std::cmp::Ordering;

/// A whole or a floating-point number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Num {
    Int(i64),
    Float(f64),
}

impl Num {
    /// Of a JSON number.
    pub(super) fn of(number: &Number) -> Option<Self> {
        let int = number.as_i64().map(Self::Int);
        int.or_else(|| number.as_f64().map(Self::Float))
    }

    /// Of a property; `None` when it is no number.
    pub(super) fn of_value<T>(value: &Value<T>) -> Option<Self> {
        match value {
            Value::Int(int) => Some(Self::Int(*int)),
            Value::Float(float) => Some(Self::Float(*float)),
            _ => None,
        }
    }

    /// The order of two numbers; `None` when one is not a number.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::Int(a), Self::Float(b)) => int_to_float(a, b),
            (Self::Float(a), Self::Int(b)) => int_to_float(b, a).map(Ordering::reverse),
        }
    }
}

/// Beyond the whole numbers that 64 bits hold.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

fn int_to_float(int: i64, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float >= TWO_TO_63 {
        return Some(Ordering::Less);
    }
    if float < -TWO_TO_63 {
        return Some(Ordering::Greater);
    }
    let whole = float.trunc();
    match int.cmp(&(whole as i64)) {
        Ordering::Equal => 0.0.partial_cmp(&(float - whole)),
        order => Some(order),
    }
}

/// A decimal number: digits times a power of ten.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Decimal {
    digits: i128,
    exponent: i32,
}

impl Decimal {
    /// Of a JSON number in its shortest spelling.
    fn of(number: &Number) -> Option<Self> {
        let text = number.to_string();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
            None => (text.as_str(), 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        Some(Self {
            digits: format!("{whole}{fraction}").parse().ok()?,
            exponent: exponent - i32::try_from(fraction.len()).ok()?,
        })
    }

    /// How an amount stands to it.
    fn compare(self, Money(thousandths): Money) -> Ordering {
        let scale = self.exponent + 3;
        let power = 10_i128.checked_pow(scale.unsigned_abs());
        let (left, right) = match power {
            Some(power) if scale >= 0 => (Some(thousandths.into()), self.digits.checked_mul(power)),
            Some(power) => (
                i128::from(thousandths).checked_mul(power),
                Some(self.digits),
            ),
            None => (None, None),
        };
        match (left, right) {
            (Some(left), Some(right)) => left.cmp(&right),
            // So far apart that the sign, or being tiny, decides.
            _ if scale >= 0 => 0.cmp(&self.digits),
            _ if thousandths == 0 => 0.cmp(&self.digits),
            _ => thousandths.cmp(&0),
        }
    }
}

/// Which of the numbers below 64 pass a test, a bit each: most counts are so small, and are asked
/// about again and again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Small(u64);

impl Small {
    /// Whether a number passes; `None` for one that is not so small.
    pub(super) fn holds(self, number: i64) -> Option<bool> {
        let small = u32::try_from(number)
            .ok()
            .filter(|small| *small < u64::BITS);
        small.map(|small| self.0 >> small & 1 == 1)
    }
}

/// A comparison with fixed bounds.
#[derive(Clone, Debug)]
pub(super) struct NumberTest {
    accepts: fn(Ordering) -> bool,
    bound: (Num, Decimal),
    /// Only for `between`: the upper end.
    upper: Option<(Num, Decimal)>,
}

impl NumberTest {
    /// `None` for a bound that is no number of a sensible size.
    pub(super) fn compile(filter: &NumericFilter) -> Option<Self> {
        let accepts: fn(Ordering) -> bool = match filter {
            NumericFilter::Equals(_) => Ordering::is_eq,
            NumericFilter::NotEquals(_) => Ordering::is_ne,
            NumericFilter::GreaterThan(_) => Ordering::is_gt,
            NumericFilter::GreaterThanOrEqual(_) | NumericFilter::Between { .. } => Ordering::is_ge,
            NumericFilter::LessThan(_) => Ordering::is_lt,
            NumericFilter::LessThanOrEqual(_) => Ordering::is_le,
        };
        let bound = |number: &Number| Some((Num::of(number)?, Decimal::of(number)?));
        let (bound, upper) = match filter {
            NumericFilter::Equals(operand)
            | NumericFilter::NotEquals(operand)
            | NumericFilter::GreaterThan(operand)
            | NumericFilter::GreaterThanOrEqual(operand)
            | NumericFilter::LessThan(operand)
            | NumericFilter::LessThanOrEqual(operand) => (bound(&operand.value)?, None),
            NumericFilter::Between { start, end } => (bound(start)?, Some(bound(end)?)),
        };
        Some(Self {
            accepts,
            bound,
            upper,
        })
    }

    /// Which of the numbers below 64 pass.
    pub(super) fn small(&self) -> Small {
        let bit = |number: u32| u64::from(self.holds(Num::Int(number.into()))) << number;
        Small((0..u64::BITS).map(bit).fold(0, |all, bit| all | bit))
    }

    /// Whether a number passes.
    pub(super) fn holds(&self, number: Num) -> bool {
        let at_most =
            |(upper, _): &(Num, Decimal)| number.compare(*upper).is_some_and(Ordering::is_le);
        number.compare(self.bound.0).is_some_and(self.accepts)
            && self.upper.as_ref().is_none_or(at_most)
    }

    /// Whether an amount passes.
    pub(super) fn holds_money(&self, amount: Money) -> bool {
        let at_most = |(_, upper): &(Num, Decimal)| upper.compare(amount).is_le();
        (self.accepts)(self.bound.1.compare(amount)) && self.upper.as_ref().is_none_or(at_most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn test(operator: &str, value: serde_json::Value) -> NumberTest {
        let filter = serde_json::from_value(json!({"operator": operator, "value": value}));
        NumberTest::compile(&filter.unwrap()).unwrap()
    }

    #[test]
    fn whole_and_floating_numbers_compare_exactly() {
        let order = |int, float| Num::Int(int).compare(Num::Float(float)).unwrap();
        assert_eq!(order(3, 3.0), Ordering::Equal);
        assert_eq!(order(3, 3.5), Ordering::Less);
        assert_eq!(order(-3, -3.5), Ordering::Greater);
        assert_eq!(order(0, -0.5), Ordering::Greater);
        assert_eq!(order(0, 0.5), Ordering::Less);
        assert_eq!(
            order((1 << 53) + 1, 9_007_199_254_740_992.0),
            Ordering::Greater
        );
        assert_eq!(order(i64::MAX, TWO_TO_63), Ordering::Less);
        assert_eq!(order(i64::MIN, f64::NEG_INFINITY), Ordering::Greater);
        assert_eq!(Num::Int(0).compare(Num::Float(f64::NAN)), None);
    }

    #[test]
    fn sums_of_money_meet_their_bounds_exactly() {
        assert!(test("equals", json!(0.3)).holds_money(Money(300)));
        assert!(!test("equals", json!(0.3001)).holds_money(Money(300)));
        assert!(test("less-than", json!(0.3001)).holds_money(Money(300)));
        assert!(test("greater-than", json!(-1e-300)).holds_money(Money(0)));
        assert!(!test("greater-than", json!(1e-300)).holds_money(Money(0)));
        assert!(test("greater-than", json!(1e-300)).holds_money(Money(1)));
        assert!(test("less-than", json!(1e300)).holds_money(Money(i64::MAX)));
        assert!(test("greater-than", json!(-1e300)).holds_money(Money(i64::MIN)));
    }

    #[test]
    fn between_includes_both_ends() {
        let between = NumericFilter::Between {
            start: 1.into(),
            end: 3.into(),
        };
        let test = NumberTest::compile(&between).unwrap();
        let passed: Vec<i64> = (0..5).filter(|n| test.holds(Num::Int(*n))).collect();
        assert_eq!(passed, [1, 2, 3]);
        assert!(!test.holds_money(Money(3_001)) && test.holds_money(Money(1_000)));
    }
}
