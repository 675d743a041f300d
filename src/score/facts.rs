//! What is known about one person, in numbers.

use super::roles::{Act, Roles};
use super::{stage, tier};
use crate::model::{Dossier, Event, Moment, Money, Order, Role};
use crate::policy::{Lifecycle, Stage, Tier};

/// What rules, managed lists and write-back read.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Orders that count ([`Order::counts`]).
    pub orders: u32,
    /// What they came to, after refunds.
    pub spent: Money,
    /// Date of the first of them.
    pub first_order: Option<Moment>,
    /// Date of the last.
    pub last_order: Option<Moment>,
    /// Date of the one before the last.
    pub previous_order: Option<Moment>,
    /// Spend per order, rounded to a thousandth; `None` without orders.
    pub average_order_value: Option<Money>,
    /// Mails delivered.
    pub mails: u32,
    /// When the first was.
    pub first_mail: Option<Moment>,
    /// When the last was.
    pub last_mail: Option<Moment>,
    /// The last human act: click, unaided open, visit or order.
    pub last_human: Option<Moment>,
    /// Whether there ever was one.
    pub ever_human: bool,
    /// How lately.
    pub tier: Tier,
    /// Where the person stands as a buyer.
    pub stage: Stage,
    /// When the oldest record was created.
    pub created: Option<Moment>,
    /// Whether marketing e-mail reaches some profile of the person.
    pub reachable: bool,
    /// Whether some profile of the person is suppressed upstream.
    pub suppressed: bool,
}

/// The facts of one person at `now`. Orders are Shopify's; only somebody without any there has those
/// that Klaviyo saw.
pub fn facts(dossier: &Dossier, roles: &Roles, limits: &Lifecycle, now: Moment) -> Facts {
    let past = dossier.events.iter();
    let past = past.filter(|event| Moment::from_secs(event.at) <= now);
    let sales = Sales::of(dossier, past.clone(), roles, now);
    let engagement = Engagement::of(past, roles);
    let last_human = engagement.last_human(sales.last);
    let profiles = || dossier.profiles.iter().map(|(_, profile)| profile);
    let customers = dossier.customers.iter().map(|(_, customer)| customer);
    let created = profiles().filter_map(|profile| profile.created);
    let created = created.chain(customers.filter_map(|customer| customer.created));
    let created = created.filter(|at| *at <= now).min();
    Facts {
        orders: sales.count,
        spent: sales.spent,
        first_order: sales.first,
        last_order: sales.last,
        previous_order: sales.previous,
        average_order_value: sales.average(),
        mails: engagement.mails,
        first_mail: engagement.first_mail,
        last_mail: engagement.last_mail,
        last_human,
        ever_human: last_human.is_some(),
        tier: tier(last_human, engagement.mails > 0, now),
        stage: stage(created, sales.last, sales.previous, limits, now),
        created,
        reachable: profiles().any(|profile| profile.is_reachable()),
        suppressed: profiles().any(|profile| profile.is_suppressed()),
    }
}

/// Orders in all.
#[derive(Default)]
struct Sales {
    count: u32,
    spent: Money,
    first: Option<Moment>,
    previous: Option<Moment>,
    last: Option<Moment>,
}

impl Sales {
    fn of<'a>(
        dossier: &Dossier,
        events: impl Iterator<Item = &'a Event>,
        roles: &Roles,
        now: Moment,
    ) -> Self {
        let mut sales = Self::default();
        let orders = dossier.orders.iter();
        let mut orders = orders.filter(|order| order.processed <= now).peekable();
        if orders.peek().is_some() {
            let counting = orders.filter(|order| order.counts());
            counting.for_each(
                |Order {
                     processed, total, ..
                 }| sales.add(*processed, *total),
            );
        } else {
            let placed = events.filter(|event| roles.role(event.metric) == Role::Ordered);
            placed.for_each(|event| {
                sales.add(
                    Moment::from_secs(event.at),
                    event.value.unwrap_or(Money::ZERO),
                );
            });
        }
        sales
    }

    fn add(&mut self, at: Moment, amount: Money) {
        self.count = self.count.saturating_add(1);
        self.spent += amount;
        self.first = self.first.or(Some(at));
        self.previous = self.last.replace(at);
    }

    fn average(&self) -> Option<Money> {
        let count = i64::from(self.count);
        let half = self.spent.0.signum() * (count / 2);
        let rounded = self.spent.0.saturating_add(half).checked_div(count);
        rounded.map(Money)
    }
}

/// Mails and what came of them.
#[derive(Default)]
struct Engagement {
    mails: u32,
    first_mail: Option<Moment>,
    last_mail: Option<Moment>,
    last_sure: Option<Moment>,
    last_unsure: Option<Moment>,
}

impl Engagement {
    fn of<'a>(events: impl Iterator<Item = &'a Event>, roles: &Roles) -> Self {
        let mut all = Self::default();
        for event in events {
            let at = Some(Moment::from_secs(event.at));
            if roles.role(event.metric) == Role::Received {
                all.mails = all.mails.saturating_add(1);
                all.first_mail = all.first_mail.or(at);
                all.last_mail = at;
            }
            match roles.act(event) {
                Act::Human => all.last_sure = at,
                Act::Unsure => all.last_unsure = at,
                Act::Nobody => {}
            }
        }
        all
    }

    /// Old opens, of which a machine may have caused any, count once something else shows a human.
    fn last_human(&self, last_order: Option<Moment>) -> Option<Moment> {
        let sure = self.last_sure.max(last_order);
        sure.map(|sure| self.last_unsure.map_or(sure, |unsure| unsure.max(sure)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::score::fixtures::{Vendor, day, order, person};
    use crate::score::roles;

    const NOW: i64 = 20_500;

    fn read(dossier: &Dossier, vendor: &Vendor) -> Facts {
        let roles = roles::Roles::of(&vendor.vocabulary);
        facts(dossier, &roles, &Lifecycle::default(), day(NOW))
    }

    #[test]
    fn every_golden_history_reaches_its_tier() {
        let Some(golden) = golden::json("rfm/engagement_tier_cases.json") else {
            return;
        };
        for case in golden["cases"].as_array().unwrap() {
            let mut vendor = Vendor::default();
            let mut events = Vec::new();
            for event in case["events"].as_array().unwrap() {
                let at = day(NOW - event[1].as_i64().unwrap());
                let machine = event[2] == true;
                let flag = if machine { "true" } else { "false" };
                events.push(match event[0].as_str().unwrap() {
                    "open" => vendor.event("Opened Email", at, &[("machine_open", flag)]),
                    "click" => vendor.event("Clicked Email", at, &[("Bot Click", flag)]),
                    "received" => vendor.event("Received Email", at, &[]),
                    // Upstream knows no visit or order by a machine.
                    _ if machine => continue,
                    "site" => vendor.event("Active on Site", at, &[]),
                    "order" => vendor.event("Placed Order", at, &[]),
                    other => panic!("{other} is no event of this golden file"),
                });
            }
            let facts = read(&person("a@shop.com", None, events), &vendor);
            assert_eq!(case["expected"], facts.tier.as_str(), "{case}");
        }
    }

    #[test]
    fn only_orders_that_count_count_and_the_future_is_ignored() {
        let vendor = Vendor::default();
        let mut buyer = person("a@shop.com", None, Vec::new());
        let mut cancelled = order(day(NOW - 30), 9_000);
        cancelled.cancelled = true;
        buyer.orders = vec![
            order(day(NOW - 50), 10_000),
            order(day(NOW - 40), 10_001),
            cancelled,
            order(day(NOW - 20), 10_000),
            order(day(NOW + 1), 70_000),
        ];
        let facts = read(&buyer, &vendor);
        assert_eq!((facts.orders, facts.spent), (3, Money(30_001)));
        assert_eq!(facts.average_order_value, Some(Money(10_000)));
        assert_eq!(facts.first_order, Some(day(NOW - 50)));
        assert_eq!(facts.previous_order, Some(day(NOW - 40)));
        assert_eq!(facts.last_order, Some(day(NOW - 20)));
        assert_eq!(facts.last_human, Some(day(NOW - 20)));
        assert_eq!(facts.stage, Stage::Active);
    }

    #[test]
    fn klaviyos_orders_stand_in_only_for_somebody_unknown_to_shopify() {
        let mut vendor = Vendor::default();
        let mut placed = vendor.event("Placed Order", day(NOW - 10), &[]);
        placed.value = Some(Money(25_000));
        let late = vendor.event("Placed Order", day(NOW + 1), &[]);
        let mut buyer = person("a@shop.com", None, vec![placed, late]);
        assert_eq!(read(&buyer, &vendor).spent, Money(25_000));
        assert_eq!(read(&buyer, &vendor).orders, 1);
        let mut cancelled = order(day(NOW - 10), 25_000);
        cancelled.cancelled = true;
        buyer.orders = vec![cancelled];
        let facts = read(&buyer, &vendor);
        assert_eq!((facts.orders, facts.spent), (0, Money::ZERO));
        assert_eq!((facts.last_order, facts.average_order_value), (None, None));
        assert_eq!(facts.stage, Stage::Lead);
    }

    #[test]
    fn an_old_unflagged_open_counts_only_beside_another_human_signal() {
        let mut vendor = Vendor::default();
        let opened = Moment::parse("2021-06-01T12:00:00Z").unwrap();
        let mail = vendor.event("Received Email", opened, &[]);
        let open = vendor.event("Opened Email", opened, &[]);
        let mut reader = person("a@shop.com", None, vec![mail, open]);
        let alone = read(&reader, &vendor);
        assert_eq!((alone.last_human, alone.tier), (None, Tier::Never));
        reader.orders = vec![order(Moment::parse("2020-01-01").unwrap(), 1_000)];
        let beside = read(&reader, &vendor);
        assert_eq!(
            (beside.last_human, beside.tier),
            (Some(opened), Tier::Dormant)
        );
    }

    #[test]
    fn nothing_known_is_nothing_said() {
        let facts = read(
            &person("a@shop.com", Some(day(NOW - 3)), Vec::new()),
            &Vendor::default(),
        );
        assert_eq!((facts.tier, facts.stage), (Tier::Unmailed, Stage::NewLead));
        assert_eq!(
            (facts.mails, facts.last_mail, facts.ever_human),
            (0, None, false)
        );
        assert!(facts.reachable && !facts.suppressed);
    }
}
