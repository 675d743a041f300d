//! The daemon's life: systemd's line, two shops, reloads.

use super::lab::{Lab, Town, get};
use super::process::{Running, eventually, run};
use driftless::journal::{DataRequest, Journal};
use driftless::model::Moment;
use driftless::sandbox::faults::{FaultKind, Faults};
use driftless::vault::Vault;
use rustix::process::Signal;
use serde_json::Value as Json;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

/// A daemon over all shops of the lab, and where it serves its pages.
pub fn daemon(lab: &Lab, more: &[&str]) -> (Running, String) {
    let mut command = lab.driftless(["--listen", "127.0.0.1:0", "--config"]);
    let process = Running::start(command.arg(lab.shops()).args(more));
    let line = process.logs("Serving /livez");
    let address = line.split("127.0.0.1:").nth(1).unwrap();
    let port: String = address.chars().take_while(char::is_ascii_digit).collect();
    (process, format!("127.0.0.1:{port}"))
}

/// One shop's part of `/status`, once it satisfies `fits`.
pub fn status(listen: &str, shop: &str, fits: impl Fn(&Json) -> bool) -> Json {
    eventually(&format!("a status of {shop}"), || {
        let (_, body) = get(listen, "/status")?;
        let whole: Json = serde_json::from_str(&body).ok()?;
        let shops = whole["shops"].as_array()?.iter();
        let mut named = shops.filter(|one| one["name"] == shop && fits(one));
        named.next().cloned()
    })
}

/// What the service manager hears, line by line.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Self(socket)
    }

    /// Waits for a message with a line that begins so, and returns the line.
    fn hears(&self, start: &str) -> String {
        let mut heard = Vec::new();
        loop {
            let mut buffer = [0; 4096];
            let Ok(length) = self.0.recv(&mut buffer) else {
                panic!("never heard `{start}`, only {heard:#?}");
            };
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if let Some(line) = message.lines().find(|line| line.starts_with(start)) {
                return line.to_owned();
            }
            heard.push(message);
        }
    }
}

#[test]
fn systemd_hears_ready_status_watchdog_reload_and_stop() {
    let lab = Lab::new();
    let town = Town::fast(60, 20);
    let shop = lab.shop("acme", &town.vendors, &[]);
    let socket = lab.path("notify");
    let manager = Manager::at(&socket);
    let mut command = lab.driftless(["--observe", "--config"]);
    command.arg(&shop).env("NOTIFY_SOCKET", &socket);
    let daemon = Running::start(command.env("WATCHDOG_USEC", "900000"));
    manager.hears("READY=1");
    let line = manager.hears("STATUS=ready: 1 of 1 shops open, 0 running; next pass at ");
    assert!(!line.contains("look at"), "{line}");
    manager.hears("WATCHDOG=1");
    daemon.signal(Signal::HUP);
    manager.hears("RELOADING=1");
    manager.hears("READY=1");
    daemon.signal(Signal::TERM);
    manager.hears("STOPPING=1");
    daemon.end().expect(0);
}

#[test]
fn one_shops_dead_vendors_do_not_disturb_the_other() {
    let lab = Lab::new();
    let (town, mut dead) = (Town::fast(60, 21), Town::fast(60, 22));
    lab.shop("alive", &town.vendors, &[]);
    lab.shop("dead", &dead.vendors, &[]);
    dead.close();
    let (daemon, listen) = daemon(&lab, &["--observe"]);
    daemon.logs("Ready");
    let alive = status(&listen, "alive", |shop| {
        shop["last_pass"]["ok"] == true || shop["last_pass"]["exit"] == 10
    });
    assert_eq!(alive["failures_in_a_row"], 0, "{alive}");
    let failed = status(&listen, "dead", |shop| shop["failures_in_a_row"] == 1);
    assert_eq!(failed["last_pass"]["exit"], 69, "{failed}");
    assert!(failed["next_pass"].is_string(), "{failed}");
    assert_eq!(get(&listen, "/readyz").unwrap().0, 200);
    assert_eq!(get(&listen, "/livez").unwrap().0, 200);
    daemon.signal(Signal::TERM);
    let ended = daemon.end().expect(0);
    assert!(ended.err.contains("dead"), "{}", ended.err);
    assert_eq!(town.writes() + dead.writes(), 0);
}

#[test]
fn a_parked_class_shows_in_the_status_over_a_restart_and_is_asked_for_nothing() {
    let lab = Lab::new();
    let town = Town::fast(60, 25);
    let shop = lab.shop("acme", &town.vendors, &[]);
    let refusal = FaultKind::Refuse(Some("67608"));
    let faults = |faults: &mut Faults| faults.plan("/api/lists", None, 1, refusal);
    faults(&mut town.world.state().faults);
    let mut told = Vec::new();
    for _ in 0..2 {
        let (daemon, listen) = daemon(&lab, &[]);
        let failed = status(&listen, "acme", |shop| shop["failures_in_a_row"] == 1);
        let until = failed["parked"]["get_lists"].as_str().unwrap().to_owned();
        let why = failed["last_pass"]["summary"].as_str().unwrap();
        assert!(why.contains("get_lists: parked until"), "{why}");
        told.push(until);
        daemon.signal(Signal::TERM);
        daemon.end().expect(0);
        assert_eq!(town.asked("/api/lists"), 1);
    }
    // What is kept has no less than the second that a float may lose.
    assert_eq!(told[0][..16], told[1][..16], "{told:?}");
    let once = run(&mut lab.reconcile(&shop, &[])).expect(69);
    assert!(once.err.contains("get_lists: parked until"), "{}", once.err);
    assert_eq!(town.asked("/api/lists"), 1);
}

#[test]
fn two_shops_of_one_account_share_one_process_and_keep_others_out() {
    let lab = Lab::new();
    let town = Town::fast(60, 26);
    let observing = [("mode = \"full\"", "mode = \"observe\"")];
    lab.shop("acme", &town.vendors, &[]);
    let zeta = lab.shop("zeta", &town.vendors, &observing);
    let (_daemon, listen) = daemon(&lab, &[]);
    // The other one's wait for the account's two reports a minute is not worth sitting out.
    for shop in ["acme", "zeta"] {
        let open = |shop: &Json| shop["state"] == "running" || shop["state"] == "waiting";
        assert!(status(&listen, shop, open)["problem"].is_null());
    }
    let first = eventually("a pass", || {
        let whole: Json = serde_json::from_str(&get(&listen, "/status")?.1).ok()?;
        let shops = whole["shops"].as_array()?.iter();
        let mut done = shops.map(|shop| shop["last_pass"].clone());
        done.find(Json::is_object)
    });
    assert!([0, 10].map(Json::from).contains(&first["exit"]), "{first}");
    let refused = run(&mut lab.reconcile(&zeta, &[])).expect(75);
    assert!(
        refused.err.contains("the Klaviyo key is in use"),
        "{}",
        refused.err
    );
}

#[test]
fn a_reload_keeps_the_old_config_when_the_new_is_bad_and_applies_a_good_one() {
    let lab = Lab::new();
    let (town, second) = (Town::fast(60, 23), Town::fast(60, 24));
    let shop = lab.shop(
        "acme",
        &town.vendors,
        &[("mode = \"full\"", "mode = \"observe\"")],
    );
    let (daemon, listen) = daemon(&lab, &[]);
    status(&listen, "acme", |shop| {
        shop["last_pass"]["detail"]["mode"] == "observe"
    });

    let good = fs::read_to_string(&shop).unwrap();
    fs::write(&shop, good.replace("mode = \"observe\"", "mode = \"fool\"")).unwrap();
    daemon.signal(Signal::HUP);
    daemon.logs("The new configuration has faults; the old one stays");
    let reload = eventually("the bad reload in /status", || {
        let (_, body) = get(&listen, "/status")?;
        let whole: Json = serde_json::from_str(&body).ok()?;
        Some(whole["reload"].clone()).filter(|reload| reload["ok"] == false)
    });
    let faults = reload["faults"].as_str().unwrap();
    assert!(
        faults.contains("acme.toml:") && faults.contains("write.mode"),
        "{faults}"
    );
    assert_eq!(get(&listen, "/readyz").unwrap().0, 200);
    assert_eq!(daemon.logged("Settings changed"), 0);

    // Good again, with another mode and another shop.
    fs::write(
        &shop,
        good.replace("mode = \"observe\"", "mode = \"enrich\""),
    )
    .unwrap();
    lab.shop("newcomer", &second.vendors, &[]);
    daemon.signal(Signal::HUP);
    daemon.logs("Configuration read again");
    daemon.logs("Settings changed; the shop is opened anew");
    status(&listen, "newcomer", |shop| shop["last_pass"].is_object());
    status(&listen, "acme", |shop| shop["state"] == "waiting");

    // A shop whose file is gone is let go.
    fs::remove_file(lab.shops().join("newcomer.toml")).unwrap();
    daemon.signal(Signal::HUP);
    eventually("the newcomer gone", || {
        let (_, body) = get(&listen, "/status")?;
        (!body.contains("newcomer")).then_some(())
    });
    daemon.signal(Signal::TERM);
    daemon.end().expect(0);
}

#[test]
fn a_request_for_data_shows_before_any_pass_and_is_crossed_off_beside_the_daemon() {
    let lab = Lab::new();
    let mut dead = Town::fast(20, 29);
    let shop = lab.shop("acme", &dead.vendors, &[]);
    dead.close();
    let state = lab.state("acme");
    fs::create_dir_all(&state).unwrap();
    let request = DataRequest {
        request: 9999,
        customer: Some("gid://shopify/Customer/7".to_owned()),
        at: Moment::default(),
        due: Moment::default(),
    };
    let vault = Vault::open(&state, None).unwrap();
    let (mut journal, _) = Journal::open(&state.join("journal"), &vault).unwrap();
    journal.data_request(request).unwrap();
    drop(journal);

    let (daemon, listen) = daemon(&lab, &["--observe"]);
    let open = |shop: &Json| shop["on_record"]["data_requests"].as_array().map(Vec::len);
    let shown = status(&listen, "acme", |shop| open(shop) == Some(1));
    assert_eq!(shown["on_record"]["data_requests"][0]["request"], 9999);
    let answered =
        || run(&mut lab.driftless(["answered", "9999", "--config", shop.to_str().unwrap()]));
    let told = answered().expect(0);
    assert!(
        told.out.contains("acme: request 9999 is answered"),
        "{}",
        told.out
    );
    status(&listen, "acme", |shop| open(shop) == Some(0));
    let again = answered().expect(64);
    assert!(again.err.contains("no request 9999 waits"), "{}", again.err);
    daemon.signal(Signal::TERM);
    daemon.end().expect(0);
    let alone = answered().expect(64);
    assert!(
        alone.err.contains("acme: no request 9999 waits"),
        "{}",
        alone.err
    );
}
