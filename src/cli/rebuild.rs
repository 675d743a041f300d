//! A new mirror in place of one that is damaged or no longer wanted.

use super::args::Rebuild;
use super::{Exit, output, shops};
use crate::backup::{self, BackupError};
use crate::clock::Clock;
use crate::config;
use crate::mirror::{Mirror, Rebuilt, StateLock};

/// Sets every shop's mirror aside; changes nothing upstream.
pub(super) fn run(args: &Rebuild) -> Exit {
    let shops = match shops::load_offline(&args.shops.config) {
        Ok(shops) => shops,
        Err(exit) => return exit,
    };
    shops.iter().map(rebuild).max().unwrap_or_default()
}

fn set_aside(shop: &config::Shop) -> Result<Rebuilt, BackupError> {
    let (dir, now) = (&shop.state_dir, Clock::System.now());
    if dir.exists() {
        let _lock = StateLock::take(dir, now)?;
        backup::settle(dir)?;
        shops::put_on_probation(dir, now)?;
    }
    Ok(Mirror::rebuild(dir, &shop.vault()?, now)?)
}

fn rebuild(shop: &config::Shop) -> Exit {
    let name = &shop.name;
    match set_aside(shop) {
        Ok(Rebuilt {
            set_aside: Some(place),
            carried,
        }) => {
            let carried = match carried {
                Ok(values) => format!("{values} of its values were carried over"),
                Err(error) => format!("nothing of it could be carried over ({error})"),
            };
            output::say(&format!(
                "{name}: the mirror lies in {} now; {carried}\nThe next pass fills a new one. Nothing is \
                 written before everybody was looked at twice: the guard `probation` says how far that is.",
                place.display(),
            ));
            Exit::Done
        }
        Ok(Rebuilt { .. }) => {
            output::say(&format!(
                "{name}: there is no mirror; the next pass fills one"
            ));
            Exit::Done
        }
        Err(error) => {
            let (exit, text) = shops::fault_of_backup(error);
            output::fault(exit, &format!("{name}: {text}"))
        }
    }
}
