//! Klaviyo's lists and segments, and how their sizes move.

use super::{ListId, Moment, ProfileId, SegmentId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A static list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Klaviyo's id.
    pub id: ListId,
    /// Its name; not unique upstream.
    pub name: String,
    /// Last edit.
    pub updated: Option<Moment>,
}

/// A rule-based group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Klaviyo's id.
    pub id: SegmentId,
    /// Its name.
    pub name: String,
    /// The definition as JSON text; `None` when the API cannot express it.
    pub definition: Option<String>,
    /// Inactive segments are frozen upstream.
    pub is_active: bool,
    /// A recount is running upstream.
    pub is_processing: bool,
    /// Last edit of the definition or name.
    pub updated: Option<Moment>,
}

/// One member of a list, as a listing gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub profile: ProfileId,
    /// Most recent join.
    pub joined: Option<Moment>,
}

/// A list or a segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GroupId {
    /// A list.
    List(ListId),
    /// A segment.
    Segment(SegmentId),
    /// A segment by our own evaluation, by its key.
    Evaluated(Box<str>),
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(id) => write!(f, "list {id}"),
            Self::Segment(id) => write!(f, "segment {id}"),
            Self::Evaluated(key) => write!(f, "evaluated segment {key}"),
        }
    }
}

/// A list or segment with its recent days, for detectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Which.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// Daily snapshots, oldest first.
    pub days: Vec<GroupDay>,
}

/// One day of a list or segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupDay {
    /// Days since 1970-01-01, UTC.
    pub day: i64,
    /// Members at the last look of that day.
    pub size: u64,
    /// Joined since the snapshot before; `None` on the first day.
    pub joined: Option<u64>,
    /// Left since the snapshot before; `None` on the first day.
    pub left: Option<u64>,
}
