//! Fake shops that write a diary, and a daemon that runs them.

use crate::clock::{Clock, Stop};
use crate::daemon::*;
use crate::hooks::Hooks;
use crate::model::{EffectKind, End, Moment};
use crate::telemetry::{Meter, Metrics};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc as std_mpsc};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub const START: Moment = Moment::from_secs(1_700_000_000);

/// What the passes of a fake shop do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// Take so many seconds and succeed.
    Work(u64),
    /// Wait for the stop, then finish within so many seconds.
    Linger(u64),
    /// Never end and never listen.
    Hang,
    /// Never end, but beat once a minute.
    Beat,
    /// Wait for a quota for an hour that was announced, then hang.
    Park,
    /// Return a failure at once.
    Fail,
    /// The same, because the vendor refuses the key.
    Refused,
    /// The same, and be of no use any more.
    Break,
    /// Panic at once.
    Panic,
    /// Take so many seconds to be opened, and a second for a pass.
    SlowOpen(u64),
    /// Cannot even be opened.
    Closed(u8),
    /// Panics while it is opened.
    PanicAtOpen,
}

/// The settings of a fake shop.
#[derive(Clone, Debug)]
pub struct Plan {
    pub revision: String,
    pub key: String,
    pub every: u64,
    pub jitter: u64,
    pub act: Act,
    pub last_pass: Option<Moment>,
    pub hooks: Option<Hooks>,
}

impl Plan {
    pub fn new(act: Act, every: u64) -> Self {
        Self {
            revision: "1".to_owned(),
            key: String::new(),
            every,
            jitter: 0,
            act,
            last_pass: None,
            hooks: None,
        }
    }

    pub fn changed(&self, act: Act) -> Self {
        let revision = format!("{}+", self.revision);
        Self {
            revision,
            act,
            ..self.clone()
        }
    }
}

/// A configuration that tests rewrite while the daemon runs.
pub type Plans = Arc<Mutex<Result<BTreeMap<String, Plan>, String>>>;

#[derive(Clone)]
pub struct FakeWorkshop {
    pub plans: Plans,
    /// Ends every key: locks hold for the whole machine, and other tests run on it.
    lab: String,
    /// Shops have their state directories in it, where these exist.
    dir: PathBuf,
    diary: Diary,
    metrics: Metrics,
}

impl Workshop for FakeWorkshop {
    type Shop = FakeShop;

    fn load(&self) -> Result<Vec<FakeShop>, String> {
        let plans = self.plans.lock().unwrap().clone()?;
        let shops = plans.into_iter().map(|(name, plan)| FakeShop {
            key: match plan.key.is_empty() {
                true => format!("{name}{}", self.lab),
                false => format!("{}{}", plan.key, self.lab),
            },
            meter: Meter::registered(&name, &self.metrics),
            diary: self.diary.clone(),
            state_dir: self.dir.join(&name),
            name,
            plan,
        });
        Ok(shops.collect())
    }
}

#[derive(Clone)]
pub struct FakeShop {
    name: String,
    key: String,
    plan: Plan,
    meter: Meter,
    diary: Diary,
    state_dir: PathBuf,
}

impl Shop for FakeShop {
    type Worker = FakeWorker;

    fn name(&self) -> &str {
        &self.name
    }
    fn state_dir(&self) -> &Path {
        &self.state_dir
    }
    fn revision(&self) -> &str {
        &self.plan.revision
    }
    fn key_fingerprint(&self) -> &str {
        &self.key
    }
    fn meter(&self) -> &Meter {
        &self.meter
    }
    fn next_pass(&self, after: Moment, random: u64) -> Moment {
        let late = random % (self.plan.jitter + 1);
        after.plus(Duration::from_secs(self.plan.every + late))
    }
    async fn open(&self, _stop: Stop) -> Result<FakeWorker, OpenError> {
        match self.plan.act {
            Act::Closed(exit) => Err(OpenError {
                exit,
                message: "the mirror is locked".to_owned(),
            }),
            Act::PanicAtOpen => panic!("a bug in opening"),
            act => {
                if let Act::SlowOpen(secs) = act {
                    tokio::time::sleep(Duration::from_secs(secs)).await;
                }
                self.diary.write(&self.name, "opened");
                Ok(FakeWorker(self.clone(), false))
            }
        }
    }
}

/// And whether it broke.
pub struct FakeWorker(FakeShop, bool);

impl Drop for FakeWorker {
    fn drop(&mut self) {
        self.0.diary.write(&self.0.name, "closed");
    }
}

impl Worker for FakeWorker {
    fn last_pass(&self) -> Option<Moment> {
        self.0.plan.last_pass
    }

    async fn pass(&mut self, stop: Stop) -> PassResult {
        let FakeShop { name, diary, .. } = &self.0;
        diary.write(name, "begins");
        let ok = self.work(stop).await;
        diary.write(name, "ends");
        self.1 = self.0.plan.act == Act::Break;
        PassResult {
            ok,
            exit: match self.0.plan.act {
                Act::Refused => 77,
                _ => u8::from(!ok),
            },
            reopen: false,
            summary: "3 effects confirmed".to_owned(),
            status: json!({ "effects": 3 }),
        }
    }

    fn is_broken(&self) -> bool {
        self.1
    }

    fn on_record(&self) -> serde_json::Value {
        json!({ "known": self.0.name })
    }

    fn hooks(&self) -> Option<Hooks> {
        self.0.plan.hooks.clone()
    }

    async fn fulfil(&mut self, wish: Wish) -> Result<String, Refusal> {
        let FakeShop { name, diary, .. } = &self.0;
        diary.write(name, "fulfils");
        match self.0.plan.act {
            Act::Fail => Err(Refusal {
                exit: 64,
                message: "nobody".to_owned(),
            }),
            _ => Ok(format!("{wish:?}")),
        }
    }

    fn back_up(&mut self) -> Result<File, Refusal> {
        let FakeShop { name, diary, .. } = &self.0;
        diary.write(name, "is backed up");
        if self.0.plan.act == Act::Fail {
            let message = "the disk is full".to_owned();
            return Err(Refusal { exit: 74, message });
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(name.as_bytes()).unwrap();
        file.rewind().unwrap();
        Ok(file)
    }
}

impl FakeWorker {
    async fn work(&self, stop: Stop) -> bool {
        let FakeShop { meter, diary, .. } = &self.0;
        let sleep = |secs| tokio::time::sleep(Duration::from_secs(secs));
        match self.0.plan.act {
            Act::Work(secs) => {
                sleep(secs).await;
                meter.effects(EffectKind::ListAdd, End::Confirmed, 3);
            }
            Act::Linger(secs) => {
                stop.wait().await;
                sleep(secs).await;
            }
            Act::Hang => std::future::pending().await,
            Act::Beat => loop {
                sleep(60).await;
                meter.beat();
            },
            Act::Park => {
                meter.parked(diary.0.now().plus(Duration::from_secs(3600)));
                std::future::pending().await
            }
            Act::SlowOpen(_) => sleep(1).await,
            Act::Fail | Act::Refused | Act::Break => return false,
            Act::Panic => panic!("a bug in the pass"),
            Act::Closed(_) | Act::PanicAtOpen => unreachable!("it was never opened"),
        }
        true
    }
}

/// Who did what, and how many seconds after the start.
#[derive(Clone)]
struct Diary(Clock, Arc<Mutex<Vec<(u64, String)>>>);

impl Diary {
    fn write(&self, name: &str, what: &str) {
        let secs = self.0.monotonic().as_secs();
        self.1
            .lock()
            .unwrap()
            .push((secs, format!("{name} {what}")));
    }
}

/// Fake shops, a fake service manager and everything else a daemon needs.
pub struct Lab {
    pub workshop: FakeWorkshop,
    pub metrics: Metrics,
    pub clock: Clock,
    pub dir: TempDir,
    pub settings: Settings,
    diary: Diary,
    told: Arc<Mutex<Vec<String>>>,
}

impl Lab {
    pub fn new(plans: impl IntoIterator<Item = (&'static str, Plan)>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::with_timers(START);
        let diary = Diary(clock.clone(), Arc::default());
        let metrics = Metrics::new();
        let (notifier, told) = manager(dir.path().join("notify"));
        let plans = plans.into_iter();
        let plans = plans.map(|(name, plan)| (name.to_owned(), plan)).collect();
        Self {
            workshop: FakeWorkshop {
                plans: Arc::new(Mutex::new(Ok(plans))),
                lab: dir.path().file_name().unwrap().to_string_lossy().into(),
                dir: dir.path().to_owned(),
                diary: diary.clone(),
                metrics: metrics.clone(),
            },
            settings: Settings {
                listen: None,
                grace: Duration::from_secs(10),
                lock_dir: dir.path().join("locks"),
                seed: 7,
                notifier,
            },
            metrics,
            clock,
            dir,
            diary,
            told,
        }
    }

    /// Starts the daemon.
    pub fn start(&self) -> Running {
        let (signals, heard) = mpsc::channel(4);
        let task = tokio::spawn(run(
            self.workshop.clone(),
            self.settings.clone(),
            self.clock.clone(),
            self.metrics.clone(),
            heard,
        ));
        Running { signals, task }
    }

    /// Rewrites one shop's settings, or removes it.
    pub fn set(&self, name: &str, plan: Option<Plan>) {
        let mut plans = self.workshop.plans.lock().unwrap();
        let plans = plans.as_mut().unwrap();
        match plan {
            Some(plan) => plans.insert(name.to_owned(), plan),
            None => plans.remove(name),
        };
    }

    /// The diary's lines that end in `what`, as `second name`.
    pub fn when(&self, what: &str) -> Vec<(u64, String)> {
        let lines = self.diary.1.lock().unwrap();
        let lines = lines.iter().filter_map(|(secs, line)| {
            let name = line.strip_suffix(what)?;
            Some((*secs, name.trim_end().to_owned()))
        });
        lines.collect()
    }

    /// The seconds at which one shop did `what`.
    pub fn times(&self, name: &str, what: &str) -> Vec<u64> {
        let lines = self.when(what).into_iter();
        lines
            .filter(|line| line.1 == name)
            .map(|line| line.0)
            .collect()
    }

    /// What the service manager was told so far, without times.
    pub fn told(&self) -> Vec<String> {
        // A mark that comes back proves that everything before it has been heard.
        self.settings.notifier.status("mark");
        loop {
            let mut told = self.told.lock().unwrap();
            if told.last().is_some_and(|line| line == "STATUS=mark") {
                told.pop();
                return told.clone();
            }
            drop(told);
            std::thread::yield_now();
        }
    }
}

/// A fake service manager with a watchdog of 60 s.
fn manager(path: PathBuf) -> (Notifier, Arc<Mutex<Vec<String>>>) {
    let socket = UnixDatagram::bind(&path).unwrap();
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let ear = told.clone();
    let (up, wait) = std_mpsc::channel();
    std::thread::spawn(move || {
        up.send(()).unwrap();
        let mut buffer = [0; 1024];
        while let Ok(len) = socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
            let line = text.lines().next().unwrap_or_default().to_owned();
            ear.lock().unwrap().push(line);
        }
    });
    wait.recv().unwrap();
    let notifier = Notifier::to(path, Some(Duration::from_secs(60)));
    (notifier, told)
}

/// A daemon at work.
pub struct Running {
    pub signals: mpsc::Sender<Signal>,
    task: JoinHandle<Result<Stopped, DaemonError>>,
}

impl Running {
    pub async fn signal(&self, signal: Signal) {
        self.signals.send(signal).await.unwrap();
        // Let the loop take it before the test goes on.
        secs(0).await;
    }

    /// What `run` returned.
    pub async fn end(self) -> Result<Stopped, DaemonError> {
        self.task.await.unwrap()
    }

    pub async fn stop(self) -> Stopped {
        self.signal(Signal::Terminate).await;
        self.task.await.unwrap().unwrap()
    }
}

/// Lets the shops live for so long.
pub async fn secs(secs: u64) {
    // The extra millisecond lets everything due at that second happen first.
    tokio::time::sleep(Duration::from_millis(secs * 1000 + 1)).await;
}
