//! Waiting that the daemon's watchdog knows of.

use crate::clock::Clock;
use crate::telemetry::Meter;
use std::time::Duration;
use tokio::sync::Notify;

/// Far below the watchdog's patience, so that an announced wait and a silent one after it do not
/// add up to more.
const LONG: Duration = Duration::from_secs(60);

/// Sleeps. A long wait is announced and a short one is a sign of life, or a shop that waits for a
/// vendor would be taken for stuck.
pub(super) async fn wait(clock: &Clock, meter: &Meter, span: Duration) {
    if span > LONG {
        meter.parked(clock.now().plus(span));
    } else {
        meter.beat();
    }
    clock.sleep(span).await;
}

/// Waits to be called in a queue, or for a while: a sign of life, or the watchdog takes whoever waits
/// for stuck.
pub(super) async fn until_called(meter: &Meter, called: &Notify) {
    meter.beat();
    let _ = tokio::time::timeout(LONG, called.notified()).await;
}
