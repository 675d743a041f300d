//! One batch: journal the intents, send, fold the receipts, journal the ends.

use super::bulk::is_bulk;
use super::describe::{Described, describe};
use super::{Push, PushError, Pushed};
use crate::api::{ApiError, Fault};
use crate::journal::{EffectId, Intent, RunId};
use crate::mirror::{MirrorError, Receipt};
use crate::model::{Effect, End, ListId, Moment, ProfileId};
use crate::plan::{Effects, Planned};
use std::iter::zip;

/// What became of one effect of a batch that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Accepted upstream.
    Done,
    /// Refused for good, with the vendor's code.
    Refused(String),
    /// Refused, because what it was meant for belongs to this profile.
    Elsewhere(ProfileId),
    /// The record it was meant for is gone.
    Gone,
    /// It was not carried out, for no fault of its own: no budget, no connection, no right.
    NotSent,
    /// No answer: it may or may not have happened.
    Unknown,
}

impl Push<'_> {
    /// Takes one batch through its whole life; adds those of its effects that are now true to what is done.
    pub(super) async fn batch(
        &mut self,
        run: RunId,
        planned: Vec<Planned>,
        pushed: &mut Pushed,
        done: &mut Effects,
    ) -> Result<(), PushError> {
        let mut intents = Vec::with_capacity(planned.len());
        for planned in &planned {
            let intent = self.intent(run, &planned.effect)?;
            intents.push(intent.because(planned.why(self.policy)));
        }
        let effects: Vec<Effect> = planned.into_iter().map(|planned| planned.effect).collect();
        let ids: Vec<EffectId> = intents.iter().map(|intent| intent.id).collect();
        self.journal.intend(intents)?;
        let mut fates = vec![Fate::NotSent; effects.len()];
        let mut sent = self.send(run, &effects, &ids, &mut fates).await;
        sent = sent.and(self.look_into_refusals(&effects, &mut fates).await);
        self.log_refusals(&ids, &fates);
        self.conclude(&effects, &ids, &fates, pushed)?;
        match sent {
            // Only this batch was wrong; the rest of the plan may be right.
            Err(PushError::Api(error)) if blames_the_request(&error) => {}
            sent => sent?,
        }
        for (effect, _) in zip(effects, fates).filter(|(_, fate)| *fate == Fate::Done) {
            done.push(&effect.into());
        }
        Ok(())
    }

    /// Sends a batch and writes down what became of each effect. An effect that no request carried
    /// stays [`Fate::NotSent`]; one whose request was accepted, but whose end was not seen, is
    /// [`Fate::Unknown`], whatever fails after that.
    async fn send(
        &mut self,
        run: RunId,
        effects: &[Effect],
        ids: &[EffectId],
        fates: &mut [Fate],
    ) -> Result<(), PushError> {
        let Some(first) = effects.first() else {
            return Ok(());
        };
        match first {
            Effect::ListExists { list } => self.create_list(*list, fates).await,
            Effect::OnList { list, .. } => self.change_list(*list, effects, true, fates).await,
            Effect::OffList { list, .. } => self.change_list(*list, effects, false, fates).await,
            Effect::Properties { .. } => self.import(run, effects, ids, fates).await,
            Effect::Suppressed { .. } => self.suppress(run, effects, ids, fates).await,
            Effect::Unsubscribed { .. } => self.unsubscribe(effects, fates).await,
            Effect::CustomerUnsubscribed { .. } => self.unsubscribe_customers(effects, fates).await,
            Effect::Tags { .. } | Effect::Metafield { .. } if is_bulk(effects) => {
                self.customers_in_bulk(run, effects, ids, fates).await
            }
            Effect::Tags { .. } | Effect::Metafield { .. } => self.customers(effects, fates).await,
        }
    }

    /// As long as their intents are open.
    fn log_refusals(&self, ids: &[EffectId], fates: &[Fate]) {
        for (id, fate) in ids.iter().zip(fates) {
            if let Fate::Refused(code) = fate
                && let Some(intent) = self.journal.open_intent(*id)
            {
                let person = intent.subject.as_deref().map(|id| self.pseudonyms.of(id));
                let (effect, kind) = (intent.id, intent.kind.as_str());
                tracing::warn!(%effect, kind, person, code, "effect refused");
            }
        }
    }

    /// Tells the mirror what is now true upstream, then journals the ends. A crash in between leaves
    /// intents open that the mirror knows to hold. The other way round it would leave a confirmed end
    /// and a mirror without its receipt, in which an older receipt of the same member outlives it.
    fn conclude(
        &mut self,
        effects: &[Effect],
        ids: &[EffectId],
        fates: &[Fate],
        pushed: &mut Pushed,
    ) -> Result<(), PushError> {
        let now = self.clock.now();
        let list = effects
            .first()
            .and_then(Effect::members_of)
            .map(|list| self.list_id(list));
        let list = list.transpose()?.flatten();
        let mut ends = Vec::new();
        let mut page = self.mirror.page();
        for ((effect, id), fate) in effects.iter().zip(ids).zip(fates) {
            match fate {
                Fate::Done => {
                    ends.push((*id, End::Confirmed, None));
                    if let Some(receipt) = self.receipt(effect, list.as_ref(), now) {
                        page.receipt(receipt)?;
                    }
                }
                Fate::Refused(code) => {
                    ends.push((*id, End::Refused, Some(code.clone())));
                    *pushed.refusals.entry(code.clone()).or_default() += 1;
                }
                Fate::Elsewhere(owner) => {
                    ends.push((*id, End::Superseded, Some(owner.to_string())))
                }
                Fate::Gone => ends.push((*id, End::Withdrawn, None)),
                Fate::NotSent => ends.push((*id, End::Stopped, None)),
                Fate::Unknown => pushed.unknown += 1,
            }
            if let Some((_, end, _)) = ends.last().filter(|(ended, ..)| ended == id) {
                pushed.end(effect.kind(), *end, 1);
            }
        }
        page.commit()?;
        Ok(self.journal.conclude(&ends, now)?)
    }

    /// What the mirror should know of an effect that is now true.
    fn receipt<'e>(
        &self,
        effect: &'e Effect,
        list: Option<&'e ListId>,
        at: Moment,
    ) -> Option<Receipt<'e>> {
        Some(match effect {
            // The creation itself bound the list's name to its id.
            Effect::ListExists { .. } => return None,
            Effect::OnList { who, .. } => Receipt::Membership {
                list: list?,
                who: *who,
                on: true,
                at,
            },
            Effect::OffList { who, .. } => Receipt::Membership {
                list: list?,
                who: *who,
                on: false,
                at,
            },
            Effect::Properties { who, changes } => Receipt::Properties { who: *who, changes },
            Effect::Suppressed { who } => Receipt::Suppressed { who: *who, at },
            Effect::Unsubscribed { who, at, .. } => Receipt::Unsubscribed { who: *who, at: *at },
            Effect::CustomerUnsubscribed { who, at, .. } => {
                Receipt::CustomerUnsubscribed { who: *who, at: *at }
            }
            Effect::Tags { who, add, remove } => Receipt::Tags {
                who: *who,
                add,
                remove,
            },
            Effect::Metafield { who, to, .. } => Receipt::Metafield {
                who: *who,
                value: to.as_deref(),
            },
        })
    }

    pub(super) fn intent(&self, run: RunId, effect: &Effect) -> Result<Intent, MirrorError> {
        let told = describe(effect, self.mirror, self.policy)?;
        let (shop, at) = (self.shop, self.clock.now());
        let Described {
            kind,
            subject,
            target,
            from,
            to,
            ..
        } = told;
        Ok(Intent::new(shop, run, kind, subject, target, from, to, at))
    }
}

/// Whether the vendor found fault with what was asked, not with who asked or when.
pub(super) fn blames_the_request(error: &ApiError) -> bool {
    matches!(
        error.fault,
        Fault::Invalid { .. } | Fault::NotFound | Fault::Conflict { .. } | Fault::TooMany { .. }
    )
}

/// The vendor's code for a refusal, as journals and reports show it.
pub(super) fn code(error: &ApiError) -> String {
    match &error.fault {
        Fault::Invalid { code, .. } => code.to_string(),
        Fault::Conflict { .. } => "conflict".to_owned(),
        _ => "refused".to_owned(),
    }
}

/// What a failed request says about the effects it carried.
pub(super) fn fate_of(error: &ApiError) -> Fate {
    match &error.fault {
        _ if error.is_outcome_unknown() => Fate::Unknown,
        // Judged from the reply, so the request was carried out or not: nobody knows.
        Fault::VersionChanged { .. } | Fault::GraphqlErrors { .. } => Fate::Unknown,
        Fault::NotFound => Fate::Gone,
        Fault::Conflict {
            duplicate: Some(owner),
        } => Fate::Elsewhere(owner.clone()),
        _ if blames_the_request(error) => Fate::Refused(code(error)),
        // No budget, no connection, no right to ask: nothing was done, and nothing is wrong with it.
        _ => Fate::NotSent,
    }
}
