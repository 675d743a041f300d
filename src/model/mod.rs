//! The nouns everybody shares: what both platforms said about people, and what we intend to do.
//!
//! Floor 0: no IO, no clock, no async. Everything here is plain data with serde derives, stored by
//! the `mirror` in postcard; a change of shape needs a new codec version there.

mod customer;
mod effect;
mod event;
mod finding;
mod group;
mod ids;
mod interner;
mod mentions;
mod moment;
mod money;
mod parity;
mod person;
mod profile;
mod value;

pub use customer::{Customer, CustomerConsent, EmailState, Order, OrderOwner};
pub use effect::{Effect, EffectKind, End, HeldBack, HoldReason, PropertyChange};
pub use event::{Atom, Event, IncomingEvent, IncomingValue, Metric, MetricNo, PropertyNo, TextNo};
pub use event::{Role, Timeline, Vocabulary};
pub use finding::{Code, Evidence, Finding, Severity, Subject};
pub use group::{Group, GroupDay, GroupId, List, Member, Segment};
pub use ids::{BulkId, CustomerId, JobId, ListId, MetricId, OrderId, PersonId, ProfileId};
pub use ids::{SegmentId, Slot};
pub use interner::Interner;
pub use mentions::Mentions;
pub use moment::{DAY_MS, Moment, micros};
pub use money::{Money, MoneyError};
pub use parity::{Cause, Compared, Disagreement};
pub use person::{Dossier, Person, Record};
pub use profile::{Channel, ChannelState, Consent, EmailMarketing, Profile};
pub use profile::{Suppression, SuppressionReason};
pub use value::{Text, Value};
