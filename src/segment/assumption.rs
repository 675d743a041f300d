//! What Klaviyo does not document about its segments, each in one place.
//!
//! Some of it is a switch here, because a comparison with a live account could prove us wrong. The
//! rest is one named function or constant each; `assumption` in its comment gives the number under
//! which the reference keeps it.

/// Switches for what a live account could prove otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumptions {
    /// Seconds that the days of definitions begin before those of UTC. Klaviyo says zero, whatever
    /// the account's time zone (klaviyo.md, section 11.1).
    pub utc_offset: i64,
    /// Whether `in-the-last` matches instants in the future (A2).
    pub last_includes_future: bool,
    /// Whether a negative operator matches where there is no value. Klaviyo says no (klaviyo.md,
    /// section 11.2).
    pub negative_matches_missing: bool,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            utc_offset: 0,
            last_includes_future: true,
            negative_matches_missing: false,
        }
    }
}
