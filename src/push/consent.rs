//! Refusals carried from one platform to the other. Nothing takes them back, so both records are read
//! anew just before, and judged as the plan judged them: whoever agreed again in the meantime, or has
//! another address now, is left alone.

use super::batch::{Fate, blames_the_request, fate_of};
use super::isolate::{Answer, Isolation};
use super::jobs::Looks;
use super::{Push, PushError};
use crate::detect::{Newest, Platform, contradiction};
use crate::mirror::LIST_LAG;
use crate::model::{Customer, CustomerId, Effect, Mentions, Moment, Profile, ProfileId};
use std::collections::BTreeSet;

/// An effect, and the two records that contradicted each other.
struct Pair {
    /// The place of the effect.
    at: usize,
    profile: ProfileId,
    customer: CustomerId,
}

/// How a contradiction stands now.
enum Standing {
    /// As it was: the refusal is of this instant, the address this one.
    Refused(Moment, String),
    /// There is none any more: the other platform says no, too.
    Agreed,
    /// Somebody changed something.
    Moved,
}

impl Push<'_> {
    /// Unsubscribes profiles. Klaviyo accepts without an answer, so they are read until they show it. An
    /// address for which all are refused is found and left out.
    pub(super) async fn unsubscribe(
        &mut self,
        effects: &[Effect],
        fates: &mut [Fate],
    ) -> Result<(), PushError> {
        let mut meant: Vec<(usize, ProfileId, String)> = Vec::new();
        for (pair, standing) in self.standings(effects, Platform::Klaviyo, fates).await? {
            match standing {
                Standing::Refused(_, address) => meant.push((pair.at, pair.profile, address)),
                Standing::Agreed => fates[pair.at] = Fate::Done,
                Standing::Moved => fates[pair.at] = Fate::Gone,
            }
        }
        let mut search = Isolation::of(meant.len());
        let mut ended = Ok(());
        while let Some(rows) = search.next()
            && !self.stop.is_set()
        {
            let some = rows.iter().map(|row| meant[*row].2.clone());
            let some: Vec<String> = some.collect();
            let sent = self.vendors.klaviyo.unsubscribe(&self.grant, &some).await;
            match sent {
                Ok(()) => search.answer(Answer::Settled),
                Err(error) if blames_the_request(&error) => {
                    search.answer(Answer::Refused(error));
                    continue;
                }
                Err(error) => ended = Err(error),
            }
            let fate = ended.as_ref().map_or_else(fate_of, |()| Fate::Unknown);
            rows.iter()
                .for_each(|row| fates[meant[*row].0] = fate.clone());
            if ended.is_err() {
                break;
            }
        }
        for (row, refusal) in search.culprits() {
            fates[meant[*row].0] = fate_of(refusal);
        }
        meant.retain(|(at, ..)| fates[*at] == Fate::Unknown);
        self.await_refusals(meant, fates).await?;
        Ok(ended?)
    }

    /// Looks until every profile shows that it is unsubscribed, as long as reads may lag. Whoever does not
    /// by then was not.
    async fn await_refusals(
        &self,
        mut left: Vec<(usize, ProfileId, String)>,
        fates: &mut [Fate],
    ) -> Result<(), PushError> {
        let mut looks = Looks::within(self, LIST_LAG);
        while !left.is_empty() {
            let ids: Vec<ProfileId> = left.iter().map(|(_, id, _)| id.clone()).collect();
            let klaviyo = &self.vendors.klaviyo;
            let found = klaviyo.profiles_by_id(&ids, &Mentions::default()).await?;
            left.retain(|(at, id, _)| {
                let profile = found.items.iter().find(|profile| profile.id == *id);
                match profile {
                    None if found.quarantined == 0 => fates[*at] = Fate::Gone,
                    Some(profile) if profile.is_unsubscribed() => fates[*at] = Fate::Done,
                    _ => return true,
                }
                false
            });
            if left.is_empty() || looks.again().await {
                continue;
            }
            if !self.stop.is_set() {
                left.iter()
                    .for_each(|(at, ..)| fates[*at] = Fate::Refused("not kept".to_owned()));
            }
            return Ok(());
        }
        Ok(())
    }

    /// Unsubscribes customers, one call each.
    pub(super) async fn unsubscribe_customers(
        &self,
        effects: &[Effect],
        fates: &mut [Fate],
    ) -> Result<(), PushError> {
        for (pair, standing) in self.standings(effects, Platform::Shopify, fates).await? {
            if self.stop.is_set() {
                return Ok(());
            }
            let refused = match standing {
                Standing::Refused(refused, _) => refused,
                Standing::Agreed => {
                    fates[pair.at] = Fate::Done;
                    continue;
                }
                Standing::Moved => {
                    fates[pair.at] = Fate::Gone;
                    continue;
                }
            };
            // Shopify refuses what is yet to come.
            let refused = refused.min(self.clock.now());
            let shopify = &self.vendors.shopify;
            let answer = shopify
                .withdraw_consent(&self.grant, pair.customer, refused)
                .await;
            fates[pair.at] = match &answer {
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

    /// Reads both records of every effect anew. What was read goes into the mirror: of what has moved the
    /// next plan should know.
    async fn standings(
        &self,
        effects: &[Effect],
        subscribed: Platform,
        fates: &mut [Fate],
    ) -> Result<Vec<(Pair, Standing)>, PushError> {
        let mut pairs = Vec::new();
        for (at, effect) in effects.iter().enumerate() {
            let (profile, customer) = match effect {
                Effect::Unsubscribed { who, by, .. } => (*who, *by),
                Effect::CustomerUnsubscribed { who, by, .. } => (*by, *who),
                _ => continue,
            };
            let ids = self.mirror.profile_id(profile)?;
            match ids.zip(self.mirror.customer_id(customer)?) {
                Some((profile, customer)) => pairs.push(Pair {
                    at,
                    profile,
                    customer,
                }),
                None => fates[at] = Fate::Gone,
            }
        }
        let (profiles, customers) = self.read_pairs(&pairs).await?;
        let standings = pairs.into_iter().map(|pair| {
            let profile = profiles.iter().find(|one| one.id == pair.profile);
            let customer = customers.iter().find(|one| one.id == pair.customer);
            let standing = match profile.zip(customer) {
                Some((profile, customer)) => standing(profile, customer, subscribed),
                None => Standing::Moved,
            };
            (pair, standing)
        });
        Ok(standings.collect())
    }

    async fn read_pairs(&self, pairs: &[Pair]) -> Result<(Vec<Profile>, Vec<Customer>), PushError> {
        if pairs.is_empty() {
            return Ok(Default::default());
        }
        let profiles: BTreeSet<&ProfileId> = pairs.iter().map(|pair| &pair.profile).collect();
        let profiles: Vec<ProfileId> = profiles.into_iter().cloned().collect();
        let customers: BTreeSet<CustomerId> = pairs.iter().map(|pair| pair.customer).collect();
        let customers: Vec<CustomerId> = customers.into_iter().collect();
        let klaviyo = &self.vendors.klaviyo;
        let profiles = klaviyo.profiles_by_id(&profiles, &self.mentions).await?;
        let customers = self.vendors.shopify.customers_by_id(&customers).await?;
        let mut page = self.mirror.page();
        for profile in &profiles.items {
            page.profile(profile.clone())?;
        }
        for customer in &customers.items {
            page.customer(customer.clone())?;
        }
        page.commit()?;
        Ok((profiles.items, customers.items))
    }
}

/// What the plan would say of the two as they are now.
fn standing(profile: &Profile, customer: &Customer, subscribed: Platform) -> Standing {
    if profile.is_unsubscribed() && customer.is_unsubscribed() {
        return Standing::Agreed;
    }
    let found = contradiction(profile, customer);
    let found = found.filter(|found| found.subscribed == subscribed && found.spelled_alike);
    match found.map(|found| found.newest()).zip(profile.email.clone()) {
        Some((Newest::Refusal(refused), address)) => {
            Standing::Refused(refused, address.trim().to_owned())
        }
        _ => Standing::Moved,
    }
}
