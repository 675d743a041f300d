//! The server through its door: real requests over loopback, on a manual clock.

mod bulks;
mod costs;
mod documents;
mod doors;
mod pages;
mod shapes;
mod writes;

use crate::clock::Clock;
use crate::model::{Moment, Money};
use crate::sandbox::shopify::router;
use crate::sandbox::world::{Customer, Line, Metafield, Order, ShopifyWorld, State};
use crate::sandbox::{Speed, World};
use serde_json::{Value as Json, json};
use std::time::Duration;

const TOKEN: &str = "shpat_test";

/// Every scope that the documents need.
const SCOPES: [&str; 4] = [
    "read_all_orders",
    "read_orders",
    "read_products",
    "write_customers",
];

fn start() -> Moment {
    Moment::parse("2026-11-21T10:00:00Z").unwrap()
}

/// A running server and its world.
struct Shop {
    world: World,
    url: String,
    http: reqwest::Client,
}

impl Shop {
    async fn open(world: ShopifyWorld) -> Self {
        Self::at_speed(world, Speed::Real).await
    }

    async fn at_speed(world: ShopifyWorld, speed: Speed) -> Self {
        // Fails only when another test of this process has installed one, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let state = State {
            shopify: world,
            ..State::default()
        };
        let world = World::new(Clock::manual(start()), state);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = router(world.clone(), speed, "http://nowhere.invalid".to_owned());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let http = reqwest::Client::new();
        Self { world, url, http }
    }

    fn request(&self) -> reqwest::RequestBuilder {
        let url = format!("{}/admin/api/2026-10/graphql.json", self.url);
        let request = self.http.post(url);
        request
            .header("X-Shopify-Access-Token", TOKEN)
            .header("Content-Type", "application/json")
    }

    async fn post(&self, body: Json) -> Json {
        let response = self.request().body(body.to_string()).send().await.unwrap();
        assert_eq!(response.status(), 200);
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    /// Sends a query text.
    async fn ask(&self, query: &str) -> Json {
        self.post(json!({"query": query})).await
    }

    /// Sends one of the documents, by its name.
    async fn run(&self, name: &str, variables: Json) -> Json {
        let query = include_str!("documents.graphql");
        let body = json!({"query": query, "operationName": name, "variables": variables});
        self.post(body).await
    }

    /// The `data` of one of the documents, which must have no errors.
    async fn data(&self, name: &str, variables: Json) -> Json {
        let mut reply = self.run(name, variables).await;
        assert_eq!(reply.get("errors"), None, "{name}");
        reply["data"].take()
    }

    fn pass(&self, millis: u64) {
        self.world.clock.advance(Duration::from_millis(millis));
    }
}

/// The code of the first error.
fn code(reply: &Json) -> &str {
    reply["errors"][0]["extensions"]["code"]
        .as_str()
        .unwrap_or("none")
}

fn gid(number: u64) -> String {
    format!("gid://shopify/Customer/{number}")
}

fn empty() -> ShopifyWorld {
    ShopifyWorld {
        domain: "tea-house.myshopify.com".to_owned(),
        token: TOKEN.to_owned(),
        client: ("client-id".to_owned(), "client-secret".to_owned()),
        scopes: SCOPES.map(str::to_owned).to_vec(),
        currency: "EUR".to_owned(),
        timezone: "America/New_York".to_owned(),
        ..ShopifyWorld::default()
    }
}

/// `customers` people; each third has two orders. Many share the second of their last change.
fn peopled(customers: u64) -> ShopifyWorld {
    let mut shop = empty();
    for number in 1..=customers {
        shop.customers.insert(number, person(number));
        if number.is_multiple_of(3) {
            for place in 0..2 {
                let order = purchase(number, place);
                shop.orders.insert(1_000 + number * 2 + place, order);
            }
        }
    }
    shop
}

fn person(number: u64) -> Customer {
    let days = i64::try_from(number % 200).unwrap();
    let updated = Moment::from_day(start().day() - days);
    let digest = Metafield {
        id: 90_000 + number,
        kind: "single_line_text_field".to_owned(),
        value: format!("01H{number}"),
        updated,
    };
    let name = ("$app".to_owned(), "klaviyo_profile_id".to_owned());
    Customer {
        email: (!number.is_multiple_of(7)).then(|| format!("p{number}@example.com")),
        phone: number
            .is_multiple_of(5)
            .then(|| format!("+4930{number:06}")),
        first_name: Some(format!("P{number}")),
        created: Moment::from_day(updated.day() - 400),
        updated,
        tags: vec!["VIP".to_owned()],
        email_state: "SUBSCRIBED",
        email_state_at: Some(updated),
        country_code: Some("DE".to_owned()),
        city: Some("Kiel".to_owned()),
        metafields: [(name, digest)].into(),
        ..Customer::default()
    }
}

fn purchase(customer: u64, place: u64) -> Order {
    let days = i64::try_from(customer % 120).unwrap();
    let created = Moment::from_day(start().day() - days);
    let line = |part: u64| Line {
        id: customer * 100 + place * 10 + part,
        title: format!("Tea {part}"),
        quantity: 2,
        price: Money(4_500),
    };
    Order {
        customer: Some(customer),
        email: Some(format!("p{customer}@example.com")),
        created,
        processed: created,
        updated: created,
        cancelled: (customer.is_multiple_of(9) && place == 1).then_some(created),
        total: Money(20_000),
        refunded: Money(if customer.is_multiple_of(6) {
            20_000
        } else {
            0
        }),
        lines: vec![line(1), line(2)],
        ..Order::default()
    }
}
