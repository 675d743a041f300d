//! Hard bounces and complaints that upstream does not honour.

use super::about;
use crate::model::{Code, Consent, Dossier, Evidence, Finding, Moment, Role};
use crate::score::{Bounce, Roles, human};

/// The last times that mattered, in whole seconds.
#[derive(Default)]
struct Latest {
    delivered: Option<i64>,
    failed: Option<i64>,
    complained: Option<i64>,
}

/// Mailboxes that refused for good or complained, on people whom upstream would still mail. With
/// several profiles, the suppression of one explains the event.
pub(super) fn unsuppressed(dossier: &Dossier, roles: &Roles, now: Moment) -> Vec<Finding> {
    let mut profiles = dossier.profiles.iter().map(|(_, profile)| profile);
    let reached = dossier.primary_profile();
    let reached = reached.is_some_and(|(_, profile)| profile.is_reachable());
    if !reached || profiles.any(|profile| profile.is_suppressed()) {
        return Vec::new();
    }
    let latest = latest(dossier, roles, now);
    let found = |code, at| about(dossier, code, Evidence::Since(Moment::from_secs(at)));
    let dead = latest.failed.filter(|at| Some(*at) > latest.delivered);
    let complained = latest.complained.filter(|at| !settled(dossier, *at));
    let dead = dead.map(|at| found(Code::BounceHardUnsuppressed, at));
    let complained = complained.map(|at| found(Code::ComplaintUnsuppressed, at));
    dead.into_iter().chain(complained).collect()
}

fn latest(dossier: &Dossier, roles: &Roles, now: Moment) -> Latest {
    let mut latest = Latest::default();
    let past = dossier.events.iter();
    for event in past.filter(|event| Moment::from_secs(event.at) <= now) {
        match roles.role(event.metric) {
            Role::Received => latest.delivered = Some(event.at),
            // Somebody read mail there: the mailbox is alive.
            Role::Opened | Role::Clicked if human(event, roles) => {
                latest.delivered = Some(event.at)
            }
            Role::Bounced if roles.bounce(event) == Some(Bounce::Hard) => {
                latest.failed = Some(event.at);
            }
            Role::Dropped => latest.failed = Some(event.at),
            Role::Complained => latest.complained = Some(event.at),
            _ => {}
        }
    }
    latest
}

/// A complaint is settled when it became an unsubscription, or when the person subscribed again.
fn settled(dossier: &Dossier, complained: i64) -> bool {
    let profiles = dossier.profiles.iter();
    let mut marketing = profiles.filter_map(|(_, profile)| profile.email_marketing.as_ref());
    let settles = |consent: &Consent, at: Option<Moment>| match consent {
        Consent::Unsubscribed => true,
        Consent::Subscribed => at.is_some_and(|at| at.secs() > complained),
        _ => false,
    };
    marketing.any(|marketing| settles(&marketing.consent, marketing.consent_at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Slot, Suppression, SuppressionReason};
    use crate::score::fixtures::{Vendor, day, person, profile};

    const HARD: (&str, &[(&str, &str)]) = ("Bounced Email", &[("Bounce Type", "Hard")]);
    const MAIL: (&str, &[(&str, &str)]) = ("Received Email", &[]);
    const DROP: (&str, &[(&str, &str)]) = ("Dropped Email", &[]);
    const SPAM: (&str, &[(&str, &str)]) = ("Marked Email as Spam", &[]);
    const CLICK: (&str, &[(&str, &str)]) = ("Clicked Email", &[]);

    /// One event a day.
    fn happened(log: &[(&str, &[(&str, &str)])], change: impl Fn(&mut Dossier)) -> Vec<Code> {
        let mut vendor = Vendor::default();
        let events = (1..).zip(log);
        let events =
            events.map(|(at, (metric, properties))| vendor.event(metric, day(at), properties));
        let mut dossier = person("a@shop.com", None, events.collect());
        change(&mut dossier);
        let roles = Roles::of(&vendor.vocabulary);
        let found = unsuppressed(&dossier, &roles, day(100));
        found.into_iter().map(|found| found.code).collect()
    }

    fn as_is(_: &mut Dossier) {}

    #[test]
    fn a_dead_mailbox_that_upstream_would_mail_is_found_unless_it_lives_again() {
        let hard = [Code::BounceHardUnsuppressed];
        assert_eq!(happened(&[MAIL, HARD], as_is), hard);
        assert_eq!(happened(&[MAIL, DROP], as_is), hard);
        assert_eq!(happened(&[HARD, MAIL], as_is), []);
        assert_eq!(happened(&[HARD, CLICK], as_is), []);
        assert_eq!(
            happened(
                &[MAIL, ("Bounced Email", &[("Bounce Type", "Soft")])],
                as_is
            ),
            []
        );
    }

    #[test]
    fn a_complaint_counts_until_it_is_settled() {
        let consent = |consent: Consent, at: i64| {
            happened(&[MAIL, SPAM, MAIL], |dossier| {
                let marketing = dossier.profiles[0].1.email_marketing.as_mut().unwrap();
                marketing.consent = consent.clone();
                marketing.consent_at = Some(day(at));
            })
        };
        let unheard = [Code::ComplaintUnsuppressed];
        assert_eq!(happened(&[MAIL, SPAM, MAIL], as_is), unheard);
        assert_eq!(consent(Consent::Subscribed, 1), unheard);
        assert_eq!(consent(Consent::Subscribed, 3), []);
        assert_eq!(consent(Consent::Unsubscribed, 2), []);
        assert_eq!(consent(Consent::Other("PAUSED".to_owned()), 3), unheard);
    }

    #[test]
    fn what_upstream_suppresses_or_does_not_tell_is_no_finding() {
        let suppressed = |dossier: &mut Dossier| {
            let marketing = dossier.profiles[0].1.email_marketing.as_mut().unwrap();
            marketing.suppressions.push(Suppression {
                reason: SuppressionReason::HardBounce,
                at: None,
            });
        };
        assert_eq!(happened(&[MAIL, HARD, SPAM], suppressed), []);
        let twin = |dossier: &mut Dossier| {
            suppressed(dossier);
            dossier
                .profiles
                .push((Slot(9), profile("b@shop.com", None)));
        };
        assert_eq!(happened(&[MAIL, HARD, SPAM], twin), []);
        let untold = |dossier: &mut Dossier| dossier.profiles[0].1.email_marketing = None;
        assert_eq!(happened(&[MAIL, HARD, SPAM], untold), []);
    }
}
