//! Crossing off a customer's request for their data.

use super::args::Answered;
use super::{Exit, shops, wish};
use crate::daemon::Wish;
use crate::pass::Shop;

/// Notes that a request was answered. The daemon may run.
pub(super) async fn run(args: &Answered) -> Exit {
    let shop = match shops::load_offline(&args.shops.config).and_then(shops::only) {
        Ok(shop) => shop,
        Err(exit) => return exit,
    };
    let wish = Wish::Answered {
        request: args.request,
    };
    wish::fulfil(&shop, &wish, async |shop| {
        let mut shop = shops::look(shop)?;
        cross_off(&mut shop, args.request)
    })
    .await
}

/// Does so; what to tell whoever asked.
pub(super) fn cross_off(shop: &mut Shop, request: u64) -> Result<String, (Exit, String)> {
    match shop.data_answered(request) {
        Ok(true) => Ok(format!("request {request} is answered")),
        Ok(false) => {
            let text = format!("no request {request} waits for an answer");
            Err((Exit::Usage, text))
        }
        Err(error) => Err((shops::exit_of(&error), error.to_string())),
    }
}
