//! UNIX signals as messages.

use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// TERM or INT: finish what is in flight and stop; a second one cuts that short.
    Terminate,
    /// HUP: read the configuration again.
    Reload,
    /// USR1: write the status to the log.
    Dump,
}

/// Listens to the process's signals from now on. Must be called within a runtime.
pub fn signals() -> io::Result<mpsc::Receiver<Signal>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut user = signal(SignalKind::user_defined1())?;
    let (tell, hear) = mpsc::channel(8);
    tokio::spawn(async move {
        loop {
            let asked = tokio::select! {
                Some(()) = terminate.recv() => Signal::Terminate,
                Some(()) = interrupt.recv() => Signal::Terminate,
                Some(()) = hangup.recv() => Signal::Reload,
                Some(()) = user.recv() => Signal::Dump,
                else => return,
            };
            if tell.send(asked).await.is_err() {
                return;
            }
        }
    });
    Ok(hear)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{self, getpid};

    #[tokio::test]
    async fn each_signal_becomes_its_message() {
        let mut heard = signals().unwrap();
        for (sent, expected) in [
            (process::Signal::HUP, Signal::Reload),
            (process::Signal::USR1, Signal::Dump),
            (process::Signal::TERM, Signal::Terminate),
            (process::Signal::INT, Signal::Terminate),
        ] {
            process::kill_process(getpid(), sent).unwrap();
            assert_eq!(heard.recv().await, Some(expected));
        }
    }
}
