//! The one way to standard output and standard error.

use super::Exit;
use std::io::{self, Write};

/// Prints text. A reader that went away is not an error of ours.
pub(super) fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush());
}

/// Prints what went wrong, and passes the exit on.
pub(super) fn fault(exit: Exit, text: &str) -> Exit {
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
    exit
}

/// Prints a notice that does not belong to the result.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
}
