//! One shop with its sandbox in this process, on a clock that only moves when somebody sleeps.

use crate::invariants::entries;
use crate::webhooks::SECRET;
use driftless::api::Budgets;
use driftless::clock::Clock;
use driftless::config::{self, Environment};
use driftless::disk::Disk;
use driftless::journal::{Entry, Intent};
use driftless::mirror::{Mirror, Rebuilt};
use driftless::model::Moment;
use driftless::pass::{OpenError, Options, PassError, Shop, Summary};
use driftless::policy::{Allowances, Guard};
use driftless::sandbox::world::{State, Write};
use driftless::sandbox::{GeneratorSettings, Sandbox, SandboxSettings, Speed, World, generate};
use driftless::telemetry::Meter;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Section, key and value of one line of the config.
pub type Edit<'a> = (&'a str, &'a str, &'a str);

/// Guards on the number of changes out of the way, for tests about something else.
pub const ROOMY: [Edit<'static>; 3] = [
    ("guards", "max_property_changes", BROAD),
    ("guards", "max_list_removals", BROAD),
    ("guards", "max_tag_changes", BROAD),
];
const BROAD: &str = "{ count = 100000, share = 1.0 }";

/// More than all tests at once take.
const ROOM: u64 = 4 << 30;

/// When every test begins.
pub fn morning() -> Moment {
    Moment::parse("2026-11-21T08:00:00Z").unwrap()
}

pub fn hours(count: u64) -> Duration {
    Duration::from_secs(3600 * count)
}

/// A generated shop, the same for the same size.
pub fn crowd(profiles: usize) -> State {
    generate(GeneratorSettings::usual(profiles, 7, morning()))
}

/// A place for files that no power cut will take: where there is room in memory, syncs need not wait.
pub fn scratch() -> TempDir {
    let free = rustix::fs::statvfs("/dev/shm").map(|disk| disk.f_bavail * disk.f_frsize);
    match free {
        Ok(free) if free > ROOM => TempDir::new_in("/dev/shm").unwrap(),
        _ => TempDir::new().unwrap(),
    }
}

/// A number from the environment.
pub fn setting(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().unwrap())
}

/// The shop under test and everything around it. The daemon's clock is the world's.
pub struct House {
    pub world: World,
    pub clock: Clock,
    pub sandbox: Sandbox,
    /// What the shop is opened on next.
    pub disk: Disk,
    dir: TempDir,
    text: String,
    shop: Option<Shop>,
}

impl House {
    /// A generated shop without limits on the requests.
    pub async fn of(profiles: usize, edits: &[Edit<'_>]) -> Self {
        Self::build(crowd(profiles), morning(), Speed::Fast, edits).await
    }

    pub async fn build(state: State, now: Moment, speed: Speed, edits: &[Edit<'_>]) -> Self {
        Self::on(Clock::manual(now), state, speed, edits).await
    }

    /// As [`House::build`], on a clock that may move by itself.
    pub async fn on(clock: Clock, state: State, speed: Speed, edits: &[Edit<'_>]) -> Self {
        let world = World::new(clock.clone(), state);
        let listen = "127.0.0.1:0".parse().unwrap();
        let settings = SandboxSettings { listen, speed };
        let sandbox = Sandbox::serve(world.clone(), settings).await.unwrap();
        let dir = scratch();
        let text = sandbox.config_toml(&dir.path().join("state"));
        let mut house = Self {
            world,
            clock,
            sandbox,
            disk: Disk::default(),
            dir,
            text,
            shop: None,
        };
        house.edit(edits);
        house
    }

    /// Changes the config; the shop is opened anew with it before the next pass.
    pub fn edit(&mut self, edits: &[Edit<'_>]) {
        self.close();
        for edit in edits {
            self.text = edited(&self.text, *edit);
        }
    }

    /// Changes the config's text where it has no section of one name.
    pub fn reword(&mut self, from: &str, to: &str) {
        self.close();
        assert!(self.text.contains(from), "no {from}");
        self.text = self.text.replacen(from, to, 1);
    }

    /// The same config and world, an empty mirror and journal.
    pub fn move_to(&mut self, name: &str) {
        let place = self.dir.path().join(name);
        let place = format!("{:?}", place.display().to_string());
        self.edit(&[("shop", "state_dir", &place)]);
    }

    /// Ends the shop as the end of the process would, but for the locks.
    pub fn close(&mut self) {
        self.shop = None;
    }

    pub fn config(&self) -> config::Shop {
        let secrets = self.sandbox.secrets();
        let pairs = secrets.iter().map(|(name, value)| (*name, value.as_str()));
        let environment = Environment::fixed(pairs.chain([("SIGN", SECRET)]));
        config::parse(Path::new("test.toml"), &self.text, &environment)
            .unwrap_or_else(|faults| panic!("{faults}"))
    }

    pub fn shop(&mut self) -> &mut Shop {
        self.open().unwrap()
    }

    /// The shop, opened if it is not.
    pub fn open(&mut self) -> Result<&mut Shop, OpenError> {
        if self.shop.is_none() {
            let (disk, clock) = (self.disk.clone(), self.clock.clone());
            let (config, budgets) = (self.config(), Budgets::default());
            let opened = Shop::open_on(disk, config, &budgets, clock, Meter::default());
            self.shop = Some(opened?.0);
        }
        Ok(self.shop.as_mut().expect("opened above"))
    }

    /// A pass, after which an operator releases the rules that it observed, unless it shows another
    /// day.
    pub async fn run(&mut self, options: &Options) -> Result<Summary, PassError> {
        let summary = self.unreleased(options).await?;
        if options.as_of.is_none() {
            self.release();
        }
        Ok(summary)
    }

    /// A pass that nobody looks at.
    pub async fn unreleased(&mut self, options: &Options) -> Result<Summary, PassError> {
        self.shop().pass(options).await
    }

    /// Lets the rules write that the last pass observed.
    pub fn release(&self) {
        driftless::pass::release(&self.config(), self.clock.now()).unwrap();
    }

    /// A pass that must reach its end.
    pub async fn pass(&mut self) -> Summary {
        self.run(&Options::default()).await.unwrap()
    }

    /// A pass with one guard released.
    pub async fn allowing(&mut self, guard: Guard, count: u64) -> Summary {
        let allow = Allowances(BTreeMap::from([(guard, count)]));
        let options = Options {
            allow,
            ..Options::default()
        };
        self.run(&options).await.unwrap()
    }

    /// A pass that must end early.
    pub async fn refused(&mut self) -> PassError {
        match self.run(&Options::default()).await {
            Ok(summary) => match summary.failure.clone() {
                Some(failure) => {
                    drop(summary);
                    let failure = Arc::try_unwrap(failure).expect("nobody else holds it");
                    PassError::Push(failure)
                }
                None => panic!("the pass came to its end: {}", summary.line()),
            },
            Err(error) => error,
        }
    }

    /// Observes, applies, and proves that nothing is left; says what was applied.
    pub async fn settle(&mut self) -> Summary {
        self.pass().await;
        let applied = self.pass().await;
        assert_eq!(applied.trips, []);
        let quiet = self.pass().await;
        assert!(
            quiet.is_quiet(),
            "left: {:?} {:?}",
            quiet.planned,
            quiet.trips
        );
        applied
    }

    /// Every write that the world accepted so far.
    pub fn history(&self) -> Vec<Write> {
        self.world.state().history.clone()
    }

    /// How many there were.
    pub fn writes(&self) -> usize {
        self.world.state().history.len()
    }

    /// Sets the mirror of a closed shop aside.
    pub fn rebuild(&self) -> Rebuilt {
        let config = self.config();
        let vault = config.vault().unwrap();
        Mirror::rebuild(&config.state_dir, &vault, self.clock.now()).unwrap()
    }

    /// What the mirror holds, as text.
    pub fn mirror(&mut self) -> Vec<String> {
        let lines = self.shop().mirror().export();
        lines.collect::<Result<_, _>>().unwrap()
    }

    /// What a mirror of this moment holds that nothing ever happened to.
    pub async fn undisturbed(&mut self) -> Vec<String> {
        let here = format!("{:?}", self.state_dir().display().to_string());
        self.move_to("undisturbed");
        let observe = Options {
            observe: true,
            ..Options::default()
        };
        self.unreleased(&observe).await.unwrap();
        let mirror = self.mirror();
        self.edit(&[("shop", "state_dir", &here)]);
        mirror
    }

    /// The effects of the last plan.
    pub fn planned(&self) -> String {
        let path = self.state_dir().join("plan.jsonl");
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        // Between what it rests on and its end.
        lines[1..lines.len() - 1].concat()
    }

    pub fn state_dir(&self) -> PathBuf {
        self.config().state_dir
    }

    /// The journal's files, one after the other.
    pub fn journal_text(&self) -> String {
        let folder = self.state_dir().join("journal");
        let Ok(files) = std::fs::read_dir(folder) else {
            return String::new();
        };
        let files = files.map(|file| file.unwrap().path());
        let mut logs: Vec<_> = files
            .filter(|path| path.extension().is_some_and(|ending| ending == "log"))
            .collect();
        logs.sort();
        let texts = logs
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap());
        texts.collect()
    }

    /// The journal's records.
    pub fn journal(&self) -> Vec<Entry> {
        entries(&self.state_dir())
    }

    pub fn intents(&self) -> Vec<Intent> {
        let entries = self.journal().into_iter();
        let intents = entries.filter_map(|entry| match entry {
            Entry::Intent(intent) => Some(intent),
            _ => None,
        });
        intents.collect()
    }

    /// The members of a list of the world, by its name.
    pub fn members(&self, list: &str) -> Vec<String> {
        let state = self.world.state();
        let mut named = state.klaviyo.lists.values().filter(|l| l.name == list);
        let found = named.next().unwrap_or_else(|| panic!("no list {list}"));
        assert!(named.next().is_none(), "two lists {list}");
        found.members.keys().cloned().collect()
    }

    /// Requests so far: all, and those answered with 429.
    pub fn requests(&self) -> (u64, u64) {
        let counts = self.sandbox.requests();
        let all = counts.values().map(|(all, _)| all).sum();
        (all, counts.values().map(|(_, told)| told).sum())
    }
}

/// Sets one key of one section, adding either when it is absent.
fn edited(text: &str, (section, key, value): Edit<'_>) -> String {
    let header = format!("[{section}]");
    let line = format!("{key} = {value}");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let Some(head) = lines.iter().position(|line| *line == header) else {
        return format!("{text}\n{header}\n{line}\n");
    };
    let inside = lines.iter().skip(head + 1);
    let mut inside = inside.take_while(|line| !line.starts_with('['));
    let known = inside.position(|line| line.starts_with(&format!("{key} =")));
    match known {
        Some(at) => lines[head + 1 + at] = line,
        None => lines.insert(head + 1, line),
    }
    lines.join("\n") + "\n"
}

/// Every file below a directory that holds one of these texts.
pub fn files_with(dir: &Path, texts: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, texts));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let holds = |text: &String| bytes.windows(text.len()).any(|at| at == text.as_bytes());
            found.extend(texts.iter().any(holds).then(|| path.display().to_string()));
        }
    }
    found
}

/// Lines of the records in a mirror: whatever else is remembered of them is not theirs.
pub fn records(mirror: Vec<String>) -> Vec<String> {
    let kinds =
        ["profile", "customer", "order", "guest"].map(|kind| format!("{{\"kind\":\"{kind}\""));
    let mut lines = mirror;
    lines.retain(|line| kinds.iter().any(|kind| line.starts_with(kind)));
    lines
}

/// Lines that only the first of two mirrors has.
pub fn only(these: &[String], those: &[String]) -> Vec<String> {
    let these = these.iter().filter(|line| !those.contains(line));
    these.cloned().collect()
}
