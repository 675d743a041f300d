//! Serves both vendors in miniature until interrupted.

use super::args::Sandbox as Args;
use super::{Exit, output};
use crate::clock::Clock;
use crate::sandbox::{GeneratorSettings, Sandbox, SandboxSettings, World, from_csv, generate};
use std::fs::File;
use std::io::BufReader;

/// Builds the world, serves it, prints a config that fits.
pub(super) async fn run(args: &Args) -> Exit {
    let clock = Clock::System;
    let state = match &args.orders {
        None => {
            let settings = GeneratorSettings {
                profiles: args.profiles as usize,
                seed: args.seed,
                now: clock.now(),
            };
            generate(settings)
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
    output::say(&format!(
        "# shop.toml\n{}\n# end",
        sandbox.config_toml(&state_dir).trim_end()
    ));
    let _ = tokio::signal::ctrl_c().await;
    Exit::Done
}
