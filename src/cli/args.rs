//! The command line.

use crate::model::{DAY_MS, Moment};
use crate::policy::{Allowances, Guard};
use crate::telemetry::LogFormat;
use clap::{ArgGroup, Args, Parser, Subcommand};
use std::path::PathBuf;

/// Keeps a Shopify shop and its Klaviyo account true to each other.
///
/// Without a command: the daemon, or with --reconcile one pass.
#[derive(Clone, Debug, Parser)]
#[command(name = "driftless", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do instead of running.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Running.
    #[command(flatten)]
    pub run: Run,
}

/// Other commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Validate configs; says every fault at once.
    Check(Check),
    /// Make a plan, show it, and keep it in a file; writes nothing upstream.
    Plan(Plan),
    /// Do exactly what a plan file says, or refuse because the shop has moved on.
    Apply(Apply),
    /// Bring back what a run changed, wherever nobody has changed it since. Later passes only observe
    /// until `release`.
    Undo(Undo),
    /// Let new or changed rules write from the next pass on, as the last plan shows.
    Release(Release),
    /// Who was changed, why, from what to what: all runs, or one effect by effect.
    Receipts(Receipts),
    /// Forget a person: remove every record of theirs here, destroy the keys to what backups hold of
    /// them, and never take them in again. The daemon may run: a pass under way is finished first.
    Forget(Forget),
    /// Note that a customer's request for their data was answered. The daemon may run.
    Answered(Answered),
    /// Read mirror and journal to their end and say what is damaged. The daemon must not run.
    Verify(Verify),
    /// Copy everything a shop holds into one file. The daemon may run: a pass under way is finished
    /// first.
    Backup(Backup),
    /// Make mirror and journal of a backup; passes only observe until `release`. The daemon must not run.
    Restore(Restore),
    /// Set the mirror aside for a new one; passes only observe until `release`. The daemon must not run.
    Rebuild(Rebuild),
    /// Evaluate segment definitions.
    #[command(subcommand)]
    Segment(Segment),
    /// Serve both vendors in miniature on loopback.
    #[cfg(feature = "sandbox")]
    Sandbox(Sandbox),
    /// Show the main job on the built-in sandbox: observe, apply, nothing to do.
    #[cfg(feature = "sandbox")]
    Demo(Demo),
}

/// Where the shops are described.
#[derive(Clone, Debug, Args)]
pub struct Shops {
    /// A shop's TOML file, or a directory of them; may be repeated.
    #[arg(
        long,
        short,
        value_name = "PATH",
        env = "DRIFTLESS_CONFIG",
        value_delimiter = ':'
    )]
    pub config: Vec<PathBuf>,
}

/// Running: as a daemon, or once.
#[derive(Clone, Debug, Args)]
#[command(group(ArgGroup::new("dry_run").multiple(true)))]
pub struct Run {
    /// Where the shops are described.
    #[command(flatten)]
    pub shops: Shops,
    /// Make one pass over every shop and exit.
    #[arg(long)]
    pub reconcile: bool,
    /// Write nothing, whatever the mode.
    #[arg(long, group = "dry_run")]
    pub observe: bool,
    /// End a dry run (--observe or --as-of) with 2 when there is something to do.
    #[arg(long, requires = "reconcile", requires = "dry_run")]
    pub detailed_exit_code: bool,
    /// Print the result of --reconcile as one JSON object.
    #[arg(long, requires = "reconcile")]
    pub json: bool,
    /// Evaluate as of this instant (RFC 3339, or a date for its end in UTC) instead of now; implies
    /// --observe.
    #[arg(long, value_name = "TIME", group = "dry_run", requires = "reconcile", value_parser = moment)]
    pub as_of: Option<Moment>,
    /// Let a guard pass up to this many people once; may be repeated.
    #[arg(long, value_name = "GUARD=N", requires = "reconcile", value_parser = allowance)]
    pub allow: Vec<(Guard, u64)>,
    /// Serve /livez, /readyz, /status and /metrics here: a loopback address or unix:/path.
    #[arg(long, value_name = "ADDR", env = "DRIFTLESS_LISTEN")]
    pub listen: Option<String>,
    /// How to log.
    #[command(flatten)]
    pub log: Log,
}

/// How to log.
#[derive(Clone, Debug, Args)]
pub struct Log {
    /// Log lines as text or JSON.
    #[arg(
        long,
        value_name = "text|json",
        default_value_t,
        env = "DRIFTLESS_LOG_FORMAT"
    )]
    pub log_format: LogFormat,
    /// What to log, as tracing-subscriber filters: `info`, `driftless::api=debug`.
    #[arg(
        long,
        value_name = "FILTER",
        default_value = "info",
        env = "DRIFTLESS_LOG"
    )]
    pub log: String,
}

impl Run {
    /// The guards released for this run.
    pub fn allowances(&self) -> Allowances {
        allowances(&self.allow)
    }
}

/// The guards that were named with how many.
pub(super) fn allowances(allow: &[(Guard, u64)]) -> Allowances {
    Allowances(allow.iter().copied().collect())
}

/// One pass over one shop, for an operator who looks at it.
#[derive(Clone, Debug, Args)]
pub struct Once {
    /// Where the shop is described: one file.
    #[command(flatten)]
    pub shops: Shops,
    /// How to log.
    #[command(flatten)]
    pub log: Log,
}

/// Make a plan.
#[derive(Clone, Debug, Args)]
pub struct Plan {
    /// Which shop.
    #[command(flatten)]
    pub once: Once,
    /// Where to put it; a plan that is there is replaced.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// End with 2 when there is something to do.
    #[arg(long)]
    pub detailed_exit_code: bool,
}

/// Do what a plan file says.
#[derive(Clone, Debug, Args)]
pub struct Apply {
    /// A file of `plan`, of `undo --out`, or `plan.jsonl` in the state directory. It holds for 24 hours.
    pub file: PathBuf,
    /// Which shop.
    #[command(flatten)]
    pub once: Once,
    /// Let a guard pass up to this many people once; may be repeated.
    #[arg(long, value_name = "GUARD=N", value_parser = allowance)]
    pub allow: Vec<(Guard, u64)>,
}

/// Bring back what a run changed.
#[derive(Clone, Debug, Args)]
pub struct Undo {
    /// The run's number, as in `receipts`.
    pub run: u64,
    /// Which shop.
    #[command(flatten)]
    pub once: Once,
    /// Only make the plan, and put it there for `apply`.
    #[arg(long, value_name = "FILE", conflicts_with = "allow")]
    pub out: Option<PathBuf>,
    /// Let a guard pass up to this many people once; may be repeated.
    #[arg(long, value_name = "GUARD=N", value_parser = allowance)]
    pub allow: Vec<(Guard, u64)>,
}

/// Let rules write.
#[derive(Clone, Debug, Args)]
pub struct Release {
    /// Where the shops are described.
    #[command(flatten)]
    pub shops: Shops,
}

/// Who was changed, and why.
#[derive(Clone, Debug, Args)]
pub struct Receipts {
    /// One run, effect by effect.
    pub run: Option<u64>,
    /// Where the shops are described.
    #[command(flatten)]
    pub shops: Shops,
    /// Print JSON, an object a line.
    #[arg(long)]
    pub json: bool,
}

/// Note that a request for data was answered.
#[derive(Clone, Debug, Args)]
pub struct Answered {
    /// The request's number, as /status and every report show it.
    #[arg(value_name = "REQUEST")]
    pub request: u64,
    /// Where the shop is described.
    #[command(flatten)]
    pub shops: Shops,
}

/// Forget a person.
#[derive(Clone, Debug, Args)]
pub struct Forget {
    /// Whom: a profile id, a Shopify customer id, an e-mail address, a phone number or an external id.
    pub person: String,
    /// Where the shop is described.
    #[command(flatten)]
    pub shops: Shops,
    /// Do it, if the person has exactly so many records; without it they are only counted.
    #[arg(long, value_name = "N")]
    pub records: Option<u64>,
    /// Ask Klaviyo to delete the person's profiles, if they are exactly so many. It cannot be taken back.
    #[arg(long, value_name = "N", requires = "records")]
    pub at_klaviyo: Option<u64>,
}

/// Validate configs.
#[derive(Clone, Debug, Args)]
pub struct Check {
    /// Where the shops are described.
    #[command(flatten)]
    pub shops: Shops,
    /// Also prove keys, scopes and account identity at both vendors.
    #[arg(long)]
    pub online: bool,
}

/// Read mirror and journal to their end.
#[derive(Clone, Debug, Args)]
pub struct Verify {
    /// Where the shops are described.
    #[command(flatten)]
    pub shops: Shops,
    /// Also tell a digest of what each mirror says: mirrors that say the same have the same one.
    #[arg(long)]
    pub digest: bool,
}

/// Copy everything a shop holds into one file.
#[derive(Clone, Debug, Args)]
pub struct Backup {
    /// Where the shop is described.
    #[command(flatten)]
    pub shops: Shops,
    /// The file to make; it must not exist. It opens only with the shop's `vault` file, which is not in
    /// it.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Make mirror and journal of a backup.
#[derive(Clone, Debug, Args)]
pub struct Restore {
    /// A backup of this shop.
    pub file: PathBuf,
    /// Where the shop is described; its state directory must hold neither mirror nor journal.
    #[command(flatten)]
    pub shops: Shops,
}

/// Set the mirror aside for a new one.
#[derive(Clone, Debug, Args)]
pub struct Rebuild {
    /// Where the shops are described.
    #[command(flatten)]
    pub shops: Shops,
}

/// What definitions say, about whom, and why.
#[derive(Clone, Debug, Subcommand)]
pub enum Segment {
    /// Every segment: its size here and at Klaviyo, its moves, and its sizes for the next 90 days.
    List(List),
    /// Why somebody is in a segment, or not, and when that changes.
    Why(Why),
    /// What definitions alone say: empty, equal, contained and disjoint segments, with a person who
    /// proves each "not"; and which three to five would do.
    Relations(Relations),
    /// Ready-made segments for `[[segment]]`, and the definition that each stands for.
    Catalogue(Catalogue),
    /// Evaluate definitions on people, both from files; needs no account and no config.
    Eval(Eval),
}

/// Every segment with its sizes.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Where the shops are described.
    #[command(flatten)]
    pub shops: Shops,
    /// As of this instant (RFC 3339, or a date for its end in UTC) instead of now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Moment>,
}

/// Why somebody is in a segment.
#[derive(Clone, Debug, Args)]
pub struct Why {
    /// The segment: its name, its id at Klaviyo, or its key such as `local/NAME`.
    pub segment: String,
    /// The person: a profile id, an e-mail address, a phone number, an external id or a Shopify
    /// customer id.
    pub person: String,
    /// Where the shops are described.
    #[command(flatten)]
    pub shops: Shops,
    /// As of this instant (RFC 3339, or a date for its end in UTC) instead of now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Moment>,
}

/// What definitions say of each other.
#[derive(Clone, Debug, Args)]
pub struct Relations {
    /// Definitions from a file, by name or as the API lists segments, instead of a shop's.
    #[arg(long, value_name = "FILE.json")]
    pub definitions: Option<PathBuf>,
    /// Where the shops are described.
    #[command(flatten)]
    pub shops: Shops,
    /// At this instant (RFC 3339) instead of now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Moment>,
}

/// Ready-made segments.
#[derive(Clone, Debug, Args)]
pub struct Catalogue {
    /// Only this one, with its parameters and its definition.
    pub name: Option<String>,
}

/// Evaluate definitions on people, both from files.
#[derive(Clone, Debug, Args)]
pub struct Eval {
    /// Definitions by name, {"NAME": {"condition_groups": …}}, or segments as the API lists them.
    #[arg(long, value_name = "FILE.json")]
    pub definitions: PathBuf,
    /// A line for each person: {"profile": …, "events": […], "lists": [{"id", "joined_group_at"}]},
    /// with profile and events as the API gives them.
    #[arg(long, value_name = "FILE.jsonl")]
    pub people: PathBuf,
    /// The instant of evaluation (RFC 3339), in whole seconds.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub now: Moment,
    /// Instead of verdicts: when each of them changes within so many days if nothing new happens.
    #[arg(long, value_name = "DAYS")]
    pub transitions: Option<u32>,
}

/// Serve both vendors in miniature.
#[cfg(feature = "sandbox")]
#[derive(Clone, Debug, Args)]
pub struct Sandbox {
    /// Profiles to generate.
    #[arg(
        long,
        default_value_t = 2_000,
        value_name = "N",
        conflicts_with = "orders"
    )]
    pub profiles: u32,
    /// The most mails that most people were sent; one in eight was sent more.
    #[arg(
        long,
        default_value_t = 11,
        value_name = "N",
        conflicts_with = "orders"
    )]
    pub letters: u32,
    /// Seed of the generator: the same seed makes the same shop.
    #[arg(long, default_value_t = 1, value_name = "S", conflicts_with = "orders")]
    pub seed: u64,
    /// A real order history instead: CSV with customer_id,date,units,amount.
    #[arg(long, value_name = "FILE")]
    pub orders: Option<PathBuf>,
    /// `real`: the vendors' rate limits; `fast`: none.
    #[arg(long, value_name = "real|fast", default_value_t)]
    pub speed: crate::sandbox::Speed,
    /// Where Klaviyo listens; Shopify takes the next port.
    #[arg(long, default_value = "127.0.0.1:4001", value_name = "ADDR")]
    pub listen: std::net::SocketAddr,
    /// Deliver webhooks of what changes here, such as http://127.0.0.1:9181.
    #[arg(long, value_name = "URL")]
    pub webhooks: Option<String>,
    /// The share of webhooks that never come.
    #[arg(
        long,
        default_value_t = 0.0,
        value_name = "SHARE",
        requires = "webhooks"
    )]
    pub webhook_drop: f64,
    /// The share of webhooks that come twice.
    #[arg(
        long,
        default_value_t = 0.0,
        value_name = "SHARE",
        requires = "webhooks"
    )]
    pub webhook_repeat: f64,
    /// Let webhooks of the same second overtake each other.
    #[arg(long, requires = "webhooks")]
    pub webhook_shuffle: bool,
}

/// The main job on the built-in sandbox.
#[cfg(feature = "sandbox")]
#[derive(Clone, Debug, Args)]
pub struct Demo {
    /// Profiles to generate.
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    pub profiles: u32,
    /// Seed of the generator.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub seed: u64,
}

fn moment(text: &str) -> Result<Moment, String> {
    let at = Moment::parse(text).ok_or("give RFC 3339 such as 2026-11-21T08:00:00Z, or a date")?;
    let is_date = !text.contains(':');
    Ok(if is_date {
        Moment(at.0 + DAY_MS - 1)
    } else {
        at
    })
}

fn allowance(text: &str) -> Result<(Guard, u64), String> {
    let (guard, count) = text
        .split_once('=')
        .ok_or("give GUARD=N, such as first_run=120")?;
    let guard = guard.parse::<Guard>().map_err(|unknown| {
        let names: Vec<_> = Guard::ALL.iter().map(|guard| guard.as_str()).collect();
        format!("{unknown}; there are {}", names.join(", "))
    })?;
    let count = count
        .parse()
        .map_err(|_| "N is a whole number of people".to_owned())?;
    Ok((guard, count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_bare_date_means_its_end() {
        assert_eq!(
            moment("1998-06-30").map(|at| at.to_string()),
            Ok("1998-06-30T23:59:59.999Z".to_owned())
        );
        assert_eq!(
            moment("1998-06-30T12:00:00Z").map(Moment::secs),
            Ok(899_208_000)
        );
        assert!(moment("yesterday").is_err());
    }

    #[test]
    fn an_allowance_names_a_guard_and_a_number() {
        assert_eq!(allowance("first_run=120"), Ok((Guard::FirstRun, 120)));
        assert!(allowance("first_run").is_err());
        assert!(allowance("frist_run=1").is_err_and(|text| text.contains("max_suppressions")));
    }
}
