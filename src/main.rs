//! The doorway.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use tikv_jemallocator::Jemalloc;

/// Set up by `.cargo/config.toml` to give back what pages leave behind.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    driftless::cli::main(std::env::args_os()).into()
}
