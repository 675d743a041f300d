//! Where the vendors are, what opens their doors and what they sign with. Secrets have no `Debug` that shows them.

use super::secret::fingerprint;
use crate::listen::Listen;
use secrecy::SecretString;
use std::time::Duration;
use url::Url;

/// How to reach Klaviyo.
#[derive(Clone, Debug)]
pub struct KlaviyoAccess {
    /// `https://a.klaviyo.com`, or plain http to loopback.
    pub base_url: Url,
    /// The private key.
    pub key: SecretString,
    /// The account this key must belong to, when pinned in the config.
    pub account: Option<String>,
    /// Share of Klaviyo's limits that driftless may use, in (0, 1]: the key's quota is shared with
    /// the merchant's other tools.
    pub budget_share: f64,
    /// Whether Klaviyo's published limits hold: not in a sandbox on this machine that has none.
    pub limits: bool,
}

impl KlaviyoAccess {
    /// Names the budget that requests draw on: Klaviyo counts per account, and a key stands for its
    /// account where none is pinned.
    pub fn quota(&self) -> String {
        let mut place = self.base_url.origin().ascii_serialization();
        if !self.limits {
            place.push_str(" without limits");
        }
        match &self.account {
            Some(account) => format!("{place} {account}"),
            None => format!("{place} key {}", fingerprint(&self.key)),
        }
    }
}

/// How to reach Shopify.
#[derive(Clone, Debug)]
pub struct ShopifyAccess {
    /// `https://<domain>`, or plain http to loopback.
    pub base_url: Url,
    /// `name.myshopify.com`.
    pub domain: String,
    /// Such as `2026-10`.
    pub api_version: String,
    /// What opens the door.
    pub auth: ShopifyAuth,
}

/// Shopify's two ways in for a shop's own app (shopify.md, section 2).
#[derive(Clone, Debug)]
pub enum ShopifyAuth {
    /// A custom app's access token.
    Token(SecretString),
    /// The client credentials grant: tokens of 24 h, asked for when needed.
    Client {
        /// Client id.
        id: String,
        /// Client secret.
        secret: SecretString,
    },
}

/// Where the vendors' deliveries are heard.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// A place on this machine; the merchant's proxy stands before it.
    pub listen: Listen,
    /// What Shopify signs with; `None` when its deliveries are not wanted.
    pub shopify: Option<SigningSecrets>,
    /// What Klaviyo signs with; `None` when its deliveries are not wanted.
    pub klaviyo: Option<SigningSecrets>,
    /// A pass begins so long after the first record that is to be fetched, so that others can join it.
    pub delay: Duration,
    /// And never sooner than this after the start of the pass before.
    pub min_gap: Duration,
}

/// What one vendor signs with.
#[derive(Clone, Debug)]
pub struct SigningSecrets {
    /// The one in use.
    pub current: SecretString,
    /// The one before: after a change the vendor may go on signing with it for a while.
    pub old: Option<SecretString>,
}

impl SigningSecrets {
    /// Each of them.
    pub fn all(&self) -> impl Iterator<Item = &SecretString> {
        std::iter::once(&self.current).chain(&self.old)
    }
}
