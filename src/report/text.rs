//! One pass as a table.

use crate::model::{EffectKind, End};
use crate::pass::Summary;
use std::fmt::{self, Write};
use std::time::Duration;

/// The closing table of a pass: pulled, people, findings, plan, effects, requests, waits.
pub fn summary(summary: &Summary) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, summary);
    text
}

fn write(out: &mut String, summary: &Summary) -> fmt::Result {
    let dry = if summary.dry_run { ", dry run" } else { "" };
    writeln!(
        out,
        "{} at {} (mode {}{dry})",
        summary.shop,
        summary.now,
        summary.mode.as_str()
    )?;
    pulled(out, summary)?;
    super::freshness::write(out, summary)?;
    people(out, summary)?;
    findings(out, summary)?;
    parity(out, summary)?;
    plan(out, summary)?;
    effects(out, summary)?;
    data_requests(out, summary)?;
    traffic(out, summary)
}

fn row(out: &mut String, label: impl fmt::Display, count: u64, note: &str) -> fmt::Result {
    let line = format!("    {label:<26} {count:>9}  {note}");
    writeln!(out, "{}", line.trim_end())
}

fn pulled(out: &mut String, summary: &Summary) -> fmt::Result {
    writeln!(out, "  pulled")?;
    for (stream, count) in &summary.pulled {
        row(out, stream, *count, "")?;
    }
    if summary.quarantined > 0 {
        row(
            out,
            "quarantined",
            summary.quarantined,
            "records that did not fit their type",
        )?;
    }
    Ok(())
}

fn people(out: &mut String, summary: &Summary) -> fmt::Result {
    let people = &summary.people;
    writeln!(out, "  people")?;
    row(out, "persons", people.persons, "")?;
    row(out, "profiles", people.profiles, "")?;
    row(out, "customers", people.customers, "")?;
    row(
        out,
        "buyers",
        people.buyers,
        &format!("{} of them again", people.repeat_buyers),
    )?;
    row(
        out,
        "orders",
        people.orders,
        &format!("{} spent", people.spent),
    )?;
    let stages = people
        .stages
        .iter()
        .map(|(stage, n)| format!("{} {n}", stage.as_str()));
    writeln!(out, "    stages  {}", stages.collect::<Vec<_>>().join(", "))?;
    let tiers = people
        .tiers
        .iter()
        .map(|(tier, n)| format!("{} {n}", tier.as_str()));
    writeln!(out, "    tiers   {}", tiers.collect::<Vec<_>>().join(", "))
}

fn findings(out: &mut String, summary: &Summary) -> fmt::Result {
    writeln!(out, "  findings")?;
    if summary.findings.is_empty() {
        writeln!(out, "    none")?;
    }
    for (code, count) in &summary.findings {
        row(out, code.as_str(), *count, code.remedy())?;
    }
    Ok(())
}

/// Klaviyo's segments beside our evaluation: one line for all that agree, one for each other.
fn parity(out: &mut String, summary: &Summary) -> fmt::Result {
    let compared = summary.parity.iter().filter(|row| row.compared.is_some());
    let (agreeing, apart): (Vec<_>, Vec<_>) = compared.partition(|row| row.causes.is_empty());
    if agreeing.is_empty() && apart.is_empty() {
        return Ok(());
    }
    writeln!(out, "  segments beside Klaviyo")?;
    row(out, "agree in every profile", agreeing.len() as u64, "")?;
    for segment in apart {
        let causes = segment.causes.iter();
        let causes: Vec<String> = causes
            .map(|(cause, count)| format!("{count} {cause}"))
            .collect();
        let differing = segment.causes.values().sum();
        row(
            out,
            &segment.segment,
            differing,
            &format!("differ: {}", causes.join(", ")),
        )?;
    }
    Ok(())
}

fn plan(out: &mut String, summary: &Summary) -> fmt::Result {
    writeln!(out, "  plan")?;
    for list in summary
        .lists
        .iter()
        .filter(|list| list.join + list.leave > 0)
    {
        let change = format!("+{} -{} → {}", list.join, list.leave, list.wanted);
        writeln!(out, "    list `{}`: {change}", list.name)?;
    }
    for (kind, count) in &summary.planned {
        row(out, kind, *count, "")?;
    }
    if summary.planned.is_empty() {
        writeln!(out, "    nothing to do")?;
    }
    for held in &summary.held_back {
        let label = format!("held back: {}", held.kind);
        row(out, label, held.count, held.reason.as_str())?;
    }
    if let Some(lock) = &summary.lock {
        let holidays = lock.holidays.iter();
        let holidays: Vec<_> = holidays
            .map(|(name, day)| format!("{name} ({day})"))
            .collect();
        let within = match holidays.is_empty() {
            true => String::new(),
            false => format!("; before that: {}", holidays.join(", ")),
        };
        writeln!(
            out,
            "    a suppression cannot be lifted in Klaviyo before {}{within}",
            lock.until
        )?;
    }
    for trip in &summary.trips {
        let verb = if summary.dry_run {
            "would stop"
        } else {
            "stopped"
        };
        writeln!(
            out,
            "    guard {} {verb} the plan: {}",
            trip.guard, trip.note
        )?;
        writeln!(
            out,
            "      let it through once: --allow {}={}",
            trip.guard, trip.count
        )?;
    }
    Ok(())
}

fn effects(out: &mut String, summary: &Summary) -> fmt::Result {
    let effects = &summary.effects;
    if let Some(failure) = &summary.failure {
        writeln!(out, "  writing ended early: {failure}")?;
    }
    if effects.ends.is_empty() && effects.unknown == 0 && effects.recovered == 0 {
        return Ok(());
    }
    match effects.run {
        Some(run) => writeln!(out, "  effects of run {run}")?,
        None => writeln!(out, "  effects")?,
    }
    for kind in EffectKind::ALL {
        for end in [
            End::Confirmed,
            End::Refused,
            End::Superseded,
            End::Withdrawn,
            End::Stopped,
        ] {
            if let Some(count) = effects.ends.get(&(kind, end)) {
                row(
                    out,
                    format!("{} {}", kind.as_str(), end.as_str()),
                    *count,
                    "",
                )?;
            }
        }
    }
    for (code, count) in &effects.refusals {
        row(out, format!("refused: {code}"), *count, "")?;
    }
    if effects.unknown > 0 {
        row(
            out,
            "without an answer",
            effects.unknown,
            "the next pass looks before it repeats",
        )?;
    }
    for (kind, count) in &effects.unkept {
        let advice = "accepted, but not true when read back; the next pass tries again";
        row(out, format!("{kind} not kept"), *count, advice)?;
    }
    if effects.recovered > 0 {
        row(
            out,
            "recovered",
            effects.recovered,
            "left open by an earlier run",
        )?;
    }
    Ok(())
}

fn data_requests(out: &mut String, summary: &Summary) -> fmt::Result {
    for request in &summary.data_requests {
        let whose = request.customer.as_deref().unwrap_or("an address alone");
        writeln!(
            out,
            "  data request {} of {whose}: to be answered until {}",
            request.request,
            request.due.date()
        )?;
    }
    Ok(())
}

fn traffic(out: &mut String, summary: &Summary) -> fmt::Result {
    let traffic = &summary.traffic;
    writeln!(out, "  requests")?;
    for (api, count) in &traffic.requests {
        let waited = traffic.waited.get(api).copied().unwrap_or(Duration::ZERO);
        row(
            out,
            api.as_str(),
            *count,
            &format!("waited {:.1} s for budgets", waited.as_secs_f64()),
        )?;
    }
    if traffic.throttled > 0 {
        row(out, "throttled", traffic.throttled, "")?;
    }
    for (class, until) in &traffic.parked {
        writeln!(out, "    parked: {class}, not asked until {until}")?;
    }
    writeln!(out, "  took {:.1} s", summary.took.as_secs_f64())?;
    let place = summary.state_dir.display();
    writeln!(
        out,
        "  one by one: {place}/plan.jsonl, {place}/findings.jsonl"
    )
}
