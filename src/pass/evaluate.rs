//! Every person, once: facts, verdicts, wishes. The mirror is streamed, so memory holds what differs.

use super::summary::People as Numbers;
use super::{PassError, Shop};
use crate::clock::Stop;
use crate::detect::{self, IncidentLog, Incidents};
use crate::mirror::{Mirror, MirrorError};
use crate::model::{Dossier, Finding, GroupId, Moment};
use crate::plan::{Draft, Memberships, Seen};
use crate::policy::{IdentityRule, Policy};
use crate::pull::PullError;
use crate::score::{self, Roles};
use crate::unify::{self, People};

/// The watchdog hears of the work, and the work of a wish to stop, this often.
const PEOPLE_TO_A_BEAT: usize = 4096;

/// What came out of looking at everybody.
#[derive(Debug)]
pub struct Evaluation<'p> {
    /// What should change, apart from lists to be created and members who are nobody.
    pub draft: Draft<'p>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// The shop in numbers.
    pub people: Numbers,
}

impl<'p> Evaluation<'p> {
    /// An evaluation of nobody yet. `memberships` are those of the segments that the policy names.
    pub fn new(policy: &'p Policy, memberships: Memberships, seen: Seen, now: Moment) -> Self {
        Self {
            draft: Draft::new(policy, memberships, seen, now),
            findings: Vec::new(),
            people: Numbers::default(),
        }
    }

    /// Looks at one person.
    pub fn person(
        &mut self,
        dossier: &Dossier,
        roles: &Roles,
        incidents: &Incidents,
        policy: &Policy,
        now: Moment,
    ) {
        let facts = score::facts(dossier, roles, &policy.lifecycle, now);
        let verdicts = detect::person(dossier, &facts, roles, incidents, policy, now);
        self.people.count(&facts);
        let findings = self.draft.person(dossier, &facts, verdicts);
        self.findings.extend(unify::quality(dossier));
        self.findings.extend(findings);
    }
}

/// Who is who, among all records.
pub(super) fn unify(mirror: &Mirror, rule: &IdentityRule) -> Result<People, MirrorError> {
    let mut failed: Option<MirrorError> = None;
    let keys = mirror.records().map_while(|record| match record {
        Ok((slot, record)) => Some(unify::keys(slot, &record, rule)),
        Err(error) => {
            failed = Some(error);
            None
        }
    });
    let people = People::unite(keys);
    failed.map_or(Ok(people), Err)
}

impl Shop {
    /// Facts, verdicts and wishes of every person, and the findings about groups.
    pub(super) fn evaluate(
        &self,
        people: &People,
        memberships: Memberships,
        seen: Seen,
        now: Moment,
        stop: &Stop,
    ) -> Result<Evaluation<'_>, PassError> {
        let policy = &self.config.policy;
        let mut evaluation = Evaluation::new(policy, memberships, seen, now);
        evaluation
            .findings
            .extend(people.findings().iter().cloned());
        self.everybody(people, &mut evaluation, now, stop)?;
        let totals = self.mirror.totals()?;
        evaluation.people.profiles = totals.profiles;
        evaluation.people.customers = totals.customers;
        let managed: Vec<GroupId> = self
            .mirror
            .bindings()?
            .into_values()
            .map(GroupId::List)
            .collect();
        // Lists of our own are as small as their rules make them.
        let groups = self.mirror.groups()?.into_iter();
        for group in groups.filter(|group| !managed.contains(&group.id)) {
            evaluation
                .findings
                .extend(detect::group(&group, &policy.groups));
        }
        Ok(evaluation)
    }

    pub(super) fn check_stop(stop: &Stop) -> Result<(), PassError> {
        if stop.is_set() {
            return Err(PullError::Stopped.into());
        }
        Ok(())
    }

    /// Whoever an outage may concern waits until all sends are counted; the others, most of them,
    /// are read only once.
    fn everybody(
        &self,
        people: &People,
        evaluation: &mut Evaluation<'_>,
        now: Moment,
        stop: &Stop,
    ) -> Result<(), PassError> {
        let policy = &self.config.policy;
        let roles = Roles::of(&self.mirror.vocabulary()?);
        let no_incidents = Incidents::default();
        let mut log = IncidentLog::default();
        let mut waiting = Vec::new();
        for (count, person) in people.iter().enumerate() {
            if count % PEOPLE_TO_A_BEAT == 0 {
                self.meter.beat();
                Self::check_stop(stop)?;
            }
            let dossier = self.mirror.dossier(&person)?;
            if log.observe_person(&dossier, &roles, now) {
                waiting.push(person);
            } else {
                evaluation.person(&dossier, &roles, &no_incidents, policy, now);
            }
        }
        let incidents = log.judge(&policy.bounce);
        for person in waiting {
            let dossier = self.mirror.dossier(&person)?;
            evaluation.person(&dossier, &roles, &incidents, policy, now);
        }
        Ok(())
    }
}
