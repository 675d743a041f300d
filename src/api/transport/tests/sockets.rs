//! Servers that break off, hold back, drip, or never end. Time stands still while a socket works and
//! leaps while all wait.

use super::*;
use crate::api::fake::call;
use crate::telemetry::Api;
use std::io::Write;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

const TOTAL: Duration = Duration::from_secs(120);
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";

/// Lets `each` answer every connection once its request has come.
async fn answering<F>(each: impl Fn(TcpStream) -> F + Copy + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    each(stream).await;
                }
            });
        }
    });
    address
}

fn patient(scheme: &str, address: SocketAddr) -> Transport {
    let base = Url::parse(&format!("{scheme}://{address}")).unwrap();
    let token = HeaderName::from_static("x-token");
    Transport::new(&base, HeaderMap::new(), token, TOTAL).unwrap()
}

/// How far a request got, what ended it, and after how many seconds.
async fn ending(transport: &Transport) -> (Phase, Cause, u64) {
    let begun = Instant::now();
    let error = transport.exchange(&call()).await.unwrap_err();
    match error.fault {
        Fault::Unreachable { phase, cause, .. } => (phase, cause, begun.elapsed().as_secs()),
        other => panic!("{other:?}"),
    }
}

async fn silent(stream: TcpStream) {
    std::future::pending::<()>().await;
    drop(stream);
}

/// A connection that ends as that of a process that crashed.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_connects_and_never_answers_is_left_after_ten_thirty_or_120_seconds() {
    // It takes the connection, and no TLS comes of it.
    let address = answering(silent).await;
    let found = ending(&patient("https", address)).await;
    assert_eq!(found, (Phase::Connect, Cause::Timeout, 10));
    let found = ending(&patient("http", address)).await;
    assert_eq!(found, (Phase::Head, Cause::Timeout, 30));
    let address = answering(|mut stream: TcpStream| async move {
        stream.write_all(HEAD).await.unwrap();
        silent(stream).await;
    });
    let found = ending(&patient("http", address.await)).await;
    assert_eq!((found.0, found.2), (Phase::Body, 30));
    let address = answering(|mut stream: TcpStream| async move {
        stream.write_all(HEAD).await.unwrap();
        while stream.write_all(&[b' '; 20_000]).await.is_ok() {
            sleep(Duration::from_secs(10)).await;
        }
    });
    let found = ending(&patient("http", address.await)).await;
    assert_eq!(found, (Phase::Body, Cause::Timeout, 120));
}

#[tokio::test(start_paused = true)]
async fn a_body_of_a_byte_a_second_is_cut_off_and_one_of_two_thousand_is_not() {
    let address = answering(|mut stream: TcpStream| async move {
        stream.write_all(HEAD).await.unwrap();
        while stream.write_all(b" ").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    });
    let found = ending(&patient("http", address.await)).await;
    assert_eq!(found, (Phase::Body, Cause::Slow, 30));
    let address = answering(|mut stream: TcpStream| async move {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        for _ in 0..100 {
            sleep(Duration::from_secs(1)).await;
            stream.write_all(&[b' '; 2_000]).await.unwrap();
        }
    });
    let whole = patient("http", address.await).exchange(&call()).await;
    assert_eq!(whole.unwrap().body.len(), 200_000);
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_told_by_how_far_the_reply_had_come() {
    let address = answering(|stream| async move { reset(stream) }).await;
    let (phase, cause, _) = ending(&patient("http", address)).await;
    assert_eq!((phase, cause), (Phase::Head, Cause::Lost));
    let address = answering(|mut stream: TcpStream| async move {
        stream.write_all(HEAD).await.unwrap();
        stream.write_all(b"{\"data\":[").await.unwrap();
        // Until it was read: a reset throws away what was not.
        sleep(Duration::from_secs(1)).await;
        reset(stream);
    });
    let (phase, cause, _) = ending(&patient("http", address.await)).await;
    assert_eq!((phase, cause), (Phase::Body, Cause::Lost));
}

/// Knows no name.
struct Nobody;

impl reqwest::dns::Resolve for Nobody {
    fn resolve(&self, _name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async { Err("no such name".into()) })
    }
}

/// A client of a host that is known to nobody.
fn lost_name() -> Transport {
    let base = Url::parse("https://a.klaviyo.com").unwrap();
    let token = HeaderName::from_static("x-token");
    let usual = Transport::new(&base, HeaderMap::new(), token, TOTAL).unwrap();
    let client = builder(true).dns_resolver(std::sync::Arc::new(Nobody));
    let client = client.build().unwrap();
    Transport { client, ..usual }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told_from_a_connection_that_is_refused() {
    let (phase, cause, _) = ending(&lost_name()).await;
    assert_eq!((phase, cause), (Phase::Connect, Cause::Name));
}

/// Over half an hour as a daemon would ask, with its rest between two tries.
#[tokio::test]
async fn a_name_that_does_not_resolve_is_asked_for_with_pauses_and_told_of_after_five_minutes() {
    let (clock, meter) = (Clock::manual(Moment(0)), Meter::default());
    let whole = asking(lost_name(), &clock, &meter);
    let mut told = Vec::new();
    while clock.now() < Moment::from_secs(1_800) {
        let error = whole.exchange(&call()).await.unwrap_err();
        assert!(matches!(
            error.fault,
            Fault::Unreachable { .. } | Fault::Resting { .. }
        ));
        let known = meter.unreached().contains_key(&Api::Klaviyo);
        told.push((clock.now().secs() >= 300, known));
        clock.advance(Duration::from_secs(30));
    }
    assert!(told.iter().all(|(late, known)| late == known), "{told:?}");
    let asked: u64 = meter.totals().requests.values().sum();
    assert!((20..150).contains(&asked), "{asked}");
}

#[tokio::test]
async fn a_body_that_grows_when_it_is_unpacked_is_cut_off_at_the_cap() {
    let packed = || {
        let level = flate2::Compression::fast();
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), level);
        packer.write_all(&vec![b' '; BODY_CAP + 1]).unwrap();
        packer.finish().unwrap()
    };
    let small = packed().len();
    assert!(small < BODY_CAP / 100, "{small}");
    let bomb = move || async move { ([("content-encoding", "gzip")], packed()) };
    let base = serve(Router::new().route("/api/profiles", get(bomb))).await;
    let error = transport(&base).exchange(&call()).await.unwrap_err();
    assert_eq!(error.fault, Fault::TooLarge { cap: BODY_CAP });
    assert!(error.to_string().contains("33554432"), "{error}");
}
