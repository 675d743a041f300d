//! Both ends of a shop's control socket: `control` in its state directory, for its own user alone.
//! It has one purpose: a backup of a shop whose mirror and journal the daemon holds.
//!
//! The daemon makes the copy in a file without a name and hands its bytes over; where they are kept is
//! the business of who asked. So a reader that is slow, or gone, keeps no pass waiting, and the daemon
//! needs no right to write anywhere else.

use super::Refusal;
use super::http::{Server, serve_socket};
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::stream;
use std::fs::File;
use std::future;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use tokio::sync::{mpsc, oneshot};

const SOCKET: &str = "control";
const CHUNK_BYTES: usize = 1 << 16;
/// "Internal software error", "temporary failure" and "remote error in protocol" in sysexits.
const BUG: u8 = 70;
const AGAIN: u8 = 75;
const PROTOCOL: u8 = 76;

/// What the task that owns a shop hears from its control socket.
#[derive(Debug)]
pub(super) struct Control {
    requests: mpsc::Receiver<Answer>,
    _server: Option<Server>,
}

/// Somebody waits for a backup.
#[derive(Debug)]
pub(super) struct Answer(oneshot::Sender<Result<File, Refusal>>);

impl Control {
    /// Listens in a state directory that is ours. Where that is not possible, the shop goes on
    /// without.
    pub fn open(state_dir: &Path) -> Self {
        let path = state_dir.join(SOCKET);
        let (ask, requests) = mpsc::channel(1);
        let router = Router::new().route("/backup", post(backup)).with_state(ask);
        let server = serve_socket(&path, 0o600, router);
        if let Err(error) = &server {
            tracing::warn!(%error, path = %path.display(), "No control socket; a backup needs a stop");
        }
        let _server = server.ok();
        Self { requests, _server }
    }

    /// One that hears nothing.
    pub fn closed() -> Self {
        let (_, requests) = mpsc::channel(1);
        let _server = None;
        Self { requests, _server }
    }

    /// The next request.
    pub async fn asked(&mut self) -> Answer {
        match self.requests.recv().await {
            Some(answer) => answer,
            None => future::pending().await,
        }
    }

    /// A request that waits already.
    pub fn asked_already(&mut self) -> Option<Answer> {
        self.requests.try_recv().ok()
    }
}

impl Answer {
    /// Makes the backup, unless nobody waits any more.
    pub fn with(self, make: impl FnOnce() -> Result<File, Refusal>) {
        if self.0.is_closed() {
            return;
        }
        // It only reads, so that a panic leaves nothing half done.
        let made = catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|_| {
            let message = "the backup panicked: a bug; the log has the place".to_owned();
            Err(Refusal { exit: BUG, message })
        });
        match &made {
            Ok(_) => tracing::info!("Backed up"),
            Err(error) => tracing::error!("Not backed up: {error}"),
        }
        // Whoever asked may have left meanwhile.
        let _ = self.0.send(made);
    }
}

async fn backup(State(ask): State<mpsc::Sender<Answer>>) -> Response {
    let (answer, made) = oneshot::channel();
    let asked = ask.send(Answer(answer)).await;
    let made = match asked {
        Ok(()) => made.await.ok(),
        Err(_) => None,
    };
    let refusal = match made {
        Some(Ok(file)) => return hand_over(file),
        Some(Err(refusal)) => refusal,
        None => Refusal {
            exit: AGAIN,
            message: "the shop is being closed; ask again".to_owned(),
        },
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(refusal)).into_response()
}

/// The file's bytes, as fast as they are taken.
fn hand_over(file: File) -> Response {
    let chunks = stream::try_unfold(file, |mut file| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; CHUNK_BYTES];
            let bytes = file.read(&mut chunk)?;
            chunk.truncate(bytes);
            io::Result::Ok((chunk, file))
        });
        let (chunk, file) = read.await.map_err(io::Error::other)??;
        io::Result::Ok((!chunk.is_empty()).then_some((chunk, file)))
    });
    let kind = (header::CONTENT_TYPE, "application/octet-stream");
    ([kind], Body::from_stream(chunks)).into_response()
}

/// Asks the daemon that has a shop open for a backup of it, and waits for the pass under way. Whether
/// all of it has come says only the backup's own end mark. `None` when no daemon listens.
///
/// # Errors
/// The daemon's refusal, or that it cannot be spoken with.
pub fn ask_for_backup(state_dir: &Path) -> Result<Option<impl Read + use<>>, Refusal> {
    let path = state_dir.join(SOCKET);
    let lost = |error: io::Error| Refusal {
        exit: AGAIN,
        message: format!(
            "the daemon at {} broke off: {error}; ask again",
            path.display()
        ),
    };
    let mut stream = match UnixStream::connect(&path) {
        Ok(stream) => stream,
        Err(error) if is_nobody(&error) => return Ok(None),
        Err(error) => return Err(lost(error)),
    };
    // By HTTP/1.0 the answer's body is plain and ends with the connection.
    let asked = stream.write_all(b"POST /backup HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
    asked.map_err(lost)?;
    let mut answer = BufReader::new(stream);
    let status = read_head(&mut answer).map_err(lost)?;
    if status == StatusCode::OK.as_u16() {
        return Ok(Some(answer));
    }
    let mut refusal = String::new();
    answer.read_to_string(&mut refusal).map_err(lost)?;
    Err(serde_json::from_str(&refusal).unwrap_or_else(|_| Refusal {
        exit: PROTOCOL,
        message: format!("{} is not a driftless of this version", path.display()),
    }))
}

/// A socket file without a daemon is what a kill leaves.
fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// Reads an answer up to its body; the status code.
fn read_head(answer: &mut impl BufRead) -> io::Result<u16> {
    let mut lines = answer.lines();
    let status = lines
        .next()
        .unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))?;
    for line in lines {
        if line?.is_empty() {
            let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
            return code.ok_or_else(|| io::ErrorKind::InvalidData.into());
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
