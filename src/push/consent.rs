//! Refusals carried from one platform to the other. Nothing takes them back, so both sides are looked
//! at just before: whoever agreed anew in the meantime stays subscribed.

use super::batch::{Fate, blames_the_request, fate_of};
use super::jobs::Looks;
use super::{Push, PushError};
use crate::mirror::LIST_LAG;
use crate::model::{Customer, CustomerId, Effect, Mentions, Moment, Profile, ProfileId};
use std::collections::BTreeMap;

impl Push<'_> {
    /// Unsubscribes profiles by the addresses they have now. Klaviyo accepts without an answer, so the
    /// profiles are read until they show it.
    pub(super) async fn unsubscribe(
        &mut self,
        effects: &[Effect],
        fates: &mut [Fate],
    ) -> Result<(), PushError> {
        let mut places: BTreeMap<ProfileId, (usize, Moment)> = BTreeMap::new();
        for (index, effect) in effects.iter().enumerate() {
            let Effect::Unsubscribed { who, at } = effect else {
                continue;
            };
            match self.mirror.profile_id(*who)? {
                Some(id) => drop(places.insert(id, (index, *at))),
                None => fates[index] = Fate::Gone,
            }
        }
        let found = self.profiles_now(places.keys()).await?;
        let mut addresses = Vec::new();
        places.retain(|id, (index, at)| {
            let profile = found.iter().find(|profile| profile.id == *id);
            match profile.map(|profile| (profile, standing(profile, *at))) {
                Some((Profile { email, .. }, Standing::Agreed)) if email.is_some() => {
                    addresses.extend(email.clone());
                    true
                }
                Some((_, Standing::Refused)) => {
                    fates[*index] = Fate::Done;
                    false
                }
                _ => {
                    fates[*index] = Fate::Gone;
                    false
                }
            }
        });
        if addresses.is_empty() {
            return Ok(());
        }
        let klaviyo = &self.vendors.klaviyo;
        let accepted = klaviyo.unsubscribe(&self.grant, &addresses).await;
        let fate = accepted.as_ref().map_or_else(fate_of, |()| Fate::Unknown);
        for (index, _) in places.values() {
            fates[*index] = fate.clone();
        }
        accepted?;
        self.await_refusals(&mut places, fates).await
    }

    /// Looks until every profile shows that it is unsubscribed, as long as reads may lag. Whoever does not
    /// stays unknown: the next pass looks again.
    async fn await_refusals(
        &self,
        places: &mut BTreeMap<ProfileId, (usize, Moment)>,
        fates: &mut [Fate],
    ) -> Result<(), PushError> {
        let mut looks = Looks::within(self, LIST_LAG);
        loop {
            for profile in self.profiles_now(places.keys()).await? {
                if !profile.is_subscribed()
                    && let Some((index, _)) = places.remove(&profile.id)
                {
                    fates[index] = Fate::Done;
                }
            }
            if places.is_empty() || !looks.again().await {
                return Ok(());
            }
        }
    }

    async fn profiles_now(
        &self,
        ids: impl Iterator<Item = &ProfileId>,
    ) -> Result<Vec<Profile>, PushError> {
        let ids: Vec<ProfileId> = ids.cloned().collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let klaviyo = &self.vendors.klaviyo;
        let found = klaviyo.profiles_by_id(&ids, &Mentions::default()).await?;
        Ok(found.items)
    }

    /// Unsubscribes customers, one call each.
    pub(super) async fn unsubscribe_customers(
        &self,
        effects: &[Effect],
        fates: &mut [Fate],
    ) -> Result<(), PushError> {
        let mut named: Vec<(usize, CustomerId, Moment)> = Vec::new();
        for (index, effect) in effects.iter().enumerate() {
            let Effect::CustomerUnsubscribed { who, at } = effect else {
                continue;
            };
            match self.mirror.customer_id(*who)? {
                Some(id) => named.push((index, id, *at)),
                None => fates[index] = Fate::Gone,
            }
        }
        let ids: Vec<CustomerId> = named.iter().map(|(_, id, _)| *id).collect();
        let found = match ids.is_empty() {
            true => Vec::new(),
            false => self.vendors.shopify.customers_by_id(&ids).await?.items,
        };
        for (index, id, at) in named {
            if self.stop.is_set() {
                return Ok(());
            }
            let customer = found.iter().find(|customer| customer.id == id);
            match customer.map(|customer| customer_standing(customer, at)) {
                Some(Standing::Agreed) => {}
                Some(Standing::Refused) => {
                    fates[index] = Fate::Done;
                    continue;
                }
                Some(Standing::Moved) | None => {
                    fates[index] = Fate::Gone;
                    continue;
                }
            }
            // Shopify refuses what is yet to come.
            let at = at.min(self.clock.now());
            let shopify = &self.vendors.shopify;
            let answer = shopify.withdraw_consent(&self.grant, id, at).await;
            fates[index] = match &answer {
                Ok(true) => Fate::Done,
                Ok(false) => Fate::Refused("unchanged".to_owned()),
                Err(error) => fate_of(error),
            };
            match answer {
                Err(error) if !blames_the_request(&error) => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// How a consent stands beside a refusal of some date.
enum Standing {
    /// Still the older yes.
    Agreed,
    /// No already.
    Refused,
    /// A newer yes, or something in between.
    Moved,
}

fn standing(profile: &Profile, refused: Moment) -> Standing {
    let marketing = profile.email_marketing.as_ref();
    let agreed = marketing.and_then(|marketing| marketing.consent_at);
    stands(
        profile.is_subscribed(),
        profile.is_unsubscribed(),
        agreed,
        refused,
    )
}

fn customer_standing(customer: &Customer, refused: Moment) -> Standing {
    let agreed = customer
        .email_consent
        .as_ref()
        .and_then(|consent| consent.at);
    stands(
        customer.is_subscribed(),
        customer.is_unsubscribed(),
        agreed,
        refused,
    )
}

fn stands(yes: bool, no: bool, agreed: Option<Moment>, refused: Moment) -> Standing {
    match agreed {
        _ if no => Standing::Refused,
        Some(agreed) if yes && agreed <= refused => Standing::Agreed,
        _ => Standing::Moved,
    }
}
