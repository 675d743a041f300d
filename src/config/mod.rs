//! One TOML file per shop becomes settings and a policy, or a list of every fault in it.
//!
//! The parser's tree keeps every value's place. The sections read it key by key; whatever is wrong
//! is kept with line, column and remedy, and reading goes on. Nothing here talks to a vendor.

mod access;
mod account;
mod environment;
mod fault;
mod guards;
mod holidays;
mod leak;
mod lists;
mod load;
mod reader;
mod rules;
mod secret;
mod segments;
mod shop;
mod source;
mod suggest;
mod value;
mod vendors;
mod webhooks;
mod writeback;

#[cfg(test)]
mod tests;

pub use access::{KlaviyoAccess, ShopifyAccess, ShopifyAuth, SigningSecrets, Webhooks};
pub use environment::Environment;
pub use fault::{Fault, Faults};
pub use load::load;
pub use secret::fingerprint;
pub use shop::{Shop, parse};
