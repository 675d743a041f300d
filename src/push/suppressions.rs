//! Suppressions, by jobs of up to a hundred addresses. The job counts skipped addresses but does not
//! name them, so a job that skipped any is checked profile by profile.

use super::batch::Fate;
use super::jobs::Looks;
use super::{Push, PushError};
use crate::api::klaviyo::JobStatus;
use crate::journal::{EffectId, RunId};
use crate::model::{Effect, Mentions, ProfileId};

impl Push<'_> {
    /// Suppresses profiles by their stored addresses.
    pub(super) async fn suppress(
        &mut self,
        run: RunId,
        effects: &[Effect],
        ids: &[EffectId],
    ) -> Result<Vec<Fate>, PushError> {
        let mut fates = vec![Fate::Gone; effects.len()];
        let mut addresses = Vec::new();
        let mut sent: Vec<(usize, ProfileId)> = Vec::new();
        for (index, effect) in effects.iter().enumerate() {
            let profile = effect
                .who()
                .map(|who| self.mirror.profile(who))
                .transpose()?
                .flatten();
            if let Some((id, email)) = profile.and_then(|p| Some((p.id, p.email?))) {
                addresses.push(email);
                sent.push((index, id));
            }
        }
        if addresses.is_empty() {
            return Ok(fates);
        }
        let job = self
            .vendors
            .klaviyo
            .suppress(&self.grant, &addresses)
            .await?;
        self.journal.job(run, job.as_str(), ids, self.clock.now())?;
        let mut looks = Looks::new(self);
        let skipped = loop {
            let now = self.vendors.klaviyo.suppression_job(&job).await?;
            match now.status {
                JobStatus::Complete => break now.skipped,
                JobStatus::Cancelled => break now.total,
                JobStatus::Queued | JobStatus::Processing | JobStatus::Other(_) => {}
            }
            if !looks.again().await {
                sent.iter()
                    .for_each(|(index, _)| fates[*index] = Fate::Unknown);
                return Ok(fates);
            }
        };
        if skipped == 0 {
            sent.iter()
                .for_each(|(index, _)| fates[*index] = Fate::Done);
            return Ok(fates);
        }
        let profiles: Vec<ProfileId> = sent.iter().map(|(_, id)| id.clone()).collect();
        let mentions = Mentions::default();
        let found = self
            .vendors
            .klaviyo
            .profiles_by_id(&profiles, &mentions)
            .await?;
        for (index, id) in sent {
            let profile = found.items.iter().find(|profile| profile.id == id);
            fates[index] = match profile {
                Some(profile) if profile.is_suppressed() => Fate::Done,
                Some(_) => Fate::Refused("skipped".to_owned()),
                None => Fate::Gone,
            };
        }
        Ok(fates)
    }
}
