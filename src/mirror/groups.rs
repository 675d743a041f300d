//! Lists and segments, and how their sizes move from day to day.

use super::shelf::Shelf;
use super::{Mirror, MirrorError, Page, Stream};
use crate::model::{Group, GroupDay, GroupId, List, ListId, Segment, SegmentId};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

/// Days of history kept for each list and segment.
const DAYS_KEPT: i64 = 90;

/// What a look at a group found.
#[derive(Clone, Copy, Debug)]
pub enum Look<'a> {
    /// All members; who joined and left follows from the look before.
    Members(&'a RoaringBitmap),
    /// Only counts, for groups whose members are not listed.
    Counts {
        /// Members.
        size: u64,
        /// Joined since the snapshot before, if known.
        joined: Option<u64>,
        /// Left since the snapshot before, if known.
        left: Option<u64>,
    },
}

/// Two looks' members are kept: the last of the newest day, and the last of the day before it,
/// which every look of the newest day is compared with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct History {
    days: Vec<GroupDay>,
    /// Which of the two sides holds the newest day's members; `None` before the first members.
    newest: Option<bool>,
    /// Whether the other side holds an earlier day's.
    has_before: bool,
}

impl Mirror {
    /// All lists, by id.
    pub fn lists(&self) -> Result<Vec<List>, MirrorError> {
        self.store.scan_as(&Shelf::Lists.key(&[])).collect()
    }

    /// All segments, by id.
    pub fn segments(&self) -> Result<Vec<Segment>, MirrorError> {
        self.store.scan_as(&Shelf::Segments.key(&[])).collect()
    }

    /// Every list, then every segment, with its recent days.
    pub fn groups(&self) -> Result<Vec<Group>, MirrorError> {
        let mut groups = Vec::new();
        for list in self.lists()? {
            groups.push(self.group(GroupId::List(list.id), list.name)?);
        }
        for segment in self.segments()? {
            groups.push(self.group(GroupId::Segment(segment.id), segment.name)?);
        }
        Ok(groups)
    }

    /// The recent days of a segment by Klaviyo's own reports.
    pub fn segment_days(&self, id: &SegmentId) -> Result<Vec<GroupDay>, MirrorError> {
        let group = self.group(GroupId::Segment(id.clone()), String::new())?;
        Ok(group.days)
    }

    /// The recent days of a segment by our own evaluation.
    pub fn evaluated_days(&self, key: &str) -> Result<Vec<GroupDay>, MirrorError> {
        let group = self.group(GroupId::Evaluated(key.into()), String::new())?;
        Ok(group.days)
    }

    fn group(&self, id: GroupId, name: String) -> Result<Group, MirrorError> {
        let history: Option<History> = self.store.read(&under(Shelf::Histories, &id))?;
        let days = history.unwrap_or_default().days;
        Ok(Group { id, name, days })
    }
}

impl Page<'_> {
    /// Stores a list.
    pub fn list(&mut self, list: List) {
        self.put(list_key(&list.id), &list);
    }

    /// Stores a segment.
    pub fn segment(&mut self, segment: Segment) {
        self.put(segment_key(&segment.id), &segment);
    }

    /// Forgets a list that is gone upstream: its members, its history, the cursor and count of its
    /// members, and any managed list bound to it.
    pub fn forget_list(&mut self, id: &ListId) -> Result<(), MirrorError> {
        self.remove(list_key(id));
        self.forget_members(id)?;
        self.forget_stream(&Stream::ListMembers(id.clone()));
        self.forget_stream(&Stream::ListJoiners(id.clone()));
        for (name, bound) in self.mirror.bindings()? {
            if bound == *id {
                self.unbind(&name);
            }
        }
        self.forget_history(&GroupId::List(id.clone()))
    }

    /// Forgets a segment that is gone upstream, with its history.
    pub fn forget_segment(&mut self, id: &SegmentId) -> Result<(), MirrorError> {
        self.remove(segment_key(id));
        self.forget_comparison(id)?;
        self.forget_history(&GroupId::Segment(id.clone()))
    }

    pub(super) fn forget_history(&mut self, id: &GroupId) -> Result<(), MirrorError> {
        self.remove(under(Shelf::Histories, id));
        self.remove_under(&under(Shelf::Looks, id))
    }

    /// Notes what a look at a group found on a day (days since 1970 in UTC). A later look of the
    /// same day replaces the earlier one and is compared with the day before, too. A day before
    /// the newest known one changes nothing. One look at members per group and page: a second one
    /// would not see the first.
    pub fn snapshot(&mut self, id: &GroupId, day: i64, look: Look<'_>) -> Result<(), MirrorError> {
        let key = under(Shelf::Histories, id);
        let mut history: History = self.read(&key)?.unwrap_or_default();
        let last_day = history.days.last().map(|last| last.day);
        if last_day.is_some_and(|last| last > day) {
            return Ok(());
        }
        let is_new_day = last_day != Some(day);
        let (size, joined, left) = match look {
            Look::Counts { size, joined, left } => (size, joined, left),
            Look::Members(members) => self.compare(id, &mut history, members, is_new_day)?,
        };
        if !is_new_day {
            history.days.pop();
        }
        history.days.push(GroupDay {
            day,
            size,
            joined,
            left,
        });
        history.days.retain(|kept| kept.day > day - DAYS_KEPT);
        self.put(key, &history);
        Ok(())
    }

    /// Stores the members on the newest side; size, joined and left against the other.
    fn compare(
        &mut self,
        id: &GroupId,
        history: &mut History,
        members: &RoaringBitmap,
        is_new_day: bool,
    ) -> Result<(u64, Option<u64>, Option<u64>), MirrorError> {
        let side = match history.newest {
            Some(side) if is_new_day => {
                history.has_before = true;
                !side
            }
            Some(side) => side,
            None => false,
        };
        history.newest = Some(side);
        self.replace_bitmap(&side_of(id, side), members)?;
        if !history.has_before {
            return Ok((members.len(), None, None));
        }
        let before = self.mirror.bitmap(&side_of(id, !side))?;
        let joined = members.difference_len(&before);
        let left = before.difference_len(members);
        Ok((members.len(), Some(joined), Some(left)))
    }
}

fn list_key(id: &ListId) -> Vec<u8> {
    Shelf::Lists.key(&[id.as_str().as_bytes()])
}

fn segment_key(id: &SegmentId) -> Vec<u8> {
    Shelf::Segments.key(&[id.as_str().as_bytes()])
}

/// Lists and segments share one namespace upstream, so the id alone tells them apart.
fn under(shelf: Shelf, id: &GroupId) -> Vec<u8> {
    match id {
        GroupId::List(id) => shelf.under(id.as_str()),
        GroupId::Segment(id) => shelf.under(id.as_str()),
        // No id of Klaviyo's has a slash, and every key has one.
        GroupId::Evaluated(key) => shelf.under(key),
    }
}

fn side_of(id: &GroupId, side: bool) -> Vec<u8> {
    let mut prefix = under(Shelf::Looks, id);
    prefix.push(u8::from(side));
    prefix
}
