//! The canary: a few effects of each kind go first, and upstream is asked whether they are true.

use super::{Push, PushError};
use crate::model::{Effect, EffectKind};
use crate::plan::{Effects, Group, Plan, Planned, Trip};
use crate::policy::{Guard, Guards};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// The effects of a group that one round carries out.
#[derive(Clone, Debug)]
pub(super) struct Part<'p> {
    group: &'p Group,
    range: Range<u64>,
}

impl Part<'_> {
    /// What all of them are.
    pub(super) fn kind(&self) -> EffectKind {
        self.group.kind()
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// The effects, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Planned> + '_ {
        let size = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let from = self.group.iter().skip(size(self.range.start));
        from.take(size(self.len()))
    }
}

/// Splits a plan into the canary, the first of each kind in the plan's order, and the rest. Lists are created
/// with the canary: members need them.
pub(super) fn split<'p>(plan: &'p Plan, guards: &Guards) -> (Vec<Part<'p>>, Vec<Part<'p>>) {
    let first_of = |(kind, count): (EffectKind, u64)| {
        let share = (count as f64 * guards.canary_share).ceil() as u64;
        match kind {
            EffectKind::ListCreate => (kind, count),
            _ => (kind, guards.canary_count.max(share)),
        }
    };
    let mut left: BTreeMap<_, _> = plan.counts().into_iter().map(first_of).collect();
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for group in plan.effects.groups() {
        let left = left.entry(group.kind()).or_default();
        let count = group.count().min(*left);
        *left -= count;
        let part = |range| Part { group, range };
        first.push(part(0..count));
        rest.push(part(count..group.count()));
    }
    for parts in [&mut first, &mut rest] {
        parts.retain(|part| part.len() > 0);
    }
    (first, rest)
}

/// A trip when, of a kind that has more to come, not one effect of the canary was carried out.
pub(super) fn lost(first: &[Part<'_>], done: &Effects, rest: &[Part<'_>]) -> Option<Trip> {
    let tried = |kind| {
        let of_kind = first.iter().filter(move |part| part.kind() == kind);
        of_kind.map(Part::len).sum::<u64>()
    };
    let is_done = |kind| done.groups().any(|group| group.kind() == kind);
    let mut kinds = rest.iter().map(Part::kind);
    let kind = kinds.find(|kind| tried(*kind) > 0 && !is_done(*kind))?;
    let count = tried(kind);
    Some(Trip {
        guard: Guard::Canary,
        count,
        note: format!("none of the first {count} effects of the kind {kind} was carried out"),
    })
}

impl Push<'_> {
    /// The pause in which a person may still stop what the canary began.
    pub(super) async fn pause_after_canary(&self, rest: u64) {
        let pause = Duration::from_secs(self.policy.guards.canary_pause_secs);
        let until = self.clock.monotonic() + pause;
        while self.clock.monotonic() < until && !self.stop.is_set() {
            // Told every second: a watchdog listens, too.
            self.progress
                .at("pause after the first effects", 0, Some(rest));
            self.clock.sleep(Duration::from_secs(1).min(pause)).await;
        }
    }

    /// Reads the effects back that were accepted; a trip when some of them are not true upstream, even
    /// after the time that reads may lag.
    pub(super) async fn verdict_on_canary(
        &self,
        done: &Effects,
    ) -> Result<Option<Trip>, PushError> {
        let done: Vec<Effect> = done.iter().map(|planned| planned.effect).collect();
        let missing = self.untrue_after_lag(&done, self.allow_canary).await?;
        let count = missing.len() as u64;
        if count <= self.allow_canary || self.stop.is_set() {
            return Ok(None);
        }
        let note = format!("{count} of {} first effects did not read back", done.len());
        Ok(Some(Trip {
            guard: Guard::Canary,
            count,
            note,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Slot;

    /// A plan that creates three lists and adds so many to each of two.
    fn plan(joins: [u32; 2]) -> Plan {
        let mut plan = Plan::default();
        let lists = (0..3).map(|list| Effect::ListExists { list });
        let joins = (0..).zip(joins).flat_map(|(list, count)| {
            let slots = (0..count).map(Slot);
            slots.map(move |who| Effect::OnList { list, who })
        });
        for effect in lists.chain(joins) {
            plan.effects.push(&effect.into());
        }
        plan
    }

    fn sizes(parts: &[Part<'_>]) -> Vec<(EffectKind, u64)> {
        parts.iter().map(|part| (part.kind(), part.len())).collect()
    }

    #[test]
    fn the_canary_is_so_many_of_a_kind_whatever_the_lists() {
        let guards = Guards {
            canary_count: 5,
            canary_share: 0.01,
            ..Guards::default()
        };
        use EffectKind::{ListAdd, ListCreate};
        let plan_of = |joins| {
            let plan = plan(joins);
            let (first, rest) = split(&plan, &guards);
            let mut all = Effects::default();
            let parts = first.iter().chain(&rest);
            parts.flat_map(Part::iter).for_each(|one| all.push(&one));
            assert_eq!(all, plan.effects);
            (sizes(&first), sizes(&rest))
        };
        let (first, rest) = plan_of([3, 9]);
        assert_eq!(first, [(ListCreate, 3), (ListAdd, 3), (ListAdd, 2)]);
        assert_eq!(rest, [(ListAdd, 7)]);
        let (first, rest) = plan_of([600, 401]);
        assert_eq!(first, [(ListCreate, 3), (ListAdd, 11)]);
        assert_eq!(rest, [(ListAdd, 589), (ListAdd, 401)]);
    }

    #[test]
    fn a_kind_of_which_nothing_was_carried_out_is_lost() {
        let plan = plan([600, 401]);
        let (first, rest) = split(&plan, &Guards::default());
        let lost_but = |done: &[Effect]| {
            let mut effects = Effects::default();
            for effect in done.iter().cloned() {
                effects.push(&effect.into());
            }
            lost(&first, &effects, &rest).map(|trip| trip.count)
        };
        let tried = first
            .iter()
            .filter(|part| part.kind() == EffectKind::ListAdd);
        let tried: u64 = tried.map(Part::len).sum();
        let list = 0;
        assert_eq!(lost_but(&[Effect::ListExists { list }]), Some(tried));
        let who = Slot(1);
        assert_eq!(lost_but(&[Effect::OnList { list, who }]), None);
    }
}
