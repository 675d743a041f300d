//! Validates configs, and on demand the accounts behind them.

use super::args::Check;
use super::{Exit, output, shops};
use crate::api::{ApiError, Budgets, Vendors};
use crate::clock::Clock;
use crate::config;
use crate::pull::{ALL_ORDERS, required_scopes};
use crate::telemetry::Meter;

/// Reads every config; with `--online` also asks both vendors who answers.
pub(super) async fn run(args: &Check) -> Exit {
    let shops = match shops::load(&args.shops.config) {
        Ok(shops) => shops,
        Err(exit) => return exit,
    };
    let mut worst = Exit::Done;
    for shop in &shops {
        let place = shop.source.display();
        output::say(&format!(
            "{}: {place} is valid (mode {})",
            shop.name,
            shop.policy.mode.as_str()
        ));
        if args.online {
            worst = worst.max(online(shop).await);
        }
    }
    worst
}

async fn online(shop: &config::Shop) -> Exit {
    let clock = Clock::System;
    let meter = Meter::default();
    let vendors = match Vendors::new(shop, &Budgets::default(), &clock, &meter) {
        Ok(vendors) => vendors,
        Err(error) => return failed(shop, "clients", &error),
    };
    klaviyo(shop, &vendors)
        .await
        .max(shopify(shop, &vendors).await)
}

async fn klaviyo(shop: &config::Shop, vendors: &Vendors) -> Exit {
    let account = match vendors.klaviyo.account().await {
        Ok(account) => account,
        Err(error) => return failed(shop, "Klaviyo", &error),
    };
    output::say(&format!("{}: Klaviyo account {}", shop.name, account.id));
    let missing = match vendors.klaviyo.missing_scopes().await {
        Ok(missing) => missing,
        Err(error) => return failed(shop, "Klaviyo", &error),
    };
    for scope in &missing {
        output::note(&format!(
            "{}: the Klaviyo key lacks the scope {scope}",
            shop.name
        ));
    }
    if missing.is_empty() {
        Exit::Done
    } else {
        Exit::Refused
    }
}

async fn shopify(shop: &config::Shop, vendors: &Vendors) -> Exit {
    let answer = match vendors.shopify.shop().await {
        Ok(answer) => answer,
        Err(error) => return failed(shop, "Shopify", &error),
    };
    let text = format!("Shopify shop {} ({})", answer.domain, answer.currency);
    output::say(&format!("{}: {text}", shop.name));
    let mut exit = Exit::Done;
    let wanted = required_scopes(&shop.policy).into_iter();
    for scope in wanted.filter(|scope| !answer.has_scope(scope)) {
        output::note(&format!(
            "{}: the Shopify token lacks the scope {scope}",
            shop.name
        ));
        exit = Exit::Refused;
    }
    if !answer.has_scope(ALL_ORDERS) {
        let text = "without read_all_orders Shopify shows only the last 60 days of orders";
        output::note(&format!("{}: {text}", shop.name));
    }
    exit
}

fn failed(shop: &config::Shop, who: &str, error: &ApiError) -> Exit {
    output::fault(
        shops::exit_of_api(error),
        &format!("{}: {who}: {error}", shop.name),
    )
}
