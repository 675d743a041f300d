//! Arguments, commands, progress and exit codes.

mod args;
mod check;
mod daemon;
#[cfg(feature = "sandbox")]
mod demo;
mod exit;
mod output;
mod progress;
mod reconcile;
#[cfg(feature = "sandbox")]
mod sandbox;
mod shops;

pub use args::{Cli, Command};
pub use exit::Exit;

use crate::telemetry;

/// Does what the command line asks for.
pub fn run(cli: Cli) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return output::fault(Exit::Bug, &format!("no async runtime: {error}")),
    };
    runtime.block_on(command(cli))
}

async fn command(cli: Cli) -> Exit {
    match cli.command {
        Some(Command::Check(check)) => check::run(&check).await,
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
