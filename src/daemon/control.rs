//! Both ends of a shop's control socket: `control` in its state directory, for its own user alone. It
//! is for what needs mirror and journal while the daemon holds them: a backup, and [`Wish`]es.
//!
//! The daemon makes the copy in a file without a name and hands its bytes over; where they are kept is
//! the business of who asked. So a reader that is slow, or gone, keeps no pass waiting, and the daemon
//! needs no right to write anywhere else.

use super::{Refusal, Wish};
use crate::listen::{Server, serve_socket};
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::{FutureExt, stream};
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
    errands: mpsc::Receiver<Errand>,
    _server: Option<Server>,
}

/// Somebody waits for something.
#[derive(Debug)]
pub(super) enum Errand {
    /// For a backup.
    Backup(Answer<File>),
    /// For something to be done.
    Wish(Wish, Answer<String>),
}

/// The way back to whoever waits.
#[derive(Debug)]
pub(super) struct Answer<T>(oneshot::Sender<Result<T, Refusal>>);

/// The work ended in a panic: nothing is known of what it worked on.
#[derive(Debug)]
pub(super) struct Panicked;

impl Control {
    /// Listens in a state directory that is ours. Where that is not possible, the shop goes on
    /// without.
    pub fn open(state_dir: &Path) -> Self {
        let path = state_dir.join(SOCKET);
        let (ask, errands) = mpsc::channel(1);
        let router = Router::new()
            .route("/backup", post(backup))
            .route("/wish", post(wish))
            .with_state(ask);
        let server = serve_socket(&path, 0o600, router);
        if let Err(error) = &server {
            tracing::warn!(%error, path = %path.display(), "No control socket; backup, forget and answered need a stop");
        }
        let _server = server.ok();
        Self { errands, _server }
    }

    /// One that hears nothing.
    pub fn closed() -> Self {
        let (_, errands) = mpsc::channel(1);
        let _server = None;
        Self { errands, _server }
    }

    /// The next errand.
    pub async fn asked(&mut self) -> Errand {
        match self.errands.recv().await {
            Some(errand) => errand,
            None => future::pending().await,
        }
    }

    /// An errand that waits already.
    pub fn asked_already(&mut self) -> Option<Errand> {
        self.errands.try_recv().ok()
    }
}

impl Answer<File> {
    /// Makes the backup, unless nobody waits any more.
    pub fn with(self, make: impl FnOnce() -> Result<File, Refusal>) {
        if self.0.is_closed() {
            return;
        }
        // It only reads, so that a panic leaves nothing half done.
        let made = catch_unwind(AssertUnwindSafe(make));
        let made = made.unwrap_or_else(|_| Err(panicked("the backup")));
        match &made {
            Ok(_) => tracing::info!("Backed up"),
            Err(error) => tracing::error!("Not backed up: {error}"),
        }
        // Whoever asked may have left meanwhile.
        let _ = self.0.send(made);
    }
}

impl Answer<String> {
    /// Does the work, unless nobody waits any more. What is said names people and is not logged.
    pub async fn by(
        self,
        work: impl Future<Output = Result<String, Refusal>>,
    ) -> Result<(), Panicked> {
        if self.0.is_closed() {
            return Ok(());
        }
        let done = AssertUnwindSafe(work).catch_unwind().await;
        let (done, ended) = match done {
            Ok(done) => (done, Ok(())),
            Err(_) => (Err(panicked("what was asked for")), Err(Panicked)),
        };
        // Whoever asked may have left meanwhile.
        let _ = self.0.send(done);
        ended
    }
}

fn panicked(what: &str) -> Refusal {
    Refusal {
        exit: BUG,
        message: format!("{what} panicked: a bug; the log has the place"),
    }
}

type Ask = mpsc::Sender<Errand>;

async fn backup(State(ask): State<Ask>) -> Response {
    match answered(&ask, Errand::Backup).await {
        Ok(file) => hand_over(file),
        Err(refusal) => refused(&refusal),
    }
}

async fn wish(State(ask): State<Ask>, Json(wish): Json<Wish>) -> Response {
    match answered(&ask, |answer| Errand::Wish(wish, answer)).await {
        Ok(text) => text.into_response(),
        Err(refusal) => refused(&refusal),
    }
}

/// Waits for the shop's task to do an errand.
async fn answered<T>(ask: &Ask, errand: impl FnOnce(Answer<T>) -> Errand) -> Result<T, Refusal> {
    let (answer, done) = oneshot::channel();
    let asked = ask.send(errand(Answer(answer))).await;
    let done = match asked {
        Ok(()) => done.await.ok(),
        Err(_) => None,
    };
    done.unwrap_or_else(|| {
        Err(Refusal {
            exit: AGAIN,
            message: "the shop is being closed; ask again".to_owned(),
        })
    })
}

fn refused(refusal: &Refusal) -> Response {
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
    ask(state_dir, "/backup", &[])
}

/// Asks the daemon that has a shop open to fulfil a wish, and waits for the pass under way. `None` when
/// no daemon listens.
///
/// # Errors
/// The daemon's refusal, or that it cannot be spoken with.
pub fn ask_for(state_dir: &Path, wish: &Wish) -> Result<Option<String>, Refusal> {
    let wish = serde_json::to_vec(wish).expect("a wish has text keys");
    let Some(mut answer) = ask(state_dir, "/wish", &wish)? else {
        return Ok(None);
    };
    let mut text = String::new();
    let read = answer.read_to_string(&mut text);
    read.map_err(|error| lost(state_dir, &error))?;
    Ok(Some(text))
}

/// The body of the daemon's answer.
fn ask(
    state_dir: &Path,
    what: &str,
    body: &[u8],
) -> Result<Option<BufReader<UnixStream>>, Refusal> {
    let lost = |error: io::Error| lost(state_dir, &error);
    let mut stream = match UnixStream::connect(state_dir.join(SOCKET)) {
        Ok(stream) => stream,
        Err(error) if is_nobody(&error) => return Ok(None),
        Err(error) => return Err(lost(error)),
    };
    // By HTTP/1.0 the answer's body is plain and ends with the connection.
    let head = format!(
        "POST {what} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let asked = stream.write_all(&[head.as_bytes(), body].concat());
    asked.map_err(lost)?;
    let mut answer = BufReader::new(stream);
    let status = read_head(&mut answer).map_err(lost)?;
    if status == StatusCode::OK.as_u16() {
        return Ok(Some(answer));
    }
    let mut refusal = String::new();
    answer.read_to_string(&mut refusal).map_err(lost)?;
    Err(serde_json::from_str(&refusal).unwrap_or_else(|_| {
        let place = state_dir.join(SOCKET);
        Refusal {
            exit: PROTOCOL,
            message: format!("{} is not a driftless of this version", place.display()),
        }
    }))
}

fn lost(state_dir: &Path, error: &io::Error) -> Refusal {
    let place = state_dir.join(SOCKET);
    Refusal {
        exit: AGAIN,
        message: format!(
            "the daemon at {} broke off: {error}; ask again",
            place.display()
        ),
    }
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
