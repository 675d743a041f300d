//! The canary: a few effects of each kind go first, and upstream is asked whether they are true.

use super::{Push, PushError};
use crate::model::{Effect, EffectKind};
use crate::plan::Trip;
use crate::policy::{Guard, Guards};
use std::time::Duration;

/// Splits a plan into the canary and the rest. Lists are created with the canary: members need them.
pub(super) fn split(effects: &[Effect], guards: &Guards) -> (Vec<Effect>, Vec<Effect>) {
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for group in effects.chunk_by(|a, b| a.kind() == b.kind()) {
        let share = (group.len() as f64 * guards.canary_share).ceil() as usize;
        let count = usize::try_from(guards.canary_count)
            .unwrap_or(usize::MAX)
            .max(share);
        let is_creation = group
            .first()
            .is_some_and(|e| e.kind() == EffectKind::ListCreate);
        let count = if is_creation {
            group.len()
        } else {
            count.min(group.len())
        };
        first.extend_from_slice(&group[..count]);
        rest.extend_from_slice(&group[count..]);
    }
    (first, rest)
}

/// A trip when, of a kind that has more to come, not one effect of the canary was carried out.
pub(super) fn lost(first: &[Effect], done: &[&Effect], rest: &[Effect]) -> Option<Trip> {
    let of = |kind: EffectKind| first.iter().filter(move |effect| effect.kind() == kind);
    let mut groups = rest.chunk_by(|a, b| a.kind() == b.kind());
    let kind = groups.find_map(|group| {
        let kind = group.first()?.kind();
        let none = !done.iter().any(|effect| effect.kind() == kind);
        (none && of(kind).next().is_some()).then_some(kind)
    })?;
    let count = of(kind).count() as u64;
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
        done: &[&Effect],
    ) -> Result<Option<Trip>, PushError> {
        let missing = self.untrue_after_lag(done, self.allow_canary).await?;
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
