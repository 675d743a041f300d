//! Serves both vendors in miniature until interrupted.

use super::args::Sandbox as Args;
use super::{Exit, output};
use crate::clock::Clock;
use crate::sandbox::courier::{Courier, Habits, deliver};
use crate::sandbox::{
    GeneratorSettings, Sandbox, SandboxSettings, Speed, World, from_csv, generate, without_limits,
};
use std::fs::File;
use std::io::BufReader;
use std::time::Duration;

/// What the sandbox's webhooks are signed with; it guards nothing.
const SIGN: &str = "sandbox-signs-with-this";

/// Builds the world, serves it, prints a config that fits.
pub(super) async fn run(args: &Args) -> Exit {
    let clock = Clock::System;
    let state = match &args.orders {
        None => {
            let profiles = args.profiles as usize;
            generate(GeneratorSettings {
                letters: args.letters as usize,
                ..GeneratorSettings::usual(profiles, args.seed, clock.now())
            })
        }
        Some(path) => {
            let place = path.display();
            let file = match File::open(path) {
                Ok(file) => file,
                Err(error) => return output::fault(Exit::Usage, &format!("{place}: {error}")),
            };
            match from_csv(BufReader::new(file), clock.now()) {
                Ok(state) => state,
                Err(error) => return output::fault(Exit::Usage, &format!("{place}: {error}")),
            }
        }
    };
    let world = World::new(clock, state);
    let settings = SandboxSettings {
        listen: args.listen,
        speed: args.speed,
    };
    let courier = args.webhooks.as_ref().map(|url| {
        let habits = Habits {
            shuffle: args.webhook_shuffle,
            repeat: args.webhook_repeat,
            drop: args.webhook_drop,
        };
        let courier = Courier::new(world.clone(), SIGN, habits, args.seed);
        (courier, url.trim_end_matches('/').to_owned())
    });
    let sandbox = match Sandbox::serve(world, settings).await {
        Ok(sandbox) => sandbox,
        Err(error) => return output::fault(Exit::Usage, &format!("{}: {error}", args.listen)),
    };
    let state_dir = std::env::temp_dir().join("driftless-sandbox");
    output::say(&format!(
        "# Klaviyo at {}, Shopify at {}. Export the two secrets, save what stands between\n\
         # `shop.toml` and `end` as shop.toml (chmod 600), and run\n\
         #   driftless --config shop.toml --reconcile",
        sandbox.klaviyo_url, sandbox.shopify_url,
    ));
    for (name, value) in sandbox.secrets() {
        output::say(&format!("export {name}={value}"));
    }
    let mut config = sandbox.config_toml(&state_dir);
    if args.speed == Speed::Fast {
        config = without_limits(&config);
    }
    output::say(&format!("# shop.toml\n{}\n# end", config.trim_end()));
    match courier {
        None => drop(tokio::signal::ctrl_c().await),
        Some((courier, url)) => {
            output::say(&format!(
                "# Webhooks go to {url}; sign with\nexport DRIFTLESS_WEBHOOKS={SIGN}"
            ));
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                () = run_errands(courier, &url) => {}
            }
        }
    }
    for ((method, path), (asked, throttled)) in sandbox.requests() {
        output::say(&format!(
            "# {asked} requests, {throttled} of them answered with 429: {method} {path}"
        ));
    }
    Exit::Done
}

/// Delivers every second what changed in it.
async fn run_errands(mut courier: Courier, url: &str) {
    loop {
        Clock::System.sleep(Duration::from_secs(1)).await;
        let answers = deliver(url, &courier.collect()).await;
        let refused = answers.iter().filter(|answer| **answer != Some(200));
        match (answers.len(), refused.count()) {
            (0, _) => {}
            (sent, refused) => tracing::info!(sent, refused, "Webhooks delivered"),
        }
    }
}
