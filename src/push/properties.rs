//! Profile properties, by bulk import jobs followed to their per-row errors.

use super::batch::{Fate, blames_the_request, fate_of};
use super::isolate::{Answer, Isolation};
use super::jobs::Looks;
use super::{Push, PushError};
use crate::api::Trail;
use crate::api::klaviyo::{ImportRow, JobStatus};
use crate::journal::{EffectId, RunId};
use crate::model::{Effect, JobId, ProfileId, PropertyChange};
use std::collections::BTreeMap;

/// Rough bytes of a row besides its values: ids, braces, member names.
const ROW_BYTES: usize = 160;

/// Roughly what an import takes for an effect, rather more than less.
pub(super) fn row_bytes(effect: &Effect) -> usize {
    let Effect::Properties { changes, .. } = effect else {
        return ROW_BYTES;
    };
    let values = changes.iter().map(|change| {
        let value = change
            .to
            .as_ref()
            .map_or(0, |value| value.to_json().to_string().len());
        change.key.len() + value + 6
    });
    ROW_BYTES + values.sum::<usize>()
}

fn row(id: &ProfileId, changes: &[PropertyChange]) -> ImportRow {
    let mut row = ImportRow {
        id: id.clone(),
        set: BTreeMap::new(),
        unset: Vec::new(),
    };
    for PropertyChange { key, to, .. } in changes {
        match to {
            Some(value) => drop(row.set.insert(key.clone(), value.clone())),
            None => row.unset.push(key.clone()),
        }
    }
    row
}

impl Push<'_> {
    /// Starts a job, journals its id before the first look, follows it to its end. A row for which all
    /// are refused is found and left out.
    pub(super) async fn import(
        &mut self,
        run: RunId,
        effects: &[Effect],
        ids: &[EffectId],
        fates: &mut [Fate],
    ) -> Result<(), PushError> {
        let mut rows = Vec::new();
        for (place, effect) in effects.iter().enumerate() {
            let Effect::Properties { who, changes } = effect else {
                continue;
            };
            match self.mirror.profile_id(*who)? {
                Some(id) => rows.push((place, id, changes.as_slice())),
                None => fates[place] = Fate::Gone,
            }
        }
        let mut search = Isolation::of(rows.len());
        let mut ended = Ok(());
        while let Some(some) = search.next()
            && !self.stop.is_set()
        {
            let some = || some.iter().map(|row| &rows[*row]);
            let carried: Vec<ImportRow> = some().map(|(_, id, changes)| row(id, changes)).collect();
            let some: Vec<usize> = some().map(|(place, ..)| *place).collect();
            match self.import_some(run, &carried, &some, ids, fates).await {
                Ok(answer) => search.answer(answer),
                Err(error) => {
                    ended = Err(error);
                    break;
                }
            }
        }
        for (row, refusal) in search.culprits() {
            fates[rows[*row].0] = fate_of(refusal);
        }
        ended
    }

    /// One job with these rows, whose effects stand at these places.
    async fn import_some(
        &mut self,
        run: RunId,
        rows: &[ImportRow],
        places: &[usize],
        ids: &[EffectId],
        fates: &mut [Fate],
    ) -> Result<Answer, PushError> {
        let klaviyo = &self.vendors.klaviyo;
        let accepted = klaviyo.import_profiles(&self.grant, rows).await;
        if let Err(error) = &accepted
            && blames_the_request(error)
        {
            return Ok(Answer::Refused(error.clone()));
        }
        let fate = accepted.as_ref().map_or_else(fate_of, |_| Fate::Unknown);
        places.iter().for_each(|at| fates[*at] = fate.clone());
        let job = accepted?;
        let carried: Vec<EffectId> = places.iter().map(|at| ids[*at]).collect();
        let now = self.clock.now();
        self.journal.job(run, job.as_str(), &carried, now)?;
        let Some(failed) = self.follow_import(&job).await? else {
            return Ok(Answer::Settled);
        };
        let refused = if failed > 0 {
            self.refused_rows(&job).await?
        } else {
            BTreeMap::new()
        };
        // Rows that failed without an error that names them: which ones, only the profiles tell.
        let all_named = refused.len() as u64 >= failed;
        for (row, at) in places.iter().enumerate() {
            match refused.get(&row) {
                Some(code) => fates[*at] = Fate::Refused(code.clone()),
                None if all_named => fates[*at] = Fate::Done,
                None => {}
            }
        }
        Ok(Answer::Settled)
    }

    /// The rows an import refused, with the vendor's code.
    async fn refused_rows(&self, job: &JobId) -> Result<BTreeMap<usize, String>, PushError> {
        let mut refused = BTreeMap::new();
        let (mut after, mut trail) = (None, Trail::default());
        loop {
            let page = self
                .vendors
                .klaviyo
                .import_errors(job, after.as_ref())
                .await?;
            trail.step(&page)?;
            for error in page.items {
                refused.extend(error.row.map(|row| (row, error.code.to_string())));
            }
            after = page.next;
            if after.is_none() {
                return Ok(refused);
            }
        }
    }

    /// Waits for an import job and tells how many of its rows failed; `None` when it is still at it
    /// after hours, or when it is time to stop.
    pub(super) async fn follow_import(&self, job: &JobId) -> Result<Option<u64>, PushError> {
        let mut looks = Looks::new(self);
        loop {
            let now = self.vendors.klaviyo.import_job(job).await?;
            match now.status {
                JobStatus::Complete => return Ok(Some(now.failed)),
                JobStatus::Cancelled => return Ok(Some(now.total.saturating_sub(now.completed))),
                JobStatus::Queued | JobStatus::Processing | JobStatus::Other(_) => {}
            }
            if !looks.again().await {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Slot, Value};

    #[test]
    fn a_rows_estimated_size_is_not_below_its_real_one() {
        let note = Value::Text("x".repeat(40));
        let set = [("driftless_note".to_owned(), note.clone())].into();
        let unset = vec!["driftless_old".to_owned()];
        let row = ImportRow {
            id: "01GDDKASAP8TKDDA2GRZDSVP4H".into(),
            set,
            unset,
        };
        let change = |key: &str, to| PropertyChange {
            key: key.to_owned(),
            from: None,
            to,
        };
        let changes = [
            change("driftless_note", Some(note)),
            change("driftless_old", None),
        ];
        let estimate = row_bytes(&Effect::Properties {
            who: Slot(1),
            changes: changes.into(),
        });
        assert!(estimate >= serde_json::to_vec(&row).unwrap().len());
    }
}
