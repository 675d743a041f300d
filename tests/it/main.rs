//! Behaviour through public seams: whole passes against the sandbox, the real binary, the house rules.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests fail and tell as tests do"
)]

mod architecture;
mod backup;
mod binary;
mod bulk_writes;
mod consent;
mod day;
mod determinism;
mod forget;
mod gone;
mod guards;
mod house;
mod incremental;
mod invariants;
mod lattice;
mod limits;
mod matrix;
mod merchant;
mod missing;
mod model;
mod modes;
mod nth;
mod oracle;
mod orders;
mod parity;
mod pass;
mod plans;
mod probation;
mod readback;
mod refusals;
mod requests;
mod resume;
mod segments;
mod steady;
mod sweeps;
mod threads;
mod webhooks;
mod windows;
