//! What systemd is told (`sd_notify(3)`). Outside systemd all of this is silence.

use sd_notify::NotifyState;
use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The line to the service manager. The default one leads nowhere.
#[derive(Clone, Debug, Default)]
pub struct Notifier {
    socket: Option<OsString>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// From `NOTIFY_SOCKET` and `WATCHDOG_USEC`, as systemd sets them.
    pub fn from_env() -> Self {
        Self {
            socket: std::env::var_os("NOTIFY_SOCKET"),
            watchdog: sd_notify::watchdog_enabled(),
        }
    }

    /// To a datagram socket at `socket` (`@name` is abstract), with a watchdog that bites after
    /// `watchdog`.
    pub fn to(socket: impl Into<OsString>, watchdog: Option<Duration>) -> Self {
        Self {
            socket: Some(socket.into()),
            watchdog,
        }
    }

    /// How long the watchdog waits to be fed; `None` when there is none.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Work begins, or goes on after a reload.
    pub fn ready(&self) {
        self.send(&[NotifyState::Ready]);
    }

    /// A reload begins; [`Notifier::ready`] ends it.
    pub fn reloading(&self) {
        // systemd 253 and newer want the time, to tell this reload from an earlier one.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "Cannot read the time for a reload notice"),
        }
    }

    /// The end begins.
    pub fn stopping(&self) {
        self.send(&[NotifyState::Stopping]);
    }

    /// One line for `systemctl status`.
    pub fn status(&self, line: &str) {
        // A line break would end the message and begin a forged one.
        let line = line.replace(char::is_control, " ");
        self.send(&[NotifyState::Status(&line)]);
    }

    /// All is well.
    pub fn feed_watchdog(&self) {
        self.send(&[NotifyState::Watchdog]);
    }

    /// Starting takes longer, because a shop is being repaired; asks for `span` from now on.
    pub fn extend_start(&self, span: Duration) {
        let micros = u32::try_from(span.as_micros()).unwrap_or(u32::MAX);
        self.send(&[NotifyState::ExtendTimeoutUsec(micros)]);
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let lines = states.iter().map(|state| format!("{state}\n"));
        if let Err(error) = deliver(socket, &lines.collect::<String>()) {
            tracing::warn!(%error, "The service manager does not listen at NOTIFY_SOCKET");
        }
    }
}

fn deliver(socket: &OsString, message: &str) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let line = UnixDatagram::unbound()?;
    // The manager's queue may be full for a moment; the loop must not hang on that for long.
    line.set_write_timeout(Some(Duration::from_millis(500)))?;
    line.connect_addr(&address)?;
    line.send(message.as_bytes()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(manager: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        let len = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    }

    #[test]
    fn every_message_reaches_the_manager_in_its_own_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::to(&path, None);
        notifier.ready();
        assert_eq!(heard(&manager), "READY=1\n");
        notifier.reloading();
        let reload = heard(&manager);
        let time = reload.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(time.trim_end().parse::<u64>().unwrap() > 0);
        notifier.status("1 shop\nREADY=1");
        assert_eq!(heard(&manager), "STATUS=1 shop READY=1\n");
        notifier.feed_watchdog();
        assert_eq!(heard(&manager), "WATCHDOG=1\n");
        notifier.extend_start(Duration::from_secs(30));
        assert_eq!(heard(&manager), "EXTEND_TIMEOUT_USEC=30000000\n");
        notifier.stopping();
        assert_eq!(heard(&manager), "STOPPING=1\n");
    }

    #[test]
    fn an_abstract_socket_is_reached_too() {
        let name = format!("driftless-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        Notifier::to(format!("@{name}"), None).ready();
        assert_eq!(heard(&manager), "READY=1\n");
    }

    #[test]
    fn nobody_listening_is_no_error() {
        Notifier::default().ready();
        Notifier::to("/nonexistent/notify", None).ready();
    }
}
