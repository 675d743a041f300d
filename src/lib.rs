//! driftless keeps a Shopify shop and its Klaviyo account true to each other.
//!
//! It mirrors both inside their rate limits, works out for every person what is true now, says where
//! the platforms disagree and why, and patches lists, profile properties, suppressions and customer
//! tags back: planned, guarded, journaled, undoable.
//!
//! # The tour
//!
//! ```text
//!            ┌────────────── pure core: no IO, no clock, no async ──────────────┐
//! pull ──▶ mirror ──▶ unify ──▶ evaluate ──▶ detect ──▶ plan ──▶ journal ──▶ push ──▶ receipt ──▶ mirror
//! ```
//!
//! [`pass`] holds the flow; read it first. Every noun it speaks is in [`model`], every wish of the
//! operator in [`policy`].
//!
//! | floor | rooms |
//! |---|---|
//! | 0 pure | [`model`], [`segment`], [`policy`] |
//! | 1 pure | [`unify`], [`score`], [`detect`], [`plan`], [`pace`] |
//! | 2 shell | [`disk`], [`listen`], then [`vault`], and above them [`config`], [`mirror`], [`journal`], [`telemetry`], [`clock`] |
//! | 3 shell | [`api`]: transport → record → budget → retry → typed endpoints |
//! | 3 shell | [`hooks`]: what webhooks name and demand, verified and kept for the next pass |
//! | 4 shell | [`pull`], [`push`], [`backup`] |
//! | 5 shell | [`pass`] |
//! | 6 shell | [`report`], [`daemon`] |
//! | 7 shell | [`cli`] |
//! | aside | `sandbox`: both vendors in miniature, for the demo and the tests |
//!
//! A room uses rooms on lower floors only; `tests/it/architecture.rs` holds it to that.
//!
//! # Segments
//!
//! [`segment`] reads Klaviyo's definitions and evaluates them with three values, now and over the
//! time to come; what Klaviyo does not document is listed at [`segment::Assumptions`].
//! [`pass::segments`] keeps every membership up to date: whoever changed, and whoever's timer rings.
//! [`detect::parity`] says why Klaviyo's own members differ. [`segment::algebra`] proves from
//! definitions alone which segments are equal, contained or disjoint; [`segment::catalogue`] has the
//! ready-made ones.
//!
//! # Invariants
//!
//! * Nothing is sent that was not journaled first, with fdatasync.
//! * No value of [`model::Effect`] can raise anybody's consent.
//! * Records of people and values of intents are on disk only sealed, each with a key of its own; to
//!   forget somebody is to destroy the keys.
//! * A tripped guard means zero writes in that plan; rules that nobody released only observe.
//! * A request that a vendor's limit counts is on disk before it leaves, as far as a restart must know
//!   of it.
//! * A webhook is believed by its signature and never stored: it names what is to be fetched.
//! * A page's records and its cursor commit together.
//! * Below [`clock`], `now` is an argument; the same inputs give the same plan, byte for byte.
//!
//! # A walk: one lapsed customer, from Shopify's file to Klaviyo's list
//!
//! [`pull`] asks Shopify for a bulk result and stores its lines in the [`mirror`], a thousand to a
//! commit. [`unify`] finds the customer's number in a Klaviyo profile's external id: one person.
//! [`score`] sees the last order 400 days ago and says `lapsed`. [`plan`] wants the profile on a
//! managed list, does not find its bit among the members seen upstream, and plans
//! [`model::Effect::OnList`]. The [`plan::guard`]s agree; [`push`] writes the intent to the
//! [`journal`], adds the profile with up to 999 others in one call, tells the mirror and journals
//! the outcome. The next pass finds nothing to do.

#![forbid(unsafe_code)]

pub mod api;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod detect;
pub mod disk;
#[cfg(test)]
mod golden;
pub mod hooks;
pub mod journal;
pub mod listen;
pub mod mirror;
pub mod model;
pub mod pace;
pub mod pass;
pub mod plan;
pub mod policy;
pub mod pull;
pub mod push;
pub mod report;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod score;
pub mod segment;
pub mod telemetry;
pub mod unify;
pub mod vault;
