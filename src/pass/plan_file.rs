//! A plan as a file: what it rests on, a line for each effect, and an end with a checksum over all
//! before it. `apply` does exactly what it says, or refuses.

use super::Task;
use crate::journal::RunId;
use crate::model::Moment;
use crate::push::Described;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The only version there is.
const VERSION: u32 = 1;

/// A plan that is older than the guards look back is not applied.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// What a plan rests on: the first line of its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    #[serde(rename = "driftless_plan")]
    version: u32,
    /// Of which shop.
    pub shop: String,
    /// When it was made.
    #[serde(with = "as_text")]
    pub made: Moment,
    /// When it ceases to be one.
    #[serde(with = "as_text")]
    pub expires: Moment,
    /// The other day that it was made for: such a plan is only looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// What it is to bring about.
    pub task: Task,
    /// A hash of the rules that it was made from.
    pub rules: String,
    /// The last run that wrote before it was made.
    pub after_run: RunId,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    effects: u64,
    /// Of every line before, line breaks included.
    sha256: String,
}

/// A plan file that was read to its end and is as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanFile {
    /// What it rests on.
    pub head: Head,
    /// Digests of the effects, which are smaller than they.
    effects: BTreeSet<[u8; 32]>,
    /// What tells this plan from any other: the end's checksum.
    pub id: String,
}

/// Why a file cannot be applied, whatever the shop looks like.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no plan, or a part of one, or was changed by hand.
    #[error("{path}, line {line}: {what}; make a new one with `driftless plan`")]
    NotAPlan {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong there.
        what: &'static str,
    },
}

impl Head {
    pub(super) fn new(
        shop: &str,
        made: Moment,
        as_of: Option<Moment>,
        task: Task,
        rules: String,
        after_run: RunId,
    ) -> Self {
        Self {
            version: VERSION,
            shop: shop.to_owned(),
            made,
            expires: made.plus(LIFE),
            as_of: as_of.map(|at| at.to_string()),
            task,
            rules,
            after_run,
        }
    }

    /// Reads the first line of a plan file and nothing else.
    ///
    /// # Errors
    /// A file that cannot be read, or does not begin as a plan does.
    pub fn read(path: &Path) -> Result<Self, PlanFileError> {
        let mut lines = Lines::open(path)?;
        lines.advance()?;
        lines.head()
    }
}

/// Writes a plan line by line.
pub(super) struct PlanWriter<'o> {
    out: &'o mut dyn Write,
    hash: Sha256,
    effects: u64,
}

impl<'o> PlanWriter<'o> {
    pub(super) fn begin(out: &'o mut dyn Write, head: &Head) -> io::Result<Self> {
        let mut writer = Self {
            out,
            hash: Sha256::new(),
            effects: 0,
        };
        let head = serde_json::to_string(head).map_err(io::Error::from)?;
        writer.line(&head)?;
        Ok(writer)
    }

    pub(super) fn effect(&mut self, effect: &Described) -> io::Result<()> {
        self.effects += 1;
        let line = serde_json::to_string(effect).map_err(io::Error::from)?;
        self.line(&line)
    }

    /// Ends the file; gives back the plan's id.
    pub(super) fn end(self) -> io::Result<String> {
        let sha256 = hex(&self.hash.finalize());
        let end = End {
            effects: self.effects,
            sha256: sha256.clone(),
        };
        writeln!(
            self.out,
            "{}",
            serde_json::to_string(&end).map_err(io::Error::from)?
        )?;
        Ok(sha256)
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        self.hash.update(line);
        self.hash.update("\n");
        writeln!(self.out, "{line}")
    }
}

impl PlanFile {
    /// Reads a whole plan and tells each of its effects.
    ///
    /// # Errors
    /// A file that cannot be read, is no plan, was cut short or was changed.
    pub fn read(path: &Path, mut each: impl FnMut(Described)) -> Result<Self, PlanFileError> {
        let mut lines = Lines::open(path)?;
        lines.advance()?;
        let head = lines.head()?;
        let mut hash = Sha256::new();
        let mut effects = BTreeSet::new();
        loop {
            hash.update(&lines.line);
            lines.advance()?;
            let line = lines.text();
            if let Ok(effect) = serde_json::from_str(line) {
                effects.insert(digest(&effect));
                each(effect);
                continue;
            }
            let Ok(end) = serde_json::from_str::<End>(line) else {
                return Err(lines.wrong("this is neither an effect nor the plan's end"));
            };
            let id = hex(&hash.finalize());
            if end.sha256 != id || end.effects != effects.len() as u64 {
                return Err(lines.wrong("the checksum is another one: the plan was changed"));
            }
            if !lines.is_over()? {
                return Err(lines.wrong("something follows the plan's end"));
            }
            return Ok(Self { head, effects, id });
        }
    }

    /// Whether it says so.
    pub(super) fn holds(&self, effect: &Described) -> bool {
        self.effects.contains(&digest(effect))
    }

    /// How many effects it has.
    pub fn len(&self) -> u64 {
        self.effects.len() as u64
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }
}

/// The lines of a file that is being read.
struct Lines<'p> {
    path: &'p Path,
    from: BufReader<File>,
    /// The current one, its line break included.
    line: String,
    number: u64,
}

impl<'p> Lines<'p> {
    fn open(path: &'p Path) -> Result<Self, PlanFileError> {
        let file = File::open(path).map_err(|source| PlanFileError::Io {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path,
            from: BufReader::new(file),
            line: String::new(),
            number: 0,
        })
    }

    /// Goes to the next line, which must be there.
    fn advance(&mut self) -> Result<(), PlanFileError> {
        self.line.clear();
        self.number += 1;
        match self.from.read_line(&mut self.line) {
            Ok(_) if self.line.ends_with('\n') => Ok(()),
            Ok(_) => Err(self.wrong("the plan ends here, before its end")),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(self.wrong("this is no text"))
            }
            Err(source) => Err(PlanFileError::Io {
                path: self.path.to_owned(),
                source,
            }),
        }
    }

    fn is_over(&mut self) -> Result<bool, PlanFileError> {
        let rest = self.from.fill_buf().map_err(|source| PlanFileError::Io {
            path: self.path.to_owned(),
            source,
        })?;
        Ok(rest.is_empty())
    }

    fn text(&self) -> &str {
        self.line.trim_end_matches('\n')
    }

    fn head(&self) -> Result<Head, PlanFileError> {
        match serde_json::from_str::<Head>(self.text()) {
            Ok(head) if head.version == VERSION => Ok(head),
            Ok(_) => Err(self.wrong("another version of driftless wrote this plan")),
            Err(_) => Err(self.wrong("a plan does not begin so")),
        }
    }

    fn wrong(&self, what: &'static str) -> PlanFileError {
        PlanFileError::NotAPlan {
            path: self.path.to_owned(),
            line: self.number,
            what,
        }
    }
}

/// Of everything but the reason, which may find other words.
fn digest(effect: &Described) -> [u8; 32] {
    let Described {
        kind,
        subject,
        target,
        from,
        to,
        ..
    } = effect;
    let told = serde_json::to_vec(&(kind, subject, target, from, to));
    Sha256::digest(told.expect("an effect has text keys")).into()
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A moment as people read it.
mod as_text {
    use crate::model::Moment;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(at: &Moment, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(at)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Moment, D::Error> {
        let text = String::deserialize(from)?;
        Moment::parse(&text).ok_or_else(|| de::Error::custom("no instant"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EffectKind;
    use serde_json::json;

    fn effect(subject: &str) -> Described {
        Described {
            kind: EffectKind::ListAdd,
            subject: Some(subject.to_owned()),
            target: "L1".to_owned(),
            from: json!(false),
            to: json!(true),
            why: "list `VIP`".to_owned(),
        }
    }

    fn written() -> (Head, Vec<u8>) {
        let made = Moment::from_secs(1_790_000_000);
        let task = Task::Undo(RunId(3));
        let head = Head::new("acme", made, None, task, "ab12".to_owned(), RunId(7));
        let mut bytes = Vec::new();
        let mut writer = PlanWriter::begin(&mut bytes, &head).unwrap();
        writer.effect(&effect("P1")).unwrap();
        writer.effect(&effect("P2")).unwrap();
        writer.end().unwrap();
        (head, bytes)
    }

    fn read(bytes: &[u8]) -> Result<(PlanFile, Vec<Described>), PlanFileError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.jsonl");
        std::fs::write(&path, bytes).unwrap();
        let mut effects = Vec::new();
        let file = PlanFile::read(&path, |effect| effects.push(effect))?;
        Ok((file, effects))
    }

    #[test]
    fn a_plan_comes_back_as_it_was_written() {
        let (head, bytes) = written();
        let (file, effects) = read(&bytes).unwrap();
        assert_eq!(file.head, head);
        assert_eq!(file.head.expires.since(head.made), LIFE);
        assert_eq!(effects, [effect("P1"), effect("P2")]);
        assert!(file.holds(&effect("P2")) && !file.holds(&effect("P3")));
        assert_eq!(file.len(), 2);
    }

    #[test]
    fn a_plan_that_was_cut_or_changed_is_none() {
        let (_, bytes) = written();
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "cut to {length}");
        }
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert!(read(&changed).is_err(), "changed at {place}");
        }
        let twice = [bytes.as_slice(), b"{}\n"].concat();
        let error = read(&twice).unwrap_err().to_string();
        assert!(error.contains("line 4: something follows"), "{error}");
    }
}
