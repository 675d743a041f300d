//! Plans that an operator looks at before anything is written: made, applied, taken back.

use super::args::{self, Apply, Once, Plan, Undo};
use super::{Exit, output, progress, reconcile, shops};
use crate::api::Budgets;
use crate::clock::Clock;
use crate::config;
use crate::journal::RunId;
use crate::pass::{Head, Options, PlanFile, PlanFileError, Summary, Task};
use crate::policy::Guard;
use crate::report::{self, Diff};
use crate::telemetry::{self, Meter};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

/// What a command needs to tell about its pass.
struct Done {
    summary: Summary,
    /// The plan of the pass, effect by effect.
    diff: Diff,
}

/// An exit with the words for it.
type Fault = (Exit, String);

/// Prints the words, and passes the exit on.
fn told((exit, text): Fault) -> Exit {
    output::fault(exit, &text)
}

/// Makes a plan and keeps it.
pub(super) async fn plan(args: &Plan) -> Exit {
    let options = Options {
        observe: true,
        ..Options::default()
    };
    match made(&args.once, options, &args.out).await {
        Ok(summary) if args.detailed_exit_code && !summary.is_quiet() => Exit::Changes,
        result => ended(result),
    }
}

/// Does what a plan says.
pub(super) async fn apply(args: &Apply) -> Exit {
    let file = match PlanFile::read(&args.file, |_| ()) {
        Ok(file) => file,
        Err(error) => return output::fault(exit_of(&error), &error.to_string()),
    };
    let options = Options {
        task: file.head.task,
        only: Some(Arc::new(file)),
        allow: args::allowances(&args.allow),
        ..Options::default()
    };
    ended(written(&args.once, options).await)
}

/// Takes a run back, or only plans to.
pub(super) async fn undo(args: &Undo) -> Exit {
    let task = Task::Undo(RunId(args.run));
    let allow = args::allowances(&args.allow);
    match &args.out {
        Some(out) => {
            let options = Options {
                task,
                observe: true,
                ..Options::default()
            };
            ended(made(&args.once, options, out).await)
        }
        None => {
            let options = Options {
                task,
                allow,
                ..Options::default()
            };
            ended(written(&args.once, options).await)
        }
    }
}

fn ended(result: Result<Summary, Exit>) -> Exit {
    result.map_or_else(|exit| exit, |summary| reconcile::exit_of(&summary))
}

/// A dry run whose plan is shown and copied.
async fn made(once: &Once, options: Options, out: &Path) -> Result<Summary, Exit> {
    refuse_other(out).map_err(told)?;
    let config = only_shop(once)?;
    let Done { summary, diff } = pass(config, options, Some(out)).await.map_err(told)?;
    output::say(&format!("{}\n{diff}", report::text(&summary)));
    let place = out.display();
    let allow = summary.trips.iter();
    let allow = allow.map(|trip| (trip.guard, trip.count));
    // Whoever applies a plan has seen it.
    let allow = allow.filter(|(guard, _)| *guard != Guard::FirstRun);
    let allow: String = allow
        .map(|(guard, n)| format!(" --allow {guard}={n}"))
        .collect();
    output::say(&match summary.planned.is_empty() {
        true => format!("The plan in {place} has nothing to do."),
        false => format!(
            "The plan is in {place} and holds for 24 hours. `driftless apply {place}{allow}` with the \
             same --config carries it out; that needs no release."
        ),
    });
    Ok(summary)
}

/// A pass that is free to write.
async fn written(once: &Once, options: Options) -> Result<Summary, Exit> {
    let config = only_shop(once)?;
    if let Some(file) = options
        .only
        .as_ref()
        .filter(|file| file.head.shop != config.name)
    {
        let (theirs, ours) = (&file.head.shop, &config.name);
        let text =
            format!("the plan is of the shop `{theirs}`, the config of `{ours}`: use its own");
        return Err(told((Exit::Config, text)));
    }
    let undoes = options.task != Task::Rules;
    let Done { summary, diff } = pass(config, options, None).await.map_err(told)?;
    output::say(&format!("{diff}\n{}", report::text(&summary)));
    if undoes && summary.trips.is_empty() && !summary.planned.is_empty() {
        output::say("The release is taken back: passes only observe until `driftless release`.");
    }
    Ok(summary)
}

/// What is no plan is not written over, and a place that cannot be is not found out after a pass.
fn refuse_other(out: &Path) -> Result<(), Fault> {
    let place = out.display();
    if out.exists() && Head::read(out).is_err() {
        let text = format!("{place} is there already and is no plan: give another name");
        return Err((Exit::Usage, text));
    }
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder.is_none_or(Path::is_dir) {
        true => Ok(()),
        false => Err((
            Exit::Usage,
            format!("{place} lies in no directory that exists"),
        )),
    }
}

/// Copies a plan, whole or not at all. It may be asked for where it lies already.
fn keep(plan: &Path, out: &Path) -> io::Result<()> {
    let half = out.with_added_extension("new");
    std::fs::copy(plan, &half)?;
    std::fs::rename(&half, out)
}

fn only_shop(once: &Once) -> Result<config::Shop, Exit> {
    telemetry::init(once.log.log_format, &once.log.log)
        .map_err(|error| output::fault(Exit::Usage, &error.to_string()))?;
    shops::load(&once.shops.config).and_then(shops::only)
}

/// A pass, its plan and, if asked for, a copy of that, which nobody replaces meanwhile.
async fn pass(config: config::Shop, options: Options, out: Option<&Path>) -> Result<Done, Fault> {
    let name = config.name.clone();
    let mut held = shops::open(
        config,
        &Budgets::default(),
        &Clock::System,
        Meter::default(),
    )?;
    let options = Options {
        progress: progress::listener(),
        ..options
    };
    let result = held.shop.pass(&options).await;
    let summary = result.map_err(|error| (shops::exit_of(&error), format!("{name}: {error}")))?;
    let lists = held.shop.mirror().bindings();
    let lists =
        lists.map_err(|error| (shops::exit_of_mirror(&error), format!("{name}: {error}")))?;
    let mut diff = Diff::new(lists);
    let plan = held.shop.plan_path();
    PlanFile::read(&plan, |effect| diff.note(&effect))
        .map_err(|error| (exit_of(&error), error.to_string()))?;
    if let Some(out) = out {
        let place = out.display();
        keep(&plan, out).map_err(|error| (Exit::Disk, format!("cannot write {place}: {error}")))?;
    }
    Ok(Done { summary, diff })
}

/// The exit of a file that is no plan.
pub(super) fn exit_of(error: &PlanFileError) -> Exit {
    match error {
        PlanFileError::Io { source, .. } if source.kind() == ErrorKind::NotFound => Exit::Usage,
        PlanFileError::Io { .. } => Exit::Disk,
        PlanFileError::NotAPlan { .. } => Exit::Damaged,
    }
}
