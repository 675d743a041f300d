//! One running driftless: what it says, and how it ends.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longest wait for anything that must happen. Only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A process that is killed when it is dropped.
pub struct Running {
    child: Child,
    out: Ear,
    err: Ear,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ended {
    /// Both outputs.
    pub fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// Fails, with everything that was said, unless the exit code is this.
    pub fn expect(self, code: i32) -> Self {
        let (out, err) = (&self.out, &self.err);
        assert_eq!(self.code, Some(code), "stdout:\n{out}\nstderr:\n{err}");
        self
    }
}

impl Running {
    /// Starts a process and listens to it.
    pub fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = piped.stderr(Stdio::piped()).spawn().unwrap();
        let out = Ear::to(child.stdout.take().unwrap());
        let err = Ear::to(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for a line of standard output that holds `part`.
    pub fn says(&self, part: &str) -> String {
        self.out.hears(part)
    }

    /// Waits for a line of standard error that holds `part`.
    pub fn logs(&self, part: &str) -> String {
        self.err.hears(part)
    }

    /// How many lines of standard error hold `part` by now.
    pub fn logged(&self, part: &str) -> usize {
        let heard = self.err.heard.0.lock().unwrap();
        heard.lines.iter().filter(|l| l.contains(part)).count()
    }

    /// All of standard output by now.
    pub fn said(&self) -> String {
        self.out.text()
    }

    /// Waits for the end; `None` if the process still runs after `span`.
    pub fn ends_within(&mut self, span: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            if begun.elapsed() >= span {
                return None;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for the end.
    pub fn end(mut self) -> Ended {
        let status = self.ends_within(PATIENCE);
        let Some(status) = status else {
            let (out, err) = (self.out.text(), self.err.text());
            panic!("still running after {PATIENCE:?}\nstdout:\n{out}\nstderr:\n{err}");
        };
        self.out.close();
        self.err.close();
        Ended {
            code: status.code(),
            signal: status.signal(),
            out: self.out.text(),
            err: self.err.text(),
        }
    }

    /// `kill -9`, and the end of it.
    pub fn kill_9(self) -> Ended {
        self.signal(Signal::KILL);
        self.end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ended {
    Running::start(command).end()
}

/// Asks again and again until there is an answer.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "never happened: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A thread that reads a pipe to its end.
struct Ear {
    heard: Arc<(Mutex<Heard>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Heard {
    lines: Vec<String>,
    closed: bool,
}

impl Ear {
    fn to(pipe: impl Read + Send + 'static) -> Self {
        let heard = Arc::<(Mutex<Heard>, Condvar)>::default();
        let told = heard.clone();
        let thread = thread::spawn(move || {
            for line in BufReader::new(pipe).lines() {
                let Ok(line) = line else { break };
                told.0.lock().unwrap().lines.push(line);
                told.1.notify_all();
            }
            told.0.lock().unwrap().closed = true;
            told.1.notify_all();
        });
        let thread = Some(thread);
        Self { heard, thread }
    }

    fn hears(&self, part: &str) -> String {
        let (heard, changed) = &*self.heard;
        let found = |heard: &Heard| {
            let mut lines = heard.lines.iter().filter(|line| line.contains(part));
            lines.next().cloned()
        };
        let waiting = |heard: &mut Heard| found(heard).is_none() && !heard.closed;
        let guard = heard.lock().unwrap();
        let (guard, _) = changed
            .wait_timeout_while(guard, PATIENCE, waiting)
            .unwrap();
        let lines = || guard.lines.join("\n");
        found(&guard).unwrap_or_else(|| panic!("never said `{part}`:\n{}", lines()))
    }

    fn text(&self) -> String {
        let heard = self.heard.0.lock().unwrap();
        heard.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn close(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
