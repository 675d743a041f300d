//! The findings of the last pass as a file: one JSON object a line, for spreadsheets and scripts.

use super::files::replace;
use super::{PassError, Shop};
use crate::mirror::MirrorError;
use crate::model::{Code, Finding, Subject};
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

    fn finding_json(&self, finding: &Finding) -> Result<Json, MirrorError> {
        let mut json = json!({
            "code": finding.code,
            "severity": finding.code.severity(),
            "evidence": finding.evidence.to_string(),
            "remedy": finding.code.remedy(),
        });
        match &finding.subject {
            Subject::Group(id) => json["group"] = json!(id.to_string()),
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
