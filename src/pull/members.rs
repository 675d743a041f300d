//! Members of every list, and the daily size of every list and segment.

use super::parts::Ranged;
use super::walk::{Source, Walked, refuses_cursor};
use super::{Counted, Pull, PullError, Pulled};
use crate::api::klaviyo::Klaviyo;
use crate::api::{ApiError, Cursor as PageCursor, Fault, Page, Trail};
use crate::mirror::{Cursor, LIST_LAG, Look, MirrorError, Page as MirrorPage, Stream};
use crate::model::{GroupId, List, ListId, Member, Mentions, Moment, SegmentId};
use crate::plan::{Legibility, Listing};
use std::collections::BTreeMap;
use std::time::Duration;

/// Requests at a time of first listings, of all lists together: as for profiles.
const ABREAST: usize = 20;
const SECOND: Duration = Duration::from_secs(1);

/// Lists up to this size are read whole in every pass: twenty requests.
const SMALL: u64 = 2_000;
/// Larger ones this often,
const SWEEP_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// or this often while their count says that others take members off.
const SWEEP_AT_MOST_EVERY: Duration = Duration::from_secs(60 * 60);
/// A segment that a report leaves out is asked for again after this.
const SIZES_AT_MOST_EVERY: Duration = Duration::from_secs(60 * 60);
/// Segments in one report.
const REPORT_SEGMENTS: usize = 100;

/// All members. Removals are invisible to any filter: only this walk shows them.
struct Members<'a> {
    klaviyo: &'a Klaviyo,
    list: &'a ListId,
    keep_times: bool,
}

impl Source for Members<'_> {
    type Item = Member;
    const NAME: &'static str = "list members";

    fn overlap(&self) -> Duration {
        Duration::ZERO
    }

    fn stream(&self) -> Stream {
        Stream::ListMembers(self.list.clone())
    }

    async fn page(
        &self,
        _since: Option<Moment>,
        after: Option<&PageCursor>,
    ) -> Result<Page<Member>, ApiError> {
        self.klaviyo
            .list_members(self.list, None, None, after)
            .await
    }

    fn begin(&self, page: &mut MirrorPage<'_>, start: Moment) -> Result<(), MirrorError> {
        page.begin_listing(self.list, start, self.keep_times)
    }

    fn store(&self, page: &mut MirrorPage<'_>, items: Vec<Member>) -> Result<(), MirrorError> {
        page.listing(self.list, &items)
    }

    /// Whoever could not be understood would count as not on the list.
    fn is_whole(&self, walk: Legibility) -> bool {
        walk.unreadable == 0
    }

    fn end(&self, page: &mut MirrorPage<'_>, walk: &Cursor) -> Result<(), MirrorError> {
        self.follow_joiners(page, walk.run_start);
        page.complete_listing(self.list).map(drop)
    }

    fn watermark(
        &self,
        _start: Moment,
        _before: Option<Moment>,
        _newest: Option<Moment>,
    ) -> Option<Moment> {
        None
    }
}

impl Members<'_> {
    /// Who joins after a complete listing is read from where that began.
    fn follow_joiners(&self, page: &mut MirrorPage<'_>, since: Option<Moment>) {
        let joiners = Cursor {
            watermark: since,
            done: true,
            ..Cursor::default()
        };
        page.cursor(&Stream::ListJoiners(self.list.clone()), &joiners);
    }

    /// Stores all members at once, of whom so many more could not be understood. If nobody came or left, only
    /// when they were read.
    fn store_at_once(
        &self,
        page: &mut MirrorPage<'_>,
        members: Vec<Member>,
        unreadable: u64,
        start: Moment,
    ) -> Result<Walked, MirrorError> {
        let read = members.len() as u64;
        let whole = self.is_whole(Legibility { read, unreadable });
        if whole && page.confirm_listing(self.list, start, &members, self.keep_times)? {
            self.follow_joiners(page, Some(start));
        } else if whole {
            let walk = Cursor {
                run_start: Some(start),
                ..Cursor::default()
            };
            self.begin(page, start)?;
            self.store(page, members)?;
            self.end(page, &walk)?;
        }
        let ready = Cursor {
            done: whole,
            ..Cursor::default()
        };
        page.cursor(&self.stream(), &ready);
        Ok(Walked {
            count: read,
            complete: true,
            whole,
        })
    }
}

/// For the first listing only, when nobody is taken for gone who is not in it: that members without a time
/// of joining would be in a range is not documented.
impl Ranged for Members<'_> {
    fn until(&self) -> Option<Moment> {
        None
    }

    fn at(member: &Member) -> Option<Moment> {
        member.joined
    }

    async fn range(
        &self,
        from: Option<Moment>,
        to: Option<Moment>,
        after: Option<&PageCursor>,
    ) -> Result<Page<Member>, ApiError> {
        let from = from.map(|from| from.minus(SECOND));
        self.klaviyo.list_members(self.list, from, to, after).await
    }
}

/// Who joined since the last look.
struct Joiners<'a> {
    klaviyo: &'a Klaviyo,
    list: &'a ListId,
}

impl Source for Joiners<'_> {
    type Item = Member;
    const NAME: &'static str = "list members";
    /// List reads may lag behind writes.
    fn overlap(&self) -> Duration {
        LIST_LAG
    }

    fn stream(&self) -> Stream {
        Stream::ListJoiners(self.list.clone())
    }

    async fn page(
        &self,
        since: Option<Moment>,
        after: Option<&PageCursor>,
    ) -> Result<Page<Member>, ApiError> {
        self.klaviyo
            .list_members(self.list, since, None, after)
            .await
    }

    fn store(&self, page: &mut MirrorPage<'_>, items: Vec<Member>) -> Result<(), MirrorError> {
        page.joined(self.list, &items)
    }
}

impl Pull<'_> {
    /// The members of every list: small lists whole in every pass; of large ones who joined, and the
    /// whole list once a day, or sooner when Klaviyo's count says that somebody left, or at once when
    /// it is newly asked when members joined.
    pub(super) async fn members(
        &self,
        now: Moment,
        mentions: &Mentions,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let mut first = Vec::new();
        for list in self.mirror.lists()? {
            let keep_times = mentions.joined.contains(list.id.as_str());
            let lacks_times = self.lacks_times(&list.id, keep_times)?;
            let stream = Stream::ListMembers(list.id.clone());
            if self.mirror.listed_at(&list.id)?.is_none() && self.is_first_fill(&stream)? {
                first.push((list, keep_times));
                continue;
            }
            let due = lacks_times
                || self.is_due(&list.id, SWEEP_EVERY, now)?
                || (self.joiners(&list.id, now, pulled).await?
                    && self.is_due(&list.id, SWEEP_AT_MOST_EVERY, now)?);
            if due {
                self.all_members(list, keep_times, now, pulled).await?;
            }
        }
        self.first_members(&first, now, pulled).await?;
        self.progress
            .over(Members::NAME, pulled.count(Members::NAME));
        Ok(())
    }

    /// The members of lists that were never read.
    async fn first_members(
        &self,
        lists: &[(List, bool)],
        now: Moment,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let klaviyo = &self.vendors.klaviyo;
        let sources = lists.iter().map(|(list, keep_times)| Members {
            klaviyo,
            list: &list.id,
            keep_times: *keep_times,
        });
        let sources: Vec<Members<'_>> = sources.collect();
        let walks = self.first_fill(&sources, ABREAST, now, pulled).await?;
        for ((list, _), walked) in lists.iter().zip(walks) {
            self.listed(list, walked, pulled)?;
        }
        Ok(())
    }

    /// Notes what a listing of all members gave, for the guards.
    fn listed(&self, list: &List, walked: Walked, pulled: &mut Pulled) -> Result<(), PullError> {
        let stream = Stream::ListMembers(list.id.clone());
        let listing = Listing {
            name: format!("list `{}`", list.name),
            count: walked.count,
            before: self.mirror.complete_count(&stream)?,
            complete: walked.whole,
        };
        pulled.listings.push(Counted { stream, listing });
        Ok(())
    }

    /// Whether a list's last listing did not keep the times that are asked for now. One under way
    /// that does not keep them is given up.
    fn lacks_times(&self, id: &ListId, wanted: bool) -> Result<bool, PullError> {
        if !wanted || self.mirror.keeps_times(id)? {
            return Ok(false);
        }
        let mut page = self.mirror.page();
        page.cursor(&Stream::ListMembers(id.clone()), &Cursor::default());
        page.commit()?;
        Ok(true)
    }

    async fn all_members(
        &self,
        list: List,
        keep_times: bool,
        now: Moment,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let members = Members {
            klaviyo: &self.vendors.klaviyo,
            list: &list.id,
            keep_times,
        };
        let known = self.mirror.members(&list.id, now)?;
        let small = known.is_some_and(|known| known.len() <= SMALL);
        let at_once = match small && !self.is_under_way(&list.id)? {
            true => self.all_at_once(&members, pulled).await?,
            false => None,
        };
        let walked = match at_once {
            Some((items, unreadable)) => {
                let mut page = self.mirror.page();
                let walked = members.store_at_once(&mut page, items, unreadable, now)?;
                page.commit()?;
                walked
            }
            None => self.walk(&members, now, pulled).await?,
        };
        self.listed(&list, walked, pulled)
    }

    /// The members of a small list, and how many could not be understood. As long as nothing of it is stored
    /// one can see that nothing has to be; a kill costs its pages. `None` if it has grown, or a cursor of it is
    /// refused.
    async fn all_at_once(
        &self,
        source: &Members<'_>,
        pulled: &mut Pulled,
    ) -> Result<Option<(Vec<Member>, u64)>, PullError> {
        let (mut members, mut unreadable) = (Vec::new(), 0);
        let (mut trail, mut after) = (Trail::default(), None);
        loop {
            self.check_stop()?;
            let page = match source.page(None, after.as_ref()).await {
                Err(error) if after.is_some() && refuses_cursor(&error) => return Ok(None),
                page => page?,
            };
            trail.step(&page)?;
            members.extend(page.items);
            unreadable += page.quarantined;
            after = page.next;
            if after.is_none() {
                break;
            }
            if members.len() as u64 > SMALL {
                return Ok(None);
            }
        }
        pulled.add(Members::NAME, members.len() as u64);
        pulled.quarantined += unreadable;
        pulled.judge(source.stream(), members.len() as u64, unreadable);
        Ok(Some((members, unreadable)))
    }

    /// Reads who joined; tells whether Klaviyo still counts other members than we do.
    async fn joiners(
        &self,
        id: &ListId,
        now: Moment,
        pulled: &mut Pulled,
    ) -> Result<bool, PullError> {
        let klaviyo = &self.vendors.klaviyo;
        self.walk(&Joiners { klaviyo, list: id }, now, pulled)
            .await?;
        let known = self
            .mirror
            .members(id, now)?
            .map_or(0, |members| members.len());
        let forgotten = self.mirror.members_forgotten(id)?;
        Ok(klaviyo.list_size(id).await? != known + forgotten)
    }

    /// Whether a list is to be read whole: it is small, half read, or was last read so long ago.
    fn is_due(&self, id: &ListId, every: Duration, now: Moment) -> Result<bool, PullError> {
        let size = self.mirror.members(id, now)?.map(|members| members.len());
        let small = size.is_none_or(|size| size <= SMALL);
        let listed = self.mirror.listed_at(id)?;
        let is_old = listed.is_none_or(|at| now.since(at) >= every);
        Ok(small || is_old || self.is_under_way(id)?)
    }

    /// Whether a walk over all members was begun and is not over.
    fn is_under_way(&self, id: &ListId) -> Result<bool, PullError> {
        let cursor = self.mirror.cursor(&Stream::ListMembers(id.clone()))?;
        Ok(cursor.is_some_and(|cursor| cursor.run_start.is_some()))
    }

    /// Today's size of every list, and once a day of every segment: one report answers for a hundred
    /// segments and does not count as using them. Only findings rest on these sizes, so a report that
    /// is not to be had holds nothing else up.
    pub(super) async fn snapshots(&self, now: Moment) -> Result<(), PullError> {
        self.list_sizes(now)?;
        let segments = self.segments_to_size(now)?;
        let mut sizes = BTreeMap::new();
        for chunk in segments.chunks(REPORT_SEGMENTS) {
            match self.vendors.klaviyo.segment_sizes(chunk).await {
                Ok(found) => sizes.extend(found),
                Err(error) if is_out_of_reach(&error) => {
                    tracing::warn!(%error, "no segment sizes");
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        let mut page = self.mirror.page();
        for (segment, counts) in sizes {
            let (size, joined, left) = (counts.total, counts.added, counts.removed);
            let look = Look::Counts { size, joined, left };
            page.snapshot(&GroupId::Segment(segment), now.day(), look)?;
        }
        let asked = Cursor {
            watermark: Some(now),
            ..Cursor::default()
        };
        page.cursor(&Stream::KlaviyoSegments, &asked);
        Ok(page.commit()?)
    }

    fn list_sizes(&self, now: Moment) -> Result<(), PullError> {
        let mut page = self.mirror.page();
        for list in self.mirror.lists()? {
            if let Some(members) = self.mirror.members(&list.id, now)? {
                page.snapshot(&GroupId::List(list.id), now.day(), Look::Members(&members))?;
            }
        }
        Ok(page.commit()?)
    }

    /// Segments without a size of today, asked for once an hour at most.
    fn segments_to_size(&self, now: Moment) -> Result<Vec<SegmentId>, PullError> {
        let asked = self.mirror.cursor(&Stream::KlaviyoSegments)?;
        let asked = asked.and_then(|cursor| cursor.watermark);
        if asked.is_some_and(|at| at.day() == now.day() && now.since(at) < SIZES_AT_MOST_EVERY) {
            return Ok(Vec::new());
        }
        let mut segments = Vec::new();
        for group in self.mirror.groups()? {
            let sized = group.days.last().is_some_and(|day| day.day == now.day());
            match group.id {
                GroupId::Segment(id) if !sized => segments.push(id),
                _ => {}
            }
        }
        Ok(segments)
    }
}

/// Whether another hour may bring what this one refused.
pub fn is_out_of_reach(error: &ApiError) -> bool {
    matches!(
        error.fault,
        Fault::Throttled { .. }
            | Fault::Parked { .. }
            | Fault::Resting { .. }
            | Fault::VendorDown
            | Fault::Unreachable { .. }
            | Fault::Untrusted { .. }
    )
}
