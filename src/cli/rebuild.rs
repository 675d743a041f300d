//! A new mirror in place of one that is damaged or no longer wanted.

use super::args::Rebuild;
use super::{Exit, output, shops};
use crate::backup::{self, BackupError};
use crate::clock::Clock;
use crate::config;
use crate::mirror::{Mirror, Rebuilt};
use crate::pass;

/// Sets every shop's mirror aside; changes nothing upstream.
pub(super) fn run(args: &Rebuild) -> Exit {
    let shops = match shops::load_offline(&args.shops.config) {
        Ok(shops) => shops,
        Err(exit) => return exit,
    };
    shops.iter().map(rebuild).max().unwrap_or_default()
}

fn set_aside(shop: &config::Shop) -> Result<Rebuilt, BackupError> {
    backup::settle(&shop.state_dir)?;
    let now = Clock::System.now();
    Ok(Mirror::rebuild(&shop.state_dir, &shop.vault()?, now)?)
}

fn rebuild(shop: &config::Shop) -> Exit {
    let (name, dir) = (&shop.name, &shop.state_dir);
    if let Err(error) = pass::hold(dir) {
        return output::fault(shops::exit_of(&error), &format!("{name}: {error}"));
    }
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
                "{name}: the mirror lies in {} now; {carried}\nThe next pass fills a new one. {}",
                place.display(),
                shops::what_follows(shop)
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
