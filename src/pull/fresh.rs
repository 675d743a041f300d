//! Single profiles, read anew: what upstream shows of them now.

use super::{Pull, PullError};
use crate::api::klaviyo::MOST_IDS;
use crate::api::{Fault, Page, Trail};
use crate::model::{
    IncomingEvent, ListId, Member, Mentions, MetricId, Moment, Profile, ProfileId, SegmentId,
};
use std::collections::{BTreeMap, BTreeSet};

/// A profile and all of its events, as upstream shows them now.
#[derive(Debug)]
pub struct Fresh {
    /// The profile.
    pub profile: Profile,
    /// Its events of the mentioned metrics.
    pub events: Vec<(MetricId, IncomingEvent)>,
    /// Those of the lists asked about that it is on, and since when.
    pub lists: BTreeMap<String, Option<Moment>>,
}

/// What upstream shows of a profile.
#[derive(Debug)]
pub enum Seen {
    /// There is no such profile.
    Gone,
    /// It cannot be told within reason: the record did not decode, or there are too many events.
    NotRead,
    /// This.
    Shown(Box<Fresh>),
}

/// Members of a segment, as far as they were read.
#[derive(Debug)]
pub struct Members {
    /// Who.
    pub members: Vec<Member>,
    /// Why reading ended.
    pub end: ReadEnd,
}

/// Why reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadEnd {
    /// These are all.
    Whole,
    /// There are more than was allowed.
    TooMany,
    /// There is no such segment.
    Gone,
}

/// Pages of events of one profile that are read; a thousand events each.
const MOST_PAGES: usize = 10;

impl Pull<'_> {
    /// All members of a segment, up to so many.
    pub async fn segment_members(&self, id: &SegmentId, most: u64) -> Result<Members, PullError> {
        let mut members = Vec::new();
        let (mut cursor, mut trail) = (None, Trail::default());
        loop {
            self.check_stop()?;
            let klaviyo = &self.vendors.klaviyo;
            let page = klaviyo.segment_members(id, None, cursor.as_ref()).await;
            let page = match page {
                Err(error) if error.fault == Fault::NotFound => {
                    let end = ReadEnd::Gone;
                    return Ok(Members { members, end });
                }
                page => page?,
            };
            trail.step(&page)?;
            members.extend(page.items);
            cursor = page.next;
            let end = match cursor {
                None => ReadEnd::Whole,
                Some(_) if members.len() as u64 > most => ReadEnd::TooMany,
                Some(_) => continue,
            };
            return Ok(Members { members, end });
        }
    }

    /// Those among some profiles that are in a segment; `None` when it is gone.
    pub async fn segment_members_among(
        &self,
        id: &SegmentId,
        profiles: &[ProfileId],
    ) -> Result<Option<BTreeSet<ProfileId>>, PullError> {
        let mut members = BTreeSet::new();
        for some in profiles.chunks(MOST_IDS) {
            self.check_stop()?;
            match self.vendors.klaviyo.segment_members_among(id, some).await {
                Err(error) if error.fault == Fault::NotFound => return Ok(None),
                page => members.extend(page?.items.into_iter().map(|member| member.profile)),
            }
        }
        Ok(Some(members))
    }

    /// Profiles as upstream shows them now.
    pub async fn fresh(
        &self,
        ids: &[ProfileId],
        lists: &BTreeSet<String>,
        mentions: &Mentions,
    ) -> Result<BTreeMap<ProfileId, Seen>, PullError> {
        let mut found = BTreeMap::new();
        for some in ids.chunks(MOST_IDS) {
            self.check_stop()?;
            let page = self.vendors.klaviyo.profiles_by_id(some, mentions).await?;
            let absent = || match page.quarantined {
                0 => Seen::Gone,
                _ => Seen::NotRead,
            };
            found.extend(some.iter().map(|id| (id.clone(), absent())));
            let on = self.on_lists(&page, lists).await?;
            for profile in page.items {
                let id = profile.id.clone();
                let seen = match self.events_of(&id, mentions).await? {
                    None => Seen::NotRead,
                    Some(events) => Seen::Shown(Box::new(Fresh {
                        events,
                        lists: on.get(&id).cloned().unwrap_or_default(),
                        profile,
                    })),
                };
                found.insert(id, seen);
            }
        }
        Ok(found)
    }

    /// `None` when there are too many.
    async fn events_of(
        &self,
        profile: &ProfileId,
        mentions: &Mentions,
    ) -> Result<Option<Vec<(MetricId, IncomingEvent)>>, PullError> {
        let mut events = Vec::new();
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            self.check_stop()?;
            let klaviyo = &self.vendors.klaviyo;
            let page = klaviyo.events_of(profile, None, Moment(0), cursor.as_ref(), mentions);
            let page = page.await?;
            for (metric, mut event) in page.items {
                if let Some(metric) = metric
                    && let Some(wanted) = mentions.events.get(&metric)
                {
                    // A page of all metrics shows what any of them is wanted with.
                    event.properties.retain(|(name, _)| wanted.contains(name));
                    events.push((metric, event));
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(Some(events));
            }
        }
        Ok(None)
    }

    /// Lists can be asked only by address; who has none stays off.
    async fn on_lists(
        &self,
        page: &Page<Profile>,
        lists: &BTreeSet<String>,
    ) -> Result<BTreeMap<ProfileId, BTreeMap<String, Option<Moment>>>, PullError> {
        let emails = page
            .items
            .iter()
            .filter_map(|profile| profile.email.as_deref());
        let emails: Vec<&str> = emails.collect();
        let mut on: BTreeMap<ProfileId, BTreeMap<String, Option<Moment>>> = BTreeMap::new();
        if emails.is_empty() {
            return Ok(on);
        }
        for list in lists {
            let id = ListId::from(list.as_str());
            let members = self
                .vendors
                .klaviyo
                .list_members_by_email(&id, &emails)
                .await;
            let members = match members {
                Err(error) if error.fault == Fault::NotFound => continue,
                members => members?,
            };
            for member in members.items {
                on.entry(member.profile)
                    .or_default()
                    .insert(list.clone(), member.joined);
            }
        }
        Ok(on)
    }
}
