//! driftless keeps a Shopify shop and its Klaviyo account true to each other.

#![forbid(unsafe_code)]

pub mod api;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod detect;
#[cfg(test)]
mod golden;
pub mod journal;
pub mod mirror;
pub mod model;
pub mod pace;
pub mod plan;
pub mod policy;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod score;
pub mod segment;
pub mod telemetry;
pub mod unify;
