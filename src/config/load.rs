//! Finds the config files, reads them all, and compares the shops with each other.

use super::account;
use super::environment::Environment;
use super::fault::{Fault, Faults};
use super::reader::At;
use super::shop::{Identity, Shop, parse_all};
use super::source::Source;
use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Bytes; a config is written by hand.
const LONGEST: u64 = 1 << 20;

/// Reads every shop from files and directories (every `*.toml` in them, sorted by name, without
/// dotfiles).
///
/// # Errors
/// Every fault of every file at once. Two shops with the same name, state directory or address for
/// webhooks are faults too, and so are two of one Klaviyo account that would undo each other's work.
pub fn load(paths: &[PathBuf], environment: &Environment) -> Result<Vec<Shop>, Faults> {
    let mut faults = Vec::new();
    let files = find(paths, &mut faults);
    let mut shops = Vec::new();
    let mut taken = Taken::default();
    for file in &files {
        match read(file) {
            Ok(text) => {
                let source = Source::new(file, &text);
                let parsed = parse_all(&source, environment);
                faults.extend(parsed.faults.into_vec());
                faults.extend(taken.compare(&source, parsed.identity));
                shops.extend(parsed.shop);
            }
            Err(fault) => faults.push(*fault),
        }
    }
    if faults.is_empty() {
        faults = account::check(&shops);
    }
    if faults.is_empty() {
        Ok(shops)
    } else {
        Err(Faults::new(faults))
    }
}

/// The files behind the paths, each once.
fn find(paths: &[PathBuf], faults: &mut Vec<Fault>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    if paths.is_empty() {
        let help = Some("name a file, or a directory of them".to_owned());
        faults.push(Fault::of_file(
            PathBuf::new(),
            "no config was named".into(),
            help,
        ));
    }
    for path in paths {
        let found = if path.is_dir() {
            within(path, faults)
        } else {
            vec![path.clone()]
        };
        for file in found {
            let real = file.canonicalize().unwrap_or_else(|_| file.clone());
            if seen.insert(real) {
                files.push(file);
            }
        }
    }
    files
}

fn within(folder: &Path, faults: &mut Vec<Fault>) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            faults.push(unreadable(folder, &error));
            return Vec::new();
        }
    };
    let hidden = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with('.'))
    };
    let is_config = |path: &PathBuf| {
        !hidden(path) && path.extension().is_some_and(|ending| ending == "toml") && !path.is_dir()
    };
    let paths = entries.into_iter().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths.filter(is_config).collect();
    files.sort();
    if files.is_empty() {
        let message = "this directory holds no `.toml` file".to_owned();
        let help = Some("one file per shop, such as `acme.toml`".to_owned());
        faults.push(Fault::of_file(folder.to_owned(), message, help));
    }
    files
}

fn unreadable(path: &Path, error: &std::io::Error) -> Fault {
    let message = format!("this cannot be read: {error}");
    Fault::of_file(path.to_owned(), message, None)
}

/// A config's text, if nobody else may have written it.
pub(super) fn read(path: &Path) -> Result<String, Box<Fault>> {
    let of_file = |message: String, help| Box::new(Fault::of_file(path.to_owned(), message, help));
    let broken = |error: std::io::Error| Box::new(unreadable(path, &error));
    // Before it is opened: a named pipe would wait for a writer.
    if !path.metadata().map_err(broken)?.is_file() {
        return Err(of_file("this is not a regular file".into(), None));
    }
    let file = File::open(path).map_err(broken)?;
    let facts = file.metadata().map_err(broken)?;
    if facts.mode() & 0o022 != 0 {
        let mode = facts.mode() & 0o7777;
        let message = format!("others may write to this file (mode {mode:04o})");
        let help = format!("chmod go-w {}", path.display());
        return Err(of_file(message, Some(help)));
    }
    let mut bytes = Vec::new();
    let read = file.take(LONGEST + 1).read_to_end(&mut bytes);
    read.map_err(broken)?;
    if bytes.len() as u64 > LONGEST {
        return Err(of_file(
            "this file is too long for a config (1 MiB)".into(),
            None,
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let valid = error.as_bytes().get(..at).map(String::from_utf8_lossy);
        let valid = valid.unwrap_or_default();
        let message = "from here on this is not UTF-8";
        let help = "save the file as UTF-8";
        Box::new(Source::new(path, &valid).fault(at..at, "", message, Some(help)))
    })
}

/// What earlier shops have taken, with the file that did.
#[derive(Default)]
struct Taken {
    names: BTreeMap<String, PathBuf>,
    state_dirs: BTreeMap<PathBuf, PathBuf>,
    listeners: BTreeMap<String, PathBuf>,
}

impl Taken {
    fn compare(&mut self, source: &Source<'_>, identity: Identity) -> Vec<Fault> {
        let Identity {
            name,
            state_dir,
            listen,
        } = identity;
        let place = state_dir.map(|at| At {
            value: real(&at.value),
            key: at.key,
            span: at.span,
        });
        let by_name = name.as_ref().zip(place.as_ref());
        let by_name = by_name.is_some_and(|(name, place)| name.span == place.span);
        let help = "every shop needs a name of its own";
        let name = take(&mut self.names, source, name, "name", help);
        let help = "two shops in one directory would destroy each other's mirror";
        let place = take(&mut self.state_dirs, source, place, "state directory", help);
        let help = "every shop hears its webhooks at an address of its own";
        let listen = take(&mut self.listeners, source, listen, "address", help);
        // A directory that only follows from the name is the same mistake.
        let place = place.filter(|_| !(by_name && name.is_some()));
        [name, place, listen].into_iter().flatten().collect()
    }
}

fn take<T: Ord>(
    taken: &mut BTreeMap<T, PathBuf>,
    source: &Source<'_>,
    at: Option<At<T>>,
    what: &str,
    help: &str,
) -> Option<Fault> {
    let at = at?;
    match taken.entry(at.value) {
        Entry::Vacant(free) => {
            free.insert(source.file.to_owned());
            None
        }
        Entry::Occupied(first) => {
            let message = format!("{} already has this {what}", first.get().display());
            Some(source.fault(at.span, &at.key, &message, Some(help)))
        }
    }
}

/// One spelling for one directory, whether it exists yet or not: links and `..` are resolved as far
/// as there is something to resolve.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut real = PathBuf::new();
    for component in absolute.components() {
        if component == Component::ParentDir {
            real.pop();
        } else {
            real.push(component);
            real = real.canonicalize().unwrap_or(real);
        }
    }
    real
}
