//! Passes that webhooks hasten.

use super::lab::{Act, Lab, Plan, secs};
use crate::config::{SigningSecrets, Webhooks};
use crate::hooks::{Hooks, Inbox, Named, Whose};
use crate::model::CustomerId;
use crate::telemetry::Meter;
use crate::vault::Vault;
use std::net::TcpListener;
use std::time::Duration;

/// Webhooks of a shop on a lab's clock: 30 seconds of delay, 5 minutes between passes.
fn hooks(lab: &Lab, listen: &str) -> (Hooks, Inbox) {
    let secret = SigningSecrets {
        current: "what-a-vendor-signs-with".into(),
        old: None,
    };
    let config = Webhooks {
        listen: listen.parse().unwrap(),
        shopify: Some(secret),
        klaviyo: None,
        delay: Duration::from_secs(30),
        min_gap: Duration::from_mins(5),
    };
    let whose = Whose {
        domain: "acme.myshopify.com".to_owned(),
        account: None,
    };
    let inbox = Inbox::open(lab.dir.path()).unwrap();
    let vault = Vault::open(lab.dir.path(), None).unwrap();
    let (clock, meter) = (lab.clock.clone(), Meter::default());
    let hooks = Hooks::new(config, whose, inbox.clone(), vault, clock, meter);
    (hooks, inbox)
}

fn hearing(lab: &Lab, act: Act, listen: &str) -> Inbox {
    let (hooks, inbox) = hooks(lab, listen);
    let plan = Plan {
        hooks: Some(hooks),
        ..Plan::new(act, 3600)
    };
    lab.set("acme", Some(plan));
    inbox
}

#[tokio::test(start_paused = true)]
async fn what_is_named_hastens_the_next_pass_but_not_too_often() {
    let lab = Lab::new([]);
    let inbox = hearing(&lab, Act::Work(1), "127.0.0.1:0");
    let named = |n| {
        let print = format!("{n}");
        inbox.name(Named::Customer(CustomerId(n)), &print, lab.clock.now());
    };
    let daemon = lab.start();
    secs(1000).await;
    assert_eq!(lab.times("acme", "begins"), [0]);
    named(1);
    secs(10).await;
    named(2);
    secs(30).await;
    assert_eq!(lab.times("acme", "begins"), [0, 1030]);
    inbox.fetched(&inbox.take()).unwrap();
    named(3);
    secs(200).await;
    assert_eq!(lab.times("acme", "begins"), [0, 1030]);
    secs(100).await;
    assert_eq!(lab.times("acme", "begins"), [0, 1030, 1330]);
    inbox.fetched(&inbox.take()).unwrap();
    // And then by its schedule, counted from the last start.
    secs(3650).await;
    assert_eq!(lab.times("acme", "begins"), [0, 1030, 1330, 4930]);
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_what_is_named_waits_with_the_rest() {
    let lab = Lab::new([]);
    let inbox = hearing(&lab, Act::Fail, "127.0.0.1:0");
    inbox.name(Named::Customer(CustomerId(1)), "1", lab.clock.now());
    let daemon = lab.start();
    secs(3600).await;
    let begun = lab.times("acme", "begins");
    // Every five minutes at most, and ever more seldom.
    assert!(
        begun.windows(2).all(|pair| pair[1] - pair[0] >= 300),
        "{begun:?}"
    );
    assert!((3..10).contains(&begun.len()), "{begun:?}");
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_shop_that_cannot_listen_goes_on_without() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let lab = Lab::new([]);
    hearing(&lab, Act::Work(1), &taken.local_addr().unwrap().to_string());
    let daemon = lab.start();
    secs(4000).await;
    assert_eq!(lab.times("acme", "begins"), [0, 3600]);
    daemon.stop().await;
}
