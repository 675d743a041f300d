//! A copy of everything a shop holds, while its daemon runs or without it.

use super::args::Backup;
use super::{Exit, output, shops};
use crate::backup::{self, BackupError, Draft, Header, Source};
use crate::clock::Clock;
use crate::config;
use crate::daemon;
use crate::journal::Journal;
use crate::mirror::Mirror;
use crate::telemetry::Pseudonyms;
use std::fs::File;
use std::io;
use std::path::Path;

/// Writes one shop's backup, from its daemon if that runs.
pub(super) fn run(args: &Backup) -> Exit {
    let shop = match shops::load_offline(&args.shops.config).and_then(shops::only) {
        Ok(shop) => shop,
        Err(exit) => return exit,
    };
    match back_up(&shop, &args.out) {
        Ok(header) => {
            let (name, place) = (&shop.name, args.out.display());
            output::say(&format!("{name}: backed up to {place}: {}", told(&header)));
            Exit::Done
        }
        Err((exit, text)) => output::fault(exit, &format!("{}: {text}", shop.name)),
    }
}

/// What is in a backup, in one line.
pub(super) fn told(header: &Header) -> String {
    let Header {
        made,
        profiles,
        customers,
        orders,
        events,
        journal_files,
        ..
    } = header;
    format!(
        "made {made}, {profiles} profiles, {customers} customers, {orders} orders, {events} events, \
         journal files {journal_files}"
    )
}

fn back_up(shop: &config::Shop, out: &Path) -> Result<Header, (Exit, String)> {
    let mut draft = Draft::create(out).map_err(shops::fault_of_backup)?;
    let asked = daemon::ask_for_backup(&shop.state_dir);
    match asked.map_err(|refusal| (Exit::from_code(refusal.exit), refusal.message))? {
        Some(mut bytes) => {
            let copied = io::copy(&mut bytes, draft.file());
            copied.map_err(|error| {
                (
                    Exit::Disk,
                    format!("the copy broke off: {error}; ask again"),
                )
            })?;
        }
        None => write(shop, draft.file(), out).map_err(shops::fault_of_backup)?,
    }
    let whole = draft.finish().map_err(shops::fault_of_backup)?;
    Ok(whole.header)
}

/// Without a daemon: whoever holds mirror and journal is the only one who could write to them.
fn write(shop: &config::Shop, file: &mut File, out: &Path) -> Result<(), BackupError> {
    let (dir, now) = (&shop.state_dir, Clock::System.now());
    backup::settle(dir)?;
    let files = dir.join("journal");
    for path in [dir.join("mirror"), files.clone()] {
        if !path.exists() {
            return Err(BackupError::Absent { path });
        }
    }
    let vault = shop.vault()?;
    let (mirror, _) = Mirror::open(dir, &vault, now)?;
    let (journal, _) = Journal::open(&files, &vault)?;
    let source = Source {
        shop: &shop.name,
        key_file: &Pseudonyms::key_file(dir),
        mirror: &mirror,
        journal: &journal,
    };
    backup::write(&source, now, file, out)
}
