//! Health, status and metrics over TCP and over a UNIX socket.

use super::daemon::{daemon, status};
use super::lab::{Lab, Town, get};
use super::process::{Running, eventually, run};
use rustix::process::Signal;
use serde_json::Value as Json;

#[test]
fn two_shops_are_served_on_a_loopback_port() {
    let lab = Lab::new();
    let (one, two) = (Town::fast(80, 30), Town::fast(70, 31));
    lab.shop("one", &one.vendors, &[]);
    lab.shop("two", &two.vendors, &[]);
    let (daemon, listen) = daemon(&lab, &["--observe", "--log-format", "json"]);
    for (shop, profiles) in [("one", 80), ("two", 70)] {
        let view = status(&listen, shop, |shop| shop["last_pass"].is_object());
        assert_eq!(view["last_pass"]["detail"]["people"]["profiles"], profiles);
        assert_eq!(view["state"], "waiting");
    }
    assert_eq!(get(&listen, "/livez").unwrap(), (200, "ok\n".to_owned()));
    assert_eq!(get(&listen, "/readyz").unwrap(), (200, "ok\n".to_owned()));
    assert_eq!(get(&listen, "/nothing").unwrap().0, 404);
    let (code, metrics) = get(&listen, "/metrics").unwrap();
    assert!(code == 200 && metrics.ends_with("# EOF\n"), "{metrics}");
    for shop in ["one", "two"] {
        let label = format!("store=\"{shop}\"");
        let lines = metrics.lines().filter(|line| line.contains(&label));
        assert!(lines.count() > 5, "{metrics}");
        for line in [
            format!("driftless_records_quarantined_total{{{label}}} 0"),
            format!("driftless_records_gone_total{{{label},found_by=\"sweep\"}} 0"),
            format!("driftless_records_gone_total{{{label},found_by=\"webhook\"}} 0"),
        ] {
            assert!(
                metrics.lines().any(|shown| shown == line),
                "{line}\n{metrics}"
            );
        }
    }

    let taken = run(lab
        .driftless(["--listen", &listen, "--config"])
        .arg(lab.shops()))
    .expect(75);
    assert!(taken.err.contains(&listen), "{}", taken.err);

    daemon.signal(Signal::TERM);
    let ended = daemon.end().expect(0);
    assert_eq!(ended.out, "");
    for line in ended.err.lines() {
        let log: Json = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert!(
            log["level"].is_string() && log["message"].is_string(),
            "{line}"
        );
    }
}

#[test]
fn a_unix_socket_serves_the_same_and_is_gone_afterwards() {
    let lab = Lab::new();
    let town = Town::fast(60, 32);
    let shop = lab.shop("acme", &town.vendors, &[]);
    let socket = lab.path("locks").join("pages.sock");
    let listen = format!("unix:{}", socket.display());
    let start = || {
        let mut command = lab.driftless(["--observe", "--listen", &listen, "--config"]);
        Running::start(command.arg(&shop))
    };
    let first = start();
    first.logs("Ready");
    assert_eq!(get(&listen, "/livez").unwrap(), (200, "ok\n".to_owned()));
    assert_eq!(get(&listen, "/readyz").unwrap().0, 200);
    status(&listen, "acme", |shop| shop["last_pass"].is_object());
    assert!(
        get(&listen, "/metrics")
            .unwrap()
            .1
            .contains("store=\"acme\"")
    );

    // One that was killed leaves its socket behind, which must not stop the next.
    first.kill_9();
    assert!(socket.exists());
    let next = start();
    next.logs("Ready");
    eventually("pages again", || {
        get(&listen, "/livez").filter(|(code, _)| *code == 200)
    });
    next.signal(Signal::TERM);
    next.end().expect(0);
    assert!(!socket.exists());
}
