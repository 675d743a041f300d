//! Findings and plan of the last pass as files: one JSON object a line, for eyes and scripts.

use super::files::replace;
use super::{Parity, PassError, Shop};
use crate::mirror::MirrorError;
use crate::model::{Code, Finding, GroupId, Subject};
use crate::plan::Plan;
use crate::push::describe;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::io;
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
        self.config.state_dir.join("plan.jsonl")
    }

    /// The plan effect by effect, whether or not it will be carried out.
    pub(super) fn write_plan(&self, plan: &Plan) -> Result<(), PassError> {
        let path = self.plan_path();
        replace(&path, |out| {
            for effect in &plan.effects {
                let told = describe(effect, &self.mirror, &self.config.policy)?;
                let written = serde_json::to_writer(&mut *out, &told).map_err(io::Error::from);
                let written = written.and_then(|()| writeln!(out));
                written.map_err(|source| PassError::File {
                    path: path.clone(),
                    source,
                })?;
            }
            Ok(())
        })
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
