//! The real binary as its users meet it: processes, signals, sockets, exit codes and full disks.
//!
//! The vendors are the sandbox on free loopback ports: as a process of its own where that is the
//! point, else inside the test, which can then look into the world and disturb it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the helpers are tests too, but the lints see only functions marked as such"
)]

mod backup;
mod check;
mod crashes;
mod daemon;
mod disk;
mod fill;
mod forget;
mod lab;
mod machine;
mod pages;
mod plans;
mod process;
mod push;
mod reconcile;
mod secrets;
mod siege;
mod stop;
mod verify;
