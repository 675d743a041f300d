//! The client: headers, addresses of listings, and what Klaviyo's statuses mean.

use super::jsonapi::{self, Collection, ErrorDocument};
use super::limits;
use crate::api::error::{label, scope_in};
use crate::api::page::{check_path, next_cursor};
use crate::api::{Answer, ApiError, BudgetMemory, Budgets, Call, Class, Conduct, Cursor, Drawer};
use crate::api::{Exchange, Fault, Keeper};
use crate::api::{Method, Page, Record, Retry, Trail, Transport, WindowBudget};
use crate::clock::Clock;
use crate::config::KlaviyoAccess;
use crate::telemetry::Meter;
use bytes::Bytes;
use reqwest::header::{self, HeaderMap, HeaderValue};
use secrecy::ExposeSecret;
use serde::de::DeserializeSeed;
use std::time::Duration;
use url::Url;

/// The revision of the API whose documents this room reads and writes.
pub const REVISION: &str = "2026-07-15";

/// A listing that is kept in memory as one and goes on for so many pages has no end.
const MOST_PAGES_AT_ONCE: u32 = 1_000;

const MEDIA: &str = "application/vnd.api+json";
/// A smaller body is read sooner than another thread takes it up.
const SMALL_BODY: usize = 32 * 1024;
const TOTAL_TIMEOUT: Duration = Duration::from_secs(120);

/// The layers over a transport: every attempt pays its budget and is seen.
pub type Stack<T> = Retry<WindowBudget<Record<T>>>;

/// The layers of a real client.
pub type HttpStack = Stack<Transport>;

/// One Klaviyo account.
#[derive(Debug)]
pub struct Klaviyo<E = HttpStack> {
    stack: E,
    base: Url,
    clock: Clock,
    pub(super) pinned: Option<String>,
}

impl Klaviyo {
    /// A client for the account that `access` opens, drawing on its budget for a shop.
    ///
    /// # Errors
    /// [`Fault::ForeignHost`] for a base URL that is neither https nor loopback,
    /// [`Fault::UnusableKey`], [`Fault::Setup`].
    pub fn new(
        access: &KlaviyoAccess,
        draws: (&Budgets, &str),
        clock: Clock,
        meter: Meter,
        conduct: Conduct,
    ) -> Result<Self, ApiError> {
        let failed = |fault| ApiError::new(&limits::GET_ACCOUNTS, fault);
        let headers = fixed_headers(access).map_err(failed)?;
        let unused = header::AUTHORIZATION;
        let transport = Transport::new(&access.base_url, headers, unused, TOTAL_TIMEOUT);
        let transport = transport.map_err(failed)?;
        Ok(Self::on(transport, access, draws, clock, meter, conduct))
    }
}

impl<T> Klaviyo<Stack<T>> {
    /// The same over any transport.
    pub fn on(
        transport: T,
        access: &KlaviyoAccess,
        (budgets, shop): (&Budgets, &str),
        clock: Clock,
        meter: Meter,
        conduct: Conduct,
    ) -> Self {
        let record = Record::new(transport, clock.clone(), meter.clone());
        let drawer = Drawer {
            budgets,
            quota: access.quota(),
            share: access.budget_share,
            limits: access.limits,
            shop,
        };
        let patience = conduct.patience;
        let budget = WindowBudget::new(record, &drawer, patience, clock.clone(), meter.clone());
        Self {
            stack: Retry::new(budget, judge, conduct, clock.clone(), meter),
            base: access.base_url.clone(),
            clock,
            pinned: access.account.clone(),
        }
    }

    /// Takes up what was spent and parked before a restart, and hands `keeper` what must outlive the
    /// next one, before each request that adds to it.
    pub fn remember(&self, past: BudgetMemory, keeper: Keeper) {
        self.stack.inner().remember(past, keeper);
    }
}

fn fixed_headers(access: &KlaviyoAccess) -> Result<HeaderMap, Fault> {
    let key = format!("Klaviyo-API-Key {}", access.key.expose_secret());
    let mut key = HeaderValue::try_from(key).map_err(|_| Fault::UnusableKey)?;
    key.set_sensitive(true);
    Ok(HeaderMap::from_iter([
        (header::AUTHORIZATION, key),
        (header::ACCEPT, HeaderValue::from_static(MEDIA)),
        (
            header::HeaderName::from_static("revision"),
            HeaderValue::from_static(REVISION),
        ),
    ]))
}

/// A listing: where it is and how its records are read.
pub(super) struct Listing<'a> {
    pub class: &'static Class,
    /// The class of a dear parameter, paid on top.
    pub surcharge: Option<&'static Class>,
    pub path: &'a str,
    /// Name and unencoded value of each parameter of the first page.
    pub query: &'a [(&'a str, &'a str)],
}

impl Listing<'_> {
    /// Records asked for one by one are waited for: a webhook named them, or they were just written.
    fn is_urgent(&self) -> bool {
        let mut filters = self.query.iter().filter(|(name, _)| *name == "filter");
        filters.any(|(_, filter)| filter.starts_with("any("))
    }
}

impl<E: Exchange> Klaviyo<E> {
    /// A client over any stack of layers: a recording, a script, one layer left out.
    pub fn over(stack: E, base: Url, clock: Clock, pinned: Option<String>) -> Self {
        Self {
            stack,
            base,
            clock,
            pinned,
        }
    }

    pub(super) async fn ask(&self, call: &Call) -> Result<Answer, ApiError> {
        self.stack.exchange(call).await
    }

    /// Sends a document and gives back the answer.
    pub(super) async fn send(
        &self,
        class: &'static Class,
        method: Method,
        path: String,
        document: &impl serde::Serialize,
        idempotent: bool,
    ) -> Result<Answer, ApiError> {
        let body = serde_json::to_vec(document).expect("documents of text and numbers serialise");
        let mut call = Call::send(class, method, path, MEDIA, body);
        call.idempotent = idempotent;
        self.ask(&call).await
    }

    /// One page of a listing; each record is read by `seed`.
    pub(super) async fn page<S, T>(
        &self,
        listing: &Listing<'_>,
        cursor: Option<&Cursor>,
        seed: S,
    ) -> Result<Page<T>, ApiError>
    where
        S: for<'de> DeserializeSeed<'de, Value = T> + Copy,
    {
        let (place, answer) = self.fetch(listing, cursor).await?;
        let read = jsonapi::collection(&answer.body, seed);
        self.turned(listing, &place, &answer, read)
    }

    /// As [`Klaviyo::page`], for pages so large that they are read on a thread of their own: whoever asks
    /// may have other requests under way.
    pub(super) async fn large_page<T: Send + 'static>(
        &self,
        listing: &Listing<'_>,
        cursor: Option<&Cursor>,
        read: impl FnOnce(&[u8]) -> Result<Collection<T>, Fault> + Send + 'static,
    ) -> Result<Page<T>, ApiError> {
        let (place, answer) = self.fetch(listing, cursor).await?;
        let read = aside(answer.body.clone(), read).await;
        self.turned(listing, &place, &answer, read)
    }

    /// Asks for a page; where it is, and the answer.
    async fn fetch(
        &self,
        listing: &Listing<'_>,
        cursor: Option<&Cursor>,
    ) -> Result<(String, Answer), ApiError> {
        let failed = |fault| ApiError::new(listing.class, fault);
        let place = match cursor {
            None => format!("{}?{}", listing.path, encode(listing.query)),
            Some(cursor) => {
                check_path(cursor.as_str(), listing.path).map_err(failed)?;
                cursor.as_str().to_owned()
            }
        };
        let mut call = Call::get(listing.class, place.clone());
        call.surcharge = listing.surcharge;
        call.urgent = listing.is_urgent();
        let answer = self.ask(&call).await?;
        Ok((place, answer))
    }

    /// The page that was read out of an answer, and where the listing goes on.
    fn turned<T>(
        &self,
        listing: &Listing<'_>,
        place: &str,
        answer: &Answer,
        read: Result<Collection<T>, Fault>,
    ) -> Result<Page<T>, ApiError> {
        let class = listing.class;
        let wrong = |fault| answer.error(class, fault);
        let page = read.map_err(wrong)?;
        let next = next_cursor(page.next.as_deref(), &self.base, listing.path, place);
        Ok(Page {
            class,
            items: page.items,
            next: next.map_err(wrong)?,
            server_time: answer.headers.date.unwrap_or_else(|| self.clock.now()),
            quarantined: page.quarantined,
        })
    }

    /// All pages of a short listing as one; the server time is that of the first.
    pub(super) async fn walk<S, T>(
        &self,
        listing: &Listing<'_>,
        seed: S,
    ) -> Result<Page<T>, ApiError>
    where
        S: for<'de> DeserializeSeed<'de, Value = T> + Copy,
    {
        let mut whole = self.page(listing, None, seed).await?;
        let mut trail = Trail::of(MOST_PAGES_AT_ONCE);
        trail.step(&whole)?;
        while let Some(cursor) = whole.next.take() {
            let page = self.page(listing, Some(&cursor), seed).await?;
            trail.step(&page)?;
            whole.items.extend(page.items);
            whole.quarantined += page.quarantined;
            whole.next = page.next;
        }
        Ok(whole)
    }
}

/// Reads a body on another thread, if that pays.
async fn aside<T: Send + 'static>(
    body: Bytes,
    read: impl FnOnce(&[u8]) -> T + Send + 'static,
) -> T {
    if body.len() < SMALL_BODY {
        return read(&body);
    }
    match tokio::task::spawn_blocking(move || read(&body)).await {
        Ok(read) => read,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The process ends: nobody waits for the answer any more.
        Err(_) => std::future::pending().await,
    }
}

/// `name=value&…`, percent-encoded; a blank is `%20`, as filters are not forms.
pub(super) fn encode(query: &[(&str, &str)]) -> String {
    let part = |text: &str| {
        let bytes = url::form_urlencoded::byte_serialize(text.as_bytes());
        bytes.collect::<String>().replace('+', "%20")
    };
    let pairs = query
        .iter()
        .map(|(name, value)| format!("{}={}", part(name), part(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// One segment of a path.
pub(super) fn segment(id: &str) -> String {
    encode(&[("", id)]).split_off(1)
}

/// `"a","b"` for a filter's list. Ids hold no quotes; any that came is dropped.
pub(super) fn quoted<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let quote = |id: &str| format!("\"{}\"", id.replace(['"', '\\'], ""));
    ids.map(quote).collect::<Vec<_>>().join(",")
}

/// What Klaviyo's statuses mean (klaviyo.md, section 1).
pub(in crate::api) fn judge(call: &Call, answer: Answer) -> Result<Answer, ApiError> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    let fault = match answer.status {
        429 => Fault::Throttled {
            wait: answer.headers.retry_after,
        },
        500.. => Fault::VendorDown,
        300..=399 => Fault::Redirected {
            from: answer.headers.origin.clone(),
            to: answer.headers.redirect.clone(),
        },
        410 => Fault::VersionChanged {
            asked: REVISION.into(),
            got: "a newer one only".into(),
        },
        status => refusal(status, &answer.body),
    };
    Err(answer.error(call.class, fault))
}

fn refusal(status: u16, body: &[u8]) -> Fault {
    let document: Option<ErrorDocument> = serde_json::from_slice(body).ok();
    let first = document.and_then(|document| document.errors.into_iter().next());
    match (status, first) {
        (401, _) => Fault::WrongKey,
        (404, _) => Fault::NotFound,
        // The content network in front answers with pages of its own when it doubts us.
        (403, None) if !body.trim_ascii_start().starts_with(b"{") => Fault::VendorDown,
        (403, first) => Fault::MissingScope {
            scope: first.and_then(|error| scope_in(error.detail.as_deref()?)),
        },
        (409, Some(error)) => Fault::Conflict {
            duplicate: error.duplicate(),
        },
        (status, error) => {
            let code = error
                .as_ref()
                .and_then(|error| label(error.code.as_deref()?));
            Fault::Invalid {
                code: code.unwrap_or_else(|| format!("status {status}").into()),
                title: error
                    .as_ref()
                    .and_then(|error| label(error.title.as_deref()?)),
                pointer: error.as_ref().and_then(|error| label(error.place()?)),
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests_support {
    use super::*;
    use crate::api::fake::Fake;
    use crate::model::Moment;

    /// A client whose answers come from a script.
    pub(in crate::api::klaviyo) fn client(fake: &Fake) -> Klaviyo<&Fake> {
        let base = Url::parse("https://a.klaviyo.com").unwrap();
        Klaviyo::over(fake, base, Clock::manual(Moment(0)), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Verdict;
    use crate::api::fake::{answer, call};
    use crate::model::ProfileId;

    fn judged(status: u16, body: &'static str) -> ApiError {
        let mut answer = answer(status);
        answer.body = body.into();
        judge(&call(), answer).unwrap_err()
    }

    #[test]
    fn an_error_keeps_the_code_and_pointer_and_drops_the_detail() {
        let body = r#"{"errors":[{"id":"x","status":400,"code":"invalid","title":"Invalid input.",
            "detail":"jane@example.com is not valid","source":{"pointer":"/data/attributes/email"}}]}"#;
        let error = judged(400, body);
        let text = error.to_string();
        assert_eq!(
            text,
            "Klaviyo get_profiles: refused with `invalid` (Invalid input.) at \
             /data/attributes/email (status 400)"
        );
        assert!(!format!("{error:?}").contains("jane"));
    }

    #[test]
    fn a_conflict_names_the_other_profile() {
        let body = r#"{"errors":[{"code":"duplicate_profile","title":"Conflict.","detail":"…",
            "meta":{"duplicate_profile_id":"01GDDKASAP8TKDDA2GRZDSVP4H"}}]}"#;
        let duplicate = Some(ProfileId::from("01GDDKASAP8TKDDA2GRZDSVP4H"));
        assert_eq!(judged(409, body).fault, Fault::Conflict { duplicate });
    }

    #[test]
    fn a_challenge_page_is_the_vendors_fault_and_a_missing_scope_is_ours() {
        assert_eq!(judged(403, "<html>").fault, Fault::VendorDown);
        let body =
            r#"{"errors":[{"code":"permission_denied","detail":"Requires profiles:read."}]}"#;
        let scope = Some("profiles:read".into());
        assert_eq!(judged(403, body).fault, Fault::MissingScope { scope });
        assert_eq!(judged(403, body).verdict(true), Verdict::GiveUp);
        assert_eq!(judged(401, "").fault, Fault::WrongKey);
        assert!(matches!(
            judged(410, "").fault,
            Fault::VersionChanged { .. }
        ));
    }

    #[tokio::test]
    async fn a_real_client_sends_key_and_revision_and_shows_neither() {
        use axum::http::HeaderMap;
        let reply = |headers: HeaderMap| async move {
            assert_eq!(headers["authorization"], "Klaviyo-API-Key pk_secret");
            assert_eq!(headers["revision"], REVISION);
            assert_eq!(headers["accept"], MEDIA);
            let agent = headers["user-agent"].to_str().unwrap();
            assert!(agent.starts_with("driftless/"));
            r#"{"data":[],"links":{"next":null}}"#
        };
        let app = axum::Router::new().route("/api/lists", axum::routing::get(reply));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let access = KlaviyoAccess {
            base_url: Url::parse(&base).unwrap(),
            key: "pk_secret".into(),
            account: None,
            budget_share: 0.7,
            limits: true,
        };
        let conduct = Conduct::default();
        let (budgets, clock, meter) = (Budgets::default(), Clock::System, Meter::default());
        let klaviyo = Klaviyo::new(&access, (&budgets, "shop"), clock, meter, conduct).unwrap();
        assert_eq!(klaviyo.lists().await.unwrap().items, []);
        assert!(!format!("{klaviyo:?}").contains("pk_secret"));
    }

    #[test]
    fn filters_are_percent_encoded_once() {
        let query = [
            ("filter", "any(id,[\"a b\",\"c+d\"])"),
            ("page[size]", "100"),
        ];
        assert_eq!(
            encode(&query),
            "filter=any%28id%2C%5B%22a%20b%22%2C%22c%2Bd%22%5D%29&page%5Bsize%5D=100"
        );
        assert_eq!(segment("a/b?c"), "a%2Fb%3Fc");
        assert_eq!(quoted(["a\"b", "c\\"].into_iter()), "\"ab\",\"c\"");
    }
}
