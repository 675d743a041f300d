//! Events as they are made, before they are sorted into the account.

use super::super::{ids, standard};
use crate::model::Moment;
use crate::sandbox::world::{Event, KlaviyoWorld};
use fastrand::Rng;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Events by the name of their metric, and when each profile was active last.
pub(super) struct Ledger {
    now: Moment,
    events: BTreeMap<&'static str, Vec<Event>>,
    active: BTreeMap<String, Moment>,
}

impl Ledger {
    /// An empty ledger; nothing after `now` enters it.
    pub(super) fn new(now: Moment) -> Self {
        Self {
            now,
            events: BTreeMap::new(),
            active: BTreeMap::new(),
        }
    }

    /// Records an event, unless it lies in the future.
    pub(super) fn add(
        &mut self,
        metric: &'static str,
        profile: &str,
        at: Moment,
        properties: &Arc<Json>,
        rng: &mut Rng,
    ) {
        if at > self.now {
            return;
        }
        if is_active(metric) {
            let last = self.active.entry(profile.to_owned()).or_default();
            *last = at.max(*last);
        }
        self.events.entry(metric).or_default().push(Event {
            id: ids::event(rng),
            timestamp: at.secs(),
            profile: Some(profile.to_owned()),
            properties: properties.clone(),
        });
    }

    /// The last act of a profile.
    pub(super) fn last_active(&self, profile: &str) -> Option<Moment> {
        self.active.get(profile).copied()
    }

    /// Sorts everything into the account.
    pub(super) fn file(self, klaviyo: &mut KlaviyoWorld) {
        for (name, mut events) in self.events {
            events.sort_by(|a, b| (a.timestamp, &a.id).cmp(&(b.timestamp, &b.id)));
            klaviyo
                .events
                .insert(standard::metric(klaviyo, name), events);
        }
    }
}

/// Whether a metric counts as an act of the person (klaviyo.md, section 4.1).
fn is_active(metric: &str) -> bool {
    let acts = [
        standard::OPENED,
        standard::CLICKED,
        standard::ON_SITE,
        standard::VIEWED,
        standard::CHECKOUT,
        standard::ORDERED,
    ];
    acts.contains(&metric)
}
