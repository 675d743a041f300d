//! What a definition may read of a whole person. Predictions are not worked out yet, so they are
//! unknown.

use crate::model::{Moment, Money, Value};
use crate::score;
use crate::segment::{FactName, Facts};

/// Facts in the form that definitions read.
pub(super) fn of(facts: &score::Facts) -> Facts {
    let money = |amount: Money| Value::Float(amount.units());
    let mut known = Facts::default();
    known.set(FactName::Orders, Some(Value::Int(facts.orders.into())));
    known.set(FactName::Spent, Some(money(facts.spent)));
    known.set(
        FactName::AverageOrderValue,
        facts.average_order_value.map(money),
    );
    known.set_date(FactName::FirstOrder, facts.first_order);
    known.set_date(FactName::LastOrder, facts.last_order);
    known.set(FactName::DaysBetweenOrders, days_between(facts));
    known.set_date(FactName::LastEngaged, facts.last_human);
    known
}

/// The mean of all gaps is the whole span by their number.
fn days_between(facts: &score::Facts) -> Option<Value> {
    let days = |from: Moment, to: Moment| to.since(from).as_secs_f64() / 86_400.0;
    let (first, last) = facts.first_order.zip(facts.last_order)?;
    let gaps = facts.orders.checked_sub(1).filter(|gaps| *gaps > 0)?;
    Some(Value::Float(days(first, last) / f64::from(gaps)))
}
