//! The main job, shown on the built-in sandbox: observe, apply, nothing to do.

use super::args::Demo;
use super::{Exit, output, progress, shops};
use crate::api::Budgets;
use crate::clock::Clock;
use crate::config::{self, Environment};
use crate::pass::{self, Options, Summary};
use crate::report;
use crate::sandbox::{GeneratorSettings, Sandbox, SandboxSettings, Speed, World, generate};
use crate::telemetry::Meter;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Three passes over a generated shop. The first only observes, as every new rule does until it is
/// released.
pub(super) async fn run(args: &Demo) -> Exit {
    let state_dir = std::env::temp_dir().join(format!("driftless-demo-{}", std::process::id()));
    let exit = match passes(args, &state_dir).await {
        Ok(exit) => exit,
        Err((exit, text)) => output::fault(exit, &text),
    };
    let place = state_dir.display();
    output::note(&format!(
        "mirror, journal, plan and findings are left for a look in {place}"
    ));
    exit
}

async fn passes(args: &Demo, state_dir: &Path) -> Result<Exit, (Exit, String)> {
    let clock = Clock::System;
    let settings = GeneratorSettings::usual(args.profiles as usize, args.seed, clock.now());
    output::say(&format!(
        "A shop of {} profiles is generated and served ...",
        args.profiles
    ));
    let world = World::new(clock.clone(), generate(settings));
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let sandbox = Sandbox::serve(
        world,
        SandboxSettings {
            listen,
            speed: Speed::Fast,
        },
    )
    .await
    .map_err(|error| (Exit::Usage, format!("loopback: {error}")))?;
    let config = config_of(&sandbox, state_dir)?;
    let mut held = shops::open(
        config.clone(),
        &Budgets::default(),
        &clock,
        Meter::default(),
    )?;

    let titles = [
        "1. The first pass observes: new rules write nothing until they are released",
        "2. Released (`driftless release`), the second pass applies the plan",
        "3. The third pass finds nothing to do",
    ];
    let mut last: Option<Summary> = None;
    for title in titles {
        output::say(&format!("\n{title}"));
        let options = Options {
            progress: progress::listener(),
            ..Options::default()
        };
        let summary = held.shop.pass(&options).await;
        let summary = summary.map_err(|error| (shops::exit_of(&error), error.to_string()))?;
        output::say(&report::text(&summary));
        if last.is_none() {
            pass::release(&config, clock.now()).map_err(|error| (Exit::Bug, error.to_string()))?;
        }
        last = Some(summary);
    }
    match last {
        Some(summary) if summary.is_quiet() => Ok(Exit::Done),
        _ => Err((
            Exit::Bug,
            "the third pass still found something to do".to_owned(),
        )),
    }
}

fn config_of(sandbox: &Sandbox, state_dir: &Path) -> Result<config::Shop, (Exit, String)> {
    let text = sandbox.config_toml(state_dir);
    let secrets = sandbox.secrets();
    let pairs = secrets.iter().map(|(name, value)| (*name, value.as_str()));
    let environment = Environment::fixed(pairs);
    config::parse(&PathBuf::from("demo.toml"), &text, &environment)
        .map_err(|faults| (Exit::Config, faults.to_string()))
}
