//! Forgetting a person, while the shop's daemon runs or without it.

use super::args::Forget;
use super::{Exit, shops, wish};
use crate::api::Budgets;
use crate::backup::BackupError;
use crate::clock::Clock;
use crate::config;
use crate::daemon::Wish;
use crate::pass::{Belongings, Shop};
use crate::telemetry::Meter;
use tokio::task::block_in_place;

/// Shows what a shop holds of a person, or forgets it.
pub(super) async fn run(args: &Forget) -> Exit {
    let shop = match shops::load_offline(&args.shops.config).and_then(shops::only) {
        Ok(shop) => shop,
        Err(exit) => return exit,
    };
    let wish = Wish::Forget {
        person: args.person.clone(),
        records: args.records,
        at_klaviyo: args.at_klaviyo,
    };
    wish::fulfil(&shop, &wish, async |shop| alone(shop, args).await).await
}

/// Without a daemon. Only who speaks with Klaviyo needs its key.
async fn alone(shop: config::Shop, args: &Forget) -> Result<String, (Exit, String)> {
    if !shop.state_dir.join("mirror").exists() {
        let text = "there is no mirror yet; make a pass with --reconcile first";
        return Err((Exit::Usage, text.to_owned()));
    }
    let (person, records) = (&args.person, args.records);
    if args.at_klaviyo.is_none() {
        let mut shop = shops::look(shop)?;
        return carry_out(&mut shop, person, records, None).await;
    }
    let shop = shops::load(&args.shops.config).and_then(shops::only);
    let shop = shop.map_err(|exit| (exit, "Klaviyo's key is needed".to_owned()))?;
    let mut held = shops::open(shop, &Budgets::default(), &Clock::System, Meter::default())?;
    carry_out(&mut held.shop, person, records, args.at_klaviyo).await
}

/// Does so, if the numbers agree, or counts; what to tell whoever asked.
pub(super) async fn carry_out(
    shop: &mut Shop,
    person: &str,
    agreed: Option<u64>,
    at_klaviyo: Option<u64>,
) -> Result<String, (Exit, String)> {
    let whole = shop.is_whole();
    if !whole.map_err(|error| (shops::exit_of_mirror(&error), error.to_string()))? {
        return Err(shops::fault_of_backup(BackupError::Unproven));
    }
    let meant = block_in_place(|| shop.belongings(person));
    let meant = meant.map_err(|error| (shops::exit_of_mirror(&error), error.to_string()))?;
    let refuse = |text: String| Err((Exit::Usage, text));
    let who = match meant.as_slice() {
        [who] => who,
        [] if shop.was_forgotten(person) => {
            return refuse("whoever is named so was forgotten already".to_owned());
        }
        [] => {
            return refuse(
                "nobody here is named so; give a profile id, a Shopify customer id, an e-mail address, a \
                 phone number or an external id"
                    .to_owned(),
            );
        }
        many => {
            let ids: Vec<String> = many.iter().map(ids).collect();
            return refuse(format!(
                "{} different people are named so; give an id of the one that you mean:{}",
                many.len(),
                ids.join("\nor")
            ));
        }
    };
    let (records, profiles) = (who.records() as u64, who.profiles.len() as u64);
    let Some(agreed) = agreed else {
        return Ok(shown(who));
    };
    if agreed != records {
        return refuse(format!(
            "nothing was done: {records} records belong to this person, not {agreed}"
        ));
    }
    if let Some(agreed) = at_klaviyo.filter(|agreed| *agreed != profiles) {
        return refuse(format!(
            "nothing was done: Klaviyo would delete {profiles} profiles, not {agreed}"
        ));
    }
    let forgotten = shop.forget(who, at_klaviyo.is_some());
    forgotten.map_err(|error| (shops::exit_of(&error), error.to_string()))?;
    let here = format!("{records} records are forgotten here");
    let told = match at_klaviyo {
        None => format!("{here}. Klaviyo keeps its profiles, and their places on its lists"),
        Some(_) => match shop.forget_at_klaviyo().await {
            Ok(()) => format!("{here}. Klaviyo has accepted to delete {profiles} profiles"),
            Err(error) => {
                let text = format!(
                    "{here}. Klaviyo has not accepted to delete {profiles} profiles yet; every pass asks \
                     again: {error}"
                );
                return Err((shops::exit_of(&error), text));
            }
        },
    };
    Ok(format!(
        "{told}; Shopify keeps its customers.\nNow replace your copy of the vault, and remove plans that you \
         made with --out"
    ))
}

/// A line for each id.
fn ids(who: &Belongings) -> String {
    let profiles = who.profiles.iter().map(|id| format!("\n  profile {id}"));
    let customers = who.customers.iter();
    let customers = customers.map(|id| format!("\n  customer {}", id.0));
    profiles.chain(customers).collect()
}

fn shown(who: &Belongings) -> String {
    let Belongings {
        profiles,
        customers,
        guests,
        events,
        orders,
        ..
    } = who;
    let mut text = format!(
        "{} profiles, {} customers, {guests} guest addresses, {events} events, {orders} orders, which \
         would stay without an owner",
        profiles.len(),
        customers.len()
    );
    text.push_str(&ids(who));
    text.push_str(&format!(
        "\nNothing was done. To forget all of it here, for good: --records {}",
        who.records()
    ));
    if !profiles.is_empty() {
        text.push_str(&format!(
            "\nTo have Klaviyo delete its profiles as well, which cannot be asked for later: --at-klaviyo {}",
            profiles.len()
        ));
    }
    text
}
