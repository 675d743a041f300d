//! Reads a parsed TOML tree and keeps what is wrong instead of stopping at it.
//!
//! A [`Section`] is one table. It remembers every key that was asked for, so the list of known keys
//! is the reading code itself; what nobody asked for is a fault with a suggestion.

use super::fault::{Fault, Faults};
use super::source::Source;
use super::suggest::{listing, nearest};
use super::value::quoted;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong with a value, before it is known where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    message: String,
    help: Option<String>,
}

impl Complaint {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The fault that this is at a place of another file.
    pub fn at(&self, source: &Source<'_>, span: Range<usize>, key: &str) -> Fault {
        source.fault(span, key, &self.message, self.help.as_deref())
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// A value with the place it was read from.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub value: T,
    pub key: String,
    pub span: Range<usize>,
}

/// A key nobody asked for.
struct Stray {
    path: String,
    name: String,
    span: Range<usize>,
    siblings: BTreeSet<&'static str>,
}

/// Collects faults and warnings of one file.
pub(super) struct Reader<'a> {
    source: &'a Source<'a>,
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<String>>,
    strays: RefCell<Vec<Stray>>,
    asked: RefCell<BTreeSet<String>>,
    /// Lines whose syntax is broken: what is read from them says nothing.
    broken: BTreeSet<usize>,
}

impl<'a> Reader<'a> {
    /// A reader that starts with the parser's own errors.
    pub fn new(source: &'a Source<'a>, syntax: &[toml::de::Error]) -> Self {
        let mut reader = Self {
            source,
            faults: RefCell::default(),
            warnings: RefCell::default(),
            strays: RefCell::default(),
            asked: RefCell::default(),
            broken: BTreeSet::new(),
        };
        for error in syntax {
            let end = source.text.len();
            let span = error.span().unwrap_or(end..end);
            // One slip makes the parser stumble several times; the first error of a line counts.
            if reader.broken.insert(source.position(span.start).0) {
                let message = format!("this is not TOML: {}", error.message());
                let fault = source.fault(span, "", &message, None);
                reader.faults.get_mut().push(fault);
            }
        }
        reader
    }

    pub fn text(&self) -> &'a str {
        self.source.text
    }

    pub fn fault(&self, span: Range<usize>, key: &str, message: &str, help: Option<&str>) {
        if !self.broken.contains(&self.source.position(span.start).0) {
            let fault = self.source.fault(span, key, message, help);
            self.faults.borrow_mut().push(fault);
        }
    }

    pub fn warn(&self, warning: String) {
        self.warnings.borrow_mut().push(warning);
    }

    /// The whole document as a section.
    pub fn root<'r>(&'r self, table: &'r DeTable<'r>) -> Section<'r> {
        Section {
            reader: self,
            path: String::new(),
            header: 0..0,
            table: Table::Here(table),
            asked: RefCell::default(),
        }
    }

    /// Faults and warnings, once everything has been read.
    pub fn finish(self) -> (Faults, Vec<String>) {
        for stray in self.strays.borrow().iter() {
            if self.is_below_broken_header(stray) {
                continue;
            }
            let message = format!("there is no key {} here", quoted(&stray.name));
            self.fault(
                stray.span.clone(),
                &stray.path,
                &message,
                Some(&self.guess(stray)),
            );
        }
        (
            Faults::new(self.faults.into_inner()),
            self.warnings.into_inner(),
        )
    }

    /// Keys below a broken header were counted to some other table.
    fn is_below_broken_header(&self, stray: &Stray) -> bool {
        if self.broken.is_empty() {
            return false;
        }
        let (line, _) = self.source.position(stray.span.start);
        let lines = self.source.text.lines().zip(1..).take(line);
        let headers = lines.filter(|(text, _)| text.trim_start().starts_with('['));
        let header = headers.last().map(|(_, number)| number);
        header.is_some_and(|number| self.broken.contains(&number))
    }

    /// What a stray key may have meant: a sibling, the same key of another table, or any sibling.
    fn guess(&self, stray: &Stray) -> String {
        if let Some(meant) = nearest(&stray.name, stray.siblings.iter().copied()) {
            return format!("did you mean `{meant}`?");
        }
        let asked = self.asked.borrow();
        let tables = asked.iter().filter_map(|path| path.rsplit_once('.'));
        let mut elsewhere = tables.filter(|(_, key)| *key == stray.name);
        if let Some((table, key)) = elsewhere.next() {
            return format!("`{key}` belongs to `{table}`");
        }
        format!("known here: {}", listing(stray.siblings.iter().copied()))
    }

    /// Every key path that was asked for, list numbers left out.
    #[cfg(test)]
    pub fn known(&self) -> BTreeSet<String> {
        self.asked.borrow().clone()
    }
}

/// What stands behind a table's name.
#[derive(Clone, Copy)]
enum Table<'r> {
    Here(&'r DeTable<'r>),
    Absent,
    /// Something else, which is a fault already.
    Wrong,
}

impl<'r> Table<'r> {
    fn here(self) -> Option<&'r DeTable<'r>> {
        match self {
            Self::Here(table) => Some(table),
            Self::Absent | Self::Wrong => None,
        }
    }
}

/// One table; one that is not there reads as an empty one.
pub(super) struct Section<'r> {
    reader: &'r Reader<'r>,
    path: String,
    header: Range<usize>,
    table: Table<'r>,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'r> Section<'r> {
    /// Reads a value; `None` when it is absent or wrong, which is then a fault.
    pub fn read<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, Complaint>,
    ) -> Option<T> {
        self.located(key, parse).map(|at| at.value)
    }

    /// As [`Section::read`], with the value's place.
    pub fn located<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, Complaint>,
    ) -> Option<At<T>> {
        let (path, span, value) = self.find(key)?;
        match parse(value) {
            Ok(value) => Some(At {
                value,
                key: path,
                span,
            }),
            Err(complaint) => {
                self.push(span, &path, &complaint);
                None
            }
        }
    }

    /// As [`Section::located`], but absence is a fault too, at the table's header.
    pub fn require<T>(
        &self,
        key: &'static str,
        example: &str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, Complaint>,
    ) -> Option<At<T>> {
        if !self.holds(key) {
            self.missing(key, example);
        }
        self.located(key, parse)
    }

    /// Reports that `key` is not there. Nothing is missed in a file whose syntax is broken: it may
    /// be there all the same.
    pub fn missing(&self, key: &'static str, example: &str) {
        self.note(key);
        if self.reader.broken.is_empty() && !matches!(self.table, Table::Wrong) {
            let path = self.join(key);
            let message = format!("`{path}` is missing");
            let mut help = format!("such as `{key} = {example}`");
            if !self.path.is_empty() && matches!(self.table, Table::Absent) {
                help.push_str(&format!(" below `[{}]`", self.path));
            }
            self.reader
                .fault(self.header.clone(), &path, &message, Some(&help));
        }
    }

    /// Reads every item of an array, each on its own; `None` when the array is absent or not one.
    pub fn each<T>(
        &self,
        key: &'static str,
        mut parse: impl FnMut(&DeValue<'_>) -> Result<T, Complaint>,
    ) -> Option<Vec<T>> {
        let (path, span, value) = self.find(key)?;
        let DeValue::Array(items) = value else {
            self.push(span, &path, &wrong_type("a list in [ ]", value));
            return None;
        };
        if items.is_empty() {
            let complaint = Complaint::new("this list is empty")
                .help("name at least one, or leave the key out");
            self.push(span, &path, &complaint);
        }
        let mut read = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match parse(item.get_ref()) {
                Ok(value) => read.push(value),
                Err(complaint) => self.push(item.span(), &format!("{path}[{index}]"), &complaint),
            }
        }
        Some(read)
    }

    /// Reads a table below this one; keys it does not ask for are faults.
    pub fn within<T>(&self, key: &'static str, read: impl FnOnce(&Section<'r>) -> T) -> T {
        match self.find(key) {
            Some((path, span, DeValue::Table(table))) => {
                let table = Table::Here(table);
                self.below(path, span, table, read)
            }
            Some((path, span, other)) => {
                let help =
                    format!("write `{key} = {{ … }}`; config.example.toml has what goes into it");
                let complaint = wrong_type("a table", other).help(help);
                self.push(span.clone(), &path, &complaint);
                self.below(path, span, Table::Wrong, read)
            }
            None => self.below(self.join(key), self.header.clone(), Table::Absent, read),
        }
    }

    /// Reads every table of `[[key]]`.
    pub fn tables<T>(&self, key: &'static str, mut read: impl FnMut(&Section<'r>) -> T) -> Vec<T> {
        let Some((path, span, value)) = self.find(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value else {
            let complaint = wrong_type("tables", value).help(format!("write `[[{key}]]`"));
            self.push(span, &path, &complaint);
            return Vec::new();
        };
        let mut all = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            match item.get_ref() {
                DeValue::Table(table) => {
                    all.push(self.below(path, item.span(), Table::Here(table), &mut read))
                }
                other => self.push(item.span(), &path, &wrong_type("a table", other)),
            }
        }
        all
    }

    fn below<T>(
        &self,
        path: String,
        header: Range<usize>,
        table: Table<'r>,
        read: impl FnOnce(&Section<'r>) -> T,
    ) -> T {
        let section = Section {
            reader: self.reader,
            path,
            header,
            table,
            asked: RefCell::default(),
        };
        let result = read(&section);
        section.sweep();
        result
    }

    /// Notes every key of the table that was not asked for.
    pub fn sweep(&self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table.here().into_iter().flatten() {
            let name = key.get_ref();
            if !asked.contains(name.as_ref()) {
                self.reader.strays.borrow_mut().push(Stray {
                    path: self.join(name),
                    name: name.to_string(),
                    span: key.span(),
                    siblings: asked.clone(),
                });
            }
        }
    }

    /// Whether the file has this key.
    pub fn holds(&self, key: &'static str) -> bool {
        self.note(key);
        self.table
            .here()
            .is_some_and(|table| table.contains_key(key))
    }

    /// Whether the key holds plain text.
    pub fn is_text(&self, key: &'static str) -> bool {
        matches!(self.find(key), Some((_, _, DeValue::String(_))))
    }

    /// Whether the file has this table.
    pub fn is_here(&self) -> bool {
        self.table.here().is_some()
    }

    /// Whether the table itself is there and has no key at all.
    pub fn is_empty(&self) -> bool {
        self.table.here().is_some_and(DeTable::is_empty)
    }

    /// A fault at a key, or at the header when the file does not have the key.
    pub fn complain(&self, key: &'static str, complaint: &Complaint) {
        match self.find(key) {
            Some((path, span, _)) => self.push(span, &path, complaint),
            None => self.complain_here(complaint),
        }
    }

    /// A fault of the table as a whole.
    pub fn complain_here(&self, complaint: &Complaint) {
        self.push(self.header.clone(), &self.path, complaint);
    }

    pub fn warn(&self, key: &'static str, warning: &str) {
        self.reader.warn(format!("{}: {warning}", self.join(key)));
    }

    /// A key's path from the root.
    fn join(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn note(&self, key: &'static str) {
        self.asked.borrow_mut().insert(key);
        let path = self.join(key);
        let plain = path
            .split('[')
            .map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
        let plain: String = plain
            .map(|part| part.strip_prefix(']').unwrap_or(part))
            .collect();
        self.reader.asked.borrow_mut().insert(plain);
    }

    /// A key's path, place and value, as they stand in the file.
    pub fn find(&self, key: &'static str) -> Option<(String, Range<usize>, &'r DeValue<'r>)> {
        self.note(key);
        let (name, value): (&Spanned<_>, &Spanned<_>) = self.table.here()?.get_key_value(key)?;
        // A value the parser made up in a broken line has no span of its own.
        let span = if value.span().is_empty() {
            name.span()
        } else {
            value.span()
        };
        Some((self.join(key), span, value.get_ref()))
    }

    /// A fault of another file that this one names.
    pub fn adopt(&self, fault: Fault) {
        self.reader.faults.borrow_mut().push(fault);
    }

    /// A fault at a place inside of a value.
    pub fn push(&self, span: Range<usize>, path: &str, complaint: &Complaint) {
        let help = complaint.help.as_deref();
        self.reader.fault(span, path, &complaint.message, help);
    }
}

/// The complaint about a value of another type than wanted.
pub(super) fn wrong_type(wanted: &str, found: &DeValue<'_>) -> Complaint {
    let found = match found {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Complaint::new(format!("{wanted} is wanted here, not {found}"))
}
