//! `[[holiday]]`: the days of the year on which the shop sells more.

use super::reader::{Complaint, Section};
use super::value::text;
use crate::policy::Holiday;
use toml::de::DeValue;

pub(super) fn read(root: &Section<'_>) -> Vec<Holiday> {
    root.tables("holiday", |section| {
        let name = section.require("name", "\"Black Friday\"", text);
        let from = section.require("from", "\"11-20\"", day);
        let to = section.require("to", "\"12-02\"", day);
        Some(Holiday {
            name: name?.value,
            from: from?.value,
            to: to?.value,
        })
    })
    .into_iter()
    .flatten()
    .collect()
}

fn day(value: &DeValue<'_>) -> Result<(i8, i8), Complaint> {
    let text = text(value)?;
    let wrong =
        || Complaint::new("this is no day of the year").help("write month and day: \"11-20\"");
    Holiday::parse(&text).ok_or_else(wrong)
}
