//! What is wrong: stale and bouncing people, sends upstream should have stopped, consent that
//! differs, groups that jump or stand empty.
//!
//! A detector reads one dossier or one group, the policy and `now`, and gives findings. Only the
//! guard against outages needs to have seen everybody first: [`IncidentLog`].

mod bounce;
mod consent;
mod delivery;
mod groups;
mod incidents;
mod mailbox;
pub mod parity;
mod redundant;
mod stale;

pub use bounce::{Run, Sprt, chronic};
pub use consent::{Contradiction, Newest, Platform, contradiction, contradictions};
pub use groups::group;
pub use incidents::{IncidentLog, Incidents};
pub use redundant::{Audience, Cover, Dropped, Medoids, Overlap, Overlaps, Thresholds, cover};
pub use stale::stale;

use crate::model::{Code, Dossier, Evidence, Finding, Moment, Slot, Subject};
use crate::policy::Policy;
use crate::score::{Facts, Roles};

/// What the detectors say about one person.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdicts {
    /// [`Code::StaleQuiet`], [`Code::StaleNeverEngaged`], or neither.
    pub stale: Option<Code>,
    /// Whether the mailbox bounces chronically.
    pub bouncing: bool,
    /// With their evidence. Nobody whom upstream suppresses already is reported as stale or bouncing:
    /// there is nothing left to do about it.
    pub findings: Vec<Finding>,
}

/// Runs every detector that looks at a person. Address quality is [`crate::unify::quality`]'s.
pub fn person(
    dossier: &Dossier,
    facts: &Facts,
    roles: &Roles,
    incidents: &Incidents,
    policy: &Policy,
    now: Moment,
) -> Verdicts {
    let stale = stale(facts, &policy.stale, now);
    let run = chronic(dossier, roles, incidents, &policy.bounce, now);
    let mut findings = Vec::new();
    if !facts.suppressed {
        let silence = Evidence::Silence {
            since: facts.last_human,
            mails: facts.mails,
        };
        findings.extend(stale.map(|code| about(dossier, code, silence)));
        let evidence = run.as_ref().map(Run::evidence);
        findings.extend(evidence.map(|run| about(dossier, Code::BounceChronic, run)));
    }
    findings.extend(delivery::unsuppressed(dossier, roles, now));
    findings.extend(consent::differing(dossier));
    Verdicts {
        stale,
        bouncing: run.is_some(),
        findings,
    }
}

/// A finding on the profile that stands for the person, or on the person's first record.
fn about(dossier: &Dossier, code: Code, evidence: Evidence) -> Finding {
    let primary = dossier.primary_profile().map(|(slot, _)| *slot);
    Finding {
        code,
        subject: Subject::Person(dossier.id, primary.unwrap_or(Slot(dossier.id.0))),
        evidence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Suppression, SuppressionReason};
    use crate::score::facts;
    use crate::score::fixtures::{Vendor, day, person as make};

    fn judge(dossier: &Dossier, vendor: &Vendor, now: Moment) -> Verdicts {
        let (roles, policy) = (Roles::of(&vendor.vocabulary), Policy::default());
        let facts = facts(dossier, &roles, &policy.lifecycle, now);
        person(dossier, &facts, &roles, &Incidents::default(), &policy, now)
    }

    /// Ten delivered mails that nobody reacted to, then a soft bounce every ten days.
    fn dead(vendor: &mut Vendor) -> Dossier {
        let mails = (0..10).map(|n| vendor.event("Received Email", day(n), &[]));
        let mut events: Vec<_> = mails.collect();
        let soft = [("Bounce Type", "Soft")];
        events.extend((2..8).map(|n| vendor.event("Bounced Email", day(n * 10), &soft)));
        make("a@shop.com", Some(day(0)), events)
    }

    #[test]
    fn the_verdicts_of_a_dead_mailbox_stand_with_their_evidence() {
        let mut vendor = Vendor::default();
        let dossier = dead(&mut vendor);
        let verdicts = judge(&dossier, &vendor, day(400));
        assert!(verdicts.bouncing);
        assert_eq!(verdicts.stale, Some(Code::StaleNeverEngaged));
        let codes: Vec<Code> = verdicts.findings.iter().map(|found| found.code).collect();
        assert_eq!(codes, [Code::StaleNeverEngaged, Code::BounceChronic]);
        let subject = Subject::Person(dossier.id, Slot(5));
        assert!(
            verdicts
                .findings
                .iter()
                .all(|found| found.subject == subject)
        );
    }

    #[test]
    fn what_upstream_suppresses_already_is_judged_but_not_reported() {
        let mut vendor = Vendor::default();
        let mut dossier = dead(&mut vendor);
        let marketing = dossier.profiles[0].1.email_marketing.as_mut().unwrap();
        marketing.can_receive = Some(false);
        marketing.suppressions.push(Suppression {
            reason: SuppressionReason::UserSuppressed,
            at: None,
        });
        let verdicts = judge(&dossier, &vendor, day(400));
        assert!(verdicts.bouncing && verdicts.stale.is_some());
        assert_eq!(verdicts.findings, []);
    }
}
