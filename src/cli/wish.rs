//! What somebody wants of a shop between two passes: the daemon that has it open does it, or the
//! command itself without one.

use super::{Exit, answered, forget, output};
use crate::config;
use crate::daemon::{self, Wish};
use crate::pass::Shop;

/// Has a wish fulfilled, by `alone` where no daemon runs, and prints what is said of it.
pub(super) async fn fulfil(
    shop: &config::Shop,
    wish: &Wish,
    alone: impl AsyncFnOnce(config::Shop) -> Result<String, (Exit, String)>,
) -> Exit {
    let name = &shop.name;
    let answer = match daemon::ask_for(&shop.state_dir, wish) {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => alone(shop.clone()).await,
        Err(refusal) => Err((Exit::from_code(refusal.exit), refusal.message)),
    };
    match answer {
        Ok(text) => {
            output::say(&format!("{name}: {text}"));
            Exit::Done
        }
        Err((exit, text)) => output::fault(exit, &format!("{name}: {}", unnamed(name, &text))),
    }
}

/// Opening a shop names it as well.
fn unnamed<'t>(name: &str, text: &'t str) -> &'t str {
    let rest = text
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix(": "));
    rest.unwrap_or(text)
}

/// Does what was asked of an open shop; what to tell whoever asked.
pub(super) async fn carry_out(shop: &mut Shop, wish: &Wish) -> Result<String, (Exit, String)> {
    let done = match wish {
        Wish::Forget {
            person,
            records,
            at_klaviyo,
        } => forget::carry_out(shop, person, *records, *at_klaviyo).await,
        Wish::Answered { request } => answered::cross_off(shop, *request),
    };
    let what = match wish {
        Wish::Forget { .. } => "forget somebody",
        Wish::Answered { .. } => "cross off a request",
    };
    tracing::info!(ok = done.is_ok(), "Asked to {what}");
    done
}
