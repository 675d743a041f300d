//! What a ready-made segment can be told, and what it was told.

use serde_json::Number;
use std::collections::BTreeMap;
use std::fmt;

/// Something a ready-made segment can be told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Its key in the config.
    pub name: &'static str,
    /// What is counted: `days`, `orders`, `shop's currency`.
    pub unit: &'static str,
    /// What it decides, in a few words.
    pub meaning: &'static str,
    /// What may be given.
    pub kind: Kind,
    /// Whether it must be given: then the default only serves as an example.
    pub required: bool,
}

/// What a parameter takes, with its default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A whole number.
    Whole {
        /// When nothing is said.
        default: i64,
        /// The smallest that is taken.
        least: i64,
        /// The largest that is taken.
        most: i64,
    },
    /// Any number.
    Number {
        /// When nothing is said.
        default: f64,
        /// The smallest that is taken.
        least: f64,
        /// The largest that is taken.
        most: f64,
    },
    /// A text that is not empty.
    Text {
        /// When nothing is said.
        default: &'static str,
    },
    /// A day of the year, `MM-DD`.
    YearDay {
        /// When nothing is said.
        default: &'static str,
    },
    /// Texts, none of them empty; no text asks nothing where the default is none.
    Texts {
        /// When nothing is said.
        default: &'static [&'static str],
    },
    /// One of these words.
    Choice {
        /// When nothing is said.
        default: &'static str,
        /// Every word.
        of: &'static [&'static str],
    },
    /// Some of these words, each once.
    Choices {
        /// When nothing is said.
        default: &'static [&'static str],
        /// Every word.
        of: &'static [&'static str],
    },
}

/// A parameter's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// A whole number.
    Whole(i64),
    /// Any number.
    Number(f64),
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
}

/// Why a setting is not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The segment has no such parameter.
    #[error("there is no parameter `{0}`")]
    Stranger(String),
    /// A value of another type.
    #[error("{0} is wanted here")]
    Type(&'static str),
    /// A number outside the range.
    #[error("{given} is not between {range}")]
    Range {
        /// What was given.
        given: String,
        /// The ends, in words.
        range: String,
    },
    /// A word that is none of the choices.
    #[error("there is no choice `{0}`")]
    Choice(String),
    /// A text that says nothing.
    #[error("this must not be empty")]
    Empty,
    /// A word that is given twice.
    #[error("`{0}` is named twice")]
    Twice(String),
    /// Not a day of the year.
    #[error("`{0}` is not a day of the year such as `11-20`")]
    YearDay(String),
}

impl Kind {
    /// The value when nothing is said.
    pub fn default_setting(&self) -> Setting {
        let texts = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match *self {
            Self::Whole { default, .. } => Setting::Whole(default),
            Self::Number { default, .. } => Setting::Number(default),
            Self::Text { default } | Self::YearDay { default } | Self::Choice { default, .. } => {
                Setting::Text(default.to_owned())
            }
            Self::Texts { default } | Self::Choices { default, .. } => {
                Setting::Texts(texts(default))
            }
        }
    }

    /// What is taken, in words; `None` when any value of the type is.
    pub fn range(&self) -> Option<String> {
        match self {
            Self::Whole { least, most, .. } => Some(format!("{least} and {most}")),
            Self::Number { least, most, .. } => Some(format!("{least} and {most}")),
            Self::Choice { .. } | Self::Choices { .. } => None,
            Self::Text { .. } | Self::YearDay { .. } | Self::Texts { .. } => None,
        }
    }

    /// Every word that is taken; empty when more than words are.
    pub fn words(&self) -> &'static [&'static str] {
        match self {
            Self::Choice { of, .. } | Self::Choices { of, .. } => of,
            Self::Whole { .. } | Self::Number { .. } => &[],
            Self::Text { .. } | Self::YearDay { .. } | Self::Texts { .. } => &[],
        }
    }

    /// The setting as the parameter keeps it, if it takes it.
    fn take(&self, given: Setting) -> Result<Setting, Refusal> {
        match (self, given) {
            (Self::Whole { least, most, .. }, Setting::Whole(number)) => {
                let within = (least..=most).contains(&&number);
                self.within(within, number).map(|()| Setting::Whole(number))
            }
            (Self::Whole { .. }, _) => Err(Refusal::Type("a whole number")),
            (Self::Number { .. }, Setting::Whole(number)) => {
                self.take(Setting::Number(number as f64))
            }
            (Self::Number { least, most, .. }, Setting::Number(number)) => {
                let within = (least..=most).contains(&&number);
                self.within(within, number)
                    .map(|()| Setting::Number(number))
            }
            (Self::Number { .. }, _) => Err(Refusal::Type("a number")),
            (Self::Texts { .. } | Self::Choices { .. }, Setting::Texts(texts)) => {
                if texts.is_empty() {
                    return Err(Refusal::Empty);
                }
                for (index, text) in texts.iter().enumerate() {
                    self.word(text)?;
                    if texts.iter().take(index).any(|earlier| earlier == text) {
                        return Err(Refusal::Twice(text.clone()));
                    }
                }
                Ok(Setting::Texts(texts))
            }
            (Self::Texts { .. } | Self::Choices { .. }, _) => Err(Refusal::Type("a list of texts")),
            (_, Setting::Text(text)) => self.word(&text).map(|()| Setting::Text(text)),
            (_, _) => Err(Refusal::Type("a text")),
        }
    }

    fn within(&self, is: bool, given: impl fmt::Display) -> Result<(), Refusal> {
        let (given, range) = (given.to_string(), self.range().unwrap_or_default());
        is.then_some(()).ok_or(Refusal::Range { given, range })
    }

    fn word(&self, text: &str) -> Result<(), Refusal> {
        let words = self.words();
        match self {
            _ if text.trim().is_empty() => Err(Refusal::Empty),
            Self::YearDay { .. } if !is_year_day(text) => Err(Refusal::YearDay(text.to_owned())),
            _ if !words.is_empty() && !words.contains(&text) => {
                Err(Refusal::Choice(text.to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// A number as JSON spells it: to a thousandth, and whole where it is whole. Every range of the
/// catalogue ends long before floats stop to be exact.
pub(super) fn exact(number: f64) -> Number {
    let thousandths = (number * 1000.0).round();
    let whole = thousandths as i64;
    match whole % 1000 {
        0 => Number::from(whole / 1000),
        _ => Number::from_f64(thousandths / 1000.0).unwrap_or_else(|| Number::from(whole / 1000)),
    }
}

/// Whether a text is `MM-DD` and a day of some year; 29 February is one.
pub fn is_year_day(text: &str) -> bool {
    let date = format!("2000-{text}").parse::<jiff::civil::Date>();
    text.len() == 5 && date.is_ok()
}

impl fmt::Display for Setting {
    /// As TOML spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => number.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Texts(texts) => write!(f, "{texts:?}"),
        }
    }
}

/// What a ready-made segment was told: one setting for each of its parameters. Made by
/// [`super::Entry::defaults`], so that every parameter has one of its own kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    parameters: &'static [Parameter],
    given: BTreeMap<&'static str, Setting>,
}

impl Settings {
    pub(super) fn of(parameters: &'static [Parameter]) -> Self {
        let settings = parameters.iter();
        let settings = settings.map(|parameter| (parameter.name, parameter.kind.default_setting()));
        Self {
            parameters,
            given: settings.collect(),
        }
    }

    /// Tells one parameter.
    ///
    /// # Errors
    /// There is no such parameter, or it does not take this.
    pub fn set(&mut self, name: &str, setting: Setting) -> Result<(), Refusal> {
        let mut parameters = self.parameters.iter();
        let parameter = parameters.find(|parameter| parameter.name == name);
        let parameter = parameter.ok_or_else(|| Refusal::Stranger(name.to_owned()))?;
        self.given
            .insert(parameter.name, parameter.kind.take(setting)?);
        Ok(())
    }

    pub(super) fn whole(&self, name: &str) -> i64 {
        match self.given.get(name) {
            Some(Setting::Whole(number)) => *number,
            other => unreachable!("the parameter `{name}` is no whole number but {other:?}"),
        }
    }

    pub(super) fn decimal(&self, name: &str) -> f64 {
        match self.given.get(name) {
            Some(Setting::Number(number)) => *number,
            other => unreachable!("the parameter `{name}` is no number but {other:?}"),
        }
    }

    pub(super) fn number(&self, name: &str) -> Number {
        exact(self.decimal(name))
    }

    pub(super) fn text(&self, name: &str) -> &str {
        match self.given.get(name) {
            Some(Setting::Text(text)) => text,
            other => unreachable!("the parameter `{name}` is no text but {other:?}"),
        }
    }

    pub(super) fn texts(&self, name: &str) -> &[String] {
        match self.given.get(name) {
            Some(Setting::Texts(texts)) => texts,
            other => unreachable!("the parameter `{name}` is no list of texts but {other:?}"),
        }
    }
}
