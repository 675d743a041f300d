//! The small world behind both servers: what the vendors know, and what was planted.

mod attributes;
mod dated;
mod klaviyo;
mod shopify;

pub(super) use attributes::instant;
pub use dated::{Dated, Since};
pub use klaviyo::{Channel, ConsentSource, Predictions, Suppression};
pub use klaviyo::{Event, Job, JobKind, KlaviyoWorld, List, ListChange, Metric, Profile, Segment};
pub use shopify::{
    BulkOperation, Customer, Definition, Line, Metafield, Order, Purchases, ShopifyWorld,
};

use super::faults::Faults;
use super::plant::Planted;
use crate::clock::Clock;
use crate::model::Moment;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One shop and one Klaviyo account, shared by both servers and by tests.
#[derive(Clone, Debug)]
pub struct World {
    /// The servers' clock.
    pub clock: Clock,
    state: Arc<Mutex<State>>,
}

/// Everything that changes.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Klaviyo's side.
    pub klaviyo: KlaviyoWorld,
    /// Shopify's side.
    pub shopify: ShopifyWorld,
    /// Every write that was accepted, in order; a checker compares it with the journal.
    pub history: Vec<Write>,
    /// What the generator planted. For tests; no server ever shows it.
    pub truth: Truth,
    /// What goes wrong on purpose.
    pub faults: Faults,
}

/// One accepted write, as the vendor saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The server's clock.
    pub at: Moment,
    /// Such as `list add`, `import`, `suppress`, `delete`, `tagsAdd`, `metafieldsSet`.
    pub kind: &'static str,
    /// The list, job or namespace written to.
    pub target: String,
    /// The profiles (ids or e-mails) or customers (gids) touched.
    pub subjects: Vec<String>,
}

/// What the generator knows to be true.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// Profiles whose mailbox died by soft bounces.
    pub dead_mailboxes: Vec<String>,
    /// Profiles that soft-bounced only because their provider was out.
    pub outage_victims: Vec<String>,
    /// Groups of profile ids that are the same human.
    pub duplicates: Vec<Vec<String>>,
    /// Profile id and customer id of the same human.
    pub pairs: Vec<(String, u64)>,
    /// Provider whose mail soft-bounced for a few campaigns, and the `$message` of each of them.
    pub outage: Option<(String, Vec<String>)>,
    /// Profiles with a hard bounce that the vendor did not suppress.
    pub missed_hard_bounces: Vec<String>,
    /// Profiles with a spam complaint that the vendor did not suppress.
    pub missed_complaints: Vec<String>,
    /// Profile id and customer id whose e-mail consent differs between the vendors.
    pub consent_conflicts: Vec<(String, u64)>,
    /// Customers without a profile.
    pub customers_only: Vec<u64>,
    /// Orders that name nobody but an e-mail address.
    pub guest_orders: Vec<u64>,
    /// Memberships in segments that were set apart from what a mirror knows.
    pub planted: Vec<Planted>,
}

impl World {
    /// A world without anybody in it.
    pub fn new(clock: Clock, state: State) -> Self {
        Self {
            clock,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Locks the state. A panic elsewhere does not spoil it for the tests that look afterwards.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
