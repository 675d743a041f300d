//! Both vendors in miniature, over real HTTP on loopback.
//!
//! A stateful [`World`] and two servers that speak Klaviyo revision 2026-07-15 and Shopify 2026-10
//! as far as driftless uses them. Only `cli` and tests use this room, and it shares no wire type with
//! `api`: one mistake must not hide the other.

pub mod courier;
mod definition;
pub mod faults;
mod generate;
mod ids;
pub mod klaviyo;
mod orders_csv;
pub mod plant;
mod segments;
mod serve;
pub mod shopify;
mod standard;
pub mod world;

pub use definition::refresh;
pub use generate::{GeneratorSettings, generate};
pub use orders_csv::{CsvError, from_csv};
pub use plant::{Cause, Planted, plant};
pub use serve::{Sandbox, SandboxSettings, ServeError, without_limits};
pub use world::World;

use std::fmt;
use std::str::FromStr;

/// Whether the servers' limits hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speed {
    /// Limits and cost buckets as the vendors have them.
    #[default]
    Real,
    /// Headers and cost figures are there, but nothing is ever throttled.
    Fast,
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Real => "real",
            Self::Fast => "fast",
        })
    }
}

impl FromStr for Speed {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "real" => Ok(Self::Real),
            "fast" => Ok(Self::Fast),
            _ => Err(format!(
                "there is no speed `{name}`; choose `real` or `fast`"
            )),
        }
    }
}
