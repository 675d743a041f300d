//! Members of every list, and the daily size of every list and segment.

use super::walk::Source;
use super::{Pull, PullError, Pulled};
use crate::api::klaviyo::Klaviyo;
use crate::api::{ApiError, Cursor as PageCursor, Page};
use crate::mirror::{Look, MirrorError, Page as MirrorPage, Stream};
use crate::model::{GroupId, List, ListId, Member, Moment, SegmentId};
use crate::plan::Listing;
use std::collections::BTreeMap;
use std::time::Duration;

/// Segments in one report.
const REPORT_SEGMENTS: usize = 100;

struct Members<'a> {
    klaviyo: &'a Klaviyo,
    list: &'a ListId,
}

impl Source for Members<'_> {
    type Item = Member;
    const NAME: &'static str = "list members";
    /// Removals are invisible to any filter, so every walk is complete.
    const OVERLAP: Duration = Duration::ZERO;

    fn stream(&self) -> Stream {
        Stream::ListMembers(self.list.clone())
    }

    async fn page(
        &self,
        _since: Option<Moment>,
        after: Option<&PageCursor>,
    ) -> Result<Page<Member>, ApiError> {
        self.klaviyo.list_members(self.list, after).await
    }

    fn begin(&self, page: &mut MirrorPage<'_>, now: Moment) -> Result<(), MirrorError> {
        page.begin_listing(self.list, now)
    }

    fn end(&self, page: &mut MirrorPage<'_>, count: u64) -> Result<(), MirrorError> {
        page.complete_count(&self.stream(), count);
        page.complete_listing(self.list).map(drop)
    }

    fn store(&self, page: &mut MirrorPage<'_>, items: Vec<Member>) -> Result<(), MirrorError> {
        page.listing(self.list, &items)
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

impl Pull<'_> {
    /// The members of every list. A listing replaces the one before only once it is complete.
    pub(super) async fn members(&self, now: Moment, pulled: &mut Pulled) -> Result<(), PullError> {
        for List { id, name, .. } in self.mirror.lists()? {
            let stream = Stream::ListMembers(id.clone());
            let before = self.mirror.complete_count(&stream)?;
            let klaviyo = &self.vendors.klaviyo;
            let walked = self
                .walk(&Members { klaviyo, list: &id }, now, pulled)
                .await?;
            pulled.listings.push(Listing {
                name: format!("list `{name}`"),
                count: walked.count,
                before,
                complete: true,
            });
        }
        Ok(())
    }

    /// Today's size of every list, and once a day of every segment: one report answers for a hundred
    /// segments and does not count as using them.
    pub(super) async fn snapshots(&self, now: Moment) -> Result<(), PullError> {
        self.list_sizes(now)?;
        let segments = self.segments_to_size(now)?;
        let mut sizes = BTreeMap::new();
        for chunk in segments.chunks(REPORT_SEGMENTS) {
            sizes.extend(self.vendors.klaviyo.segment_sizes(chunk).await?);
        }
        let mut page = self.mirror.page();
        for (segment, counts) in sizes {
            let (size, joined, left) = (counts.total, counts.added, counts.removed);
            let look = Look::Counts { size, joined, left };
            page.snapshot(&GroupId::Segment(segment), now.day(), look)?;
        }
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

    /// Segments without a size of today.
    fn segments_to_size(&self, now: Moment) -> Result<Vec<SegmentId>, PullError> {
        let mut segments = Vec::new();
        for group in self.mirror.groups()? {
            let sized = group.days.last().is_some_and(|day| day.day == now.day());
            match group.id {
                GroupId::Segment(id) if !sized => segments.push(id),
                GroupId::Segment(_) | GroupId::List(_) => {}
            }
        }
        Ok(segments)
    }
}
