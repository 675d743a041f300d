//! Outages of mail providers: a campaign of which one domain returned a large share.

use super::mailbox::mailbox;
use crate::model::{Dossier, Moment, Role, TextNo};
use crate::policy::BounceRule;
use crate::score::{Bounce, Roles};
use std::collections::{BTreeMap, BTreeSet};

/// Sends wait unsorted up to this many; then at most as a quarter of those counted.
const MIN_WAITING: usize = 65_536;

/// Counts the sends of every message to every domain: what must be seen of everybody before
/// anybody's bounces are judged. 16 bytes per pair of domain and message.
#[derive(Debug, Default)]
pub struct IncidentLog {
    domains: BTreeMap<Box<str>, u32>,
    counted: Vec<Count>,
    waiting: Vec<Count>,
}

/// Ordered by domain and message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Count {
    domain: u32,
    message: TextNo,
    sends: u32,
    soft: u32,
}

impl IncidentLog {
    /// Counts one send: delivered, or come back `soft`.
    pub fn observe(&mut self, domain: &str, message: TextNo, soft: bool) {
        let domain = self.number(domain);
        self.count(domain, message, soft);
    }

    /// Counts every send of one person up to `now`. Says whether any came back soft: an outage
    /// changes nothing for somebody whose mail never did.
    pub fn observe_person(&mut self, dossier: &Dossier, roles: &Roles, now: Moment) -> bool {
        let Some(address) = mailbox(dossier) else {
            return false;
        };
        let domain = self.number(address.domain());
        let mut any_soft = false;
        let past = dossier.events.iter();
        for event in past.filter(|event| Moment::from_secs(event.at) <= now) {
            let sent = matches!(roles.role(event.metric), Role::Received | Role::Bounced);
            let soft = roles.bounce(event) == Some(Bounce::Soft);
            any_soft |= soft;
            if let Some(message) = roles.message(event).filter(|_| sent) {
                self.count(domain, message, soft);
            }
        }
        any_soft
    }

    /// The incidents among all that was observed.
    pub fn judge(mut self, rule: &BounceRule) -> Incidents {
        self.fold();
        let names: BTreeMap<u32, Box<str>> = self
            .domains
            .into_iter()
            .map(|(name, no)| (no, name))
            .collect();
        let mut incidents = Incidents::default();
        for count in self.counted {
            let share = f64::from(count.soft) / f64::from(count.sends);
            if count.sends < rule.incident_min_sends || share < rule.incident_share {
                continue;
            }
            if let Some(name) = names.get(&count.domain) {
                let messages = incidents.domains.entry(name.clone()).or_default();
                messages.insert(count.message);
            }
        }
        incidents
    }

    fn number(&mut self, domain: &str) -> u32 {
        if let Some(no) = self.domains.get(domain) {
            return *no;
        }
        let no = u32::try_from(self.domains.len()).expect("memory ends before 2^32 domains");
        self.domains.insert(domain.into(), no);
        no
    }

    fn count(&mut self, domain: u32, message: TextNo, soft: bool) {
        self.waiting.push(Count {
            domain,
            message,
            sends: 1,
            soft: u32::from(soft),
        });
        if self.waiting.len() >= MIN_WAITING.max(self.counted.len() / 4) {
            self.fold();
        }
    }

    /// Adds up what waits.
    fn fold(&mut self) {
        self.counted.append(&mut self.waiting);
        self.counted.sort();
        self.counted.dedup_by(|next, kept| {
            let same = (next.domain, next.message) == (kept.domain, kept.message);
            if same {
                kept.sends = kept.sends.saturating_add(next.sends);
                kept.soft = kept.soft.saturating_add(next.soft);
            }
            same
        });
    }
}

/// The messages that met an outage, by domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incidents {
    domains: BTreeMap<Box<str>, BTreeSet<TextNo>>,
}

impl Incidents {
    /// Whether what happened to this message at this domain says nothing about a mailbox there.
    pub fn is_incident(&self, domain: &str, message: TextNo) -> bool {
        let messages = self.domains.get(domain);
        messages.is_some_and(|messages| messages.contains(&message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Event;
    use crate::score::fixtures::{Vendor, day, person};

    fn log(sends: &[(&str, u32, u32, u32)]) -> IncidentLog {
        let mut log = IncidentLog::default();
        for (domain, message, soft, delivered) in sends {
            for n in 0..soft + delivered {
                log.observe(domain, TextNo(*message), n < *soft);
            }
        }
        log
    }

    #[test]
    fn a_large_share_of_enough_sends_is_an_incident() {
        let rule = BounceRule::default();
        let sends = [
            ("a.com", 1, 4, 6),
            ("a.com", 2, 3, 7),
            ("b.com", 1, 7, 0),
            ("c.com", 2, 8, 0),
        ];
        let incidents = log(&sends).judge(&rule);
        assert!(incidents.is_incident("a.com", TextNo(1)));
        assert!(
            !incidents.is_incident("a.com", TextNo(2)),
            "3 of 10 is no 40 %"
        );
        assert!(
            !incidents.is_incident("b.com", TextNo(1)),
            "7 sends are too few"
        );
        assert!(incidents.is_incident("c.com", TextNo(2)));
        assert!(!incidents.is_incident("c.com", TextNo(1)));
        assert!(!incidents.is_incident("d.com", TextNo(1)));
    }

    #[test]
    fn counts_survive_folding() {
        let rule = BounceRule::default();
        let half = MIN_WAITING as u32;
        let incidents = log(&[("a.com", 1, half, half), ("b.com", 1, half, 2 * half)]).judge(&rule);
        assert!(incidents.is_incident("a.com", TextNo(1)));
        assert!(!incidents.is_incident("b.com", TextNo(1)));
    }

    #[test]
    fn an_outage_may_change_something_only_where_mail_came_back_soft() {
        let mut vendor = Vendor::default();
        let delivered = vendor.event("Received Email", day(1), &[("$message", "m")]);
        let hard = vendor.event("Bounced Email", day(2), &[("Bounce Type", "Hard")]);
        let soft = vendor.event("Bounced Email", day(3), &[("Bounce Type", "Soft")]);
        let roles = Roles::of(&vendor.vocabulary);
        let concerned = |email: &str, events: &[&Event]| {
            let events = events.iter().map(|event| (*event).clone()).collect();
            let dossier = person(email, None, events);
            IncidentLog::default().observe_person(&dossier, &roles, day(3))
        };
        assert!(concerned("a@shop.com", &[&delivered, &soft]));
        assert!(!concerned("a@shop.com", &[&delivered, &hard]));
        assert!(!concerned("no address", &[&delivered, &soft]));
    }
}
