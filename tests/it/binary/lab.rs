//! A place for one test: configs, secrets, state, locks, and the vendors' sandbox.

use driftless::clock::Clock;
use driftless::mirror::Mirror;
use driftless::sandbox::{
    GeneratorSettings, Sandbox, SandboxSettings, Speed, World, generate, without_limits,
};
use driftless::vault::Vault;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A folder with shops' configs, which vanishes with the test.
pub struct Lab {
    dir: TempDir,
}

impl Lab {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["shops", "locks"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::set_permissions(dir.path().join("locks"), fs::Permissions::from_mode(0o700)).unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The folder with all configs.
    pub fn shops(&self) -> PathBuf {
        self.path("shops")
    }

    /// Where a shop's mirror and journal lie.
    pub fn state(&self, shop: &str) -> PathBuf {
        self.path("state").join(shop)
    }

    /// The binary, with nothing of the test's own environment.
    pub fn driftless<S: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
        command.env_clear().current_dir(self.dir.path());
        command.env("RUNTIME_DIRECTORY", self.path("locks"));
        command.args(arguments);
        command
    }

    /// One pass over the shop in this config.
    pub fn reconcile(&self, config: &Path, more: &[&str]) -> Command {
        let mut command = self.driftless(["--reconcile", "--config"]);
        command.arg(config).args(more);
        command
    }

    /// Lets the rules of this config write, as the last plan shows.
    pub fn release(&self, config: &Path) {
        let mut command = self.driftless(["release", "--config"]);
        super::process::run(command.arg(config)).expect(0);
    }

    /// Writes a shop's config and secrets; `edits` replace parts of the text, each of which must be
    /// there.
    pub fn shop(&self, name: &str, vendors: &Vendors, edits: &[(&str, &str)]) -> PathBuf {
        let mut text = vendors.config.clone();
        let state = self.state(name).display().to_string();
        let mut change = |from: &str, to: &str| {
            assert!(text.contains(from), "no `{from}` in\n{text}");
            text = text.replace(from, to);
        };
        let from = format!("state_dir = \"{}\"", vendors.state_dir);
        change(&from, &format!("state_dir = \"{state}\""));
        change("name = \"sandbox\"", &format!("name = \"{name}\""));
        for (variable, secret) in &vendors.secrets {
            let file = self.shops().join(format!("{name}.{variable}"));
            fs::write(&file, format!("{secret}\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            let place = format!("{{ file = \"{name}.{variable}\" }}");
            change(&format!("{{ env = \"{variable}\" }}"), &place);
        }
        for (from, to) in edits {
            change(from, to);
        }
        let path = self.shops().join(format!("{name}.toml"));
        fs::write(&path, text).unwrap();
        path
    }

    /// A shop's journal, one file after the other; empty before there is one.
    pub fn journal_text(&self, shop: &str) -> String {
        let Ok(folder) = fs::read_dir(self.state(shop).join("journal")) else {
            return String::new();
        };
        let mut files: Vec<PathBuf> = folder
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "log"))
            .collect();
        files.sort();
        let text = files.iter().map(|path| fs::read(path).unwrap());
        // A kill may leave half a letter at the end.
        String::from_utf8_lossy(&text.collect::<Vec<_>>().concat()).into_owned()
    }

    /// The effects of a shop's last plan, one a line.
    pub fn planned(&self, shop: &str) -> String {
        let text = fs::read_to_string(self.state(shop).join("plan.jsonl")).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        // Between what it rests on and its end.
        lines[1..lines.len() - 1].concat()
    }

    /// The records of a shop's journal, in order.
    pub fn journal(&self, shop: &str) -> Vec<Json> {
        let text = self.journal_text(shop);
        let records = text.lines().map(|line| {
            let json = line.splitn(3, ' ').nth(2).unwrap();
            serde_json::from_str(json).unwrap()
        });
        // The line that closes an append is no record of its own.
        records
            .filter(|record: &Json| record["commit"].is_null())
            .collect()
    }
}

/// Every record of a mirror that nobody holds.
pub fn export(state_dir: &Path) -> Vec<String> {
    let vault = Vault::open(state_dir, None).unwrap();
    let (mirror, repaired) = Mirror::open(state_dir, &vault, Clock::System.now()).unwrap();
    assert_eq!(repaired, None);
    mirror.verify().unwrap();
    mirror.export().map(Result::unwrap).collect()
}

/// What a config needs to know of a sandbox.
#[derive(Clone)]
pub struct Vendors {
    /// As the sandbox prints it.
    pub config: String,
    /// The state directory in it.
    pub state_dir: String,
    /// By the variable that the config names.
    pub secrets: BTreeMap<String, String>,
}

/// Both vendors inside the test. They stop when this is dropped.
pub struct Town {
    pub world: World,
    pub vendors: Vendors,
    sandbox: Option<Sandbox>,
    runtime: Runtime,
}

/// What a sandbox without limits is not to be waited for.
fn config_of(sandbox: &Sandbox, speed: Speed) -> String {
    let config = sandbox.config_toml(Path::new("/nowhere"));
    match speed {
        Speed::Real => config,
        Speed::Fast => without_limits(&config),
    }
}

impl Town {
    /// A generated shop without limits.
    pub fn fast(profiles: usize, seed: u64) -> Self {
        Self::open(profiles, seed, Speed::Fast)
    }

    pub fn open(profiles: usize, seed: u64, speed: Speed) -> Self {
        let runtime = Runtime::new().unwrap();
        let settings = GeneratorSettings::usual(profiles, seed, Clock::System.now());
        let world = World::new(Clock::System, generate(settings));
        let settings = SandboxSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            speed,
        };
        let sandbox = runtime.block_on(Sandbox::serve(world.clone(), settings));
        let sandbox = sandbox.unwrap();
        let secrets = sandbox.secrets().map(|(name, to)| (name.to_owned(), to));
        let vendors = Vendors {
            config: config_of(&sandbox, speed),
            state_dir: "/nowhere".to_owned(),
            secrets: secrets.into(),
        };
        Self {
            world,
            vendors,
            sandbox: Some(sandbox),
            runtime,
        }
    }

    /// Nobody answers at the ports any more.
    pub fn close(&mut self) {
        if let Some(sandbox) = self.sandbox.take() {
            drop(sandbox);
            // The servers end with their tasks.
            self.runtime.block_on(tokio::task::yield_now());
        }
    }

    /// Requests for an endpoint so far.
    pub fn asked(&self, endpoint: &str) -> u64 {
        let requests = self.sandbox.as_ref().unwrap().requests();
        let of_it = requests.iter().filter(|((_, path), _)| path == endpoint);
        of_it.map(|(_, (count, _))| count).sum()
    }

    /// Requests answered so far.
    pub fn answers(&self) -> u64 {
        let requests = self.sandbox.as_ref().unwrap().requests();
        requests.values().map(|(count, _)| count).sum()
    }

    /// Method and path of everything that was asked so far.
    pub fn endpoints(&self) -> BTreeSet<(String, String)> {
        let requests = self.sandbox.as_ref().unwrap().requests();
        requests.into_keys().collect()
    }

    /// Writes accepted upstream so far.
    pub fn writes(&self) -> usize {
        self.world.state().history.len()
    }
}

/// One GET: status and body. `listen` is `127.0.0.1:PORT` or `unix:/path`.
pub fn get(listen: &str, path: &str) -> Option<(u16, String)> {
    let ask = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    match listen.strip_prefix("unix:") {
        Some(socket) => {
            let mut stream = UnixStream::connect(socket).ok()?;
            stream.write_all(ask.as_bytes()).ok()?;
            stream.read_to_string(&mut answer).ok()?;
        }
        None => {
            let mut stream = TcpStream::connect(listen).ok()?;
            stream.write_all(ask.as_bytes()).ok()?;
            stream.read_to_string(&mut answer).ok()?;
        }
    }
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
