//! A shop's state from its backup.

use super::args::Restore;
use super::backup::told;
use super::{Exit, output, shops};
use crate::backup::{self, Backup};
use crate::clock::Clock;
use crate::model::Moment;
use std::time::Duration;

/// Reads a backup to its end, then makes mirror and journal of it.
pub(super) fn run(args: &Restore) -> Exit {
    let shop = match shops::load_offline(&args.shops.config).and_then(shops::only) {
        Ok(shop) => shop,
        Err(exit) => return exit,
    };
    let now = Clock::System.now();
    let restored = Backup::open(&args.file).and_then(|mut backup| {
        // Whoever wrote then may not write now: the world has moved on.
        backup::restore(&mut backup, &shop, now, || {
            shops::observe_first(&shop.state_dir, now)
        })?;
        Ok(backup.header)
    });
    match restored {
        Ok(header) => {
            let made = Moment::parse(&header.made).unwrap_or_default();
            let age = age(now.since(made));
            output::say(&format!(
                "{}: restored a backup {age} old: {}\n\
                 What was written upstream since then is not on record here; the next pass reads what \
                 has changed. Nothing is written before everybody was looked at twice{}.",
                shop.name,
                told(&header),
                match shop.policy.guards.first_run {
                    true => ", and rules only observe until `driftless release`",
                    false => "",
                }
            ));
            Exit::Done
        }
        Err(error) => {
            let (exit, text) = shops::fault_of_backup(error);
            output::fault(exit, &format!("{}: {text}", shop.name))
        }
    }
}

/// In the two largest units.
fn age(span: Duration) -> String {
    let minutes = span.as_secs() / 60;
    let (hours, days) = (minutes / 60, minutes / (24 * 60));
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_its_two_largest_units() {
        let told = |secs| age(Duration::from_secs(secs));
        assert_eq!(told(59), "0 min");
        assert_eq!(told(3 * 3600 + 120), "3 h 2 min");
        assert_eq!(told(50 * 3600 + 120), "2 d 2 h");
    }
}
