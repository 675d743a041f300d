//! The long-running process: when each shop's pass is due, and what the outside sees of it.
//!
//! Every shop lives in a task of its own; what goes wrong in one stays there. [`run()`] owns the
//! tasks, obeys signals, reports to systemd and answers on a local address. What a shop is and what
//! a pass does comes from above, through [`Workshop`], [`Shop`] and [`Worker`].

mod board;
mod control;
mod http;
mod lock;
mod notify;
mod run;
mod shop;
mod signals;
mod vigil;
mod work;

#[cfg(test)]
mod tests;

pub use control::{ask_for, ask_for_backup};
pub use lock::{KeyLock, LockError, lock_dir};
pub use notify::Notifier;
pub use run::{DaemonError, Settings, Stopped, Unopened, run};
pub use signals::{Signal, signals};
pub use vigil::{PATIENCE, Pulse, Vigil};
pub use work::{OpenError, PassResult, Refusal, Shop, Wish, Worker, Workshop};
