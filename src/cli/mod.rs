//! Arguments, commands, progress and exit codes.

mod answered;
mod args;
mod backup;
mod check;
mod daemon;
#[cfg(feature = "sandbox")]
mod demo;
mod exit;
mod forget;
mod output;
mod plan;
mod progress;
mod rebuild;
mod receipts;
mod reconcile;
mod release;
mod restore;
#[cfg(feature = "sandbox")]
mod sandbox;
mod segment;
mod shops;
mod verify;
mod wish;

pub use args::{Cli, Command};
pub use exit::Exit;

use crate::telemetry;
use clap::Parser;
use std::ffi::OsString;
use std::time::Duration;

/// What a thread deep in a computation may still take once everything else is over. After a drain
/// of 8 s it keeps the whole end within 10 s; what it had in hand is recovered by the next start.
const LAST_RESPITE: Duration = Duration::from_secs(1);

/// Reads the command line and does what it asks for.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => run(cli),
        Err(answer) => {
            // A reader that went away is not an error of ours.
            let _ = answer.print();
            // Help and version are answers, not mistakes.
            if answer.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            }
        }
    }
}

/// Does what the command line asks for.
pub fn run(cli: Cli) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return output::fault(Exit::Bug, &format!("no async runtime: {error}")),
    };
    let exit = runtime.block_on(command(cli));
    // Dropped, it would wait for every task that has not come to an await yet.
    runtime.shutdown_timeout(LAST_RESPITE);
    exit
}

async fn command(cli: Cli) -> Exit {
    match cli.command {
        Some(Command::Check(check)) => check::run(&check).await,
        Some(Command::Segment(command)) => segment::run(&command),
        Some(Command::Plan(args)) => plan::plan(&args).await,
        Some(Command::Apply(args)) => plan::apply(&args).await,
        Some(Command::Undo(args)) => plan::undo(&args).await,
        Some(Command::Release(args)) => release::run(&args),
        Some(Command::Receipts(args)) => receipts::run(&args),
        Some(Command::Forget(args)) => forget::run(&args).await,
        Some(Command::Answered(args)) => answered::run(&args).await,
        Some(Command::Verify(verify)) => verify::run(&verify),
        Some(Command::Backup(backup)) => backup::run(&backup),
        Some(Command::Restore(restore)) => restore::run(&restore),
        Some(Command::Rebuild(rebuild)) => rebuild::run(&rebuild),
        #[cfg(feature = "sandbox")]
        Some(Command::Sandbox(sandbox)) => sandbox::run(&sandbox).await,
        #[cfg(feature = "sandbox")]
        Some(Command::Demo(demo)) => demo::run(&demo).await,
        None => {
            if let Err(error) = telemetry::init(cli.run.log.log_format, &cli.run.log.log) {
                return output::fault(Exit::Usage, &error.to_string());
            }
            if cli.run.reconcile {
                reconcile::run(&cli.run).await
            } else {
                daemon::run(&cli.run).await
            }
        }
    }
}
