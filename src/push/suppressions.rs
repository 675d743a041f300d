//! Suppressions, by jobs of up to a hundred addresses. The job counts skipped addresses but does not
//! name them, so a job that skipped any is checked profile by profile.

use super::batch::{Fate, blames_the_request, fate_of};
use super::isolate::{Answer, Isolation};
use super::jobs::Looks;
use super::{Push, PushError};
use crate::api::klaviyo::JobStatus;
use crate::journal::{EffectId, RunId};
use crate::model::{Effect, JobId, Mentions, ProfileId};

impl Push<'_> {
    /// Suppresses profiles by their stored addresses. One for which all are refused is found and left out.
    pub(super) async fn suppress(
        &mut self,
        run: RunId,
        effects: &[Effect],
        ids: &[EffectId],
        fates: &mut [Fate],
    ) -> Result<(), PushError> {
        let mut rows: Vec<Row> = Vec::new();
        for (at, effect) in effects.iter().enumerate() {
            let profile = effect.who().map(|who| self.mirror.profile(who));
            let profile = profile.transpose()?.flatten();
            match profile.and_then(|profile| Some((profile.id, profile.email?))) {
                Some((id, email)) => rows.push(Row { at, id, email }),
                None => fates[at] = Fate::Gone,
            }
        }
        let mut search = Isolation::of(rows.len());
        let mut ended = Ok(());
        while let Some(some) = search.next()
            && !self.stop.is_set()
        {
            let some: Vec<&Row> = some.iter().map(|row| &rows[*row]).collect();
            match self.suppress_some(run, &some, ids, fates).await {
                Ok(answer) => search.answer(answer),
                Err(error) => {
                    ended = Err(error);
                    break;
                }
            }
        }
        for (row, refusal) in search.culprits() {
            fates[rows[*row].at] = fate_of(refusal);
        }
        ended
    }

    /// One job with these addresses.
    async fn suppress_some(
        &mut self,
        run: RunId,
        rows: &[&Row],
        ids: &[EffectId],
        fates: &mut [Fate],
    ) -> Result<Answer, PushError> {
        let addresses: Vec<String> = rows.iter().map(|row| row.email.clone()).collect();
        let accepted = self.vendors.klaviyo.suppress(&self.grant, &addresses).await;
        if let Err(error) = &accepted
            && blames_the_request(error)
        {
            return Ok(Answer::Refused(error.clone()));
        }
        let fate = accepted.as_ref().map_or_else(fate_of, |_| Fate::Unknown);
        rows.iter().for_each(|row| fates[row.at] = fate.clone());
        let job = accepted?;
        let carried: Vec<EffectId> = rows.iter().map(|row| ids[row.at]).collect();
        self.journal
            .job(run, job.as_str(), &carried, self.clock.now())?;
        match self.follow_suppression(&job).await? {
            None => {}
            Some(0) => rows.iter().for_each(|row| fates[row.at] = Fate::Done),
            Some(_) => self.tell_skipped(rows, fates).await?,
        }
        Ok(Answer::Settled)
    }

    /// Which of the addresses a job skipped.
    async fn tell_skipped(&self, rows: &[&Row], fates: &mut [Fate]) -> Result<(), PushError> {
        let ids: Vec<ProfileId> = rows.iter().map(|row| row.id.clone()).collect();
        let klaviyo = &self.vendors.klaviyo;
        let found = klaviyo.profiles_by_id(&ids, &Mentions::default()).await?;
        for row in rows {
            let profile = found.items.iter().find(|profile| profile.id == row.id);
            fates[row.at] = match profile {
                Some(profile) if profile.is_suppressed() => Fate::Done,
                Some(_) => Fate::Refused("skipped".to_owned()),
                None => Fate::Gone,
            };
        }
        Ok(())
    }

    /// Waits for a suppression job and tells how many addresses it skipped; `None` when it is still
    /// at it after hours, or when it is time to stop.
    pub(super) async fn follow_suppression(&self, job: &JobId) -> Result<Option<u64>, PushError> {
        let mut looks = Looks::new(self);
        loop {
            let now = self.vendors.klaviyo.suppression_job(job).await?;
            match now.status {
                JobStatus::Complete => return Ok(Some(now.skipped)),
                JobStatus::Cancelled => return Ok(Some(now.total)),
                JobStatus::Queued | JobStatus::Processing | JobStatus::Other(_) => {}
            }
            if !looks.again().await {
                return Ok(None);
            }
        }
    }
}

/// One address to suppress.
struct Row {
    /// The place of its effect.
    at: usize,
    id: ProfileId,
    email: String,
}
