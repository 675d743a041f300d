//! Findings and plan of the last pass as files: one JSON object a line, for eyes and scripts.

use super::files::replace;
use super::plan_file::PlanWriter;
use super::release::{plan_path, rules_hash};
use super::{Head, Options, Parity, PassError, PlanFile, Shop};
use crate::mirror::MirrorError;
use crate::model::{Code, Finding, GroupId, HoldReason, Moment, Subject};
use crate::plan::Plan;
use crate::push::{Described, describe};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Findings by code.
pub(super) fn count(findings: &[Finding]) -> BTreeMap<Code, u64> {
    let mut counts = BTreeMap::new();
    for finding in findings {
        *counts.entry(finding.code).or_default() += 1;
    }
    counts
}

impl Shop {
    /// Where the findings are written.
    pub fn findings_path(&self) -> PathBuf {
        self.config.state_dir.join("findings.jsonl")
    }

    /// Names people by the vendors' ids only.
    pub(super) fn write_findings(&self, findings: &[Finding]) -> Result<(), PassError> {
        let path = self.findings_path();
        replace(&path, |out| {
            for finding in findings {
                let line = self.finding_json(finding)?;
                let written = writeln!(out, "{line}");
                written.map_err(|source| PassError::File {
                    path: path.clone(),
                    source,
                })?;
            }
            Ok(())
        })
    }

    /// Where the profiles are written on which Klaviyo's members and our evaluation differ.
    pub fn parity_path(&self) -> PathBuf {
        self.config.state_dir.join("parity.jsonl")
    }

    /// One line for each differing profile: segment, profile, who has it, since when, why.
    pub(super) fn write_parity(&self, rows: &[Parity]) -> Result<(), PassError> {
        let path = self.parity_path();
        replace(&path, |out| {
            for row in rows {
                for (slot, known) in self.mirror.disagreements(&row.id)? {
                    let profile = self.mirror.profile_id(slot)?;
                    let line = json!({
                        "segment": row.id.as_str(),
                        "name": row.segment,
                        "profile": profile.as_ref().map(|id| id.as_str()),
                        "klaviyo": if known.member { "in" } else { "out" },
                        "since": known.since.to_string(),
                        "cause": known.cause,
                    });
                    writeln!(out, "{line}").map_err(|source| PassError::File {
                        path: path.clone(),
                        source,
                    })?;
                }
            }
            Ok(())
        })
    }

    /// Where the plan is written.
    pub fn plan_path(&self) -> PathBuf {
        plan_path(&self.config.state_dir)
    }

    /// The plan effect by effect, whether or not it will be carried out. Gives back its id.
    pub(super) fn write_plan(&self, plan: &Plan, options: &Options) -> Result<String, PassError> {
        let path = self.plan_path();
        let failed = |source| PassError::File {
            path: path.clone(),
            source,
        };
        let policy = &self.config.policy;
        let after_run = self.journal.last_run();
        let (name, now) = (&self.config.name, self.clock.now());
        let Options { as_of, task, .. } = options;
        let head = Head::new(name, now, *as_of, *task, rules_hash(policy), after_run);
        let mut id = String::new();
        replace(&path, |out| {
            let mut writer = PlanWriter::begin(out, &head).map_err(failed)?;
            for planned in plan.effects.iter() {
                let told = Described {
                    why: planned.why(policy),
                    ..describe(&planned.effect, &self.mirror, policy)?
                };
                writer.effect(&told).map_err(failed)?;
            }
            id = writer.end().map_err(failed)?;
            Ok(())
        })?;
        Ok(id)
    }

    /// Whether a plan file may be applied at all, before anything is read.
    pub(super) fn check_plan_file(&self, file: &PlanFile, now: Moment) -> Result<(), PassError> {
        let head = &file.head;
        let last_run = self.journal.last_run();
        let why = if head.shop != self.config.name {
            format!("it is of the shop `{}`", head.shop)
        } else if let Some(at) = &head.as_of {
            format!("it shows what would be at {at}")
        } else if now > head.expires {
            format!("it expired at {}", head.expires)
        } else if head.rules != rules_hash(&self.config.policy) {
            "the rules have changed since it was made".to_owned()
        } else if head.after_run != last_run {
            format!("run {last_run} has written since it was made")
        } else {
            return Ok(());
        };
        Err(PassError::Stale(why))
    }

    /// Leaves of a plan only what a file says; how many of the file's effects are not in it.
    pub(super) fn restrict(&self, plan: &mut Plan, file: &PlanFile) -> Result<u64, PassError> {
        let mut found = 0;
        plan.hold_back(|effect| {
            let told = describe(effect, &self.mirror, &self.config.policy)?;
            if file.holds(&told) {
                found += 1;
                return Ok::<_, PassError>(None);
            }
            Ok(Some(HoldReason::NotInPlan))
        })?;
        Ok(file.len() - found)
    }

    fn group_name(&self, id: &GroupId) -> Result<Option<String>, MirrorError> {
        Ok(match id {
            GroupId::List(id) => {
                let lists = self.mirror.lists()?;
                lists
                    .into_iter()
                    .find(|list| list.id == *id)
                    .map(|list| list.name)
            }
            GroupId::Evaluated(key) => Some(key.to_string()),
            GroupId::Segment(id) => {
                let segments = self.mirror.segments()?;
                segments
                    .into_iter()
                    .find(|known| known.id == *id)
                    .map(|known| known.name)
            }
        })
    }

    fn finding_json(&self, finding: &Finding) -> Result<Json, MirrorError> {
        let mut json = json!({
            "code": finding.code,
            "severity": finding.code.severity(),
            "evidence": finding.evidence.to_string(),
            "remedy": finding.code.remedy(),
        });
        match &finding.subject {
            Subject::Group(id) => {
                json["group"] = json!(id.to_string());
                json["name"] = json!(self.group_name(id)?);
            }
            Subject::Person(person, slot) => {
                json["person"] = json!(person.0);
                if let Some(id) = self.mirror.profile_id(*slot)? {
                    json["profile"] = json!(id.as_str());
                }
                if let Some(id) = self.mirror.customer_id(*slot)? {
                    json["customer"] = json!(id.0);
                }
            }
        }
        Ok(json)
    }
}
