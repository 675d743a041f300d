//! What is mailed, what arrives, and who reads it.

use super::chance::{exponential, happens, pick};
use super::ledger::Ledger;
use super::people::{Fate, Human, UPSTREAM_RUN};
use super::{GeneratorSettings, standard, words};
use crate::model::{DAY_MS, Moment};
use crate::sandbox::ids;
use crate::sandbox::world::State;
use fastrand::Rng;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Consecutive campaigns that the failing provider bounced, and how long ago the first was.
const OUTAGE_CAMPAIGNS: usize = 4;
const OUTAGE_DAYS_AGO: i64 = 75;
/// Share of the failing provider's mail that bounced in the outage.
const OUTAGE_SHARE: f64 = 0.75;
/// Share of healthy mail that soft-bounces.
const BACKGROUND: f64 = 0.01;
/// A mailbox dies this many days ago at the earliest and the latest.
const DEATH: Range<i64> = 50..120;

const MINUTE: f64 = 60_000.0;

/// One mailing to many.
struct Campaign {
    message: String,
    name: String,
    subject: &'static str,
    at: Moment,
}

/// What a mail event tells.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Plain,
    Soft,
    Hard,
    MachineOpen,
    HumanOpen,
    BotClick,
    HumanClick,
}

/// Everything a mailing needs at hand.
struct Post<'a> {
    campaigns: Vec<Campaign>,
    outage: Range<usize>,
    shared: BTreeMap<(usize, &'static str, Kind), Arc<Json>>,
    ledger: &'a mut Ledger,
    rng: &'a mut Rng,
    now: Moment,
    /// The most that most people are sent.
    letters: usize,
}

/// Mails everybody who agreed, and lets fate strike.
pub(super) fn send(
    state: &mut State,
    ledger: &mut Ledger,
    crowd: &mut [Human],
    start: Moment,
    settings: &GeneratorSettings,
    rng: &mut Rng,
) {
    let &GeneratorSettings { now, letters, .. } = settings;
    let campaigns = calendar(start, now, rng);
    let first = Moment(now.0 - OUTAGE_DAYS_AGO * DAY_MS);
    let first = campaigns.partition_point(|campaign| campaign.at < first);
    let outage = first..(first + OUTAGE_CAMPAIGNS).min(campaigns.len());
    let failed = campaigns.get(outage.clone()).unwrap_or_default();
    let failed = failed
        .iter()
        .map(|campaign| campaign.message.clone())
        .collect();
    state.truth.outage = Some((words::FAILING.to_owned(), failed));
    let mut post = Post {
        campaigns,
        outage,
        shared: BTreeMap::new(),
        ledger,
        rng,
        now,
        letters,
    };
    for human in crowd.iter_mut().filter(|human| human.fate != Fate::Unasked) {
        let Some(profile) = human.profile.clone() else {
            continue;
        };
        let caught = post.mail(human, &profile);
        if caught && human.fate == Fate::Healthy {
            state.truth.outage_victims.push(profile);
        }
    }
}

/// Tuesdays and Fridays at nine.
fn calendar(start: Moment, now: Moment, rng: &mut Rng) -> Vec<Campaign> {
    let days = start.day()..=now.day();
    // Day 0 was a Thursday.
    let sending = days.filter(|day| matches!((day + 3).rem_euclid(7), 1 | 4));
    let made = sending.enumerate().map(|(number, day)| {
        let at = Moment(day * DAY_MS + 9 * 3_600_000);
        Campaign {
            message: ids::ulid(at, rng),
            name: format!("Letter {}", number + 1),
            subject: words::SUBJECTS[number % words::SUBJECTS.len()],
            at,
        }
    });
    made.filter(|campaign| campaign.at < now).collect()
}

impl Post<'_> {
    /// Sends one human their mails; says whether the outage caught them.
    fn mail(&mut self, human: &mut Human, profile: &str) -> bool {
        let first = self
            .campaigns
            .partition_point(|campaign| campaign.at <= human.since);
        let death = Moment(self.now.0 - self.rng.i64(DEATH) * DAY_MS);
        let alive = match human.fate {
            Fate::Dies(_) => self
                .campaigns
                .partition_point(|campaign| campaign.at <= death),
            _ => self.campaigns.len(),
        };
        let wanted = if happens(self.rng, 0.88) {
            self.letters.saturating_sub(3)..=self.letters
        } else {
            self.letters + 1..=self.letters + 29
        };
        let wanted = self.rng.usize(wanted);
        let chosen = pick(self.rng, alive.saturating_sub(first), wanted);
        let mut chosen: Vec<usize> = chosen.into_iter().map(|at| first + at).collect();
        if human.domain == words::FAILING {
            // The outage hit a large mailing, so that the provider's share of it can be seen.
            let large = self.outage.clone().filter(|at| (first..alive).contains(at));
            chosen.extend(
                large
                    .filter(|_| happens(self.rng, 0.85))
                    .collect::<Vec<usize>>(),
            );
            chosen.sort_unstable();
            chosen.dedup();
        }
        let last = chosen.pop();
        let mut caught = false;
        for campaign in chosen {
            caught |= self.deliver(human, profile, campaign);
        }
        if let Some(last) = last {
            caught |= self.end(human, profile, last);
        }
        if let Fate::Dies(run) = human.fate {
            self.bury(human, profile, alive, run);
        }
        caught
    }

    /// The last mail, and what it leads to. A fate without a mail does not strike.
    fn end(&mut self, human: &mut Human, profile: &str, campaign: usize) -> bool {
        let Some(at) = self.campaigns.get(campaign).map(|known| known.at) else {
            return false;
        };
        let soon = Moment(at.0 + 3_600_000).min(self.now);
        let bounced = match human.fate {
            Fate::HardBounces { .. } => Some((standard::BOUNCED, Kind::Hard)),
            Fate::Invalid => Some((standard::DROPPED, Kind::Plain)),
            _ => None,
        };
        if let Some((metric, kind)) = bounced {
            human.struck = Some(at);
            self.note(metric, human, profile, campaign, kind, at);
            return false;
        }
        let caught = self.deliver(human, profile, campaign);
        match human.fate {
            Fate::Complains { .. } => {
                human.struck = Some(soon);
                self.note(
                    standard::COMPLAINED,
                    human,
                    profile,
                    campaign,
                    Kind::Plain,
                    soon,
                );
            }
            Fate::Unsubscribes | Fate::Suppressed => human.struck = Some(soon),
            _ => {}
        }
        caught
    }

    /// One mail to a mailbox that lives; says whether the outage bounced it.
    fn deliver(&mut self, human: &Human, profile: &str, campaign: usize) -> bool {
        let Some(sent) = self.campaigns.get(campaign).map(|known| known.at) else {
            return false;
        };
        let at = self.later(sent, 5.0);
        let out = human.domain == words::FAILING && self.outage.contains(&campaign);
        let bounces = if out { OUTAGE_SHARE } else { BACKGROUND };
        if happens(self.rng, bounces) {
            self.note(standard::BOUNCED, human, profile, campaign, Kind::Soft, at);
            return out;
        }
        self.note(
            standard::RECEIVED,
            human,
            profile,
            campaign,
            Kind::Plain,
            at,
        );
        if human.apple && happens(self.rng, 0.9) {
            let fetched = self.later(at, 8.0);
            self.note(
                standard::OPENED,
                human,
                profile,
                campaign,
                Kind::MachineOpen,
                fetched,
            );
        }
        if human.scanned && happens(self.rng, 0.8) {
            let scanned = self.later(at, 1.0);
            self.note(
                standard::CLICKED,
                human,
                profile,
                campaign,
                Kind::BotClick,
                scanned,
            );
        }
        let interest = if at < human.drifts {
            human.engagement
        } else {
            0.02 * human.engagement
        };
        if happens(self.rng, interest) {
            self.read(human, profile, campaign, at);
        }
        false
    }

    /// A human opens the mail, sometimes follows a link, sometimes looks around.
    fn read(&mut self, human: &Human, profile: &str, campaign: usize, delivered: Moment) {
        let opened = self.later(delivered, 360.0);
        self.note(
            standard::OPENED,
            human,
            profile,
            campaign,
            Kind::HumanOpen,
            opened,
        );
        if !happens(self.rng, 0.2) {
            return;
        }
        let clicked = self.later(opened, 1.0);
        self.note(
            standard::CLICKED,
            human,
            profile,
            campaign,
            Kind::HumanClick,
            clicked,
        );
        let page = Arc::new(json!({ "URL": "https://shop.example/new" }));
        self.ledger
            .add(standard::ON_SITE, profile, clicked, &page, self.rng);
        if happens(self.rng, 0.5) {
            let ware = words::WARES[self.rng.usize(..words::WARES.len())].0;
            let ware = Arc::new(json!({ "Name": ware }));
            self.ledger
                .add(standard::VIEWED, profile, clicked, &ware, self.rng);
        }
    }

    /// Every mail to a dead mailbox soft-bounces: a run that spans most of the time since its death.
    fn bury(&mut self, human: &mut Human, profile: &str, alive: usize, run: usize) {
        let left = self.campaigns.len().saturating_sub(alive);
        if left < run {
            return;
        }
        let inner = pick(self.rng, left - 2, run - 2);
        let mut chosen = vec![alive];
        chosen.extend(inner.into_iter().map(|at| alive + 1 + at));
        chosen.push(alive + left - 1);
        for campaign in chosen {
            let Some(sent) = self.campaigns.get(campaign).map(|known| known.at) else {
                continue;
            };
            let at = self.later(sent, 5.0).min(self.now);
            self.note(standard::BOUNCED, human, profile, campaign, Kind::Soft, at);
            human.struck = Some(at)
                .filter(|_| run == UPSTREAM_RUN)
                .or(human.struck)
                .or(Some(at));
        }
    }

    /// A while after an instant; `mean` in minutes.
    fn later(&mut self, at: Moment, mean: f64) -> Moment {
        Moment(at.0 + (exponential(self.rng, mean) * MINUTE) as i64)
    }

    fn note(
        &mut self,
        metric: &'static str,
        human: &Human,
        profile: &str,
        campaign: usize,
        kind: Kind,
        at: Moment,
    ) {
        let Some(sent) = self.campaigns.get(campaign) else {
            return;
        };
        let key = (campaign, human.domain, kind);
        let shared = self.shared.entry(key);
        let shared = shared.or_insert_with(|| Arc::new(properties(sent, human, kind)));
        self.ledger
            .add(metric, profile, at, &shared.clone(), self.rng);
    }
}

/// The same for all mails of one campaign to one domain (klaviyo.md, section 12).
fn properties(campaign: &Campaign, human: &Human, kind: Kind) -> Json {
    let mut properties = json!({
        "$message": campaign.message,
        "Campaign Name": campaign.name,
        "Subject": campaign.subject,
        "Email Domain": human.domain,
        "Inbox Provider": human.provider,
    });
    match kind {
        Kind::Plain => {}
        Kind::Soft => properties["Bounce Type"] = json!("Soft"),
        Kind::Hard => properties["Bounce Type"] = json!("Hard"),
        Kind::MachineOpen | Kind::HumanOpen => {
            properties["machine_open"] = json!(kind == Kind::MachineOpen);
        }
        Kind::BotClick | Kind::HumanClick => {
            properties["Bot Click"] = json!(kind == Kind::BotClick);
            properties["URL"] = json!("https://shop.example/new");
        }
    }
    properties
}
