//! The findings of the last pass as a file: one JSON object a line, for spreadsheets and scripts.

use super::{PassError, Shop};
use crate::mirror::MirrorError;
use crate::model::{Code, Finding, Subject};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
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

    /// Replaces the file whole, so that a reader never sees half of it. It names people by the
    /// vendors' ids only.
    pub(super) fn write_findings(&self, findings: &[Finding]) -> Result<(), PassError> {
        let path = self.findings_path();
        let half = path.with_extension("jsonl.new");
        let failed = |source| PassError::Findings {
            path: path.clone(),
            source,
        };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut out = BufWriter::new(options.open(&half).map_err(failed)?);
        for finding in findings {
            let line = self.finding_json(finding)?;
            writeln!(out, "{line}").map_err(failed)?;
        }
        out.flush().map_err(failed)?;
        drop(out);
        std::fs::rename(&half, &path).map_err(failed)
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
