//! The requests that wait for one budget, and the word to the one whose turn it is.

use crate::api::{Call, Class};
use crate::pace::{FairQueue, Ticket};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Notify;

/// A fair queue whose members sleep until they are called.
#[derive(Debug, Default)]
pub(in crate::api) struct Lane {
    queue: FairQueue,
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
}

/// One request in a lane.
#[derive(Debug)]
pub(in crate::api) struct Waiting {
    /// A second budget that it needs as well.
    pub surcharge: Option<&'static Class>,
    call: Arc<Notify>,
}

impl Lane {
    /// Queues a request; its number, and what wakes it.
    pub fn join(&mut self, shop: &str, call: &Call, cost: u64) -> (u64, Arc<Notify>) {
        let id = self.next;
        self.next += 1;
        let urgent = call.urgent;
        let ticket = Ticket { id, cost, urgent };
        self.queue.push(shop, call.resource(), ticket);
        let notify = Arc::new(Notify::new());
        let waiting = Waiting {
            surcharge: call.surcharge,
            call: notify.clone(),
        };
        self.waiting.insert(id, waiting);
        (id, notify)
    }

    /// Everybody in the lane.
    pub fn waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.values()
    }

    /// Whose turn it is among those who are ready.
    pub fn first(&self, ready: impl Fn(&Waiting) -> bool) -> Option<(u64, &Waiting)> {
        let is_ready = |id| self.waiting.get(&id).is_some_and(&ready);
        let id = self.queue.first(is_ready)?;
        Some((id, self.waiting.get(&id)?))
    }

    /// The one whose turn it is leaves with what it came for.
    pub fn serve(&mut self, ready: impl Fn(&Waiting) -> bool) {
        if let Some((id, _)) = self.first(&ready) {
            let waiting = &self.waiting;
            let is_ready = |id| waiting.get(&id).is_some_and(&ready);
            self.queue.serve(is_ready);
            self.waiting.remove(&id);
        }
    }

    /// Leaves without it; `false` for one who left before.
    pub fn leave(&mut self, id: u64) -> bool {
        self.queue.remove(id);
        self.waiting.remove(&id).is_some()
    }

    /// Wakes whose turn it is where there is one budget for all.
    pub fn call_first(&self) {
        if let Some((id, _)) = self.first(|_| true) {
            self.wake(id);
        }
    }

    /// Wakes one.
    pub fn wake(&self, id: u64) {
        if let Some(waiting) = self.waiting.get(&id) {
            waiting.call.notify_one();
        }
    }
}
