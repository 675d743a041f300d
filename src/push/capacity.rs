//! Which effects go together: what one request, or one job, takes.

use super::bulk;
use super::properties::row_bytes;
use crate::api::klaviyo::{IMPORT_MAX_BYTES, IMPORT_MAX_ROWS, MOST_ADDRESSES, MOST_MEMBERS};
use crate::model::EffectKind;
use crate::plan::Planned;

/// The most that goes together. An effect that is larger goes alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    effects: usize,
    bytes: usize,
}

impl Capacity {
    /// What goes together where so many effects of a kind are to be sent.
    pub(super) fn of(kind: EffectKind, count: u64) -> Self {
        let (effects, bytes) = match kind {
            EffectKind::ListCreate => (1, usize::MAX),
            EffectKind::ListAdd | EffectKind::ListRemove => (MOST_MEMBERS, usize::MAX),
            EffectKind::Property => (IMPORT_MAX_ROWS, IMPORT_MAX_BYTES),
            EffectKind::Suppression | EffectKind::Unsubscription => (MOST_ADDRESSES, usize::MAX),
            // Read just before, and written one by one.
            EffectKind::CustomerUnsubscription => (25, usize::MAX),
            EffectKind::Tag | EffectKind::Metafield => (bulk::most(kind, count), usize::MAX),
        };
        Self { effects, bytes }
    }

    /// Cuts effects of one kind into batches, none of which is empty.
    pub(super) fn cut(
        self,
        planned: impl Iterator<Item = Planned>,
    ) -> impl Iterator<Item = Vec<Planned>> {
        let mut planned = planned.peekable();
        std::iter::from_fn(move || {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while let Some(next) = planned.next_if(|next| {
                bytes += row_bytes(&next.effect);
                batch.is_empty() || batch.len() < self.effects && bytes <= self.bytes
            }) {
                batch.push(next);
            }
            (!batch.is_empty()).then_some(batch)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Effect, Moment, PropertyChange, Slot, Value};

    fn batches(of: impl Fn(u32) -> Effect, count: u32) -> Vec<Vec<Planned>> {
        let planned: Vec<Planned> = (0..count).map(of).map(Planned::from).collect();
        let capacity = Capacity::of(planned[0].effect.kind(), planned.len() as u64);
        let batches: Vec<Vec<Planned>> = capacity.cut(planned.iter().cloned()).collect();
        assert_eq!(batches.concat(), planned);
        batches
    }

    fn sizes(of: impl Fn(u32) -> Effect, count: u32) -> Vec<usize> {
        batches(of, count).iter().map(Vec::len).collect()
    }

    fn property(slot: u32, bytes: usize) -> Effect {
        let change = PropertyChange {
            key: "driftless_note".to_owned(),
            from: None,
            to: Some(Value::Text("x".repeat(bytes))),
        };
        Effect::Properties {
            who: Slot(slot),
            changes: vec![change],
        }
    }

    #[test]
    fn an_import_keeps_to_the_count_and_the_size() {
        assert_eq!(sizes(|slot| property(slot, 1), 10_001), [10_000, 1]);
        let large = |slot| property(slot, 90_000);
        let fit = IMPORT_MAX_BYTES / row_bytes(&large(0));
        assert_eq!(sizes(large, 120), [fit, fit, 120 - 2 * fit]);
        let too_large = |slot| property(slot, IMPORT_MAX_BYTES);
        assert_eq!(sizes(too_large, 2), [1, 1]);
    }

    #[test]
    fn list_calls_and_jobs_take_what_klaviyo_allows() {
        let (list, by, at) = (0, Slot(1), Moment(0));
        let create = |_| Effect::ListExists { list };
        assert_eq!(sizes(create, 3), [1, 1, 1]);
        let join = |slot| Effect::OnList {
            list,
            who: Slot(slot),
        };
        assert_eq!(sizes(join, 2_001), [1_000, 1_000, 1]);
        let leave = |slot| Effect::OffList {
            list,
            who: Slot(slot),
        };
        assert_eq!(sizes(leave, 1_001), [1_000, 1]);
        let suppress = |slot| Effect::Suppressed { who: Slot(slot) };
        assert_eq!(sizes(suppress, 101), [100, 1]);
        let unsubscribe = |slot| Effect::Unsubscribed {
            who: Slot(slot),
            by,
            at,
        };
        assert_eq!(sizes(unsubscribe, 101), [100, 1]);
        let unsubscribe = |slot| Effect::CustomerUnsubscribed {
            who: Slot(slot),
            by,
            at,
        };
        assert_eq!(sizes(unsubscribe, 26), [25, 1]);
    }

    #[test]
    fn few_customers_go_call_by_call_and_many_in_bulk() {
        let tags = |slot| Effect::Tags {
            who: Slot(slot),
            add: Vec::new(),
            remove: Vec::new(),
        };
        let metafield = |slot| Effect::Metafield {
            who: Slot(slot),
            from: None,
            to: None,
        };
        assert_eq!(sizes(tags, 999), vec![1; 999]);
        assert_eq!(sizes(tags, 1_000), [1_000]);
        assert_eq!(sizes(tags, 40_500), [20_000, 20_000, 500]);
        assert_eq!(sizes(metafield, 51), [25, 25, 1]);
        assert_eq!(sizes(metafield, 4_999).len(), 200);
        assert_eq!(sizes(metafield, 5_000), [5_000]);
    }
}
