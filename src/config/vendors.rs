//! `[klaviyo]` and `[shopify]`: where the vendors are and what opens their doors.

use super::access::{KlaviyoAccess, ShopifyAccess, ShopifyAuth};
use super::reader::{Complaint, Section};
use super::secret::SecretPlaces;
use super::value::{above, flag, quoted, text, word};
use secrecy::ExposeSecret;
use toml::de::DeValue;
use url::{Host, Url};

const KLAVIYO: &str = "https://a.klaviyo.com";
const SHOPIFY_VERSION: &str = "2026-10";

/// `[klaviyo]`.
pub(super) fn klaviyo(section: &Section<'_>, places: &SecretPlaces<'_>) -> Option<KlaviyoAccess> {
    let key = places.secret(section, "key");
    let account = word("a Klaviyo account id: 6 letters and digits", |id| {
        (4..=16).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    let account = section.read("account", account);
    let budget_share = section.read("budget_share", above(0.0, 1.0)).unwrap_or(0.7);
    let base_url = section.read("base_url", base_url);
    let base_url = base_url.or_else(|| Url::parse(KLAVIYO).ok());
    let limits = section.read("limits", flag).unwrap_or(true);
    if !limits && !base_url.as_ref().is_some_and(is_loopback) {
        let message = "Klaviyo has limits: only a sandbox on this machine may have none";
        section.complain("limits", &Complaint::new(message));
    }
    key.zip(base_url).map(|(key, base_url)| {
        let private = key.value.expose_secret().starts_with("pk_");
        if !private && !is_loopback(&base_url) {
            section.warn(
                "key",
                "Klaviyo's private keys begin with `pk_`, this one does not",
            );
        }
        KlaviyoAccess {
            base_url,
            key: key.value,
            account,
            budget_share,
            limits,
        }
    })
}

/// `[shopify]`.
pub(super) fn shopify(section: &Section<'_>, places: &SecretPlaces<'_>) -> Option<ShopifyAccess> {
    let base_url = section.read("base_url", base_url);
    // Against a shop on this machine any name will do.
    let any_name = base_url.as_ref().is_some_and(is_loopback);
    let domain = section.require("domain", "\"acme.myshopify.com\"", |value| {
        shop_domain(value, any_name)
    });
    let version = section.read("api_version", api_version);
    let auth = auth(section, places);
    let api_version = version.unwrap_or_else(|| SHOPIFY_VERSION.to_owned());
    if api_version != SHOPIFY_VERSION {
        let warning =
            format!("driftless speaks Shopify {SHOPIFY_VERSION}; other versions may differ");
        section.warn("api_version", &warning);
    }
    let domain = domain?.value;
    let base_url = base_url.or_else(|| Url::parse(&format!("https://{domain}")).ok())?;
    Some(ShopifyAccess {
        base_url,
        domain,
        api_version,
        auth: auth?,
    })
}

fn auth(section: &Section<'_>, places: &SecretPlaces<'_>) -> Option<ShopifyAuth> {
    let by_client = section.holds("client_id") || section.holds("client_secret");
    match (section.holds("token"), by_client) {
        (true, true) => {
            let message = "either `token`, or `client_id` and `client_secret`, but not both";
            let help = "an app of the Dev Dashboard has a client id and secret, a custom app made \
                in the shop's admin has a token";
            section.complain("token", &Complaint::new(message).help(help));
            None
        }
        (false, true) => {
            let id = section.require("client_id", "\"…\"", text);
            let secret = places.secret(section, "client_secret");
            Some(ShopifyAuth::Client {
                id: id?.value,
                secret: secret?.value,
            })
        }
        (true, false) => Some(ShopifyAuth::Token(places.secret(section, "token")?.value)),
        (false, false) => {
            let either = "{ credential = \"shopify-token\" }` or `client_id = \"…\"` with \
                `client_secret = { credential = \"shopify-secret\" }";
            section.missing("token", either);
            None
        }
    }
}

fn shop_domain(value: &DeValue<'_>, any_name: bool) -> Result<String, Complaint> {
    let name = text(value)?;
    let label = name.strip_suffix(".myshopify.com").unwrap_or_default();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_shop = !label.is_empty() && !label.starts_with('-') && label.bytes().all(plain);
    if is_shop || any_name && Host::parse(&name).is_ok() {
        return Ok(name);
    }
    let message = format!("{} is not a shop's own domain", quoted(&name));
    let help = "the one that ends in `.myshopify.com`, in lower case, without `https://`; it is in \
        the admin under Settings, Domains";
    Err(Complaint::new(message).help(help))
}

/// Shopify publishes one version each quarter.
fn api_version(value: &DeValue<'_>) -> Result<String, Complaint> {
    let version = text(value)?;
    let is_version = version.split_once('-').is_some_and(|(year, month)| {
        let digits = year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit());
        digits && ["01", "04", "07", "10"].contains(&month)
    });
    if is_version {
        return Ok(version);
    }
    let message = format!("{} is not a version of Shopify's API", quoted(&version));
    Err(Complaint::new(message).help(format!("such as \"{SHOPIFY_VERSION}\"")))
}

/// An address without path: https, or http to this machine.
fn base_url(value: &DeValue<'_>) -> Result<Url, Complaint> {
    // What is wrong with it is not repeated: an address may carry a password.
    let url = Url::parse(&text(value)?)
        .map_err(|error| Complaint::new(format!("this is not an address: {error}")))?;
    let secure = url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url);
    if !secure {
        let message = "only https is spoken; plain http goes to this machine alone";
        return Err(Complaint::new(message)
            .help("such as \"https://a.klaviyo.com\" or \"http://127.0.0.1:8080\""));
    }
    let bare = url.username().is_empty() && url.password().is_none();
    if !bare || url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        let message = "an address here is scheme, host and port, and nothing else";
        return Err(Complaint::new(message).help("such as \"https://a.klaviyo.com\""));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
