//! Places inside a definition, whatever it is written in.

use std::fmt;

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

/// The steps from the definition down to a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place(pub Vec<Step>);

impl Place {
    pub fn join(&self, step: impl Into<Step>) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.into());
        Self(steps)
    }

    /// The path of this place below `path`, which may be empty.
    pub fn below(&self, path: &str) -> String {
        let dot = match self.0.first() {
            Some(Step::Key(_)) if !path.is_empty() => ".",
            _ => "",
        };
        format!("{path}{dot}{self}")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if depth == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
