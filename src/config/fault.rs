//! What is wrong with a config, where, and what to write instead.

use std::fmt;
use std::path::PathBuf;

/// One mistake in one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file as it was named on the command line or found in its directory.
    pub file: PathBuf,
    /// Line, from 1; 0 when the fault concerns the file as a whole.
    pub line: usize,
    /// Column in characters, from 1; 0 when the fault concerns the file as a whole.
    pub column: usize,
    /// The key's whole path, such as `guards.max_suppressions.count`; empty when there is none.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    pub(super) excerpt: Option<Excerpt>,
}

/// The source line a fault points at, secrets masked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Excerpt {
    /// The line, or the part of a long one around the fault.
    pub text: String,
    /// Characters before the first caret.
    pub indent: usize,
    /// Number of carets, at least one.
    pub width: usize,
}

impl Fault {
    /// A fault of a file as a whole.
    pub(super) fn of_file(file: PathBuf, message: String, help: Option<String>) -> Self {
        Self {
            file,
            line: 0,
            column: 0,
            key: String::new(),
            message,
            help,
            excerpt: None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        write!(f, "  {}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, "  {}", self.key)?;
        }
        writeln!(f)?;
        if let Some(excerpt) = &self.excerpt {
            let number = self.line.to_string();
            writeln!(f, "{number} | {}", excerpt.text)?;
            // Tabs are repeated so that the carets stand below what they point at.
            let before = excerpt.text.chars().take(excerpt.indent);
            let before: String = before.map(|c| if c == '\t' { c } else { ' ' }).collect();
            let carets = "^".repeat(excerpt.width);
            writeln!(f, "{:1$} | {before}{carets}", "", number.len())?;
        }
        match &self.help {
            Some(help) => writeln!(f, "help: {help}"),
            None => Ok(()),
        }
    }
}

/// Every fault of every file, sorted by file and position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort();
        faults.dedup();
        Self(faults)
    }

    /// The faults in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_vec(self) -> Vec<Fault> {
        self.0
    }
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.0 {
            writeln!(f, "{fault}")?;
        }
        let plural = if self.0.len() == 1 { "" } else { "s" };
        write!(f, "{} error{plural} in the config", self.0.len())
    }
}
