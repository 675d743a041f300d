//! The client: one GraphQL endpoint, priced requests, and what Shopify's replies mean.

use super::budget::CostBudget;
use super::envelope::Opened;
use super::token::{Door, TOKEN};
use crate::api::lenient::{misfit, sift};
use crate::api::transport::builder;
use crate::api::{Answer, ApiError, Call, Class, Conduct, Cursor, Exchange, Fault, Method};
use crate::api::{Page, Record, Retry, Transport};
use crate::clock::Clock;
use crate::config::ShopifyAccess;
use crate::policy::MetafieldMap;
use crate::telemetry::{Api, Meter};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use std::time::Duration;
use url::Url;

const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);

/// The layers of a real client.
pub type HttpStack = Retry<CostBudget<Record<Opened<Transport>>>>;

/// One Shopify shop.
#[derive(Debug)]
pub struct Shopify<E = HttpStack> {
    stack: E,
    path: String,
    door: Door,
    clock: Clock,
    pub(super) domain: String,
    pub(super) base: Url,
    pub(super) metafield: Option<(String, String)>,
    /// For bulk results: holds no credential.
    pub(super) results: reqwest::Client,
    pub(super) meter: Meter,
}

/// An operation with its price.
pub(super) struct Operation {
    pub class: Class,
    pub document: &'static str,
    /// By the formula of shopify.md, section 3.1, until the first reply tells.
    pub cost: f64,
    pub idempotent: bool,
    /// Records asked for one by one are waited for: a webhook named them, or they were just written.
    pub urgent: bool,
}

impl Operation {
    pub const fn new(name: &'static str, document: &'static str, cost: f64) -> Self {
        Self {
            class: Class {
                api: Api::Shopify,
                name,
                limits: None,
            },
            document,
            cost,
            idempotent: true,
            urgent: false,
        }
    }
}

impl Shopify {
    /// A client for the shop that `access` opens. `metafield` is the one customer metafield that
    /// driftless keeps, if any.
    ///
    /// # Errors
    /// [`Fault::ForeignHost`] for a base URL that is neither https nor loopback,
    /// [`Fault::UnusableKey`], [`Fault::Setup`], and [`Fault::Invalid`] for a metafield name with
    /// other characters than letters, digits, `_`, `-` and `$`.
    pub fn new(
        access: &ShopifyAccess,
        metafield: Option<&MetafieldMap>,
        clock: Clock,
        meter: Meter,
        conduct: Conduct,
    ) -> Result<Self, ApiError> {
        let failed = |fault| ApiError::new(&TOKEN, fault);
        let json = HeaderValue::from_static("application/json");
        let transport = Transport::new(
            &access.base_url,
            HeaderMap::from_iter([(header::ACCEPT, json)]),
            HeaderName::from_static("x-shopify-access-token"),
            TOTAL_TIMEOUT,
        );
        let opened = Opened(transport.map_err(failed)?);
        let record = Record::new(opened, clock.clone(), meter.clone());
        let budget = CostBudget::new(record, conduct.patience, clock.clone(), meter.clone());
        let stack = Retry::new(budget, judge, conduct, clock.clone(), meter.clone());
        Self::over(stack, access, metafield, clock, meter).map_err(failed)
    }
}

impl<E: Exchange> Shopify<E> {
    /// A client over any stack of layers.
    pub(super) fn over(
        stack: E,
        access: &ShopifyAccess,
        metafield: Option<&MetafieldMap>,
        clock: Clock,
        meter: Meter,
    ) -> Result<Self, Fault> {
        let names = metafield.map(|map| (map.namespace.clone(), map.key.clone()));
        if let Some((namespace, key)) = &names {
            check_name(namespace)?;
            check_name(key)?;
        }
        Ok(Self {
            stack,
            path: format!("/admin/api/{}/graphql.json", access.api_version),
            door: Door::new(&access.auth)?,
            clock,
            domain: access.domain.clone(),
            base: access.base_url.clone(),
            metafield: names,
            results: builder(false).build().map_err(|_| Fault::Setup)?,
            meter,
        })
    }

    /// Sends an operation and gives back a reply whose data may be used. A refused token is
    /// replaced once, where another can be had.
    pub(super) async fn run(
        &self,
        operation: &'static Operation,
        variables: Json,
    ) -> Result<Reply, ApiError> {
        let document = json!({"query": operation.document, "variables": variables});
        let mut call = Call::send(
            &operation.class,
            Method::POST,
            self.path.clone(),
            "application/json",
            document.to_string().into_bytes(),
        );
        call.idempotent = operation.idempotent;
        call.urgent = operation.urgent;
        call.cost = Some(operation.cost);
        let mut renewed = false;
        loop {
            let token = self.door.token(&self.stack, &self.clock).await?;
            call.token = Some(token.clone());
            match self.stack.exchange(&call).await {
                Err(error) if error.fault == Fault::WrongKey && !renewed => {
                    renewed = true;
                    if !self.door.refused(&token).await {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
                Ok(answer) => {
                    return Ok(Reply {
                        server_time: answer.headers.date.unwrap_or_else(|| self.clock.now()),
                        answer,
                        class: &operation.class,
                    });
                }
            }
        }
    }

    /// One page of a connection; `read` reads a node, and one that does not fit is left out.
    pub(super) async fn page<T>(
        &self,
        operation: &'static Operation,
        variables: Json,
        after: Option<&Cursor>,
        read: fn(&str) -> Option<T>,
    ) -> Result<Page<T>, ApiError> {
        let reply = self.run(operation, variables).await?;
        let root: Root = reply.data()?;
        let connection = root.connection;
        let (items, quarantined) = sift(&connection.nodes, read);
        let next = connection.page_info.next(after);
        Ok(Page {
            class: &operation.class,
            items,
            next: next.map_err(|fault| reply.error(fault))?,
            server_time: reply.server_time,
            quarantined,
        })
    }
}

/// Only such names are written into the text of a bulk query.
fn check_name(name: &str) -> Result<(), Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_$-".contains(&b);
    if !name.is_empty() && name.bytes().all(plain) {
        return Ok(());
    }
    Err(Fault::Invalid {
        code: "metafield name".into(),
        title: Some("letters, digits, `_`, `-` and `$` only".into()),
        pointer: None,
    })
}

/// A reply without errors.
#[derive(Debug)]
pub(super) struct Reply {
    answer: Answer,
    class: &'static Class,
    pub server_time: crate::model::Moment,
}

impl Reply {
    /// Reads `data`.
    pub fn data<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ApiError> {
        let envelope = self.answer.envelope.as_ref();
        let data = envelope.and_then(|envelope| envelope.data(&self.answer.body));
        let missing = Fault::Shape { line: 1, column: 1 };
        let data = data.ok_or_else(|| self.error(missing))?;
        serde_json::from_slice(data).map_err(|error| self.error(misfit(&error)))
    }

    /// An error this reply gave rise to.
    pub fn error(&self, fault: Fault) -> ApiError {
        self.answer.error(self.class, fault)
    }
}

#[derive(Deserialize)]
struct Root<'a> {
    #[serde(borrow, alias = "customers", alias = "orders")]
    connection: Connection<'a>,
}

#[derive(Deserialize)]
struct Connection<'a> {
    #[serde(rename = "pageInfo")]
    page_info: PageInfo,
    #[serde(borrow)]
    nodes: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

impl PageInfo {
    fn next(self, after: Option<&Cursor>) -> Result<Option<Cursor>, Fault> {
        match self.end_cursor {
            _ if !self.has_next_page => Ok(None),
            None => Err(Fault::Shape { line: 1, column: 1 }),
            Some(end) if after.is_some_and(|after| after.as_str() == end) => Err(Fault::Loop),
            Some(end) => Ok(Some(Cursor::from_stored(&end))),
        }
    }
}

/// What Shopify's statuses and envelopes mean (shopify.md, section 9).
pub(in crate::api) fn judge(call: &Call, answer: Answer) -> Result<Answer, ApiError> {
    let fault = match answer.status {
        200 => graphql_fault(call, &answer),
        status => Some(status_fault(call, status, &answer)),
    };
    match fault {
        None => Ok(answer),
        Some(fault) => Err(answer.error(call.class, fault)),
    }
}

fn graphql_fault(call: &Call, answer: &Answer) -> Option<Fault> {
    if *call.class == TOKEN {
        return None;
    }
    let asked = call.path_and_query.split('/').nth(3).unwrap_or_default();
    let got = answer.headers.api_version.as_deref().unwrap_or(asked);
    if got != asked {
        return Some(Fault::VersionChanged {
            asked: asked.into(),
            got: got.into(),
        });
    }
    match &answer.envelope {
        None => Some(Fault::NotJson),
        Some(envelope) => envelope.fault(),
    }
}

fn status_fault(call: &Call, status: u16, answer: &Answer) -> Fault {
    match status {
        400 | 403 if *call.class == TOKEN => Fault::WrongKey,
        401 => Fault::WrongKey,
        402 | 423 => Fault::Closed,
        403 => Fault::MissingScope {
            scope: answer.envelope.as_ref().and_then(|e| e.scope()),
        },
        404 => Fault::Invalid {
            code: "status 404".into(),
            title: Some("no such shop or API version".into()),
            pointer: None,
        },
        429 => Fault::Throttled {
            wait: answer.headers.retry_after.or(Some(Duration::from_secs(2))),
        },
        300..=399 => Fault::Redirected {
            from: answer.headers.origin.clone(),
            to: answer.headers.redirect.clone(),
        },
        500.. => Fault::VendorDown,
        status => Fault::Invalid {
            code: format!("status {status}").into(),
            title: None,
            pointer: None,
        },
    }
}

#[cfg(test)]
pub(super) mod tests_support {
    use super::*;
    use crate::api::fake::Fake;
    use crate::config::ShopifyAuth;
    use crate::model::Moment;

    pub(in crate::api::shopify) type Tested<'a> = Retry<Opened<&'a Fake>>;

    pub(in crate::api::shopify) fn access(auth: ShopifyAuth) -> ShopifyAccess {
        ShopifyAccess {
            base_url: Url::parse("https://demo.myshopify.com").unwrap(),
            domain: "demo.myshopify.com".to_owned(),
            api_version: "2026-10".to_owned(),
            auth,
        }
    }

    /// A client whose answers come from a script, with the real judge above it.
    pub(in crate::api::shopify) fn client(fake: &Fake) -> Shopify<Tested<'_>> {
        with(fake, ShopifyAuth::Token("shpat_x".into()))
    }

    pub(in crate::api::shopify) fn with(fake: &Fake, auth: ShopifyAuth) -> Shopify<Tested<'_>> {
        let clock = Clock::manual(Moment(0));
        let stack = Retry::new(
            Opened(fake),
            judge,
            Conduct::default(),
            clock.clone(),
            Meter::default(),
        );
        let map = MetafieldMap {
            namespace: "custom".to_owned(),
            key: "facts".to_owned(),
            facts: Vec::new(),
        };
        Shopify::over(stack, &access(auth), Some(&map), clock, Meter::default()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::tests_support::{access, client, with};
    use super::*;
    use crate::api::fake::{Fake, answer, body};
    use crate::config::ShopifyAuth;

    const EMPTY: &str =
        r#"{"data":{"customers":{"pageInfo":{"hasNextPage":false,"endCursor":null},"nodes":[]}}}"#;

    fn granted(token: &str) -> Answer {
        body(&format!(
            r#"{{"access_token":"{token}","expires_in":86399}}"#
        ))
    }

    #[tokio::test]
    async fn a_refused_token_is_replaced_once() {
        let auth = || ShopifyAuth::Client {
            id: "id".to_owned(),
            secret: "secret".into(),
        };
        let script = [granted("old"), answer(401), granted("new"), body(EMPTY)];
        let fake = Fake::new(script);
        with(&fake, auth()).customers(None, None).await.unwrap();
        let last = fake.seen().pop().unwrap();
        assert_eq!(last.token.unwrap(), "new");

        let script = [granted("a"), answer(401), granted("b"), answer(401)];
        let fake = Fake::new(script);
        let error = with(&fake, auth()).customers(None, None).await.unwrap_err();
        assert_eq!(error.fault, Fault::WrongKey);

        let fake = Fake::new([answer(401)]);
        client(&fake).customers(None, None).await.unwrap_err();
        assert_eq!(fake.seen().len(), 1);
    }

    #[tokio::test]
    async fn another_version_in_the_reply_stops() {
        let mut newer = body(EMPTY);
        newer.headers.api_version = Some("2027-01".into());
        let fake = Fake::new([newer]);
        let error = client(&fake).customers(None, None).await.unwrap_err();
        let expected = Fault::VersionChanged {
            asked: "2026-10".into(),
            got: "2027-01".into(),
        };
        assert_eq!(error.fault, expected);
    }

    #[tokio::test]
    async fn throttled_inside_a_200_is_repeated_and_a_portal_is_not_an_empty_shop() {
        let throttled = r#"{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}]}"#;
        let fake = Fake::new([body(throttled), body(EMPTY)]);
        client(&fake).customers(None, None).await.unwrap();
        let fake = Fake::new([body("<html>")]);
        let error = client(&fake).customers(None, None).await.unwrap_err();
        assert_eq!(error.fault, Fault::NotJson);
    }

    #[tokio::test]
    async fn a_page_that_ends_where_it_began_is_a_loop() {
        let page = r#"{"data":{"customers":{"pageInfo":{"hasNextPage":true,"endCursor":"c1"},"nodes":[]}}}"#;
        let fake = Fake::new([body(page), body(page)]);
        let shopify = client(&fake);
        let first = shopify.customers(None, None).await.unwrap();
        let again = shopify.customers(None, first.next.as_ref()).await;
        assert_eq!(again.unwrap_err().fault, Fault::Loop);
    }

    #[tokio::test]
    async fn a_real_client_sends_its_token_in_the_header_and_shows_it_nowhere() {
        use axum::http::HeaderMap;
        let reply = |headers: HeaderMap, sent: String| async move {
            assert_eq!(headers["x-shopify-access-token"], "shpat_secret");
            assert_eq!(headers["content-type"], "application/json");
            assert!(!sent.contains("shpat_secret"));
            EMPTY
        };
        let path = "/admin/api/2026-10/graphql.json";
        let app = axum::Router::new().route(path, axum::routing::post(reply));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut access = access(ShopifyAuth::Token("shpat_secret".into()));
        access.base_url = Url::parse(&base).unwrap();
        let (clock, conduct) = (Clock::System, Conduct::default());
        let shopify = Shopify::new(&access, None, clock, Meter::default(), conduct).unwrap();
        let page = shopify.customers(None, None).await.unwrap();
        assert_eq!(page.items, []);
        assert!(!format!("{shopify:?}").contains("shpat_secret"));
    }

    #[test]
    fn a_metafield_name_cannot_carry_a_query() {
        let auth = ShopifyAuth::Token("t".into());
        let map = |key: &str| MetafieldMap {
            namespace: "$app".to_owned(),
            key: key.to_owned(),
            facts: Vec::new(),
        };
        let clock = Clock::manual(crate::model::Moment(0));
        for (key, good) in [
            ("driftless", true),
            ("a\"b", false),
            ("", false),
            ("a b", false),
        ] {
            let fake = Fake::default();
            let made = Shopify::over(
                &fake,
                &access(auth.clone()),
                Some(&map(key)),
                clock.clone(),
                Meter::default(),
            );
            assert_eq!(made.is_ok(), good, "{key}");
        }
    }
}
