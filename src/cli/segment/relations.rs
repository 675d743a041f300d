//! `driftless segment relations`: what definitions alone say of each other, and which few segments
//! would do.

use super::definitions;
use super::desk::{each_shop, of_mirror, open};
use crate::cli::Exit;
use crate::cli::args::Relations;
use crate::cli::output::{fault, say};
use crate::clock::Clock;
use crate::detect::{Audience, Thresholds, cover};
use crate::mirror::{Membership, Mirror, MirrorError};
use crate::pass::segments::Book;
use crate::report;
use crate::segment::Definition;
use crate::segment::algebra::relations;

/// Relates the definitions of a file, or of each shop.
pub(super) fn run(args: &Relations) -> Exit {
    let now = args.at.unwrap_or_else(|| Clock::System.now()).secs();
    if let Some(file) = &args.definitions {
        let named = match definitions::read(file) {
            Ok(named) => named.0,
            Err(error) => return fault(Exit::Usage, &error),
        };
        let all: Vec<(String, &Definition)> = named
            .iter()
            .map(|(name, definition)| (name.clone(), definition))
            .collect();
        say(&report::relations::text(&relations(&all, now)));
        return Exit::Done;
    }
    each_shop(&args.shops.config, |config| {
        let mirror = open(config)?;
        let book = Book::open(&mirror, &config.policy).map_err(of_mirror)?;
        let entries = book.entries.values();
        let all: Vec<(String, &Definition)> = entries
            .map(|entry| (entry.name.clone(), &entry.definition))
            .collect();
        say(&report::relations::text(&relations(&all, now)));
        say(&suggestion(&mirror, &book).map_err(of_mirror)?);
        Ok(())
    })
}

/// Three to five segments for all, by their members at the last pass.
fn suggestion(mirror: &Mirror, book: &Book) -> Result<String, MirrorError> {
    let mut names = Vec::new();
    let mut memberships: Vec<Membership> = Vec::new();
    for entry in book.entries.values() {
        if let Some(membership) = mirror.membership(&entry.key.to_string())? {
            names.push(entry.name.as_str());
            memberships.push(membership);
        }
    }
    let audiences = memberships.iter().map(|membership| Audience {
        members: &membership.inside,
        weight: 1.0,
    });
    let audiences: Vec<Audience<'_>> = audiences.collect();
    let everybody = mirror.known_profiles()?;
    let count = everybody.max().map_or(0, |last| last as usize + 1);
    let mut values = vec![0.0; count];
    everybody
        .iter()
        .for_each(|slot| values[slot as usize] = 1.0);
    let found = cover(&audiences, &values, everybody.len(), &Thresholds::default());
    Ok(report::relations::cover(&names, &found))
}
