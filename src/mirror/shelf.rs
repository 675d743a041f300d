//! Keys: one byte for the shelf, then what orders the shelf. Numbers are big endian, so that keys
//! sort as the numbers do.

use crate::model::Slot;

macro_rules! shelves {
    ($($(#[$doc:meta])* $name:ident = $byte:literal, $text:literal;)*) => {
        /// A kind of value. The bytes are on disk; never reuse one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Shelf {
            $($(#[$doc])* $name = $byte,)*
        }

        impl Shelf {
            /// The name of the shelf a key lies on.
            pub(super) fn name_of(key: &[u8]) -> &'static str {
                match key.first() {
                    $(Some($byte) => $text,)*
                    _ => "unknown",
                }
            }
        }
    };
}

shelves! {
    /// Fact byte -> single values.
    Facts = 1, "facts";
    /// Stream -> cursor.
    Cursors = 2, "cursors";
    /// Stream -> size of its last complete listing.
    Counts = 3, "counts";
    /// Stream -> property names that its records were pulled with.
    Mentions = 4, "mentions";
    /// Name of a managed list -> list id.
    Bindings = 5, "bindings";
    /// Stream, number -> a part of its first fill.
    Parts = 6, "parts of fills";
    /// Kind byte, vendor id -> slot.
    Ids = 16, "ids";
    /// Slot -> identity of a record that was named but has not arrived.
    Unseen = 17, "unseen";
    /// Slots, packed -> profiles.
    Profiles = 18, "profiles";
    /// Slots, packed -> customers.
    Customers = 19, "customers";
    /// Slot -> e-mail address of a guest buyer.
    Guests = 20, "guests";
    /// Slot -> since when a list member is known to be missing.
    Absences = 21, "absences";
    /// Slot -> a record that is gone upstream, as it was.
    Gone = 22, "gone records";
    /// Slots, packed -> events; of a long timeline slot, first instant of the chunk -> events.
    Timelines = 32, "timelines";
    /// Slot, first order id of the chunk -> orders.
    Orders = 33, "orders";
    /// First order id of the chunk -> owners of orders.
    Owners = 34, "owners";
    /// Sequence number -> events as they arrived.
    Staged = 35, "staged events";
    /// Metric number, chunk of days -> events of each day.
    EventDays = 36, "event counts";
    /// Metric number -> how late its events arrive.
    Lateness = 37, "lateness";
    /// Metric number -> metric.
    Metrics = 48, "metrics";
    /// Property number -> name.
    Properties = 49, "property names";
    /// Text number -> text.
    Texts = 50, "texts";
    /// List id -> list.
    Lists = 64, "lists";
    /// Segment id -> segment.
    Segments = 65, "segments";
    /// List id -> which generation of members is valid.
    Listings = 66, "listings";
    /// List id, generation, chunk of slots -> members.
    Members = 67, "members";
    /// List id, slot -> our own last write.
    Receipts = 68, "receipts";
    /// Group -> its daily sizes.
    Histories = 69, "group histories";
    /// Group, side, chunk of slots -> members at the last look of a day.
    Looks = 70, "group looks";
    /// List id, generation, page or slot -> when members joined.
    Joins = 71, "list joins";
    /// List id, generation, number -> a page of members on its way.
    ListingPages = 72, "pages of members";
    /// Chunk of slots -> profiles changed since they were last evaluated.
    Changed = 80, "changed profiles";
    /// Key of a membership -> the key.
    MembershipKeys = 81, "membership keys";
    /// Key, side, chunk of slots -> for whom a definition holds, or cannot be told.
    Memberships = 82, "memberships";
    /// Instant, chunk of slots -> whose timers ring then.
    Timers = 83, "timers";
    /// Chunk of slots -> their timers.
    TimersBySlot = 84, "timers by slot";
    /// Segment id -> its last comparison with Klaviyo.
    Comparisons = 90, "comparisons";
    /// Segment id, slot -> where Klaviyo disagrees.
    Disagreements = 91, "disagreements";
    /// Stream, window of days -> when its counts were compared with the vendor's.
    Checks = 92, "comparisons of counts";
    /// Stream, day -> where the vendor counts otherwise.
    Gaps = 93, "gaps";
}

impl Shelf {
    /// A key, or the common beginning of several.
    pub(super) fn key(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
        key.push(self as u8);
        for part in parts {
            key.extend_from_slice(part);
        }
        key
    }

    pub(super) fn slot(self, slot: Slot) -> Vec<u8> {
        self.key(&[&slot.0.to_be_bytes()])
    }

    /// The beginning of all keys that belong to one text id. The length goes first, so that no id
    /// is the beginning of another.
    pub(super) fn under(self, id: &str) -> Vec<u8> {
        let length = u32::try_from(id.len()).unwrap_or(u32::MAX);
        self.key(&[&length.to_be_bytes(), id.as_bytes()])
    }
}

/// The text id of a key that is [`Shelf::under`] it and no more; `None` for other keys.
pub(super) fn text_of(key: &[u8]) -> Option<&str> {
    let (length, id) = key.get(1..)?.split_first_chunk()?;
    let is_whole = usize::try_from(u32::from_be_bytes(*length)).ok()? == id.len();
    std::str::from_utf8(id).ok().filter(|_| is_whole)
}

/// The number at the end of a key; `None` when the key is too short.
pub(super) fn tail_u32(key: &[u8]) -> Option<u32> {
    key.last_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// The number at the end of a key; `None` when the key is too short.
pub(super) fn tail_u64(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// A number's bytes that sort as the number does, negative ones first.
pub(super) fn sortable(number: i64) -> [u8; 8] {
    (number.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// The number behind sortable bytes.
pub(super) fn unsortable(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed()
}
