//! One pass over every shop.

use super::args::Run;
use super::{Exit, output, progress, shops};
use crate::api::Budgets;
use crate::clock::Clock;
use crate::config;
use crate::model::End;
use crate::pass::{Options, Summary};
use crate::report;
use crate::telemetry::Meter;
use serde_json::{Value as Json, json};

/// Passes over all shops, one after the other; prints a table or one JSON object.
pub(super) async fn run(args: &Run) -> Exit {
    let shops = match shops::load(&args.shops.config) {
        Ok(shops) => shops,
        Err(exit) => return exit,
    };
    let (budgets, clock) = (Budgets::default(), Clock::System);
    let mut worst = Exit::Done;
    let mut results = Vec::new();
    for config in shops {
        let name = config.name.clone();
        let (exit, result) = match one(config, args, &budgets, &clock).await {
            Ok(summary) => {
                let exit = detailed(exit_of(&summary), &summary, args);
                if !args.json {
                    output::say(&report::text(&summary));
                }
                (exit, report::json(&summary))
            }
            Err((exit, text)) => {
                output::note(&text);
                (exit, json!({"shop": name, "error": text}))
            }
        };
        results.push(with_exit(result, exit));
        worst = worst.max(exit);
    }
    if args.json {
        let whole = json!({"exit": worst.code(), "shops": results});
        output::say(&whole.to_string());
    }
    worst
}

async fn one(
    config: config::Shop,
    args: &Run,
    budgets: &Budgets,
    clock: &Clock,
) -> Result<Summary, (Exit, String)> {
    let name = config.name.clone();
    let mut held = shops::open(config, budgets, clock, Meter::default())?;
    let options = Options {
        observe: args.observe,
        as_of: args.as_of,
        allow: args.allowances(),
        progress: progress::listener(),
        ..Options::default()
    };
    let result = held.shop.pass(&options).await;
    result.map_err(|error| (shops::exit_of(&error), format!("{name}: {error}")))
}

/// How a pass that came to its end should end the process. A dry run stops at no guard: it was not
/// going to write.
pub(super) fn exit_of(summary: &Summary) -> Exit {
    if let Some(failure) = &summary.failure {
        return shops::exit_of_push(failure);
    }
    let refused = summary.effects.ended(End::Refused) > 0;
    if !summary.trips.is_empty() && !summary.dry_run {
        Exit::Guard
    } else if refused || summary.effects.unknown > 0 || !summary.effects.unkept.is_empty() {
        Exit::SomeRefused
    } else {
        Exit::Done
    }
}

/// A dry run that was asked for it tells a plan with effects from one without.
fn detailed(exit: Exit, summary: &Summary, args: &Run) -> Exit {
    let asked = args.detailed_exit_code && summary.dry_run;
    match exit {
        Exit::Done if asked && !summary.is_quiet() => Exit::Changes,
        exit => exit,
    }
}

fn with_exit(mut result: Json, exit: Exit) -> Json {
    result["exit"] = json!(exit.code());
    result
}
