//! Managed lists: created if absent, then changed by up to a thousand members a call.

use super::batch::{Fate, blames_the_request, fate_of};
use super::isolate::{Answer, Isolation};
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
        Ok(self.change_members(&change, &members, fates).await?)
    }

    /// Adds or removes all of them; who is refused does not hold up the others.
    async fn change_members(
        &self,
        change: &Change<'_>,
        members: &[(usize, ProfileId)],
        fates: &mut [Fate],
    ) -> Result<(), ApiError> {
        let mut search = Isolation::of(members.len());
        let mut ended = Ok(());
        while let Some(rows) = search.next()
            && !self.stop.is_set()
        {
            let some = rows.iter().map(|row| members[*row].1.clone());
            let sent = self.send_members(change, &some.collect::<Vec<_>>()).await;
            let fate = match &sent {
                Ok(()) => Fate::Done,
                Err(error)
                    if error.fault == Fault::NotFound && self.is_gone(change.list).await? =>
                {
                    Fate::Gone
                }
                Err(error) if blames_the_request(error) => {
                    search.answer(Answer::Refused(error.clone()));
                    continue;
                }
                Err(error) => fate_of(error),
            };
            let is_settled = matches!(fate, Fate::Done | Fate::Gone);
            rows.iter()
                .for_each(|row| fates[members[*row].0] = fate.clone());
            if !is_settled {
                ended = sent;
                break;
            }
            search.answer(Answer::Settled);
        }
        for (row, refusal) in search.culprits() {
            fates[members[*row].0] = fate_of(refusal);
        }
        ended
    }

    async fn send_members(&self, change: &Change<'_>, who: &[ProfileId]) -> Result<(), ApiError> {
        let klaviyo = &self.vendors.klaviyo;
        match change.add {
            true => klaviyo.add_to_list(&self.grant, change.list, who).await,
            false => {
                klaviyo
                    .remove_from_list(&self.grant, change.list, who)
                    .await
            }
        }
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
