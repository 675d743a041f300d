//! Orders, by pages and by lines of a bulk result.

use super::client::{Operation, Shopify};
use super::customers::{changed_since, check_filter, whole_seconds};
use super::nodes::Found;
use crate::api::lenient;
use crate::api::{ApiError, Cursor, Exchange, Fault, Page};
use crate::model::{CustomerId, Moment, Money, Order, OrderId, OrderOwner};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

static ORDERS_BY_ID: Operation = Operation {
    urgent: true,
    ..Operation::new("orders_by_id", include_str!("orders_by_id.graphql"), 6.0)
};
static ORDER_COUNTS: Operation = Operation::new(
    "order_counts",
    include_str!("order_counts.graphql"),
    10.0 * (MOST_RANGES + 1) as f64,
);
static ORDERS_CREATED: Operation = Operation::new(
    "orders_created",
    include_str!("order_counts.graphql"),
    10.0 * (MOST_RANGES + 1) as f64,
);
static ORDERS: Operation = Operation::new("orders", include_str!("orders.graphql"), 24.0);

/// Ranges that one request counts; one more, in which there is nothing, shows that the filter counts.
pub const MOST_RANGES: usize = 7;

#[derive(Deserialize)]
struct Count {
    #[serde(deserialize_with = "lenient::count")]
    count: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: String,
    #[serde(deserialize_with = "lenient::instant")]
    processed_at: Option<Moment>,
    #[serde(deserialize_with = "lenient::instant")]
    updated_at: Option<Moment>,
    #[serde(deserialize_with = "lenient::instant")]
    cancelled_at: Option<Moment>,
    test: bool,
    #[serde(default, deserialize_with = "lenient::text")]
    email: Option<String>,
    customer: Option<Owner>,
    current_total_price_set: Bag,
    total_refunded_set: Bag,
}

#[derive(Deserialize)]
struct Owner {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bag {
    shop_money: Amount,
}

#[derive(Deserialize)]
struct Amount {
    amount: String,
}

impl Bag {
    fn money(&self) -> Option<Money> {
        self.shop_money.amount.parse().ok()
    }
}

impl Node {
    fn order(self) -> Option<Order> {
        let owner = match (self.customer, self.email) {
            (Some(customer), _) => OrderOwner::Customer(CustomerId::parse(&customer.id)?),
            (None, Some(email)) => OrderOwner::Guest(email),
            (None, None) => OrderOwner::Nobody,
        };
        Some(Order {
            id: OrderId::parse(&self.id)?,
            owner,
            processed: self.processed_at?,
            updated: self.updated_at?,
            total: self.current_total_price_set.money()?,
            refunded: self.total_refunded_set.money()?,
            cancelled: self.cancelled_at.is_some(),
            test: self.test,
        })
    }
}

/// Reads one line of a bulk result of orders; `None` when it does not fit.
pub fn decode_order(line: &str) -> Option<Order> {
    serde_json::from_str::<Node>(line).ok()?.order()
}

impl<E: Exchange> Shopify<E> {
    /// One page, of 250 at most, of the orders changed at or after `since`, in order of change; of
    /// all orders the token may see when absent.
    ///
    /// # Errors
    /// As [`Shopify::customers`].
    pub async fn orders(
        &self,
        since: Option<Moment>,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Order>, ApiError> {
        let variables = json!({
            "query": since.map(changed_since),
            "after": cursor.map(Cursor::as_str),
            "first": 250,
        });
        let page = self.page(&ORDERS, variables, cursor, decode_order).await?;
        check_filter(since, page.items.iter().map(|order| Some(order.updated)))
            .map_err(|fault| ApiError::new(&ORDERS.class, fault))?;
        Ok(page)
    }

    /// How many orders there are in each of up to [`MOST_RANGES`] ranges of ids. Ids ascend with
    /// creation, and the index knows them.
    ///
    /// # Errors
    /// [`Fault::TooMany`], [`Fault::FilterIgnored`] when there are orders where none can be, and
    /// whatever the request meets.
    pub async fn order_counts(
        &self,
        ranges: &[RangeInclusive<OrderId>],
    ) -> Result<Vec<u64>, ApiError> {
        let nothing = RangeInclusive::new(OrderId(0), OrderId(0));
        let queries: Vec<String> = ranges.iter().map(within).collect();
        self.counts(&ORDER_COUNTS, &queries, within(&nothing)).await
    }

    /// How many orders were created before each of up to [`MOST_RANGES`] instants, in whole seconds.
    ///
    /// # Errors
    /// As [`Shopify::order_counts`].
    pub async fn orders_created_before(&self, instants: &[Moment]) -> Result<Vec<u64>, ApiError> {
        let before = |at: Moment| format!("created_at:<'{}'", whole_seconds(at));
        let queries: Vec<String> = instants.iter().map(|at| before(*at)).collect();
        self.counts(&ORDERS_CREATED, &queries, before(Moment(0)))
            .await
    }

    /// How many orders each search finds; what is left of the request is spent on one that finds nothing.
    async fn counts(
        &self,
        operation: &'static Operation,
        queries: &[String],
        nothing: String,
    ) -> Result<Vec<u64>, ApiError> {
        if queries.len() > MOST_RANGES {
            let (limit, got) = (MOST_RANGES, queries.len());
            let fault = Fault::TooMany { limit, got };
            return Err(ApiError::new(&operation.class, fault));
        }
        let padded = queries.iter().chain(std::iter::repeat(&nothing));
        let padded = padded.take(MOST_RANGES + 1).enumerate();
        let variables: BTreeMap<String, &String> = padded
            .map(|(number, query)| (format!("q{number}"), query))
            .collect();
        let reply = self.run(operation, json!(variables)).await?;
        let mut counts: BTreeMap<String, Count> = reply.data()?;
        let mut of = |number: usize| counts.remove(&format!("q{number}"))?.count;
        let control = of(MOST_RANGES);
        let counts: Option<Vec<u64>> = (0..queries.len()).map(&mut of).collect();
        match (counts, control) {
            (Some(counts), Some(0)) => Ok(counts),
            (Some(_), Some(_)) => Err(reply.error(Fault::FilterIgnored)),
            _ => Err(reply.error(Fault::Shape { line: 1, column: 1 })),
        }
    }

    /// One page, of 250 at most, of the orders in a range of ids.
    ///
    /// # Errors
    /// As [`Shopify::orders`].
    pub async fn orders_within(
        &self,
        range: &RangeInclusive<OrderId>,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Order>, ApiError> {
        let variables = json!({
            "query": within(range),
            "after": cursor.map(Cursor::as_str),
            "first": 250,
        });
        let page = self.page(&ORDERS, variables, cursor, decode_order).await?;
        match page.items.iter().all(|order| range.contains(&order.id)) {
            true => Ok(page),
            false => Err(ApiError::new(&ORDERS.class, Fault::FilterIgnored)),
        }
    }

    /// Orders by id, 250 at most in one call.
    ///
    /// # Errors
    /// [`crate::api::Fault::TooMany`], and whatever the request meets.
    pub async fn orders_by_id(&self, ids: &[OrderId]) -> Result<Found<Order, OrderId>, ApiError> {
        let gids: Vec<String> = ids.iter().map(|id| id.gid()).collect();
        let variables = json!({ "ids": gids });
        self.nodes(&ORDERS_BY_ID, variables, ids, decode_order)
            .await
    }
}

fn within(range: &RangeInclusive<OrderId>) -> String {
    format!("id:>={} id:<={}", range.start().0, range.end().0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{Fake, body};
    use crate::api::shopify::client::tests_support::client;

    const ORDER: &str = r#"{"id":"gid:\/\/shopify\/Order\/1001","processedAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-02T00:00:00Z",
        "cancelledAt":null,"test":false,"email":"guest@example.com","customer":{"id":"gid:\/\/shopify\/Customer\/7"},
        "currentTotalPriceSet":{"shopMoney":{"amount":"18"}},"totalRefundedSet":{"shopMoney":{"amount":"2.50"}}}"#;

    #[test]
    fn a_line_is_an_order_with_its_owner_and_exact_amounts() {
        let order = decode_order(ORDER).unwrap();
        assert_eq!(order.owner, OrderOwner::Customer(CustomerId(7)));
        assert_eq!((order.total, order.refunded), (Money(18_000), Money(2_500)));
        let guest = ORDER.replace(r#"{"id":"gid:\/\/shopify\/Customer\/7"}"#, "null");
        let owner = decode_order(&guest).unwrap().owner;
        assert_eq!(owner, OrderOwner::Guest("guest@example.com".to_owned()));
        let cash = guest.replace(r#""guest@example.com""#, "null");
        assert_eq!(decode_order(&cash).unwrap().owner, OrderOwner::Nobody);
        let cancelled = ORDER.replace(
            r#""cancelledAt":null"#,
            r#""cancelledAt":"2026-01-02T00:00:00Z""#,
        );
        assert!(decode_order(&cancelled).unwrap().cancelled);
    }

    #[test]
    fn what_does_not_fit_is_no_order() {
        for (from, to) in [
            ("\"18\"", "\"much\""),
            ("\"18\"", "18"),
            ("Order", "Refund"),
            ("\"2026-01-01T00:00:00Z\"", "null"),
            ("false", "null"),
        ] {
            assert_eq!(decode_order(&ORDER.replacen(from, to, 1)), None, "{to}");
        }
    }

    #[tokio::test]
    async fn some_ranges_are_counted_by_one_request_if_the_filter_counts() {
        let counts = |fifth: &str, control: &str| {
            let of = |n: usize| match n {
                5 => fifth.to_owned(),
                MOST_RANGES => control.to_owned(),
                n => n.to_string(),
            };
            let counts = (0..=MOST_RANGES).map(|n| format!(r#""q{n}":{{"count":{}}}"#, of(n)));
            let counts: Vec<String> = counts.collect();
            body(&format!(r#"{{"data":{{{}}}}}"#, counts.join(",")))
        };
        let answers = [
            counts("5", "0"),
            counts("null", "0"),
            counts("5", "28"),
            counts("5", "0"),
        ];
        let fake = Fake::new(answers);
        let shopify = client(&fake);
        let ranges: Vec<_> = (0..7).map(|n| OrderId(n)..=OrderId(n + 5)).collect();
        assert_eq!(shopify.order_counts(&ranges[..2]).await.unwrap(), [0, 1]);
        let (_, sent) = fake.seen()[0].body.clone().unwrap();
        let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(sent["variables"]["q1"], "id:>=1 id:<=6");
        assert_eq!(sent["variables"]["q7"], "id:>=0 id:<=0");
        let fault = shopify.order_counts(&ranges).await.unwrap_err().fault;
        assert!(matches!(fault, Fault::Shape { .. }), "{fault:?}");
        let fault = shopify.order_counts(&ranges).await.unwrap_err().fault;
        assert!(matches!(fault, Fault::FilterIgnored), "{fault:?}");
        let created = shopify.orders_created_before(&[Moment(1_999)]).await;
        assert_eq!(created, Ok(vec![0]));
        let (_, sent) = fake.seen()[3].body.clone().unwrap();
        let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
        let variables = &sent["variables"];
        assert_eq!(variables["q0"], "created_at:<'1970-01-01T00:00:01Z'");
        assert_eq!(variables["q7"], "created_at:<'1970-01-01T00:00:00Z'");
        let eight = [&ranges[..], &ranges[..1]].concat();
        let fault = shopify.order_counts(&eight).await.unwrap_err().fault;
        assert!(matches!(fault, Fault::TooMany { limit: 7, got: 8 }));
    }

    #[tokio::test]
    async fn an_order_outside_the_range_tells_that_the_filter_was_ignored() {
        let page = format!(
            r#"{{"data":{{"orders":{{"pageInfo":{{"hasNextPage":false,"endCursor":null}},"nodes":[{ORDER}]}}}}}}"#
        );
        let fake = Fake::new([body(&page), body(&page)]);
        let shopify = client(&fake);
        let found = shopify
            .orders_within(&(OrderId(1001)..=OrderId(1001)), None)
            .await;
        assert_eq!(found.unwrap().items.len(), 1);
        let ignored = shopify
            .orders_within(&(OrderId(1)..=OrderId(1000)), None)
            .await;
        assert_eq!(ignored.unwrap_err().fault, Fault::FilterIgnored);
    }
}
