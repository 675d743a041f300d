//! Managed lists: created if absent, then changed by up to a thousand members a call.

use super::batch::{Fate, blames_the_request, fate_of};
use super::{Push, PushError};
use crate::api::{ApiError, Fault};
use crate::model::{Effect, List, ListId, ProfileId};

impl Push<'_> {
    /// Creates a managed list and remembers its id under the name it has in the policy.
    pub(super) async fn create_list(
        &mut self,
        list: usize,
        fates: &mut [Fate],
    ) -> Result<(), PushError> {
        let name = &self.policy.lists[list].name;
        let created = self.vendors.klaviyo.create_list(&self.grant, name).await;
        fates.fill(created.as_ref().map_or_else(fate_of, |_| Fate::Done));
        let id = created?;
        let mut page = self.mirror.page();
        page.bind(name, &id);
        // A catalogue that lags must not make the next pass create it again.
        page.list(List {
            id,
            name: name.clone(),
            updated: None,
        });
        Ok(page.commit()?)
    }

    /// Adds or removes members.
    pub(super) async fn change_list(
        &mut self,
        list: usize,
        effects: &[Effect],
        add: bool,
        fates: &mut [Fate],
    ) -> Result<(), PushError> {
        let Some(id) = self.list_id(list)? else {
            // Its creation did not succeed; the reason is on record there.
            return Ok(());
        };
        let mut members = Vec::with_capacity(effects.len());
        for (index, effect) in effects.iter().enumerate() {
            let profile = effect.who().map(|who| self.mirror.profile_id(who));
            match profile.transpose()?.flatten() {
                Some(profile) => members.push((index, profile)),
                None => fates[index] = Fate::Gone,
            }
        }
        let change = Change { list: &id, add };
        Ok(Box::pin(self.change_members(&change, &members, fates)).await?)
    }

    /// One call; when the vendor refuses it and names no row, halves until the culprit is alone.
    async fn change_members(
        &self,
        change: &Change<'_>,
        members: &[(usize, ProfileId)],
        fates: &mut [Fate],
    ) -> Result<(), ApiError> {
        let ids: Vec<ProfileId> = members.iter().map(|(_, id)| id.clone()).collect();
        let klaviyo = &self.vendors.klaviyo;
        let sent = if change.add {
            klaviyo.add_to_list(&self.grant, change.list, &ids).await
        } else {
            klaviyo
                .remove_from_list(&self.grant, change.list, &ids)
                .await
        };
        let mut settle = |fate: Fate| members.iter().for_each(|(at, _)| fates[*at] = fate.clone());
        match sent {
            Ok(()) => settle(Fate::Done),
            Err(error) if blames_the_request(&error) && members.len() > 1 => {
                if error.fault == Fault::NotFound && self.is_gone(change.list).await? {
                    settle(Fate::Gone);
                    return Ok(());
                }
                let (left, right) = members.split_at(members.len() / 2);
                Box::pin(self.change_members(change, left, fates)).await?;
                Box::pin(self.change_members(change, right, fates)).await?;
            }
            Err(error) => {
                settle(fate_of(&error));
                if !blames_the_request(&error) {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn is_gone(&self, list: &ListId) -> Result<bool, ApiError> {
        match self.vendors.klaviyo.list_size(list).await {
            Ok(_) => Ok(false),
            Err(error) if error.fault == Fault::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// Which list, and which way.
struct Change<'a> {
    list: &'a ListId,
    add: bool,
}
