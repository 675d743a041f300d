//! Crossing off a customer's request for their data.

use super::args::Answered;
use super::{Exit, output, shops};
use crate::api::Budgets;
use crate::clock::Clock;
use crate::telemetry::Meter;

/// Notes that a request was answered.
pub(super) fn run(args: &Answered) -> Exit {
    let shop = match shops::load_offline(&args.shops.config).and_then(shops::only) {
        Ok(shop) => shop,
        Err(exit) => return exit,
    };
    let name = shop.name.clone();
    let mut shop =
        match shops::open_unlocked(shop, &Budgets::default(), &Clock::System, Meter::default()) {
            Ok(shop) => shop,
            Err((exit, text)) => return output::fault(exit, &text),
        };
    let request = args.request;
    match shop.data_answered(request) {
        Ok(true) => {
            output::say(&format!("{name}: request {request} is answered"));
            Exit::Done
        }
        Ok(false) => {
            let text = format!("{name}: no request {request} waits for an answer");
            output::fault(Exit::Usage, &text)
        }
        Err(error) => output::fault(shops::exit_of(&error), &format!("{name}: {error}")),
    }
}
