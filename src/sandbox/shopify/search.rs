//! Search strings: `field:op'value'` side by side (shopify.md, sections 0 and 12).

mod grammar;

use super::fault::Fault;
use super::resolve::Ctx;
use crate::model::{DAY_MS, Moment};
use crate::sandbox::world::{BulkOperation, Customer, Order};
use grammar::{Op, Term, parse};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

/// A test of one record.
type Test<R> = Box<dyn Fn(u64, &R) -> bool>;

/// Every term of a search; a record must pass all.
pub(super) struct Filter<R>(Vec<Test<R>>);

impl<R> Filter<R> {
    pub(super) fn passes(&self, number: u64, record: &R) -> bool {
        self.0.iter().all(|test| test(number, record))
    }
}

/// What became of a term.
enum Meaning<R> {
    Test(Test<R>),
    /// Not a field of this list: ignored, with a warning.
    UnknownField,
    /// Nothing is returned, with a warning.
    InvalidValue,
    /// A documented field that the sandbox leaves out.
    NotServed,
}

/// The search of `customers`. With `count_only` that of `customersCount`, which knows fewer fields.
pub(super) fn customers(
    ctx: &Ctx<'_>,
    query: Option<&str>,
    path: &str,
    count_only: bool,
) -> Result<Filter<Customer>, Fault> {
    filter(ctx, query, path, |term, zone| {
        let counted = ["created_at", "id", "updated_at"].contains(&term.field.as_str());
        if count_only && !counted {
            return Meaning::UnknownField;
        }
        customer_test(term, zone)
    })
}

fn customer_test(term: &Term, zone: &TimeZone) -> Meaning<Customer> {
    match term.field.as_str() {
        "id" => number(term, |number, _: &Customer| Some(number)),
        "created_at" => time(term, zone, |c: &Customer| Some(c.created)),
        "updated_at" => time(term, zone, |c: &Customer| Some(c.updated)),
        "email" => text(term, |c: &Customer| c.email.as_deref()),
        "phone" => text(term, |c: &Customer| c.phone.as_deref()),
        "first_name" => text(term, |c: &Customer| c.first_name.as_deref()),
        "last_name" => text(term, |c: &Customer| c.last_name.as_deref()),
        "tag" => tag(term, true),
        "tag_not" => tag(term, false),
        "accepts_marketing" => flag(term, |c: &Customer| c.email_state == "SUBSCRIBED"),
        "country"
        | "customer_date"
        | "last_abandoned_order_date"
        | "order_date"
        | "orders_count"
        | "state"
        | "total_spent" => Meaning::NotServed,
        _ => Meaning::UnknownField,
    }
}

/// The search of `orders` and `ordersCount`.
pub(super) fn orders(
    ctx: &Ctx<'_>,
    query: Option<&str>,
    path: &str,
) -> Result<Filter<Order>, Fault> {
    filter(ctx, query, path, |term, zone| match term.field.as_str() {
        "id" => number(term, |number, _: &Order| Some(number)),
        "customer_id" => number(term, |_, order: &Order| order.customer),
        "created_at" => time(term, zone, |o: &Order| Some(o.created)),
        "processed_at" => time(term, zone, |o: &Order| Some(o.processed)),
        "updated_at" => time(term, zone, |o: &Order| Some(o.updated)),
        "email" => text(term, |o: &Order| o.email.as_deref()),
        "test" => flag(term, |o: &Order| o.test),
        "status" => status(term),
        "financial_status" | "fulfillment_status" | "tag" | "name" | "sku" | "discount_code" => {
            Meaning::NotServed
        }
        _ => Meaning::UnknownField,
    })
}

/// The search of `bulkOperations`.
pub(super) fn operations(
    ctx: &Ctx<'_>,
    query: Option<&str>,
    path: &str,
) -> Result<Filter<BulkOperation>, Fault> {
    let now = ctx.now;
    filter(ctx, query, path, |term, zone| match term.field.as_str() {
        "id" => number(term, |number, _: &BulkOperation| Some(number)),
        "created_at" => time(term, zone, |op: &BulkOperation| Some(op.created)),
        "completed_at" => time(term, zone, |op: &BulkOperation| op.completed),
        "operation_type" => {
            let value = term.value.clone();
            Meaning::Test(Box::new(move |_, op| {
                super::bulk::type_of(op).eq_ignore_ascii_case(&value)
            }))
        }
        "status" => {
            let value = term.value.clone();
            Meaning::Test(Box::new(move |_, op| {
                super::bulk::status(op, now).eq_ignore_ascii_case(&value)
            }))
        }
        _ => Meaning::UnknownField,
    })
}

fn filter<R>(
    ctx: &Ctx<'_>,
    query: Option<&str>,
    path: &str,
    read: impl Fn(&Term, &TimeZone) -> Meaning<R>,
) -> Result<Filter<R>, Fault> {
    let zone = ctx.zone();
    let mut tests: Vec<Test<R>> = Vec::new();
    let mut warnings = Vec::new();
    for term in parse(query.unwrap_or_default())? {
        let code = match read(&term, &zone) {
            Meaning::Test(test) => {
                tests.push(test);
                continue;
            }
            Meaning::UnknownField => "invalid_field",
            Meaning::InvalidValue => {
                tests.push(Box::new(|_, _| false));
                "invalid_value"
            }
            Meaning::NotServed => {
                return Err(Fault::not_served(format_args!(
                    "the search field `{}` of {path}",
                    term.field
                )));
            }
        };
        warnings.push(warning(&term, code));
    }
    if !warnings.is_empty() {
        ctx.warn(json!({"path": [path], "query": query, "warnings": warnings}));
    }
    Ok(Filter(tests))
}

fn warning(term: &Term, code: &str) -> Json {
    let message = match code {
        "invalid_field" => "Invalid search field for this query.",
        _ => "Input `value` is invalid for this search field.",
    };
    json!({"field": term.field, "message": message, "code": code})
}

fn compare<T: Ord>(op: Op, left: &T, right: &T) -> bool {
    match op {
        Op::Equal => left == right,
        Op::Less => left < right,
        Op::LessEqual => left <= right,
        Op::Greater => left > right,
        Op::GreaterEqual => left >= right,
    }
}

fn number<R: 'static>(term: &Term, of: fn(u64, &R) -> Option<u64>) -> Meaning<R> {
    let op = term.op;
    match term.value.parse::<u64>() {
        Ok(wanted) => Meaning::Test(Box::new(move |number, record| {
            of(number, record).is_some_and(|is| compare(op, &is, &wanted))
        })),
        Err(_) => Meaning::InvalidValue,
    }
}

fn text<R: 'static>(term: &Term, of: fn(&R) -> Option<&str>) -> Meaning<R> {
    let wanted = term.value.to_lowercase();
    if term.op != Op::Equal {
        return Meaning::InvalidValue;
    }
    if !term.quoted && wanted.ends_with('*') {
        return Meaning::NotServed;
    }
    Meaning::Test(Box::new(move |_, record| {
        of(record).is_some_and(|is| is.to_lowercase() == wanted)
    }))
}

fn flag<R: 'static>(term: &Term, of: fn(&R) -> bool) -> Meaning<R> {
    match term.value.parse::<bool>() {
        Ok(wanted) => Meaning::Test(Box::new(move |_, record| of(record) == wanted)),
        Err(_) => Meaning::InvalidValue,
    }
}

fn tag(term: &Term, wanted: bool) -> Meaning<Customer> {
    let tag = term.value.to_lowercase();
    Meaning::Test(Box::new(move |_, customer| {
        customer.tags.iter().any(|t| t.to_lowercase() == tag) == wanted
    }))
}

fn status(term: &Term) -> Meaning<Order> {
    let test: fn(&Order) -> bool = match term.value.as_str() {
        // Nothing in this world archives an order, so only cancelled ones are closed.
        "open" | "not_closed" => |order| order.cancelled.is_none(),
        "closed" | "cancelled" => |order| order.cancelled.is_some(),
        _ => return Meaning::InvalidValue,
    };
    Meaning::Test(Box::new(move |_, order| test(order)))
}

/// A comparison of times, in whole seconds as the API shows them.
fn time<R: 'static>(term: &Term, zone: &TimeZone, of: fn(&R) -> Option<Moment>) -> Meaning<R> {
    let Some((wanted, by_day)) = moment(term, zone) else {
        return Meaning::InvalidValue;
    };
    let op = match term.op {
        // Measured: without quotes `<` is read as `<=`.
        Op::Less if !term.quoted => Op::LessEqual,
        op => op,
    };
    Meaning::Test(Box::new(move |_, record| {
        let Some(is) = of(record) else { return false };
        let is = Moment::from_secs(is.secs());
        if by_day && op == Op::Equal {
            return (wanted.0..wanted.0 + DAY_MS).contains(&is.0);
        }
        compare(op, &is, &wanted)
    }))
}

/// The instant of a term, and whether it names a whole day of the shop.
fn moment(term: &Term, zone: &TimeZone) -> Option<(Moment, bool)> {
    let midnight = |date: Date| {
        let zoned = date.to_zoned(zone.clone()).ok()?;
        Some((Moment::from(zoned.timestamp()), true))
    };
    if !term.quoted {
        // Cut at the first colon, so only the date counts.
        return midnight(term.value.get(..10)?.parse().ok()?);
    }
    if term.value.len() == 10 {
        return midnight(term.value.parse().ok()?);
    }
    if let Ok(at) = term.value.parse::<jiff::Timestamp>() {
        return Some((at.into(), false));
    }
    let local: DateTime = term.value.parse().ok()?;
    let zoned = local.to_zoned(zone.clone()).ok()?;
    Some((zoned.timestamp().into(), false))
}
