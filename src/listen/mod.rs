//! Servers that only this machine can reach: a loopback address or a UNIX socket.

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A loopback address with a port.
    Tcp(SocketAddr),
    /// A socket in the file system, for us and our group.
    Unix(PathBuf),
}

/// Cannot listen as wished.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Not an address.
    #[error(
        "`{0}` is no address to listen on; write a loopback address with its port, such as `127.0.0.1:9188`, or `unix:/path`"
    )]
    Unreadable(String),
    /// Reachable from elsewhere.
    #[error(
        "refusing to listen on {0}: only this machine may reach it; use a loopback address or `unix:/path`"
    )]
    NotLoopback(SocketAddr),
    /// Somebody else listens there.
    #[error("{0} is taken, perhaps by another driftless; stop that one or listen elsewhere")]
    Taken(Listen),
    /// The system refuses.
    #[error("cannot listen on {listen}: {source}; choose another address")]
    Io {
        /// The wish.
        listen: Listen,
        /// What went wrong.
        source: io::Error,
    },
}

impl ListenError {
    /// The exit code (reliability.md, section 10).
    pub fn exit(&self) -> u8 {
        match self {
            Self::Taken(_) => 75,
            Self::Unreadable(_) | Self::NotLoopback(_) | Self::Io { .. } => 78,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Listen {
    type Err = ListenError;
    fn from_str(text: &str) -> Result<Self, ListenError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.starts_with('/') {
                true => Ok(Self::Unix(path.into())),
                false => Err(ListenError::Unreadable(text.to_owned())),
            };
        }
        let address: Result<SocketAddr, _> = text.parse();
        let address = address.map_err(|_| ListenError::Unreadable(text.to_owned()))?;
        loopback(address).map(Self::Tcp)
    }
}

fn loopback(address: SocketAddr) -> Result<SocketAddr, ListenError> {
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err(ListenError::NotLoopback(address)),
    }
}

/// A running server; dropping it ends the service and removes its socket file.
#[derive(Debug)]
pub struct Server {
    /// Where it listens in truth: port 0 has become a real one.
    pub listen: Listen,
    task: JoinHandle<()>,
    socket: Option<PathBuf>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(socket) = &self.socket {
            // Left behind, it would be recognised as stale at the next start.
            let _ = fs::remove_file(socket);
        }
    }
}

/// Starts to serve `router` where it is wished; a socket file is for us and our group.
///
/// # Errors
/// [`ListenError`]: the address is not of this machine, taken, or refused by the system.
pub async fn serve(listen: &Listen, router: Router) -> Result<Server, ListenError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken(listen.clone()),
        _ => ListenError::Io {
            listen: listen.clone(),
            source,
        },
    };
    match listen {
        Listen::Tcp(address) => {
            let listener = TcpListener::bind(loopback(*address)?).await;
            let listener = listener.map_err(failed)?;
            let bound = listener.local_addr().map_err(failed)?;
            let task = tokio::spawn(async move {
                // Never returns an error: accept errors are retried inside.
                let _ = axum::serve(listener, router).await;
            });
            Ok(Server {
                listen: Listen::Tcp(bound),
                task,
                socket: None,
            })
        }
        Listen::Unix(path) => serve_socket(path, 0o660, router).map_err(failed),
    }
}

/// Turns requests at a loopback address away whose `Host` is of elsewhere: a web page whose name was
/// rebound to loopback sends its own name. For pages that anybody on this machine may read.
pub fn for_local_names(listen: &Listen, router: Router) -> Router {
    match listen {
        Listen::Tcp(_) => router.layer(middleware::from_fn(only_local_names)),
        Listen::Unix(_) => router,
    }
}

/// Serves at a socket file, which those may use whom its mode names.
///
/// # Errors
/// Whatever the system says; `AddrInUse` when somebody else serves there.
pub fn serve_socket(path: &Path, mode: u32, router: Router) -> io::Result<Server> {
    let listener = bind_unix(path, mode)?;
    let task = tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    Ok(Server {
        listen: Listen::Unix(path.to_owned()),
        task,
        socket: Some(path.to_owned()),
    })
}

/// Binds a socket file, in place of a stale one if need be.
fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let stale = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if stale {
        match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
            Err(_) => fs::remove_file(path)?,
        }
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

async fn only_local_names(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    match is_local_name(host) {
        true => next.run(request).await,
        false => (
            StatusCode::MISDIRECTED_REQUEST,
            "only localhost and loopback addresses are served\n",
        )
            .into_response(),
    }
}

/// `localhost`, `127.0.0.1` or `[::1]`, with or without a port.
fn is_local_name(host: &str) -> bool {
    let bare = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if bare.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let address = match bare.strip_prefix('[').and_then(|v6| v6.strip_suffix(']')) {
        Some(v6) => v6.parse().map(IpAddr::V6),
        None => bare.parse().map(IpAddr::V4),
    };
    address.is_ok_and(|address| address.is_loopback())
}
