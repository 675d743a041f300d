//! Who is in which segment, and what that exempts from. What is unknown is never acted on.

use crate::detect::Verdicts;
use crate::model::{Code, Dossier};
use crate::policy::{Fact, Policy};
use roaring::RoaringBitmap;
use std::collections::BTreeMap;

/// Who is in one segment, by the slots of profiles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SegmentMembers {
    /// In it.
    pub inside: RoaringBitmap,
    /// Perhaps in it: an input of its definition is missing for them.
    pub unknown: RoaringBitmap,
}

/// The segments that lists and rules name, by just that name. One that is not here cannot be
/// evaluated: it is unknown of everybody whether they are in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memberships(pub BTreeMap<String, SegmentMembers>);

impl Memberships {
    /// Whether a person is in at least one of these segments; `None` when that is unknown.
    pub(super) fn in_any(&self, names: &[String], dossier: &Dossier) -> Option<bool> {
        any(names.iter().map(|name| self.holds(name, dossier)))
    }

    /// A person is in a segment when one of their profiles is.
    fn holds(&self, name: &str, dossier: &Dossier) -> Option<bool> {
        let segment = self.0.get(name)?;
        any(dossier.profiles.iter().map(|(slot, _)| {
            let known = !segment.unknown.contains(slot.0);
            match segment.inside.contains(slot.0) {
                true => Some(true),
                false => known.then_some(false),
            }
        }))
    }

    /// The verdicts that no exemption takes away.
    pub(super) fn judge(
        &self,
        dossier: &Dossier,
        mut verdicts: Verdicts,
        policy: &Policy,
    ) -> Judged {
        let exempt = |names: &[String]| self.in_any(names, dossier);
        let mut in_doubt = Vec::new();
        if verdicts.stale.is_some() {
            let exempt = exempt(&policy.stale.unless_segment);
            if exempt != Some(false) {
                verdicts.stale = None;
                let about = [Code::StaleQuiet, Code::StaleNeverEngaged];
                verdicts
                    .findings
                    .retain(|found| !about.contains(&found.code));
            }
            in_doubt.extend(exempt.is_none().then_some(Fact::Stale));
        }
        if verdicts.bouncing {
            let exempt = exempt(&policy.bounce.unless_segment);
            if exempt != Some(false) {
                verdicts.bouncing = false;
                let about = Code::BounceChronic;
                verdicts.findings.retain(|found| found.code != about);
            }
            in_doubt.extend(exempt.is_none().then_some(Fact::Bouncing));
        }
        Judged { verdicts, in_doubt }
    }
}

/// Verdicts after exemptions.
#[derive(Clone, Debug, Default)]
pub(super) struct Judged {
    /// Whoever may be exempt counts as exempt.
    pub verdicts: Verdicts,
    /// Verdicts that an exemption, of which it is unknown whether it holds, took away.
    in_doubt: Vec<Fact>,
}

impl Judged {
    /// Whether a fact about the person hangs on an exemption that is unknown.
    pub fn doubts(&self, fact: Fact) -> bool {
        self.in_doubt.contains(&fact)
    }

    /// Whether the person is stale; `None` when that is in doubt.
    pub fn stale(&self) -> Option<bool> {
        let certain = !self.doubts(Fact::Stale);
        certain.then_some(self.verdicts.stale.is_some())
    }

    /// Whether the mailbox bounces chronically; `None` when that is in doubt.
    pub fn bouncing(&self) -> Option<bool> {
        let certain = !self.doubts(Fact::Bouncing);
        certain.then_some(self.verdicts.bouncing)
    }
}

/// Kleene's "or" of all.
fn any(answers: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    all(answers.into_iter().map(|answer| answer.map(|yes| !yes))).map(|yes| !yes)
}

/// Kleene's "and" of all.
pub(super) fn all(answers: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut certain = true;
    for answer in answers {
        match answer {
            Some(true) => {}
            Some(false) => return Some(false),
            None => certain = false,
        }
    }
    certain.then_some(true)
}
