//! Lets new or changed rules write from the next pass on.

use super::args::Release;
use super::{Exit, output, shops};
use crate::clock::Clock;
use crate::config;
use crate::pass::{self, ReleaseError, Released};

/// Releases the rules of every shop, if its last plan was made of them. The daemon may run.
pub(super) fn run(args: &Release) -> Exit {
    let shops = match shops::load_offline(&args.shops.config) {
        Ok(shops) => shops,
        Err(exit) => return exit,
    };
    shops.iter().map(one).max().unwrap_or_default()
}

fn one(shop: &config::Shop) -> Exit {
    let (name, mode) = (&shop.name, shop.policy.mode.as_str());
    match pass::release(shop, Clock::System.now()) {
        Ok(Released { plan, effects }) => {
            let effects: Vec<String> = effects
                .iter()
                .map(|(kind, count)| format!("{kind} {count}"))
                .collect();
            let wanted = match effects.is_empty() {
                true => "nothing to do".to_owned(),
                false => effects.join(", "),
            };
            output::say(&format!(
                "{name}: released, as observed at {}: {wanted}; the next pass writes as far as mode \
                 `{mode}` and the guards let it",
                plan.made
            ));
            Exit::Done
        }
        Err(error) => {
            let exit = match &error {
                ReleaseError::NotObserved => Exit::Guard,
                ReleaseError::Plan(error) => super::plan::exit_of(error),
                ReleaseError::File(error) => shops::exit_of(error),
            };
            output::fault(exit, &format!("{name}: {error}"))
        }
    }
}
