//! The doorway.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    driftless::cli::main(std::env::args_os()).into()
}
