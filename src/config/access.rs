//! Where the vendors are and what opens their doors. Secrets have no `Debug` that shows them.

use secrecy::SecretString;
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
