//! How our evaluation of segments is compared with Klaviyo's members.

use serde::Serialize;

/// What a comparison may read. Reading a segment's members counts as using it: Klaviyo retires a
/// segment that nobody uses for 45 days (klaviyo.md, section 5.8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ParityRule {
    /// Which segments' members are read.
    pub read: ParityScope,
    /// Members that one pass reads, over all segments. A segment that has more is never read whole,
    /// but checked by a sample.
    pub members_per_pass: u32,
    /// Profiles of a sample.
    pub sample: u32,
    /// Disagreeing profiles that one pass reads anew to find the cause.
    pub probes: u32,
}

/// Which segments' members are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ParityScope {
    /// None: only sizes are compared.
    None,
    /// Those that were edited within 45 days, so that no unused one is kept alive.
    Recent,
    /// All active ones.
    All,
}

impl ParityScope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::None, Self::Recent, Self::All];

    /// The spelling in configs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Recent => "recent",
            Self::All => "all",
        }
    }
}

impl Default for ParityRule {
    fn default() -> Self {
        Self {
            read: ParityScope::Recent,
            members_per_pass: 50_000,
            sample: 100,
            probes: 200,
        }
    }
}
