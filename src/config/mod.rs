//! One TOML file per shop becomes settings and a policy, or a list of every fault in it.

mod access;

pub use access::{KlaviyoAccess, ShopifyAccess, ShopifyAuth};
