//! Whether mirror and journal of every shop are sound.

use super::args::Verify;
use super::{Exit, output, shops};
use crate::clock::Clock;
use crate::config;
use crate::journal;
use crate::mirror::{self, Mirror, MirrorError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

/// Reads both to their end and says what is wrong; changes nothing upstream.
pub(super) fn run(args: &Verify) -> Exit {
    let shops = match shops::load_offline(&args.shops.config) {
        Ok(shops) => shops,
        Err(exit) => return exit,
    };
    let verified = shops
        .iter()
        .map(|shop| of_journal(shop).max(of_mirror(shop, args.digest)));
    verified.max().unwrap_or_default()
}

fn of_journal(shop: &config::Shop) -> Exit {
    let dir = shop.state_dir.join("journal");
    match dir.try_exists() {
        Ok(true) => {}
        Ok(false) => {
            output::say(&format!("{}: there is no journal yet", shop.name));
            return Exit::Done;
        }
        Err(error) => return unreadable(shop, &error),
    }
    match journal::audit(&dir) {
        Ok(audit) => {
            output::say(&format!(
                "{}: the journal is sound: {}",
                shop.name,
                told(&audit)
            ));
            Exit::Done
        }
        Err(error) => {
            let exit = shops::exit_of_journal(&error);
            output::fault(exit, &format!("{}: {error}", shop.name))
        }
    }
}

fn unreadable(shop: &config::Shop, error: &std::io::Error) -> Exit {
    let (name, place) = (&shop.name, shop.state_dir.display());
    let text = format!("{name}: cannot look into {place}: {error}; run as the daemon's user");
    output::fault(Exit::Refused, &text)
}

fn told(audit: &journal::Audit) -> String {
    let journal::Audit {
        reading,
        runs,
        intents,
        open,
        ends,
    } = audit;
    let ends = ends.iter();
    let ends = ends.map(|(end, count)| format!("{count} {}, ", end.as_str()));
    let torn = match reading.torn_bytes {
        0 => String::new(),
        bytes => format!("; {bytes} bytes of a last append that was never acknowledged"),
    };
    let ends: String = ends.collect();
    let (files, link) = (reading.files, reading.link);
    format!("files {files}, runs {runs}, intents {intents}: {ends}{open} open{torn}; link {link}")
}

fn of_mirror(shop: &config::Shop, with_digest: bool) -> Exit {
    match shop.state_dir.join("mirror").try_exists() {
        Ok(true) => {}
        Ok(false) => {
            output::say(&format!("{}: there is no mirror yet", shop.name));
            return Exit::Done;
        }
        Err(error) => return unreadable(shop, &error),
    }
    let vault = shop.vault().map_err(MirrorError::from);
    let now = Clock::System.now();
    let opened = vault.and_then(|vault| Mirror::open(&shop.state_dir, &vault, now));
    let audited = opened.and_then(|(mirror, repaired)| {
        let audit = mirror.audit()?;
        // Of a damaged mirror its faults are told, not what it says.
        let is_wanted = with_digest && audit.faults.is_empty();
        let digest = is_wanted.then(|| mirror.digest()).transpose()?;
        Ok((audit, digest, repaired))
    });
    let (audit, digest, repaired) = match audited {
        Ok(found) => found,
        Err(error) => {
            let exit = shops::exit_of_mirror(&error);
            return output::fault(exit, &format!("{}: {error}", shop.name));
        }
    };
    if let Some(repaired) = repaired {
        let place = repaired.quarantine.display();
        let text = format!(
            "{}: unreadable snapshots were set aside: {place}",
            shop.name
        );
        output::note(&text);
    }
    report(shop, &audit, digest)
}

fn report(shop: &config::Shop, audit: &mirror::Audit, digest: Option<[u8; 32]>) -> Exit {
    let name = &shop.name;
    let mirror::Audit { values, totals, .. } = audit;
    if audit.faults.is_empty() {
        let digest = digest.map(|digest| format!("; digest {}", BASE64.encode(digest)));
        output::say(&format!(
            "{name}: the mirror is sound: {values} values, {} profiles, {} customers, {} guests, \
             {} orders, {} events{}",
            totals.profiles,
            totals.customers,
            totals.guests,
            totals.orders,
            totals.events,
            digest.unwrap_or_default()
        ));
        return Exit::Done;
    }
    for fault in &audit.faults {
        output::note(&format!("{name}: {fault}"));
    }
    let remedy = "the mirror is damaged: `driftless rebuild` sets it aside, and the next pass fills a \
                  new one";
    output::fault(Exit::Damaged, &format!("{name}: {remedy}"))
}
