//! From `--config` to opened shops, with the exit that fits when it fails.

use super::{Exit, output};
use crate::api::{ApiError, Budgets, Fault};
use crate::backup::BackupError;
use crate::clock::Clock;
use crate::config::{self, Environment};
use crate::daemon::{KeyLock, lock_dir};
use crate::journal::JournalError;
use crate::mirror::MirrorError;
use crate::model::Moment;
use crate::pass::{self, OpenError, OpenNotes, PassError, Shop};
use crate::pull::PullError;
use crate::push::PushError;
use crate::telemetry::Meter;
use crate::vault::VaultError;
use std::io;
use std::path::{Path, PathBuf};

/// Reads all configs; prints every fault at once.
pub(super) fn load(paths: &[PathBuf]) -> Result<Vec<config::Shop>, Exit> {
    read(paths, &Environment::process())
}

/// Reads all configs for a command that talks to no vendor; no secret is read.
pub(super) fn load_offline(paths: &[PathBuf]) -> Result<Vec<config::Shop>, Exit> {
    read(paths, &Environment::process().offline())
}

/// The only shop of those that were read, for a command about one.
pub(super) fn only(shops: Vec<config::Shop>) -> Result<config::Shop, Exit> {
    let [shop] = <[config::Shop; 1]>::try_from(shops).map_err(|shops| {
        let text = format!(
            "this is for one shop at a time, --config names {}",
            shops.len()
        );
        output::fault(Exit::Usage, &text)
    })?;
    Ok(shop)
}

fn read(paths: &[PathBuf], environment: &Environment) -> Result<Vec<config::Shop>, Exit> {
    if paths.is_empty() {
        let text = "give --config FILE (or a directory of files); `driftless demo` needs none";
        return Err(output::fault(Exit::Usage, text));
    }
    match config::load(paths, environment) {
        Ok(shops) => {
            for shop in &shops {
                shop.warnings
                    .iter()
                    .for_each(|text| output::note(&format!("warning: {text}")));
            }
            Ok(shops)
        }
        Err(faults) => Err(output::fault(Exit::Config, &faults.to_string())),
    }
}

/// A shop with the lock on its Klaviyo key.
#[derive(Debug)]
pub(super) struct Held {
    pub shop: Shop,
    _key: KeyLock,
}

/// Takes the lock on the key, then opens mirror and journal.
pub(super) fn open(
    config: config::Shop,
    budgets: &Budgets,
    clock: &Clock,
    meter: Meter,
) -> Result<Held, (Exit, String)> {
    let fingerprint = config.key_fingerprint();
    let key = KeyLock::acquire(&lock_dir(), &fingerprint, clock.now()).map_err(|error| {
        (
            Exit::from_code(error.exit()),
            format!("{}: {error}", config.name),
        )
    })?;
    let shop = open_unlocked(config, budgets, clock, meter)?;
    Ok(Held { shop, _key: key })
}

/// Opens mirror and journal for a caller who sees to the key's lock, and logs what had to be mended.
pub(super) fn open_unlocked(
    config: config::Shop,
    budgets: &Budgets,
    clock: &Clock,
    meter: Meter,
) -> Result<Shop, (Exit, String)> {
    let name = config.name.clone();
    noted(&name, Shop::open(config, budgets, clock.clone(), meter))
}

/// Opens mirror and journal for a command beside the passes.
pub(super) fn look(config: config::Shop) -> Result<Shop, (Exit, String)> {
    let name = config.name.clone();
    noted(&name, Shop::look(config, Clock::System, Meter::default()))
}

fn noted(name: &str, opened: Result<(Shop, OpenNotes), OpenError>) -> Result<Shop, (Exit, String)> {
    let (shop, notes) =
        opened.map_err(|error| (exit_of_open(&error), format!("{name}: {error}")))?;
    if let Some(repaired) = notes.repaired {
        tracing::warn!(shop = name, quarantine = %repaired.quarantine.display(), "mirror repaired");
    }
    if let Some(rebuilt) = notes.rebuilt {
        let place = rebuilt.set_aside.as_deref().map(Path::display);
        tracing::error!(
            shop = name,
            quarantine = place.map(tracing::field::display),
            "mirror damaged beyond repair: a new one is filled, and nothing written before everybody was read twice"
        );
        if let Err(error) = rebuilt.carried {
            tracing::error!(
                shop = name,
                %error,
                "which list is which is not known any more: look at the next plan, then release the rules"
            );
        }
    }
    if notes.journal_cut > 0 {
        tracing::warn!(
            shop = name,
            bytes = notes.journal_cut,
            "torn end of the journal cut"
        );
    }
    if notes.open_intents > 0 {
        tracing::info!(
            shop = name,
            intents = notes.open_intents,
            "an earlier run left intents open"
        );
    }
    Ok(shop)
}

/// The exit of a shop that could not be opened.
pub(super) fn exit_of_open(error: &OpenError) -> Exit {
    match error {
        OpenError::StateDir { .. } | OpenError::Pseudonyms(_) => Exit::Refused,
        OpenError::Mirror(error) => exit_of_mirror(error),
        OpenError::Vault(error) => exit_of_vault(error),
        OpenError::Journal(error) => exit_of_journal(error),
        OpenError::Backup(error) => exit_of_backup(error),
        OpenError::Inbox(_) => Exit::Disk,
        OpenError::Forgetting(error) => exit_of(error),
        OpenError::Api(error) => exit_of_api(error),
    }
}

/// The exit of a pass that ended early.
pub(super) fn exit_of(error: &PassError) -> Exit {
    match error {
        PassError::Pull(error) => match error {
            PullError::Api(error) => exit_of_api(error),
            PullError::Mirror(error) => exit_of_mirror(error),
            PullError::WrongAccount { .. } => Exit::Config,
            PullError::MissingScopes(_) => Exit::Refused,
            PullError::Stopped => Exit::Done,
        },
        PassError::Push(error) => exit_of_push(error),
        PassError::Mirror(error) => exit_of_mirror(error),
        PassError::NoSuchRun { .. } | PassError::TooOld { .. } => Exit::Usage,
        PassError::NothingHolds | PassError::Erased { .. } => Exit::Config,
        PassError::Stale(_) => Exit::Guard,
        PassError::File { .. } | PassError::DiskLow { .. } => Exit::Disk,
    }
}

/// The exit of a push that ended early.
pub(super) fn exit_of_push(error: &PushError) -> Exit {
    match error {
        PushError::Api(error) => exit_of_api(error),
        PushError::Mirror(error) => exit_of_mirror(error),
        PushError::Journal(error) => exit_of_journal(error),
    }
}

/// The exit of a mirror that cannot be used.
pub(super) fn exit_of_mirror(error: &MirrorError) -> Exit {
    match error {
        MirrorError::Locked { .. } => Exit::Locked,
        MirrorError::Damaged { .. }
        | MirrorError::BadValue { .. }
        | MirrorError::Older { .. }
        | MirrorError::Newer { .. }
        | MirrorError::OtherVault => Exit::Damaged,
        MirrorError::Vault(error) => exit_of_vault(error),
        MirrorError::Io { source, .. } => exit_of_io(source),
        MirrorError::Store { .. } | MirrorError::Failed { .. } => Exit::Disk,
        MirrorError::Exhausted { .. }
        | MirrorError::NotListing { .. }
        | MirrorError::NoRecord { .. } => Exit::Bug,
    }
}

/// The exit of a vault that cannot be used.
pub(super) fn exit_of_vault(error: &VaultError) -> Exit {
    match error {
        VaultError::Io { source, .. } => exit_of_io(source),
        VaultError::Exposed { .. } => Exit::Refused,
        VaultError::Damaged { .. } | VaultError::Newer { .. } => Exit::Damaged,
        VaultError::Locked { .. } | VaultError::WrongKey { .. } | VaultError::NoStoreKey { .. } => {
            Exit::Config
        }
        VaultError::Forgotten | VaultError::NoRandom => Exit::Bug,
    }
}

/// The exit of a journal that cannot be used.
pub(super) fn exit_of_journal(error: &JournalError) -> Exit {
    match error {
        JournalError::Damaged { .. }
        | JournalError::Rewritten { .. }
        | JournalError::Missing { .. }
        | JournalError::Newer { .. } => Exit::Damaged,
        JournalError::Locked => Exit::Locked,
        JournalError::Vault(error) => exit_of_vault(error),
        JournalError::Io { source, .. } => exit_of_io(source),
        _ => Exit::Disk,
    }
}

/// The exit of a file operation: a file that may not be touched is no trouble with the disk.
fn exit_of_io(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Exit::Refused,
        _ => Exit::Disk,
    }
}

/// The exit of a backup that was not made, or not restored.
pub(super) fn exit_of_backup(error: &BackupError) -> Exit {
    match error {
        BackupError::Absent { .. } | BackupError::Exists { .. } | BackupError::Occupied { .. } => {
            Exit::Usage
        }
        BackupError::Unproven => Exit::Locked,
        BackupError::Foreign { .. }
        | BackupError::OtherFormat { .. }
        | BackupError::Unfinished { .. }
        | BackupError::Damaged { .. }
        | BackupError::MirrorFormat { .. } => Exit::Damaged,
        BackupError::OtherShop { .. } | BackupError::NoVault { .. } => Exit::Config,
        BackupError::NoRoom { .. } | BackupError::Io { .. } => Exit::Disk,
        BackupError::Vault(error) => exit_of_vault(error),
        BackupError::Mirror(error) => exit_of_mirror(error),
        BackupError::Journal(error) => exit_of_journal(error),
    }
}

/// Keeps a mirror that is about to be replaced from being written from before it has proved itself.
pub(super) fn put_on_probation(state_dir: &Path, now: Moment) -> Result<(), BackupError> {
    pass::put_on_probation(state_dir, now).map_err(unkept("note the probation in", state_dir))
}

/// Takes the release back, too: what was released, a backup may not know.
pub(super) fn observe_first(state_dir: &Path, now: Moment) -> Result<(), BackupError> {
    put_on_probation(state_dir, now)?;
    pass::hold(state_dir).map_err(unkept("take back the release in", state_dir))
}

fn unkept(action: &'static str, path: &Path) -> impl FnOnce(PassError) -> BackupError {
    let path = path.to_owned();
    move |error| BackupError::Io {
        action,
        path,
        source: io::Error::other(error),
    }
}

/// Exit and text of a backup that was not made, or not restored.
pub(super) fn fault_of_backup(error: BackupError) -> (Exit, String) {
    (exit_of_backup(&error), error.to_string())
}

/// The exit of a vendor's refusal or silence.
pub(super) fn exit_of_api(error: &ApiError) -> Exit {
    match &error.fault {
        Fault::WrongKey | Fault::UnusableKey | Fault::MissingScope { .. } => Exit::Refused,
        Fault::WrongAccount { .. } | Fault::ForeignHost { .. } => Exit::Config,
        Fault::Throttled { .. }
        | Fault::Parked { .. }
        | Fault::Resting { .. }
        | Fault::Unreachable { .. }
        | Fault::Untrusted { .. }
        | Fault::VendorDown
        | Fault::Closed => Exit::Unreachable,
        Fault::Uncounted => Exit::Disk,
        Fault::TooMany { .. } | Fault::Setup => Exit::Bug,
        _ => Exit::Protocol,
    }
}
