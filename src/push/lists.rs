//! Managed lists: created if absent, then changed by up to a thousand members a call.

use super::batch::{Fate, blames_the_request, code};
use super::{Push, PushError};
use crate::api::{ApiError, Fault};
use crate::model::{Effect, ListId, ProfileId};

impl Push<'_> {
    /// Creates a managed list and remembers its id under the name it has in the policy.
    pub(super) async fn create_list(&mut self, list: usize) -> Result<Vec<Fate>, PushError> {
        let name = &self.policy.lists[list].name;
        let id = self.vendors.klaviyo.create_list(&self.grant, name).await?;
        let mut page = self.mirror.page();
        page.bind(name, &id);
        page.commit()?;
        Ok(vec![Fate::Done])
    }

    /// Adds or removes members.
    pub(super) async fn change_list(
        &mut self,
        list: usize,
        effects: &[Effect],
        add: bool,
    ) -> Result<Vec<Fate>, PushError> {
        let Some(id) = self.list_id(list)? else {
            // Its creation was refused; the reason is on record there.
            return Ok(vec![
                Fate::Refused("list_missing".to_owned());
                effects.len()
            ]);
        };
        let mut members = Vec::with_capacity(effects.len());
        for effect in effects {
            let profile = effect
                .who()
                .map(|who| self.mirror.profile_id(who))
                .transpose()?;
            members.push(profile.flatten());
        }
        let known: Vec<ProfileId> = members.iter().flatten().cloned().collect();
        let mut fates = Box::pin(self.change_members(&id, &known, add))
            .await?
            .into_iter();
        let fate = |member: &Option<ProfileId>| match member {
            Some(_) => fates.next().unwrap_or(Fate::Unknown),
            None => Fate::Gone,
        };
        Ok(members.iter().map(fate).collect())
    }

    /// One call; when the vendor refuses it and names no row, halves until the culprit is alone.
    async fn change_members(
        &self,
        list: &ListId,
        members: &[ProfileId],
        add: bool,
    ) -> Result<Vec<Fate>, ApiError> {
        let klaviyo = &self.vendors.klaviyo;
        let sent = if add {
            klaviyo.add_to_list(&self.grant, list, members).await
        } else {
            klaviyo.remove_from_list(&self.grant, list, members).await
        };
        match sent {
            Ok(()) => Ok(vec![Fate::Done; members.len()]),
            Err(error) if blames_the_request(&error) && members.len() > 1 => {
                let (left, right) = members.split_at(members.len() / 2);
                let mut fates = Box::pin(self.change_members(list, left, add)).await?;
                fates.extend(Box::pin(self.change_members(list, right, add)).await?);
                Ok(fates)
            }
            Err(error) if error.fault == Fault::NotFound => Ok(vec![Fate::Gone; members.len()]),
            Err(error) if blames_the_request(&error) => {
                Ok(vec![Fate::Refused(code(&error)); members.len()])
            }
            Err(error) => Err(error),
        }
    }
}
