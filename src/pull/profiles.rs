//! Klaviyo profiles with their subscriptions: one complete walk, then what changed.

use super::parts::Ranged;
use super::walk::{Source, Walked};
use super::{Counted, Pull, PullError, Pulled};
use crate::api::klaviyo::{Klaviyo, ProfileQuery};
use crate::api::{ApiError, Cursor as PageCursor, Exchange, Page};
use crate::mirror::{Cursor, MirrorError, Page as MirrorPage, Stream};
use crate::model::{Mentions, Moment, Profile, ProfileId};
use crate::plan::Listing;
use std::time::Duration;

/// Clocks of the servers behind one API may differ by this much.
const OVERLAP: Duration = Duration::from_secs(5 * 60);

/// Requests at a time of a first fill. Seven tenths of 750 a minute take 18 of them where a page takes two
/// seconds; the rest is for slower ones.
const ABREAST: usize = 20;

pub(super) struct Profiles<'a, E> {
    pub klaviyo: &'a Klaviyo<E>,
    pub mentions: &'a Mentions,
}

impl<E: Exchange> Source for Profiles<'_, E> {
    type Item = Profile;
    const NAME: &'static str = "profiles";

    fn overlap(&self) -> Duration {
        OVERLAP
    }

    fn stream(&self) -> Stream {
        Stream::KlaviyoProfiles
    }

    async fn page(
        &self,
        since: Option<Moment>,
        after: Option<&PageCursor>,
    ) -> Result<Page<Profile>, ApiError> {
        let query = ProfileQuery {
            updated_since: since,
            cursor: after.cloned(),
            ..ProfileQuery::default()
        };
        self.klaviyo.profiles(&query, self.mentions).await
    }

    fn end(&self, page: &mut MirrorPage<'_>, walk: &Cursor) -> Result<(), MirrorError> {
        // A complete walk brought every suppression until it began; from there on they are followed.
        if walk.lower.is_none() {
            let followed = Cursor {
                watermark: walk.run_start,
                done: true,
                ..Cursor::default()
            };
            page.cursor(&Stream::KlaviyoSuppressions, &followed);
        }
        Ok(())
    }

    fn store(&self, page: &mut MirrorPage<'_>, items: Vec<Profile>) -> Result<(), MirrorError> {
        items
            .into_iter()
            .try_for_each(|profile| page.profile(profile).map(drop))
    }
}

/// By `created`, the one sort key whose value never changes and that may be filtered by range. The last
/// part has no end, so that whoever is new meanwhile is in it.
impl<E: Exchange> Ranged for Profiles<'_, E> {
    fn until(&self) -> Option<Moment> {
        None
    }

    fn at(profile: &Profile) -> Option<Moment> {
        profile.created
    }

    async fn range(
        &self,
        from: Option<Moment>,
        to: Option<Moment>,
        after: Option<&PageCursor>,
    ) -> Result<Page<Profile>, ApiError> {
        let query = ProfileQuery {
            created_from: from,
            created_to: to,
            cursor: after.cloned(),
            ..ProfileQuery::default()
        };
        self.klaviyo.profiles(&query, self.mentions).await
    }
}

/// Suppressions have timestamps of their own: whether they move `updated` is undocumented.
struct Suppressions<'a> {
    klaviyo: &'a Klaviyo,
    mentions: &'a Mentions,
}

impl Source for Suppressions<'_> {
    type Item = Profile;
    const NAME: &'static str = "suppressions";

    fn overlap(&self) -> Duration {
        OVERLAP
    }

    fn stream(&self) -> Stream {
        Stream::KlaviyoSuppressions
    }

    async fn page(
        &self,
        since: Option<Moment>,
        after: Option<&PageCursor>,
    ) -> Result<Page<Profile>, ApiError> {
        let since = since.unwrap_or_default();
        self.klaviyo
            .suppressed_since(since, after, self.mentions)
            .await
    }

    fn store(&self, page: &mut MirrorPage<'_>, items: Vec<Profile>) -> Result<(), MirrorError> {
        items
            .into_iter()
            .try_for_each(|profile| page.profile(profile).map(drop))
    }
}

impl Pull<'_> {
    /// Profiles, by `updated` once the first walk is complete.
    pub(super) async fn profiles(
        &self,
        now: Moment,
        mentions: &Mentions,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        self.refill_on_new_mentions(mentions)?;
        let source = Profiles {
            klaviyo: &self.vendors.klaviyo,
            mentions,
        };
        let walked = match self.is_first_fill(&Stream::KlaviyoProfiles)? {
            true => self.first_profiles(source, now, pulled).await?,
            false => self.walk(&source, now, pulled).await?,
        };
        self.progress.over("profiles", walked.count);
        if walked.complete {
            let stream = Stream::KlaviyoProfiles;
            let listing = Listing {
                name: "profiles".to_owned(),
                count: walked.count,
                before: self.mirror.complete_count(&stream)?,
                complete: walked.whole,
            };
            pulled.listings.push(Counted { stream, listing });
        }
        Ok(())
    }

    pub(super) async fn first_profiles<E: Exchange>(
        &self,
        source: Profiles<'_, E>,
        now: Moment,
        pulled: &mut Pulled,
    ) -> Result<Walked, PullError> {
        let mut walked = self.first_fill(&[source], ABREAST, now, pulled).await?;
        Ok(walked.remove(0))
    }

    /// What was never kept is missing from every stored profile: they are all read again.
    fn refill_on_new_mentions(&self, mentions: &Mentions) -> Result<(), PullError> {
        self.keep_only(&Stream::KlaviyoProfiles, &kept_of_profiles(mentions))
    }

    /// Notes what a stream's records are read with from now on. One that lacks something is read
    /// again from its beginning; what is no longer wanted is missing from here on.
    pub(super) fn keep_only(&self, stream: &Stream, wanted: &[String]) -> Result<(), PullError> {
        let kept = self.mirror.mentions(stream)?;
        if kept.as_deref() == Some(wanted) {
            return Ok(());
        }
        let mut page = self.mirror.page();
        if kept.is_none_or(|kept| wanted.iter().any(|name| !kept.contains(name))) {
            page.cursor(stream, &Cursor::default());
        }
        page.mentions(stream, wanted);
        Ok(page.commit()?)
    }

    /// Suppressions since the last look.
    pub(super) async fn suppressions(
        &self,
        now: Moment,
        mentions: &Mentions,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let klaviyo = &self.vendors.klaviyo;
        let source = Suppressions { klaviyo, mentions };
        let walked = self.walk(&source, now, pulled).await?;
        self.progress.over(Suppressions::NAME, walked.count);
        Ok(())
    }

    /// Looks whether the sentinels still exist; chooses them when there are none.
    pub(super) async fn sentinels(&self, pulled: &mut Pulled) -> Result<(), PullError> {
        if self.policy.guards.sentinels == 0 {
            return Ok(());
        }
        let known = self.mirror.sentinels()?;
        let asked = if known.is_empty() {
            self.choose_sentinels()?
        } else {
            known.clone()
        };
        if asked.is_empty() {
            return Ok(());
        }
        let mentions = Mentions::default();
        let answer = self
            .vendors
            .klaviyo
            .profiles_by_id(&asked, &mentions)
            .await?;
        let is_there = |id: &ProfileId| answer.items.iter().any(|profile| profile.id == *id);
        if known.is_empty() {
            // One that was deleted long ago proves nothing by its absence.
            let chosen: Vec<ProfileId> = asked.into_iter().filter(is_there).collect();
            let mut page = self.mirror.page();
            page.sentinels(&chosen);
            page.commit()?;
        } else {
            pulled.missing_sentinels = known.iter().filter(|id| !is_there(id)).count() as u64;
        }
        Ok(())
    }

    /// Profiles spread evenly over the mirror: an account that lost a part of its people lost one.
    fn choose_sentinels(&self) -> Result<Vec<ProfileId>, PullError> {
        let wanted = u64::from(self.policy.guards.sentinels);
        let known = self.mirror.known_profiles()?;
        let last = known.len().saturating_sub(1);
        let mut chosen = Vec::new();
        for n in 0..wanted {
            let rank = last * n / wanted.saturating_sub(1).max(1);
            let slot = u32::try_from(rank).ok().and_then(|rank| known.select(rank));
            if let Some(slot) = slot
                && let Some(id) = self.mirror.profile_id(crate::model::Slot(slot))?
                && !chosen.contains(&id)
            {
                chosen.push(id);
            }
        }
        Ok(chosen)
    }
}

/// Attributes that every profile is read with, whether or not a definition mentions them.
const ALWAYS_READ: [&str; 6] = [
    "created",
    "email",
    "external_id",
    "location['country']",
    "phone_number",
    "updated",
];

/// Everything a profile is read with, by names that cannot be taken for each other.
fn kept_of_profiles(mentions: &Mentions) -> Vec<String> {
    let properties = mentions
        .profile
        .iter()
        .map(|name| format!("property {name}"));
    let attributes = mentions.attributes.iter();
    let attributes = attributes
        .filter(|path| !ALWAYS_READ.contains(&path.as_str()))
        .map(|path| format!("attribute {path}"));
    let channels = mentions
        .channels
        .iter()
        .map(|channel| format!("channel {channel:?}"));
    let mut kept: Vec<String> = properties.chain(attributes).chain(channels).collect();
    kept.push(format!("prefix {}", mentions.profile_prefix));
    if mentions.consent_details {
        kept.push("consent details".to_owned());
    }
    if mentions.predictions {
        kept.push("predictions".to_owned());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Channel;

    #[test]
    fn every_mention_of_a_profile_has_a_name_of_its_own() {
        let mentions = Mentions {
            profile: ["title".to_owned(), "Sms".to_owned()].into(),
            profile_prefix: "title".to_owned(),
            attributes: ["title".to_owned(), "email".to_owned()].into(),
            channels: [Channel::Sms].into(),
            consent_details: true,
            predictions: true,
            ..Mentions::default()
        };
        let expected = [
            "property Sms",
            "property title",
            "attribute title",
            "channel Sms",
            "prefix title",
            "consent details",
            "predictions",
        ];
        assert_eq!(kept_of_profiles(&mentions), expected);
        assert_eq!(kept_of_profiles(&Mentions::default()), ["prefix "]);
    }
}
