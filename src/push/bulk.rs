//! Tags and metafields of many customers, by bulk operations followed to the end of each of their lines.

use super::batch::{Fate, blames_the_request, fate_of};
use super::jobs::Looks;
use super::{Push, PushError};
use crate::api::shopify::{Bulk, BulkEnd, BulkLine, BulkMutation, BulkStatus, Staged};
use crate::api::{ApiError, Fault, Place};
use crate::journal::{EffectId, RunId};
use crate::model::{BulkId, Effect, EffectKind};
use crate::telemetry::Api;
use std::collections::BTreeSet;

/// From so many customers on their tags go in bulk. Call by call a customer costs 10 points, or 20, and
/// the Standard plan restores 100 a second: 1,000 take two or three minutes, in which every read waits as
/// well. An operation costs 21 points, and one for each look.
const TAGS_FROM: u64 = 1_000;
/// From so many customers on their metafields do. 25 of them are a call of 10 points, so a full bucket
/// pays for 5,000 at once; only beyond that they would have to wait.
const METAFIELDS_FROM: u64 = 5_000;
/// How often a result is fetched that breaks off.
const FETCHES: usize = 3;
/// Most customers of one operation: Shopify takes 100 MB, and 2,000 bytes are a long line. Until it ends,
/// a few thousand bytes of each are kept.
const MOST: usize = 20_000;

const METAFIELDS_PER_CALL: usize = 25;

/// How many of `count` customers go together: into one call, or into one operation where they are many.
pub(super) fn most(kind: EffectKind, count: u64) -> usize {
    let from = match kind {
        EffectKind::Tag => TAGS_FROM,
        _ => METAFIELDS_FROM,
    };
    match count >= from {
        true => MOST,
        false => per_call(kind),
    }
}

/// Whether a batch of effects on customers is more than one call takes.
pub(super) fn is_bulk(effects: &[Effect]) -> bool {
    let first = effects.first();
    first.is_some_and(|first| effects.len() > per_call(first.kind()))
}

fn per_call(kind: EffectKind) -> usize {
    match kind {
        EffectKind::Metafield => METAFIELDS_PER_CALL,
        _ => 1,
    }
}

/// One line, and where its effect stands in the batch.
struct Row {
    at: usize,
    line: BulkLine,
}

/// The batch that rows are of.
struct Batch<'b> {
    run: RunId,
    effects: &'b [Effect],
    ids: &'b [EffectId],
}

impl Push<'_> {
    /// Takes away first, then gives: one operation for each.
    pub(super) async fn customers_in_bulk(
        &mut self,
        run: RunId,
        effects: &[Effect],
        ids: &[EffectId],
        fates: &mut [Fate],
    ) -> Result<(), PushError> {
        let batch = Batch { run, effects, ids };
        let (taken, mut given) = self.rows(effects, fates)?;
        let (take, give) = match effects.first() {
            Some(Effect::Tags { .. }) => (BulkMutation::TagsRemove, BulkMutation::TagsAdd),
            _ => (BulkMutation::MetafieldsDelete, BulkMutation::MetafieldsSet),
        };
        if !self.carry_out(&batch, take, &taken, fates).await? {
            // A call takes and gives in one.
            let all: BTreeSet<usize> = taken.iter().chain(&given).map(|row| row.at).collect();
            return self.call_by_call(&batch, all, fates).await;
        }
        // Whoever keeps a tag that was to go gets none; of the others, half is done.
        let kept = taken.iter().filter(|row| fates[row.at] != Fate::Done);
        let kept: BTreeSet<usize> = kept.map(|row| row.at).collect();
        given.retain(|row| !kept.contains(&row.at));
        let both = given.iter().map(|row| row.at);
        let half_done: Vec<usize> = both.filter(|at| fates[*at] == Fate::Done).collect();
        half_done.iter().for_each(|at| fates[*at] = Fate::Unknown);
        let sent = match self.carry_out(&batch, give, &given, fates).await {
            Ok(false) => {
                let all = given.iter().map(|row| row.at).collect();
                self.call_by_call(&batch, all, fates).await
            }
            sent => sent.map(drop),
        };
        // Whatever became of the other half: what is upstream now is neither.
        for at in half_done {
            if fates[at] != Fate::Done {
                fates[at] = Fate::Unknown;
            }
        }
        sent
    }

    /// What is taken away, and what is given.
    fn rows(
        &self,
        effects: &[Effect],
        fates: &mut [Fate],
    ) -> Result<(Vec<Row>, Vec<Row>), PushError> {
        let (mut taken, mut given) = (Vec::new(), Vec::new());
        for (at, effect) in effects.iter().enumerate() {
            let who = effect.who().map(|who| self.mirror.customer_id(who));
            let Some(customer) = who.transpose()?.flatten() else {
                fates[at] = Fate::Gone;
                continue;
            };
            match (effect, &self.policy.metafield) {
                (Effect::Tags { add, remove, .. }, _) => {
                    for (rows, tags) in [(&mut taken, remove), (&mut given, add)] {
                        if !tags.is_empty() {
                            let line = BulkLine::tags(customer, tags);
                            rows.push(Row { at, line });
                        }
                    }
                }
                (Effect::Metafield { to: Some(to), .. }, Some(map)) => {
                    let entry = (customer, map.namespace.clone(), map.key.clone(), to.clone());
                    let line = BulkLine::metafield(&entry);
                    given.push(Row { at, line });
                }
                (Effect::Metafield { to: None, .. }, Some(map)) => {
                    let line = BulkLine::no_metafield(customer, (&map.namespace, &map.key));
                    taken.push(Row { at, line });
                }
                _ => {}
            }
        }
        Ok((taken, given))
    }

    /// One operation with these rows, followed to its end; `false` where Shopify will not start it.
    async fn carry_out(
        &mut self,
        batch: &Batch<'_>,
        mutation: BulkMutation,
        rows: &[Row],
        fates: &mut [Fate],
    ) -> Result<bool, PushError> {
        if rows.is_empty() || self.stop.is_set() {
            return Ok(true);
        }
        let Some(id) = self.start(batch, mutation, rows, fates).await? else {
            return Ok(false);
        };
        let carried: Vec<EffectId> = rows.iter().map(|row| batch.ids[row.at]).collect();
        let now = self.clock.now();
        self.journal.job(batch.run, id.as_str(), &carried, now)?;
        for _ in 0..FETCHES {
            // Every look brings a link that is good for a week.
            let Some(over) = self.follow_bulk(&id).await? else {
                break;
            };
            if over.status != BulkStatus::Completed {
                let (status, code) = (&over.status, over.error.as_deref());
                tracing::warn!(%id, ?status, code, "a bulk operation did not complete");
            }
            // What did not complete says of some lines how they ended; of the others nothing is known.
            let Some(url) = over.url.or(over.partial_url) else {
                break;
            };
            match self.read_ends(&url, rows, fates).await {
                Ok(read) if read < rows.len() => {
                    let sent = rows.len();
                    tracing::warn!(%id, read, sent, "lines are missing from a bulk operation's result");
                    break;
                }
                Ok(_) => break,
                Err(error) => tracing::warn!(%id, %error, "a bulk operation's result breaks off"),
            }
        }
        Ok(true)
    }

    /// Starts an operation; `None` when Shopify will not, so that nothing was done. Whatever it
    /// carries is [`Fate::Unknown`] from then on.
    async fn start(
        &self,
        batch: &Batch<'_>,
        mutation: BulkMutation,
        rows: &[Row],
        fates: &mut [Fate],
    ) -> Result<Option<BulkId>, PushError> {
        let shopify = &self.vendors.shopify;
        let lines = rows.iter().map(|row| &row.line);
        let staged = match shopify.stage_bulk(&self.grant, lines).await {
            Ok(staged) => staged,
            Err(error) if ends_here(&error) => {
                tracing::warn!(%error, calls = rows.len(), "no bulk operation; writing call by call");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        // An effect is the first of one batch only.
        let first = rows.first().map(|row| batch.ids[row.at].to_string());
        let mark = first.unwrap_or_default();
        let started = shopify
            .run_bulk(&self.grant, mutation, &mark, &staged)
            .await;
        let fate = match &started {
            Err(error) if blames_the_request(error) => {
                tracing::warn!(%error, calls = rows.len(), "no bulk operation; writing call by call");
                return Ok(None);
            }
            Err(error) => fate_of(error),
            Ok(_) => Fate::Unknown,
        };
        rows.iter().for_each(|row| fates[row.at] = fate.clone());
        match started {
            Err(error) if fate == Fate::Unknown => {
                let found = self.find(mutation, &mark, &staged).await;
                found.map(Some).ok_or(error.into())
            }
            started => Ok(started.map(Some)?),
        }
    }

    /// The operation whose start was not answered, if it came to be.
    async fn find(&self, mutation: BulkMutation, mark: &str, staged: &Staged) -> Option<BulkId> {
        let all = match self.vendors.shopify.bulk_mutations().await {
            Ok(all) => all,
            Err(error) => {
                tracing::info!(%error, "bulk operations cannot be looked for");
                return None;
            }
        };
        let since = staged.at.secs();
        let mut all = all.into_iter();
        let ours = all.find(|one| one.is(mutation, mark) && one.created.secs() >= since)?;
        tracing::info!("the answer to the start of a bulk operation was lost; it is followed");
        Some(ours.id)
    }

    /// Waits for a bulk operation; `None` when it is still at it after hours, or when it is time to
    /// stop.
    pub(super) async fn follow_bulk(&self, id: &BulkId) -> Result<Option<Bulk>, PushError> {
        let mut looks = Looks::new(self);
        loop {
            let now = self.vendors.shopify.bulk(id).await?;
            self.progress.at("bulk operation", now.objects, None);
            if now.status.is_over() {
                return Ok(Some(now));
            }
            if !looks.again().await {
                return Ok(None);
            }
        }
    }

    /// Writes down how each line ended, and tells how many did. Of one that is not in the result nothing
    /// is known.
    async fn read_ends(
        &self,
        url: &str,
        rows: &[Row],
        fates: &mut [Fate],
    ) -> Result<usize, ApiError> {
        let mut read = 0;
        let mut lines = self.vendors.shopify.bulk_lines(url).await?;
        while let Some(line) = lines.next().await? {
            let Some(BulkEnd { line, end }) = BulkEnd::decode(&line) else {
                continue;
            };
            if let Some(row) = rows.get(line) {
                fates[row.at] = end.map_or_else(fate_of_line, |()| Fate::Done);
                read += 1;
            }
        }
        Ok(read)
    }

    /// Sends whatever is left of these effects by single calls. What is half done by an operation is sent
    /// as a whole: to take a tag that is gone changes nothing.
    async fn call_by_call(
        &self,
        batch: &Batch<'_>,
        which: BTreeSet<usize>,
        fates: &mut [Fate],
    ) -> Result<(), PushError> {
        let kind = batch.effects.first().map(Effect::kind);
        let which: Vec<usize> = which.into_iter().collect();
        let mut sent = 0;
        for chunk in which.chunks(kind.map_or(1, per_call)) {
            if self.stop.is_set() {
                return Ok(());
            }
            let some = chunk.iter().map(|at| batch.effects[*at].clone());
            let mut ends = vec![Fate::NotSent; chunk.len()];
            let answered = self.customers(&some.collect::<Vec<_>>(), &mut ends).await;
            for (at, end) in chunk.iter().zip(ends) {
                fates[*at] = end;
            }
            match answered {
                Err(PushError::Api(error)) if blames_the_request(&error) => {}
                answered => answered?,
            }
            sent += chunk.len() as u64;
            let all = which.len() as u64;
            self.progress.at("call by call", sent, Some(all));
        }
        Ok(())
    }
}

/// Whether an error in handing the lines over says nothing against single calls.
fn ends_here(error: &ApiError) -> bool {
    blames_the_request(error)
        || matches!(
            error.fault,
            Fault::TooLarge { .. }
                | Fault::ForeignHost { .. }
                | Fault::Unreachable { .. }
                | Fault::VendorDown
                | Fault::Redirected { .. }
                | Fault::Shape { .. }
        )
}

/// What a line's fault says about its effect: as that of a single write.
fn fate_of_line(fault: Fault) -> Fate {
    let place = Place {
        api: Api::Shopify,
        class: "bulk_result",
        status: None,
        request_id: None,
    };
    match fate_of(&ApiError { fault, place }) {
        // It was tried.
        Fate::NotSent => Fate::Unknown,
        fate => fate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Slot;

    fn tags(slot: u32) -> Effect {
        Effect::Tags {
            who: Slot(slot),
            add: vec!["dl:stale".to_owned()],
            remove: Vec::new(),
        }
    }

    fn metafield(slot: u32) -> Effect {
        Effect::Metafield {
            who: Slot(slot),
            from: None,
            to: Some("{}".to_owned()),
        }
    }

    #[test]
    fn a_batch_beyond_one_call_is_one_operation() {
        let of = |make: fn(u32) -> Effect, count: u32| (0..count).map(make).collect::<Vec<_>>();
        assert!(!is_bulk(&of(tags, 1)) && is_bulk(&of(tags, 2)));
        assert!(!is_bulk(&of(metafield, 25)) && is_bulk(&of(metafield, 26)));
    }

    #[test]
    fn a_line_that_was_refused_for_no_fault_of_its_own_is_unclear() {
        assert_eq!(fate_of_line(Fault::NotFound), Fate::Gone);
        let denied = Fault::MissingScope { scope: None };
        assert_eq!(fate_of_line(denied), Fate::Unknown);
    }
}
