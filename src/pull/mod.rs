//! Fills the mirror from both vendors, from where the last pull left off.
//!
//! Every page's records and its cursor commit together, so a kill costs at most the pages in flight.
//! Watermarks come from the servers' clocks and never run ahead of them; every walk starts a little
//! before its watermark and upserts by id, so that reading twice changes nothing.

mod bulk;
mod catalogue;
mod density;
mod events;
mod feeds;
mod fold;
mod fresh;
mod freshness;
mod identity;
mod ledger;
mod members;
mod parts;
mod profiles;
mod refetch;
mod shopify;
mod split;
mod sweep;
mod walk;

pub use fresh::{Fresh, Members, ReadEnd, Seen};
pub use freshness::Freshness;
pub use identity::{ALL_ORDERS, required_scopes};
pub use members::is_out_of_reach;
pub use sweep::Swept;

use crate::api::{ApiError, Page, Vendors};
use crate::clock::{Clock, Stop};
use crate::hooks::Inbox;
use crate::mirror::{Mirror, MirrorError, Stream};
use crate::model::{Mentions, Moment};
use crate::plan::{Legibility, Listing};
use crate::policy::Policy;
use crate::telemetry::Progress;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What a pull needs; one per pass.
#[derive(Debug)]
pub struct Pull<'a> {
    /// Both vendors' clients.
    pub vendors: &'a Vendors,
    /// What is filled.
    pub mirror: &'a Arc<Mirror>,
    /// What webhooks named, where any are heard.
    pub inbox: Option<&'a Inbox>,
    /// Whose rules decide what is needed.
    pub policy: &'a Policy,
    /// Within this span everybody is looked at who is known.
    pub sweep: Duration,
    /// Within this span every day of the events' history is compared with Klaviyo's counts.
    pub ledger: Duration,
    /// For waiting between looks at a bulk operation.
    pub clock: &'a Clock,
    /// Who watches.
    pub progress: &'a Progress,
    /// Ends the pull at the next page.
    pub stop: &'a Stop,
}

/// What a pull brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pulled {
    /// Records read, by stream.
    pub counts: BTreeMap<&'static str, u64>,
    /// Timelines that events were merged into, once for each time.
    pub timelines: u64,
    /// Records that did not fit their type and were skipped.
    pub quarantined: u64,
    /// How much could be understood, by walk and the like. A walk is judged as a whole, with what an
    /// earlier pass read of it.
    legibility: BTreeMap<String, Legibility>,
    /// Records that turned out to be gone upstream.
    pub gone: Gone,
    /// Listings that conclusions rest on, for the guards.
    pub listings: Vec<Counted>,
    /// Sentinel profiles that upstream no longer shows.
    pub missing_sentinels: u64,
    /// Klaviyo's clock when it began.
    pub began: Moment,
    /// Milliseconds by which our clock was ahead of Klaviyo's.
    pub clock_skew_ms: i64,
    /// The token sees every order, however old.
    pub all_orders: bool,
    /// How far the sweeps have come, by what they look at.
    pub sweeps: BTreeMap<&'static str, Swept>,
    /// Where each kind of record stands.
    pub freshness: Vec<Freshness>,
    /// The IANA name of the Klaviyo account's time zone.
    pub account_zone: String,
    /// What definitions, rules and our own properties read.
    pub mentions: Mentions,
}

/// Records that turned out to be gone upstream, by what showed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Webhooks named them.
    pub named: u64,
    /// Nobody told of them: where webhooks are heard, their share tells how many of these get lost.
    pub swept: u64,
}

/// A listing, and the stream whose next listing it measures once it is found sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Where its records come from.
    pub stream: Stream,
    /// What it gave.
    pub listing: Listing,
}

impl Pulled {
    fn add(&mut self, stream: &'static str, count: u64) {
        *self.counts.entry(stream).or_default() += count;
    }

    /// Nothing is told of what mostly is nothing.
    fn add_some(&mut self, stream: &'static str, count: u64) {
        if count > 0 {
            self.add(stream, count);
        }
    }

    /// Takes note of how much of a walk, or of an answer, could be understood.
    fn judge(&mut self, name: impl ToString, read: u64, unreadable: u64) {
        let known = self.legibility.entry(name.to_string()).or_default();
        known.read += read;
        known.unreadable += unreadable;
    }

    /// Takes in how much a listing brought that is read at once.
    fn tell<T>(&mut self, name: &'static str, listing: &Page<T>) {
        let read = listing.items.len() as u64;
        self.add(name, read);
        self.quarantined += listing.quarantined;
        self.judge(name, read, listing.quarantined);
    }

    /// How much could be understood, of everything together and of each kind by itself: a few records of
    /// many kinds are many, and one kind must not vanish among the others.
    pub fn legibility(&self) -> Vec<(String, Legibility)> {
        let all = Legibility {
            read: self.counts.values().sum(),
            unreadable: self.quarantined,
        };
        let each = self.legibility.clone();
        std::iter::once(("all kinds".to_owned(), all))
            .chain(each)
            .collect()
    }

    /// Takes in what another part of the pull brought.
    fn absorb(&mut self, other: Self) {
        for (stream, count) in other.counts {
            self.add(stream, count);
        }
        self.timelines += other.timelines;
        self.quarantined += other.quarantined;
        for (name, one) in other.legibility {
            self.judge(name, one.read, one.unreadable);
        }
        self.listings.extend(other.listings);
        self.missing_sentinels += other.missing_sentinels;
    }

    fn count(&self, stream: &str) -> u64 {
        self.counts.get(stream).copied().unwrap_or(0)
    }
}

/// Why a pull ended early. What was committed stays; the next pull goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// A vendor refused or could not be reached.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The mirror could not be read or written.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The key belongs to another account than the mirror was filled from.
    #[error(
        "{vendor} answers for `{found}`, but the mirror holds `{expected}`; nothing was read or \
             written. Correct the key, or use another state_dir for another account"
    )]
    WrongAccount {
        /// `Klaviyo` or `Shopify`.
        vendor: &'static str,
        /// Who answered.
        found: String,
        /// Whose records the mirror holds.
        expected: String,
    },
    /// The token lacks scopes that reading needs.
    #[error("the Shopify token lacks the scopes {}; grant them in the app's settings", .0.join(", "))]
    MissingScopes(Vec<String>),
    /// Asked to stop.
    #[error("stopped on request; the next start goes on from here")]
    Stopped,
}

impl Pull<'_> {
    /// Reads everything that is new. Shopify prepares its bulk results while Klaviyo is read.
    pub async fn fill(&self) -> Result<Pulled, PullError> {
        let mut pulled = Pulled::default();
        let times = self.identify(&mut pulled).await?;
        let fills = self.begin_bulk(times.shopify).await?;
        let mentions = self.catalogue(&mut pulled).await?;
        pulled.mentions = mentions.clone();
        self.feeds(times, fills, &mentions, &mut pulled).await?;
        // A feed may be behind: what it told of these is older, so they come after it.
        self.refetch(&mentions, &mut pulled).await?;
        self.sweep(times, &mentions, &mut pulled).await?;
        self.ledger(times.klaviyo, &mentions, &mut pulled).await?;
        self.order_ledger(times.shopify, &mut pulled).await?;
        pulled.gone.swept = pulled.count(refetch::GONE) - pulled.gone.named;
        self.snapshots(times.klaviyo).await?;
        pulled.freshness = self.freshness(&mentions, &pulled)?;
        Ok(pulled)
    }

    fn check_stop(&self) -> Result<(), PullError> {
        if self.stop.is_set() {
            Err(PullError::Stopped)
        } else {
            Ok(())
        }
    }
}

/// Both servers' clocks at the start of the pull: no record that changes later can be missed by a
/// watermark set to these.
#[derive(Clone, Copy, Debug)]
struct ServerTimes {
    klaviyo: Moment,
    shopify: Moment,
}
