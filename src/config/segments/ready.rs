//! Ready-made segments and their parameters.

use crate::config::reader::{Complaint, Section};
use crate::config::suggest::listing;
use crate::config::value::{choice, decimal, text, whole};
use crate::segment::Definition;
use crate::segment::catalogue::{Entry, Kind, Parameter, Setting, Settings, catalogue};
use toml::de::DeValue;

/// Reads `ready` and `params`.
pub(super) fn read(section: &Section<'_>) -> Option<(&'static str, Definition)> {
    let entries: Vec<&'static Entry> = catalogue().collect();
    let named = choice("ready-made segment", &entries, |entry: &Entry| entry.name);
    let entry = section.read("ready", named);
    let holds_params = section.holds("params");
    let entry = entry?;
    let required = entry.parameters.iter();
    let required: Vec<&Parameter> = required.filter(|parameter| parameter.required).collect();
    if !holds_params && !required.is_empty() {
        let names = listing(required.iter().map(|parameter| parameter.name));
        let message = format!("`{}` needs to be told {names}", entry.name);
        let examples = required.iter().map(|parameter| example(parameter));
        let examples: Vec<String> = examples.collect();
        let help = format!("such as `params = {{ {} }}`", examples.join(", "));
        section.complain("ready", &Complaint::new(message).help(help));
        return None;
    }
    let settings = match holds_params {
        true => section.within("params", |params| told(entry, params))?,
        false => entry.defaults(),
    };
    Some((entry.name, entry.expand(&settings)))
}

fn example(parameter: &Parameter) -> String {
    format!("{} = {}", parameter.name, parameter.kind.default_setting())
}

/// The settings, unless something is wrong with them.
fn told(entry: &Entry, params: &Section<'_>) -> Option<Settings> {
    let mut settings = entry.defaults();
    let mut complete = true;
    for parameter in entry.parameters {
        if !params.holds(parameter.name) {
            if parameter.required {
                let default = parameter.kind.default_setting();
                params.missing(parameter.name, &default.to_string());
                complete = false;
            }
            continue;
        }
        let taken = setting(params, parameter).map(|given| settings.set(parameter.name, given));
        if let Some(Err(refusal)) = &taken {
            params.complain(parameter.name, &Complaint::new(refusal.to_string()));
        }
        complete &= matches!(taken, Some(Ok(())));
    }
    if !complete {
        return None;
    }
    if let Some(conflict) = entry.conflict(&settings) {
        params.complain(conflict.parameter, &Complaint::new(conflict.message));
        return None;
    }
    Some(settings)
}

fn setting(params: &Section<'_>, parameter: &Parameter) -> Option<Setting> {
    let name = parameter.name;
    match parameter.kind {
        Kind::Whole { least, most, .. } => {
            params.read(name, whole(least..=most)).map(Setting::Whole)
        }
        Kind::Number { .. } => params.read(name, decimal).map(Setting::Number),
        Kind::Text { .. } | Kind::YearDay { .. } => params.read(name, text).map(Setting::Text),
        Kind::Choice { of, .. } => params.read(name, one_of(name, of)).map(Setting::Text),
        Kind::Texts { .. } => params.each(name, text).map(Setting::Texts),
        Kind::Choices { of, .. } => {
            let noun = name.trim_end_matches('s');
            params.each(name, one_of(noun, of)).map(Setting::Texts)
        }
    }
    .filter(|setting| !matches!(setting, Setting::Texts(texts) if texts.is_empty()))
}

fn one_of(
    noun: &'static str,
    words: &'static [&'static str],
) -> impl Fn(&DeValue<'_>) -> Result<String, Complaint> {
    let chosen = choice(noun, words, |word| word);
    move |value| chosen(value).map(str::to_owned)
}
