//! Segments that the operator defines.

use crate::segment::Definition;
use serde::Serialize;
use std::path::PathBuf;

/// A segment of this config. driftless evaluates it; Klaviyo never hears of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LocalSegment {
    /// What lists and rules call it. It wins over a segment of that name in Klaviyo.
    pub name: String,
    /// Who belongs to it. Metrics and lists may be named; [`crate::segment::names::resolve`] puts
    /// the account's ids there.
    pub definition: Definition,
    /// Where the definition was found; who belongs does not depend on it.
    #[serde(skip)]
    pub source: SegmentSource,
}

/// Where a local segment's definition was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentSource {
    /// In the config itself.
    Inline,
    /// In this file.
    File(PathBuf),
    /// In the catalogue, under this name.
    Ready(&'static str),
}
