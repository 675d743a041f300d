//! The process environment as a value, so that tests bring their own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Where environment variables come from. Its `Debug` shows no value.
#[derive(Clone)]
pub struct Environment {
    /// `None` is the process's own.
    variables: Option<BTreeMap<String, String>>,
    /// Whether secrets are left where they are.
    offline: bool,
}

impl Environment {
    /// The real one.
    pub fn process() -> Self {
        Self {
            variables: None,
            offline: false,
        }
    }

    /// The same for commands that talk to no vendor: no secret is read, so whoever asks needs none.
    /// What stands in their place opens nothing.
    pub fn offline(self) -> Self {
        Self {
            offline: true,
            ..self
        }
    }

    pub(super) fn is_offline(&self) -> bool {
        self.offline
    }

    /// One with these variables and no other.
    pub fn fixed<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            variables: Some(variables.into_iter().map(owned).collect()),
            offline: false,
        }
    }

    /// A variable's value; `None` when it is unset, empty or not UTF-8.
    pub fn variable(&self, name: &str) -> Option<String> {
        let value = match &self.variables {
            None => std::env::var(name).ok(),
            Some(variables) => variables.get(name).cloned(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// Where systemd put the unit's credentials (`LoadCredential=`).
    pub(super) fn credentials(&self) -> Option<PathBuf> {
        self.variable("CREDENTIALS_DIRECTORY").map(PathBuf::from)
    }

    /// The unit's first `StateDirectory=`; several are separated by colons.
    pub(super) fn state(&self) -> Option<PathBuf> {
        let all = self.variable("STATE_DIRECTORY")?;
        all.split(':').next().map(PathBuf::from)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.variables {
            None => f.write_str("Environment(process)"),
            Some(variables) => f.debug_set().entries(variables.keys()).finish(),
        }
    }
}
