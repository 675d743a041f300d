//! What people buy: a rhythm of their own, until they stop.

use super::chance::{exponential, gamma, happens};
use super::ledger::Ledger;
use super::people::Human;
use super::{standard, words};
use crate::model::{DAY_MS, Moment, Money};
use crate::sandbox::world::{Line, Order, State};
use fastrand::Rng;
use serde_json::json;
use std::sync::Arc;

/// Shopify's number before the first order and before the first line.
const FIRST_ORDER: u64 = 5_000_000_000_000;
const FIRST_LINE: u64 = 14_000_000_000_000;
/// Mean days between orders of an average buyer, and the shape of how buyers differ.
const MEAN_GAP: f64 = 75.0;
const SHAPE: f64 = 1.4;
const MINUTE_MS: i64 = 60_000;

/// One purchase before it has a number.
struct Purchase<'a> {
    at: Moment,
    human: Option<&'a Human>,
    guest: bool,
}

/// Places everybody's orders, numbered in the order of their entry.
pub(super) fn place(
    state: &mut State,
    ledger: &mut Ledger,
    crowd: &[Human],
    now: Moment,
    rng: &mut Rng,
) {
    let mut purchases = Vec::new();
    for human in crowd {
        if human.buyer {
            rhythm(human, now, rng, &mut purchases);
        } else if human.customer.is_none() && human.email.contains('.') && happens(rng, 0.04) {
            guest(human, now, rng, &mut purchases);
        }
    }
    cash_sales(now, rng, &mut purchases);
    purchases.sort_by_key(|purchase| purchase.at);
    let mut lines = FIRST_LINE;
    for (number, purchase) in (FIRST_ORDER + 1..).zip(&purchases) {
        let order = order(purchase, &mut lines, now, rng);
        if purchase.guest {
            state.truth.guest_orders.push(number);
        }
        if let Some(profile) = purchase.human.and_then(|human| human.profile.as_deref()) {
            tell(ledger, profile, &order, &state.shopify.currency, rng);
        }
        state.shopify.orders.insert(number, order);
    }
}

/// Gamma-distributed rates, exponential gaps, and a chance to stop after each order.
fn rhythm<'a>(human: &'a Human, now: Moment, rng: &mut Rng, purchases: &mut Vec<Purchase<'a>>) {
    let gap = MEAN_GAP * SHAPE / gamma(rng, SHAPE).max(0.05);
    let stops = 0.12 + 0.3 * rng.f64();
    let mut at = human.since;
    loop {
        let days = exponential(rng, gap).max(0.01);
        at = Moment(at.0 + (days * DAY_MS as f64) as i64);
        if at >= now {
            return;
        }
        let purchase = Purchase {
            at,
            human: Some(human),
            guest: false,
        };
        purchases.push(purchase);
        if happens(rng, stops) {
            return;
        }
    }
}

fn guest<'a>(human: &'a Human, now: Moment, rng: &mut Rng, purchases: &mut Vec<Purchase<'a>>) {
    let at = super::chance::between(rng, human.since, now);
    purchases.push(Purchase {
        at,
        human: Some(human),
        guest: true,
    });
}

/// Sales over the counter that name nobody: one for every fifty orders.
fn cash_sales(now: Moment, rng: &mut Rng, purchases: &mut Vec<Purchase<'_>>) {
    let start = Moment(now.0 - super::HISTORY_DAYS * DAY_MS);
    for _ in 0..purchases.len().div_ceil(50) {
        let at = super::chance::between(rng, start, now);
        purchases.push(Purchase {
            at,
            human: None,
            guest: false,
        });
    }
}

fn order(purchase: &Purchase<'_>, lines: &mut u64, now: Moment, rng: &mut Rng) -> Order {
    let lines: Vec<Line> = (0..rng.usize(1..=4))
        .map(|_| {
            *lines += 1;
            let (title, price) = words::WARES[rng.usize(..words::WARES.len())];
            Line {
                id: *lines,
                title: title.to_owned(),
                quantity: if happens(rng, 0.8) { 1 } else { rng.u32(2..=3) },
                price: Money(price),
            }
        })
        .collect();
    let total: Money = lines
        .iter()
        .map(|line| Money(line.price.0 * i64::from(line.quantity)))
        .sum();
    let later = Moment(now.0.min(purchase.at.0 + rng.i64(1..20) * DAY_MS));
    let (cancelled, refunded) = match rng.u32(..100) {
        0 | 1 => (Some(later), total),
        2 => (None, total),
        3..=5 => (None, lines.first().map_or(Money::ZERO, |line| line.price)),
        _ => (None, Money::ZERO),
    };
    let changed = cancelled.is_some() || refunded > Money::ZERO;
    let customer = purchase
        .human
        .filter(|_| !purchase.guest)
        .and_then(|human| human.customer);
    Order {
        customer,
        email: purchase.human.map(|human| human.email.clone()),
        created: purchase.at,
        processed: purchase.at,
        updated: if changed { later } else { purchase.at },
        cancelled,
        test: happens(rng, 0.004),
        total,
        refunded,
        lines,
    }
}

/// The events of one order: the visit before it, and the order itself.
fn tell(ledger: &mut Ledger, profile: &str, order: &Order, currency: &str, rng: &mut Rng) {
    let before = |minutes: i64| Moment(order.processed.0 - minutes * MINUTE_MS);
    let items: Vec<&str> = order.lines.iter().map(|line| line.title.as_str()).collect();
    if happens(rng, 0.4) {
        let page = Arc::new(json!({ "URL": "https://shop.example/" }));
        ledger.add(standard::ON_SITE, profile, before(40), &page, rng);
        let ware = Arc::new(json!({ "Name": items.first() }));
        ledger.add(standard::VIEWED, profile, before(35), &ware, rng);
        let cart = Arc::new(json!({ "$value": order.total.units(), "Items": items }));
        ledger.add(standard::CHECKOUT, profile, before(10), &cart, rng);
    }
    if order.test {
        return;
    }
    let placed = Arc::new(json!({
        "$value": order.total.units(),
        "$currency_code": currency,
        "Items": items,
        "Item Count": order.lines.iter().map(|line| line.quantity).sum::<u32>(),
        "Source Name": "web",
    }));
    ledger.add(standard::ORDERED, profile, order.processed, &placed, rng);
}
