//! `[[segment]]`: segments that driftless evaluates and Klaviyo never hears of.
//!
//! In a definition that comes from Klaviyo what is unknown is tolerated; in one of the operator's
//! own it is a mistake, and reported where it stands.

mod file;
mod grammar;
mod place;
mod ready;
mod shape;
mod tree;

use super::load;
use super::reader::{Complaint, Section, wrong_type};
use super::source::Source;
use super::suggest::nearest;
use super::value::{quoted, text};
use crate::policy::{LocalSegment, Policy, SegmentSource};
use crate::segment::Definition;
use file::Located;
use place::Place;
use std::collections::BTreeSet;
use std::path::Path;
use toml::de::DeValue;

/// Where the definition may be.
const SOURCES: [&str; 3] = ["definition", "file", "ready"];

pub(super) fn read(root: &Section<'_>, folder: &Path) -> Vec<LocalSegment> {
    let mut names = BTreeSet::new();
    let segments = root.tables("segment", |section| {
        let name = section.require("name", "\"VIP\"", text);
        let found = definition(section, folder);
        let name = name?.value;
        if !names.insert(name.to_lowercase()) {
            let message = format!("there is already a segment {}", quoted(&name));
            section.complain("name", &Complaint::new(message));
        }
        let (source, definition) = found?;
        Some(LocalSegment {
            name,
            definition,
            source,
        })
    });
    segments.into_iter().flatten().collect()
}

/// A name that is no segment of this file is looked for in Klaviyo; one that is nearly one of this
/// file may be a slip.
pub(super) fn warn_of_slips(root: &Section<'_>, policy: &Policy) {
    let locals = || policy.segments.iter().map(|segment| segment.name.as_str());
    let names = policy.segment_names().into_iter();
    for name in names.filter(|name| policy.local_segment(name).is_none()) {
        if let Some(meant) = nearest(name, locals()) {
            let (name, meant) = (quoted(name), quoted(meant));
            let warning = format!(
                "none is called {name}, so it is looked for in Klaviyo; did you mean {meant}?"
            );
            root.warn("segment", &warning);
        }
    }
}

fn definition(section: &Section<'_>, folder: &Path) -> Option<(SegmentSource, Definition)> {
    let given: Vec<_> = SOURCES
        .into_iter()
        .filter(|key| section.holds(key))
        .collect();
    if section.holds("params") && !given.contains(&"ready") {
        let message = "`params` belongs to `ready`";
        section.complain("params", &Complaint::new(message));
    }
    match given.as_slice() {
        ["definition"] => inline(section),
        ["file"] => from_file(section, folder),
        ["ready"] => {
            let (name, definition) = ready::read(section)?;
            Some((SegmentSource::Ready(name), definition))
        }
        several => {
            let message = "exactly one of `definition`, `file` and `ready` says who belongs";
            let complaint = Complaint::new(message).help("such as `ready = \"churn_risk\"`");
            match several.last() {
                Some(key) => section.complain(key, &complaint),
                None => section.complain_here(&complaint),
            }
            None
        }
    }
}

fn inline(section: &Section<'_>) -> Option<(SegmentSource, Definition)> {
    let (path, whole, value) = section.find("definition")?;
    if !matches!(value, DeValue::Table(_)) {
        section.push(whole, &path, &wrong_type("a table", value));
        return None;
    }
    let mut flaws = Vec::new();
    let json = tree::json(value, &Place::default(), &mut flaws);
    if flaws.is_empty() {
        let review = grammar::review(&json);
        flaws = review.flaws;
        warn(section, "definition", &review.warnings);
    }
    for flaw in &flaws {
        let span = tree::span(value, whole.clone(), &flaw.place);
        section.push(span, &flaw.place.below(&path), &flaw.complaint);
    }
    let definition = Definition::parse(&json.to_string()).ok()?;
    // In the order of Klaviyo's own JSON, whatever the order of the keys here.
    let definition = Definition::of(definition.groups()?.to_vec());
    flaws
        .is_empty()
        .then_some((SegmentSource::Inline, definition))
}

fn from_file(section: &Section<'_>, folder: &Path) -> Option<(SegmentSource, Definition)> {
    let at = section.located("file", text)?;
    let path = folder.join(&at.value);
    let text = match load::read(&path) {
        Ok(text) => text,
        Err(fault) if fault.line > 0 => {
            section.adopt(*fault);
            return None;
        }
        Err(fault) => {
            let message = format!("{}: {}", path.display(), fault.message);
            let complaint = Complaint::new(message);
            let complaint = match fault.help {
                Some(help) => complaint.help(help),
                None => complaint,
            };
            section.push(at.span, &at.key, &complaint);
            return None;
        }
    };
    let source = Source::new(&path, &text);
    let located = match Located::find(&source) {
        Ok(located) => located,
        Err(fault) => {
            section.adopt(*fault);
            return None;
        }
    };
    let json = serde_json::from_str(located.text()).ok()?;
    let review = grammar::review(&json);
    warn(section, "file", &review.warnings);
    for flaw in &review.flaws {
        let (span, key) = (located.span(&flaw.place), flaw.place.to_string());
        section.adopt(flaw.complaint.at(&source, span, &key));
    }
    let definition = Definition::parse(located.text()).ok()?;
    let is_sound = review.flaws.is_empty();
    is_sound.then(|| (SegmentSource::File(path.clone()), definition))
}

fn warn(section: &Section<'_>, key: &'static str, warnings: &[String]) {
    for warning in warnings {
        section.warn(key, warning);
    }
}
