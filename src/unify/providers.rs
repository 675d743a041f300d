//! What is known about mail providers and mailbox names.

use std::sync::OnceLock;

/// Well-known providers: an address one slip away from one of these was probably meant for it.
/// Of several equally near ones the first is suggested.
pub(super) const WELL_KNOWN: [&str; 48] = [
    "gmail.com",
    "googlemail.com",
    "yahoo.com",
    "yahoo.co.uk",
    "yahoo.fr",
    "hotmail.com",
    "hotmail.co.uk",
    "hotmail.fr",
    "outlook.com",
    "live.com",
    "msn.com",
    "icloud.com",
    "me.com",
    "mac.com",
    "aol.com",
    "protonmail.com",
    "proton.me",
    "gmx.de",
    "gmx.net",
    "gmx.com",
    "web.de",
    "t-online.de",
    "comcast.net",
    "verizon.net",
    "att.net",
    "sbcglobal.net",
    "bellsouth.net",
    "cox.net",
    "btinternet.com",
    "orange.fr",
    "free.fr",
    "wanadoo.fr",
    "libero.it",
    "mail.ru",
    "yandex.ru",
    "qq.com",
    "163.com",
    "naver.com",
    "rogers.com",
    "shaw.ca",
    "bigpond.com",
    "optusnet.com.au",
    "ymail.com",
    "mail.com",
    "email.com",
    "rocketmail.com",
    "zoho.com",
    "fastmail.com",
];

/// Providers whose documentation says that mail to `name+anything` reaches `name`.
pub(super) const PLUS_TAGS: [&str; 14] = [
    "fastmail.com",
    "hotmail.co.uk",
    "hotmail.com",
    "hotmail.fr",
    "icloud.com",
    "live.com",
    "mac.com",
    "me.com",
    "msn.com",
    "outlook.com",
    "pm.me",
    "proton.me",
    "protonmail.com",
    "zoho.com",
];

/// Mailbox names that belong to a function, not to a human.
pub(super) const ROLES: [&str; 27] = [
    "abuse",
    "accounts",
    "admin",
    "administrator",
    "billing",
    "contact",
    "donotreply",
    "hello",
    "help",
    "hostmaster",
    "hr",
    "info",
    "jobs",
    "marketing",
    "no-reply",
    "noreply",
    "office",
    "orders",
    "postmaster",
    "press",
    "root",
    "sales",
    "security",
    "service",
    "support",
    "team",
    "webmaster",
];

/// Mailbox names whose case RFC 2142 says not to matter.
pub(super) const CASELESS: [&str; 15] = [
    "abuse",
    "ftp",
    "hostmaster",
    "info",
    "marketing",
    "news",
    "noc",
    "postmaster",
    "sales",
    "security",
    "support",
    "usenet",
    "uucp",
    "webmaster",
    "www",
];

/// Top-level names that never carry mail (RFC 6761, RFC 7686, RFC 3172). `example` is reserved too,
/// but for documentation, where it should pass.
pub(super) const RESERVED: [&str; 6] = ["arpa", "invalid", "local", "localhost", "onion", "test"];

/// Where Apple forwards "Hide My Email" addresses from.
pub(super) const APPLE_RELAY: &str = "privaterelay.appleid.com";

/// Whether a domain, or one that it is a part of, hands out throw-away mailboxes.
pub(super) fn is_disposable(domain: &str) -> bool {
    // The library searches its 50,000 names one by one; sorted once, a look-up costs nothing.
    static SORTED: OnceLock<Vec<&'static str>> = OnceLock::new();
    let known = SORTED.get_or_init(|| {
        let mut names = mailchecker::blacklist();
        names.sort_unstable();
        names
    });
    let parents = std::iter::successors(Some(domain), |name| {
        name.split_once('.').map(|(_, parent)| parent)
    });
    parents
        .filter(|name| name.contains('.'))
        .any(|name| known.binary_search(&name).is_ok())
}
