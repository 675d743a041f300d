//! `driftless segment list` and `driftless segment why`: answers from a shop's mirror.

use crate::cli::args::{List, Why};
use crate::cli::{Exit, output, shops};
use crate::clock::Clock;
use crate::config;
use crate::mirror::{Mirror, MirrorError};
use crate::model::Moment;
use crate::pass::PassError;
use crate::pass::segments::Desk;
use crate::report;

/// Prints a table of every segment of every shop.
pub(super) fn list(args: &List) -> Exit {
    each_shop(&args.shops.config, |config| {
        let present = Clock::System.now();
        let mirror = open(config)?;
        let desk = Desk::open(&mirror, &config.policy, args.at, present).map_err(of_mirror)?;
        let now = args.at.unwrap_or(present);
        let rows = desk.list().map_err(of_pass)?;
        output::say(&report::segments::list(&rows, now, args.at.is_none()));
        Ok(())
    })
}

/// Prints why somebody is in a segment, or not. Of several shops one that knows both is enough.
pub(super) fn why(args: &Why) -> Exit {
    let mut answered = false;
    let mut strangers = Vec::new();
    let exit = each_shop(&args.shops.config, |config| {
        let mirror = open(config)?;
        let desk = Desk::open(&mirror, &config.policy, args.at, Clock::System.now());
        let desk = desk.map_err(of_mirror)?;
        let entry = match desk.book().find(&args.segment) {
            Ok(entry) => entry,
            Err(text) => {
                strangers.push(format!("{}: {text}", config.name));
                return Ok(());
            }
        };
        let slots = desk.find_person(&args.person).map_err(of_mirror)?;
        let answers = desk.why(entry, &slots).map_err(of_mirror)?;
        if answers.is_empty() {
            strangers.push(format!(
                "{}: nobody here is `{}`; give a profile id, an e-mail address, a phone number, an \
                 external id or a Shopify customer id",
                config.name, args.person
            ));
        }
        answered |= !answers.is_empty();
        let told: Vec<String> = answers.iter().map(report::segments::why).collect();
        output::say(&told.join("\n"));
        Ok(())
    });
    match answered || strangers.is_empty() {
        true => exit,
        false => exit.max(output::fault(Exit::Usage, &strangers.join("\n"))),
    }
}

/// How an answer failed.
pub(super) type Fault = (Exit, String);

pub(super) fn each_shop(
    paths: &[std::path::PathBuf],
    mut answer: impl FnMut(&config::Shop) -> Result<(), Fault>,
) -> Exit {
    let shops = match shops::load_offline(paths) {
        Ok(shops) => shops,
        Err(exit) => return exit,
    };
    let mut worst = Exit::Done;
    for config in shops {
        if let Err((exit, text)) = answer(&config) {
            worst = worst.max(output::fault(exit, &format!("{}: {text}", config.name)));
        }
    }
    worst
}

pub(super) fn open(config: &config::Shop) -> Result<Mirror, Fault> {
    if !config.state_dir.join("mirror").exists() {
        let text = "there is no mirror yet; make a pass with --reconcile first";
        return Err((Exit::Usage, text.to_owned()));
    }
    let now: Moment = Clock::System.now();
    let vault = config
        .vault()
        .map_err(MirrorError::from)
        .map_err(of_mirror)?;
    let (mirror, _) = Mirror::open(&config.state_dir, &vault, now).map_err(of_mirror)?;
    Ok(mirror)
}

pub(super) fn of_mirror(error: MirrorError) -> Fault {
    of_pass(error.into())
}

fn of_pass(error: PassError) -> Fault {
    (shops::exit_of(&error), error.to_string())
}
