//! What a reload changes, and what it leaves alone.

use super::lab::{Act, Lab, Plan, secs};
use crate::daemon::{Signal, Stopped};

#[tokio::test(start_paused = true)]
async fn a_bad_configuration_leaves_everything_as_it_was() {
    let lab = Lab::new([("acme", Plan::new(Act::Work(1), 60))]);
    let daemon = lab.start();
    secs(30).await;
    *lab.workshop.plans.lock().unwrap() = Err("shop.toml:3:1 unknown key".to_owned());
    daemon.signal(Signal::Reload).await;
    *lab.workshop.plans.lock().unwrap() = Ok(Default::default());
    daemon.signal(Signal::Reload).await;
    secs(100).await;
    assert_eq!(lab.times("acme", "begins"), [0, 60, 120]);
    assert_eq!(lab.when("closed"), []);
    assert_eq!(daemon.stop().await, Stopped::Clean);
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_shop_is_not_touched() {
    let lab = Lab::new([("acme", Plan::new(Act::Work(40), 60))]);
    let daemon = lab.start();
    secs(20).await;
    daemon.signal(Signal::Reload).await;
    secs(50).await;
    assert_eq!(lab.times("acme", "begins"), [0, 60]);
    assert_eq!(lab.times("acme", "opened"), [0]);
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_shop_is_replaced_after_its_running_pass() {
    let plan = Plan::new(Act::Work(40), 60);
    let lab = Lab::new([("acme", plan.clone())]);
    let daemon = lab.start();
    secs(20).await;
    lab.set("acme", Some(plan.changed(Act::Work(5))));
    daemon.signal(Signal::Reload).await;
    assert_eq!(lab.when("closed"), [], "its pass runs");
    secs(50).await;
    assert_eq!(lab.times("acme", "ends"), [40, 65]);
    assert_eq!(lab.times("acme", "closed"), [40]);
    assert_eq!(lab.times("acme", "opened"), [0, 40]);
    assert_eq!(lab.times("acme", "begins"), [0, 60], "and keeps its rhythm");
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_two_changes_during_one_pass_the_last_one_counts() {
    let plan = Plan::new(Act::Work(40), 60);
    let lab = Lab::new([("acme", plan.clone())]);
    let daemon = lab.start();
    secs(20).await;
    let second = plan.changed(Act::Fail);
    for plan in [second.clone(), second.changed(Act::Work(7))] {
        lab.set("acme", Some(plan));
        daemon.signal(Signal::Reload).await;
    }
    secs(80).await;
    assert_eq!(lab.times("acme", "ends"), [40, 67]);
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_shop_that_is_gone_drains_and_a_new_one_begins() {
    let lab = Lab::new([
        ("gone", Plan::new(Act::Linger(8), 60)),
        ("kept", Plan::new(Act::Work(1), 60)),
    ]);
    let daemon = lab.start();
    secs(20).await;
    lab.set("gone", None);
    lab.set("new", Some(Plan::new(Act::Work(1), 60)));
    daemon.signal(Signal::Reload).await;
    secs(60).await;
    assert_eq!(lab.times("gone", "ends"), [28]);
    assert_eq!(lab.times("gone", "closed"), [28]);
    assert_eq!(lab.times("gone", "begins"), [0]);
    assert_eq!(lab.times("new", "begins"), [20, 80]);
    assert_eq!(lab.times("kept", "opened"), [0]);
    let page = lab.metrics.text();
    let shown = |name| {
        page.contains(&format!(
            r#"last_success_timestamp_seconds{{store="{name}"}}"#
        ))
    };
    assert!(shown("kept") && shown("new") && !shown("gone"));
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_moves_to_another_shop_serves_both_while_the_first_finishes() {
    let plan = Plan {
        key: "0123456789abcdef".to_owned(),
        ..Plan::new(Act::Linger(8), 60)
    };
    let lab = Lab::new([("old", plan.clone())]);
    let daemon = lab.start();
    secs(20).await;
    lab.set("old", None);
    lab.set("renamed", Some(plan));
    daemon.signal(Signal::Reload).await;
    secs(40).await;
    assert_eq!(lab.times("renamed", "opened"), [20]);
    assert_eq!(lab.times("old", "closed"), [28]);
    assert!(lab.times("renamed", "closed").is_empty());
    daemon.stop().await;
}
