//! What the journal says was done: all runs, or one effect by effect. The daemon may run meanwhile.

use super::args::Receipts;
use super::{Exit, output, shops};
use crate::config;
use crate::journal::{
    self, EffectId, Entry, Forgetting, Intent, JournalError, Outcome, Reading, RunId,
};
use crate::model::{EffectKind, End, Moment};
use crate::report;
use crate::vault::Vault;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Prints the receipts of every shop.
pub(super) fn run(args: &Receipts) -> Exit {
    let shops = match shops::load_offline(&args.shops.config) {
        Ok(shops) => shops,
        Err(exit) => return exit,
    };
    let told = shops.iter().map(|shop| one(shop, args));
    told.max().unwrap_or_default()
}

fn one(shop: &config::Shop, args: &Receipts) -> Exit {
    let dir = shop.state_dir.join("journal");
    if matches!(dir.try_exists(), Ok(false)) {
        output::say(&format!("{}: there is no journal yet", shop.name));
        return Exit::Done;
    }
    let vault = match shop.vault() {
        Ok(vault) => vault,
        Err(error) => {
            let exit = shops::exit_of_vault(&error);
            return output::fault(exit, &format!("{}: {error}", shop.name));
        }
    };
    let read = match args.run {
        None => runs(&dir, &vault).map(|past| {
            tell_runs(&shop.name, &past, args.json);
            Exit::Done
        }),
        Some(run) => {
            let mut count = 0_u64;
            let each = |intent: &Intent, outcome: Option<&Outcome>| {
                count += 1;
                output::say(&match args.json {
                    true => receipt_json(&shop.name, intent, outcome).to_string(),
                    false => receipt(intent, outcome),
                });
            };
            effects(&dir, &vault, RunId(run), each).map(|()| match count {
                0 => {
                    let name = &shop.name;
                    let text = format!("{name}: the journal has no effect of run {run}");
                    output::fault(Exit::Usage, &text)
                }
                _ => Exit::Done,
            })
        }
    };
    match read {
        Ok(exit) => exit,
        Err(error) => {
            let exit = shops::exit_of_journal(&error);
            output::fault(exit, &format!("{}: {error}", shop.name))
        }
    }
}

/// One run in numbers.
#[derive(Debug, Default)]
struct Totals {
    at: Moment,
    plan: Option<String>,
    ends: BTreeMap<(EffectKind, Option<End>), u64>,
    /// Confirmed, and not true when they were read back.
    unkept: usize,
}

/// All runs in numbers.
struct Past {
    runs: BTreeMap<RunId, Totals>,
    /// Begun, and not accepted by Klaviyo yet.
    forgetting: Vec<Forgetting>,
    /// When people were forgotten, and how many records and addresses of theirs.
    forgotten: Vec<(Moment, usize)>,
    reading: Reading,
}

fn runs(dir: &Path, vault: &Vault) -> Result<Past, JournalError> {
    let mut runs: BTreeMap<RunId, Totals> = BTreeMap::new();
    let mut open: BTreeMap<EffectId, (RunId, EffectKind)> = BTreeMap::new();
    let (mut forgetting, mut forgotten) = (Vec::new(), Vec::new());
    let reading = journal::read(dir, vault, |entry| {
        match entry {
            Entry::Run { run, at, plan } => {
                let begun = Totals {
                    at,
                    plan,
                    ..Totals::default()
                };
                runs.insert(run, begun);
            }
            Entry::Intent(intent) => drop(open.insert(intent.id, (intent.run, intent.kind))),
            Entry::Outcome(outcome) => {
                let (run, kind) = open.remove(&outcome.effect).ok_or(())?;
                let ends = &mut runs.entry(run).or_default().ends;
                *ends.entry((kind, Some(outcome.end))).or_default() += 1;
            }
            Entry::Unkept { run, effects, .. } => {
                runs.entry(run).or_default().unkept += effects.len();
            }
            Entry::Forget(begun) => forgetting.push(begun),
            Entry::Forgotten { marks, at } => {
                forgetting.retain(|begun| begun.marks != marks);
                forgotten.push((at, marks.len()));
            }
            Entry::Job(_)
            | Entry::RunEnd { .. }
            | Entry::DataRequest(_)
            | Entry::DataAnswered { .. }
            | Entry::ShopErased { .. } => {}
        }
        Ok(())
    })?;
    for (run, kind) in open.into_values() {
        *runs
            .entry(run)
            .or_default()
            .ends
            .entry((kind, None))
            .or_default() += 1;
    }
    Ok(Past {
        runs,
        forgetting,
        forgotten,
        reading,
    })
}

fn tell_runs(shop: &str, past: &Past, as_json: bool) {
    let end_of = |end: &Option<End>| end.map_or("open", End::as_str);
    for (run, totals) in &past.runs {
        let Totals {
            at,
            plan,
            ends,
            unkept,
        } = totals;
        if as_json {
            let ends = ends.iter().map(
                |((kind, end), count)| json!({"kind": kind, "end": end_of(end), "count": count}),
            );
            let ends: Vec<Json> = ends.collect();
            let line = json!({
                "shop": shop, "run": run, "at": at.to_string(), "plan": plan, "effects": ends,
                "unkept": unkept,
            });
            output::say(&line.to_string());
            continue;
        }
        let ends = ends.iter();
        let ends = ends.map(|((kind, end), count)| format!("{count} {kind} {}", end_of(end)));
        let unkept = (*unkept > 0).then(|| format!("{unkept} of them not kept upstream"));
        let ends: Vec<String> = ends.chain(unkept).collect();
        output::say(&format!("{shop}  run {run}  {at}  {}", ends.join(", ")));
    }
    for (at, marks) in &past.forgotten {
        output::say(&match as_json {
            true => json!({"shop": shop, "forgotten": marks, "at": at.to_string()}).to_string(),
            false => format!("{shop}  {at}  {marks} records and addresses of a person forgotten"),
        });
    }
    for Forgetting { at_klaviyo, at, .. } in &past.forgetting {
        let left = at_klaviyo.len();
        output::say(&match as_json {
            true => json!({"shop": shop, "deletions": left, "at": at.to_string()}).to_string(),
            false => format!("{shop}  {at}  Klaviyo has yet to accept {left} deletions"),
        });
    }
    let link = past.reading.link;
    match as_json {
        true => output::say(&json!({"shop": shop, "link": link}).to_string()),
        false => output::say(&format!("{shop}  link {link}")),
    }
}

/// Tells the effects of one run, each as soon as it has ended; those still open at last.
fn effects(
    dir: &Path,
    vault: &Vault,
    run: RunId,
    mut each: impl FnMut(&Intent, Option<&Outcome>),
) -> Result<(), JournalError> {
    let mut open: BTreeMap<EffectId, Intent> = BTreeMap::new();
    journal::read(dir, vault, |entry| {
        match entry {
            Entry::Intent(intent) if intent.run == run => drop(open.insert(intent.id, intent)),
            Entry::Outcome(outcome) => {
                if let Some(intent) = open.remove(&outcome.effect) {
                    each(&intent, Some(&outcome));
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    open.values().for_each(|intent| each(intent, None));
    Ok(())
}

fn receipt(intent: &Intent, outcome: Option<&Outcome>) -> String {
    let end = outcome.map_or("open", |outcome| outcome.end.as_str());
    let code = outcome.and_then(|outcome| outcome.code.as_deref());
    let code = code.map_or_else(String::new, |code| format!(" ({code})"));
    let at = outcome.map_or(intent.at, |outcome| outcome.at);
    let subject = intent.subject.as_deref().unwrap_or_default();
    let (kind, target) = (intent.kind, &intent.target);
    let what = match intent.is_closed() {
        true => format!("{kind} of {subject}, {target}: sealed, and the key is gone"),
        false => report::change(kind, subject, target, (&intent.from, &intent.to)),
    };
    let why = intent.why.as_deref();
    let why = why.map_or_else(String::new, |why| format!("\n    because {why}"));
    format!("{at}  {end}{code}  {what}{why}")
}

fn receipt_json(shop: &str, intent: &Intent, outcome: Option<&Outcome>) -> Json {
    json!({
        "shop": shop,
        "run": intent.run,
        "effect": intent.id,
        "kind": intent.kind,
        "subject": intent.subject,
        "target": intent.target,
        "from": intent.from,
        "to": intent.to,
        "why": intent.why,
        "closed": intent.is_closed(),
        "intended": intent.at.to_string(),
        "end": outcome.map(|outcome| outcome.end),
        "code": outcome.and_then(|outcome| outcome.code.as_deref()),
        "ended": outcome.map(|outcome| outcome.at.to_string()),
    })
}
