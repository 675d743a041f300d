//! Suppressions, by jobs of up to a hundred addresses. The job counts skipped addresses but does not
//! name them, so a job that skipped any is checked profile by profile.

use super::batch::{Fate, fate_of};
use super::jobs::Looks;
use super::{Push, PushError};
use crate::api::klaviyo::JobStatus;
use crate::journal::{EffectId, RunId};
use crate::model::{Effect, JobId, Mentions, ProfileId};

impl Push<'_> {
    /// Suppresses profiles by their stored addresses.
    pub(super) async fn suppress(
        &mut self,
        run: RunId,
        effects: &[Effect],
        ids: &[EffectId],
        fates: &mut [Fate],
    ) -> Result<(), PushError> {
        let mut addresses = Vec::new();
        let mut sent: Vec<(usize, ProfileId)> = Vec::new();
        for (index, effect) in effects.iter().enumerate() {
            let profile = effect.who().map(|who| self.mirror.profile(who));
            match profile
                .transpose()?
                .flatten()
                .map(|profile| (profile.id, profile.email))
            {
                Some((id, Some(email))) => {
                    addresses.push(email);
                    sent.push((index, id));
                }
                Some((_, None)) | None => fates[index] = Fate::Gone,
            }
        }
        if addresses.is_empty() {
            return Ok(());
        }
        let accepted = self.vendors.klaviyo.suppress(&self.grant, &addresses).await;
        let fate = accepted.as_ref().map_or_else(fate_of, |_| Fate::Unknown);
        sent.iter().for_each(|(at, _)| fates[*at] = fate.clone());
        let job = accepted?;
        self.journal.job(run, job.as_str(), ids, self.clock.now())?;
        match self.follow_suppression(&job).await? {
            None => {}
            Some(0) => sent.iter().for_each(|(at, _)| fates[*at] = Fate::Done),
            Some(_) => {
                let profiles: Vec<ProfileId> = sent.iter().map(|(_, id)| id.clone()).collect();
                let mentions = Mentions::default();
                let found = self
                    .vendors
                    .klaviyo
                    .profiles_by_id(&profiles, &mentions)
                    .await?;
                for (at, id) in sent {
                    let profile = found.items.iter().find(|profile| profile.id == id);
                    fates[at] = match profile {
                        Some(profile) if profile.is_suppressed() => Fate::Done,
                        Some(_) => Fate::Refused("skipped".to_owned()),
                        None => Fate::Gone,
                    };
                }
            }
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
