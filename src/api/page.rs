//! One page of a listing, and where the next one is.

use super::{ApiError, Class, Fault};
use crate::model::Moment;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// Longest link that is believed to be one.
const LONGEST_LINK: usize = 16 * 1024;

/// A listing that goes on for so many pages without a record has no end.
const MOST_EMPTY: u32 = 1_000;
/// One that goes on for so many has none either, whatever it holds: twenty million profiles.
const MOST_PAGES: u32 = 200_000;

/// Where a listing goes on: opaque, and only good for the listing that gave it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub(super) Box<str>);

impl Cursor {
    /// A cursor that was stored as text.
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// As text, to be stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// What it was asked by.
    pub class: &'static Class,
    /// The records that fit their type.
    pub items: Vec<T>,
    /// Where the listing goes on; `None` at its end.
    pub next: Option<Cursor>,
    /// The server's clock when it answered; ours when it did not say.
    pub server_time: Moment,
    /// Records that did not fit their type and were left out: they tell nothing, neither presence
    /// nor absence (reliability.md, row 47).
    pub quarantined: u64,
}

impl<T> Page<T> {
    /// The same page of other records.
    pub(super) fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        Page {
            class: self.class,
            items: self.items.into_iter().map(each).collect(),
            next: self.next,
            server_time: self.server_time,
            quarantined: self.quarantined,
        }
    }
}

/// Follows a listing from page to page in constant memory, and knows when it goes in a circle, of whatever
/// length, or on about nothing, or for ever.
#[derive(Clone, Debug, PartialEq)]
pub struct Trail {
    /// A cursor of earlier on, left behind ever further apart (Brent): a circle comes back to it.
    mark: Option<Cursor>,
    since_mark: u64,
    until_next: u64,
    empty: u32,
    pages_left: u32,
}

impl Default for Trail {
    fn default() -> Self {
        Self::of(MOST_PAGES)
    }
}

impl Trail {
    /// Of a listing that has so many pages at most.
    pub fn of(most_pages: u32) -> Self {
        Self {
            mark: None,
            since_mark: 0,
            until_next: 0,
            empty: 0,
            pages_left: most_pages,
        }
    }

    /// Goes on to the page after this one.
    ///
    /// # Errors
    /// [`Fault::Loop`] when that would lead in a circle, or the last thousand pages held nothing, or it has
    /// more pages than it may have.
    pub fn step<T>(&mut self, page: &Page<T>) -> Result<(), ApiError> {
        let Some(next) = &page.next else {
            return Ok(());
        };
        let is_empty = page.items.is_empty() && page.quarantined == 0;
        self.empty = if is_empty { self.empty + 1 } else { 0 };
        self.pages_left = self.pages_left.saturating_sub(1);
        let is_endless = self.empty >= MOST_EMPTY || self.pages_left == 0;
        if self.mark.as_ref() == Some(next) || is_endless {
            return Err(ApiError::new(page.class, Fault::Loop));
        }
        self.since_mark += 1;
        if self.since_mark > self.until_next {
            self.mark = Some(next.clone());
            (self.since_mark, self.until_next) = (0, 2 * self.until_next + 1);
        }
        Ok(())
    }
}

/// Reads `links.next`: path and query only, our origin stays. The link must continue the listing
/// at `path`; it may name our own origin or, when we talk to loopback, another port of it (a proxy
/// may stand between). Anything else is [`Fault::ForeignLink`].
///
/// # Errors
/// [`Fault::ForeignLink`], and [`Fault::Loop`] for a link to the page that gave it.
pub(super) fn next_cursor(
    link: Option<&str>,
    base: &Url,
    path: &str,
    current: &str,
) -> Result<Option<Cursor>, Fault> {
    let Some(link) = link.filter(|link| !link.is_empty()) else {
        return Ok(None);
    };
    let path_and_query = local_part(link, base).ok_or(Fault::ForeignLink)?;
    check_path(path_and_query, path)?;
    if path_and_query == current {
        return Err(Fault::Loop);
    }
    Ok(Some(Cursor(path_and_query.into())))
}

/// Whether a path and query belongs to the listing at `path`.
///
/// # Errors
/// [`Fault::ForeignLink`] when not.
pub(super) fn check_path(path_and_query: &str, path: &str) -> Result<(), Fault> {
    let given = path_and_query.split('?').next().unwrap_or_default();
    let same = given.strip_suffix('/').unwrap_or(given) == path;
    let plain = path_and_query
        .bytes()
        .all(|b| b.is_ascii_graphic() && b != b'\\' && b != b'#');
    if same && plain && path_and_query.len() <= LONGEST_LINK {
        Ok(())
    } else {
        Err(Fault::ForeignLink)
    }
}

/// What follows the origin, taken from the text itself so that the query stays as it was written.
fn local_part<'a>(link: &'a str, base: &Url) -> Option<&'a str> {
    if link.starts_with('/') {
        return (!link.starts_with("//")).then_some(link);
    }
    if link.contains('\\') {
        return None;
    }
    let url = Url::parse(link).ok()?;
    let home = url.origin() == base.origin() || (is_loopback(&url) && is_loopback(base));
    let (_, rest) = link.split_once("://")?;
    let start = rest.find('/')?;
    let anonymous = !rest[..start].contains('@');
    (anonymous && home && url.scheme() == base.scheme()).then(|| &rest[start..])
}

/// Whether a URL leads to this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/api/profiles";

    fn next(link: &str) -> Result<Option<Cursor>, Fault> {
        let base = Url::parse("https://a.klaviyo.com").unwrap();
        next_cursor(Some(link), &base, PATH, "/api/profiles?page%5Bsize%5D=100")
    }

    #[test]
    fn a_link_gives_its_path_and_query_unchanged() {
        let rest = "/api/profiles?page%5Bcursor%5D=abc%3D&sort=id";
        for link in [rest.to_owned(), format!("https://a.klaviyo.com{rest}")] {
            assert_eq!(next(&link), Ok(Some(Cursor(rest.into()))));
        }
        let slash = "/api/profiles/?page%5Bcursor%5D=x";
        assert_eq!(next(slash), Ok(Some(Cursor(slash.into()))));
        assert_eq!(next(""), Ok(None));
    }

    #[test]
    fn a_link_to_anywhere_else_is_refused() {
        for link in [
            "https://evil.example/api/profiles?x=1",
            "https://b.a.klaviyo.com/api/profiles",
            "https://a.klaviyo.com.evil.example/api/profiles",
            "https://a.klaviyo.com@evil.example/api/profiles",
            "https://user:word@a.klaviyo.com/api/profiles",
            "https://@a.klaviyo.com/api/profiles",
            "https://a.klaviyo.com:8443/api/profiles",
            "http://a.klaviyo.com/api/profiles",
            "https://a.klaviyo.c\u{43e}m/api/profiles",
            "https://127.0.0.1/api/profiles",
            "https://[::1]/api/profiles",
            "https://2130706433/api/profiles",
            "//evil.example/api/profiles",
            "/\\evil.example/api/profiles",
            "\\\\evil.example/api/profiles",
            "https:\\\\evil.example/api/profiles",
            "/api/profiles/../lists",
            "/api/profiles/%2e%2e/lists",
            "/api/lists?x=1",
            "/api/profilesx",
            "/api/profiles?x=1#y",
            "/api/profiles?x=a b",
            "/api/profiles?x=\r\nHost: evil",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "?page=2",
        ] {
            assert_eq!(next(link), Err(Fault::ForeignLink), "{link}");
        }
        let long = format!("/api/profiles?x={}", "y".repeat(65_536));
        assert_eq!(next(&long), Err(Fault::ForeignLink));
    }

    #[test]
    fn a_link_to_the_same_page_is_a_loop() {
        assert_eq!(next("/api/profiles?page%5Bsize%5D=100"), Err(Fault::Loop));
    }

    /// Steps until a listing is found out, whose pages after the first `lead` go round in `circle`.
    fn found_out(lead: u64, circle: u64, items: &[u8]) -> u64 {
        let mut trail = Trail::default();
        for step in 0u64.. {
            let at = step.min(lead + step.saturating_sub(lead) % circle);
            let page = Page {
                class: &crate::api::klaviyo::limits::GET_PROFILES,
                items: items.to_vec(),
                next: Some(Cursor(at.to_string().into())),
                server_time: Moment(0),
                quarantined: 0,
            };
            match trail.step(&page) {
                Ok(()) => {}
                Err(error) => {
                    assert_eq!(error.fault, Fault::Loop);
                    return step;
                }
            }
        }
        unreachable!("it returns")
    }

    #[test]
    fn a_circle_of_any_length_and_a_listing_of_nothing_are_found_out() {
        for (lead, circle) in [(0, 1), (0, 2), (5, 3), (100, 7), (3, 1_000), (1_000, 1_000)] {
            let steps = found_out(lead, circle, &[1]);
            assert!(steps >= lead + circle, "{lead} {circle}: {steps}");
            assert!(steps <= 3 * (lead + circle), "{lead} {circle}: {steps}");
        }
        // Ever new cursors: with records for very many pages, without them for a thousand.
        assert_eq!(found_out(u64::MAX - 1, 1, &[1]), 199_999);
        assert_eq!(found_out(u64::MAX - 1, 1, &[]), 999);
    }

    #[test]
    fn on_loopback_another_port_is_still_this_machine() {
        let base = Url::parse("http://127.0.0.1:4101").unwrap();
        let rest = "/api/profiles?page%5Bcursor%5D=x";
        let link = format!("http://127.0.0.1:4001{rest}");
        assert_eq!(
            next_cursor(Some(&link), &base, PATH, ""),
            Ok(Some(Cursor(rest.into())))
        );
        let link = format!("http://10.0.0.1:4001{rest}");
        let foreign = next_cursor(Some(&link), &base, PATH, "");
        assert_eq!(foreign, Err(Fault::ForeignLink));
    }
}
