//! The pages over real sockets.

use super::lab::{Act, Lab, Plan, START};
use crate::clock::Clock;
use crate::daemon::OpenError;
use crate::daemon::board::{Board, Phase};
use crate::daemon::http::serve;
use crate::daemon::lock::KeyLocks;
use crate::daemon::shop::House;
use crate::listen::{Listen, ListenError, Server};
use crate::telemetry::{Api, Meter, Metrics};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

fn house() -> Arc<House> {
    let clock = Clock::manual(START);
    Arc::new(House {
        board: Arc::new(Board::new(clock.now(), clock.monotonic())),
        clock,
        metrics: Metrics::new(),
        keys: KeyLocks::new(PathBuf::new()),
    })
}

/// Status code and body of one request.
async fn get(listen: &Listen, page: &str, host: &str) -> (u16, String) {
    let request = format!("GET {page} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let listen = listen.clone();
    let ask = move || {
        let mut answer = String::new();
        match listen {
            Listen::Tcp(address) => {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(request.as_bytes()).unwrap();
                stream.read_to_string(&mut answer).unwrap();
            }
            Listen::Unix(path) => {
                let mut stream = UnixStream::connect(path).unwrap();
                stream.write_all(request.as_bytes()).unwrap();
                stream.read_to_string(&mut answer).unwrap();
            }
        }
        let code = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
        (code, body)
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

async fn on_loopback(house: &Arc<House>) -> Server {
    let listen = "127.0.0.1:0".parse().unwrap();
    serve(&listen, house.clone()).await.unwrap()
}

#[tokio::test]
async fn a_foreign_host_name_is_turned_away() {
    let server = on_loopback(&house()).await;
    for host in [
        "localhost",
        "LOCALHOST:9188",
        "127.0.0.1:80",
        "127.8.8.8",
        "[::1]",
        "[::1]:1",
    ] {
        assert_eq!(get(&server.listen, "/livez", host).await.0, 200, "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:9188",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "0.0.0.0",
        "[::]",
        "::1",
        "",
    ] {
        let (code, body) = get(&server.listen, "/status", host).await;
        assert_eq!(code, 421, "{host}");
        assert!(!body.contains("version"));
    }
}

#[tokio::test]
async fn the_probes_follow_the_shops() {
    let house = house();
    let server = on_loopback(&house).await;
    let probe = async |page| get(&server.listen, page, "localhost").await;
    assert_eq!(probe("/livez").await, (200, "ok\n".to_owned()));
    assert_eq!(probe("/readyz").await, (503, "starting\n".to_owned()));
    let entry = house.board.enter("acme", Meter::default(), START);
    house.board.set_phase(Phase::Ready);
    assert_eq!(
        probe("/readyz").await,
        (503, "no shop is open\n".to_owned())
    );
    entry.waiting(START.plus(Duration::from_secs(60)), Value::Null, START);
    assert_eq!(probe("/readyz").await, (200, "ok\n".to_owned()));

    let monotonic = house.clock.monotonic();
    house.board.tick(monotonic, &[0]);
    assert_eq!(probe("/livez").await, (503, "stuck: acme\n".to_owned()));
    house.board.tick(monotonic, &[]);
    assert_eq!(probe("/livez").await.0, 200);
    house.clock.advance(Duration::from_secs(60));
    let dead = (503, "the loop does not come round\n".to_owned());
    assert_eq!(probe("/livez").await, dead);
}

#[tokio::test]
async fn the_status_tells_each_shops_state_and_problem() {
    let house = house();
    let server = on_loopback(&house).await;
    let error = OpenError {
        exit: 75,
        message: "the mirror is locked".to_owned(),
    };
    let meter = Meter::default();
    let later = START.plus(Duration::from_secs(30));
    meter.parked(later);
    let bolt = house.board.enter("bolt", meter, START);
    bolt.unopened(error, later, START);
    let silent = Meter::default();
    let acme = house.board.enter("acme", silent.clone(), START);
    acme.running(START);
    silent.out_of_reach(Api::Klaviyo, false, START.minus(Duration::from_secs(300)));
    silent.out_of_reach(Api::Klaviyo, false, START);
    silent.out_of_reach(Api::Shopify, false, START);
    house
        .board
        .note_reload(START, Err("shop.toml:3:1 unknown key".to_owned()));
    let (code, body) = get(&server.listen, "/status", "localhost").await;
    let status: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(code, 200);
    assert_eq!(status["state"], "starting");
    assert_eq!(status["started"], "2023-11-14T22:13:20Z");
    assert_eq!(status["reload"]["faults"], "shop.toml:3:1 unknown key");
    assert_eq!(status["shops"][0]["name"], "acme");
    assert_eq!(status["shops"][0]["state"], "running");
    assert_eq!(status["shops"][0]["problem"], Value::Null);
    let klaviyo = json!({ "how": "unreachable", "since": "2023-11-14T22:08:20Z" });
    assert_eq!(
        status["shops"][0]["out_of_reach"],
        json!({ "klaviyo": klaviyo })
    );
    assert_eq!(status["shops"][1]["state"], "unopened");
    assert_eq!(status["shops"][1]["problem"]["exit"], 75);
    assert_eq!(status["shops"][1]["next_pass"], "2023-11-14T22:13:50Z");
    assert_eq!(status["shops"][1]["parked_until"], "2023-11-14T22:13:50Z");
    drop(bolt);
    let (_, body) = get(&server.listen, "/status", "localhost").await;
    assert!(!body.contains("bolt"));
}

#[tokio::test]
async fn a_daemon_at_work_shows_itself_on_its_unix_socket() {
    let mut lab = Lab::new([("acme", Plan::new(Act::Work(0), 3600))]);
    lab.clock = Clock::System;
    let path = lab.dir.path().join("driftless.sock");
    let listen = Listen::Unix(path.clone());
    lab.settings.listen = Some(listen.clone());
    // A socket that a killed daemon left behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let daemon = lab.start();
    while !lab
        .told()
        .iter()
        .any(|line| line.contains("0 running; next pass"))
    {
        tokio::task::yield_now().await;
    }
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert_eq!(get(&listen, "/readyz", "anything").await.0, 200);
    let (_, body) = get(&listen, "/status", "").await;
    let status: Value = serde_json::from_str(&body).unwrap();
    let pass = &status["shops"][0]["last_pass"];
    assert_eq!(pass["ok"], true);
    assert_eq!(pass["summary"], "3 effects confirmed");
    assert_eq!(pass["detail"]["effects"], 3);
    let (_, page) = get(&listen, "/metrics", "").await;
    assert!(
        page.contains(r#"driftless_passes_total{store="acme",end="ok"} 1"#),
        "{page}"
    );
    assert!(
        page.contains(r#"driftless_effects_total{store="acme",kind="list_add",end="confirmed"} 3"#)
    );
    assert!(page.ends_with("# EOF\n"));
    daemon.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn an_address_in_use_is_not_taken_over() {
    let house = house();
    let dir = tempfile::tempdir().unwrap();
    let first = on_loopback(&house).await;
    let error = serve(&first.listen, house.clone()).await.unwrap_err();
    assert_eq!(error.exit(), 75);
    let socket = Listen::Unix(dir.path().join("socket"));
    let _second = serve(&socket, house.clone()).await.unwrap();
    let error = serve(&socket, house.clone()).await.unwrap_err();
    assert_eq!(error.exit(), 75);
    let file = dir.path().join("precious");
    std::fs::write(&file, "not a socket").unwrap();
    serve(&Listen::Unix(file.clone()), house).await.unwrap_err();
    assert!(file.exists());
}

#[tokio::test]
async fn only_local_addresses_are_listened_on() {
    for text in [
        "0.0.0.0:9188",
        "192.168.1.5:9188",
        "[::]:9188",
        "1.1.1.1:80",
    ] {
        let error = text.parse::<Listen>().unwrap_err();
        assert!(matches!(error, ListenError::NotLoopback(_)), "{text}");
        let given = Listen::Tcp(text.parse().unwrap());
        let error = serve(&given, house()).await.unwrap_err();
        assert!(matches!(error, ListenError::NotLoopback(_)), "{text}");
    }
    for text in [
        "9188",
        "localhost:9188",
        "unix:relative",
        "unix:",
        "127.0.0.1",
    ] {
        let error = text.parse::<Listen>().unwrap_err();
        assert!(matches!(error, ListenError::Unreadable(_)), "{text}");
    }
    for text in [
        "127.0.0.1:9188",
        "[::1]:9188",
        "unix:/run/driftless/http.sock",
    ] {
        assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
    }
}
