//! Dead mailboxes: Wald's sequential test over deliveries and soft bounces (analytics.md, section 6).

use super::incidents::Incidents;
use super::mailbox::mailbox;
use crate::model::{Consent, DAY_MS, Dossier, Event, Evidence, Moment, Role};
use crate::policy::BounceRule;
use crate::score::{Bounce, Roles, human};

/// The test's steps and bounds, as natural logarithms (Wald 1947).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sprt {
    /// Added by a soft bounce: ln(p1 / p0).
    pub soft: f64,
    /// Added by a delivery: ln((1 - p1) / (1 - p0)), below zero.
    pub delivered: f64,
    /// From here on the mailbox counts as dead: ln((1 - beta) / alpha).
    pub alarm: f64,
    /// Down here it counts as healthy, and the test starts over: ln(beta / (1 - alpha)).
    pub healthy: f64,
}

impl Sprt {
    /// From the rates and error shares of the rule.
    pub fn of(rule: &BounceRule) -> Self {
        let (p0, p1) = (rule.healthy_rate, rule.dead_rate);
        Self {
            soft: (p1 / p0).ln(),
            delivered: ((1.0 - p1) / (1.0 - p0)).ln(),
            alarm: ((1.0 - rule.missed) / rule.false_alarm).ln(),
            healthy: (rule.missed / (1.0 - rule.false_alarm)).ln(),
        }
    }

    /// The score after one more send.
    pub fn step(&self, score: f64, soft: bool) -> f64 {
        let score = score + if soft { self.soft } else { self.delivered };
        if score <= self.healthy { 0.0 } else { score }
    }
}

/// Soft bounces in a row, sends during incidents left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// How many.
    pub bounces: u32,
    /// When the first was.
    pub first: Moment,
    /// When the last was.
    pub last: Moment,
    /// The test's score.
    pub score: f64,
}

impl Run {
    /// Whole days from the first to the last.
    pub fn days(&self) -> i64 {
        (self.last.0 - self.first.0) / DAY_MS
    }

    /// For a finding.
    pub fn evidence(&self) -> Evidence {
        Evidence::BounceRun {
            bounces: self.bounces,
            days: self.days(),
            score: self.score,
        }
    }
}

/// The run that shows a person's mailbox to be dead at `now`: the test raised the alarm, and the run
/// is long enough not to be a full mailbox over the holidays. A delivery ends the run; a human open or
/// click proves the mailbox alive and starts the test over, and so does the person who subscribes
/// again: what lifted a suppression must not be answered with the old run.
pub fn chronic(
    dossier: &Dossier,
    roles: &Roles,
    incidents: &Incidents,
    rule: &BounceRule,
    now: Moment,
) -> Option<Run> {
    let address = mailbox(dossier)?;
    let test = Sprt::of(rule);
    let (mut score, mut run) = (0.0, None);
    let start = subscribed(dossier, now);
    let counts = |at: Moment| at <= now && start.is_none_or(|start| at >= start);
    let past = dossier.events.iter();
    for event in past.filter(|event| counts(Moment::from_secs(event.at))) {
        match outcome(event, roles) {
            Outcome::Alive => (score, run) = (0.0, None),
            Outcome::Nothing => {}
            _ if is_incident(event, roles, incidents, address.domain()) => {}
            Outcome::Delivered => (score, run) = (test.step(score, false), None),
            Outcome::Soft => {
                score = test.step(score, true);
                run = Some(longer(run, Moment::from_secs(event.at), score));
            }
        }
    }
    let long_enough = |run: &Run| run.days() >= i64::from(rule.min_span_days);
    run.filter(|run| run.score >= test.alarm && long_enough(run))
}

/// When the person last agreed to e-mail and has not taken it back.
fn subscribed(dossier: &Dossier, now: Moment) -> Option<Moment> {
    let profiles = dossier.profiles.iter();
    let marketing = profiles.filter_map(|(_, profile)| profile.email_marketing.as_ref());
    let agreed = marketing.filter(|marketing| marketing.consent == Consent::Subscribed);
    let times = agreed.filter_map(|marketing| marketing.consent_at);
    times.filter(|at| *at <= now).max()
}

/// What an event tells about the mailbox.
enum Outcome {
    Delivered,
    Soft,
    Alive,
    Nothing,
}

fn outcome(event: &Event, roles: &Roles) -> Outcome {
    match roles.role(event.metric) {
        Role::Received => Outcome::Delivered,
        Role::Bounced if roles.bounce(event) == Some(Bounce::Soft) => Outcome::Soft,
        Role::Opened | Role::Clicked if human(event, roles) => Outcome::Alive,
        _ => Outcome::Nothing,
    }
}

fn is_incident(event: &Event, roles: &Roles, incidents: &Incidents, domain: &str) -> bool {
    let message = roles.message(event);
    message.is_some_and(|message| incidents.is_incident(domain, message))
}

fn longer(run: Option<Run>, at: Moment, score: f64) -> Run {
    let (bounces, first) = run.map_or((0, at), |run| (run.bounces, run.first));
    Run {
        bounces: bounces + 1,
        first,
        last: at,
        score,
    }
}

#[cfg(test)]
mod tests;
