//! The doorway.

#![forbid(unsafe_code)]

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    driftless::cli::run(driftless::cli::Cli::parse()).into()
}
