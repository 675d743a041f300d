//! Servers that do not prove who they are.

use super::*;
use crate::api::fake::call;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const ROOT: &[u8] = include_bytes!("../../../../tests/tls/root.pem");
const KEY: &[u8] = include_bytes!("../../../../tests/tls/server.key");
const GOOD: &[u8] = include_bytes!("../../../../tests/tls/good.pem");
const EXPIRED: &[u8] = include_bytes!("../../../../tests/tls/expired.pem");
const ELSEWHERE: &[u8] = include_bytes!("../../../../tests/tls/elsewhere.pem");
const STRANGER: &[u8] = include_bytes!("../../../../tests/tls/stranger.pem");

/// What a server saw.
#[derive(Default)]
struct Seen {
    connections: AtomicU64,
    /// Bytes of requests, deciphered.
    bytes: AtomicU64,
}

/// A server with this certificate.
fn acceptor(certificate: &'static [u8]) -> TlsAcceptor {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let chain = vec![CertificateDer::from_pem_slice(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(chain, key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn speak(tls: TlsAcceptor, stream: TcpStream, seen: &Seen) {
    let Ok(mut stream) = tls.accept(stream).await else {
        return;
    };
    let mut request = [0; 4096];
    if let Ok(read) = stream.read(&mut request).await {
        seen.bytes.fetch_add(read as u64, Ordering::SeqCst);
        let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        let _ = stream.write_all(reply).await;
        let _ = stream.shutdown().await;
    }
}

/// What TLS 1.1 and nothing later has to say to a client that offers 1.2 and 1.3: a fatal alert,
/// `protocol_version`.
const OUTDATED: [u8; 7] = [21, 3, 2, 0, 2, 2, 70];

async fn outdated(mut stream: TcpStream) {
    let mut hello = [0; 4096];
    let _ = stream.read(&mut hello).await;
    let _ = stream.write_all(&OUTDATED).await;
    let _ = stream.shutdown().await;
}

/// A server with this certificate, or with an outdated TLS.
async fn serving(certificate: Option<&'static [u8]>) -> (SocketAddr, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Seen::default());
    let (tls, told) = (certificate.map(acceptor), Arc::clone(&seen));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            told.connections.fetch_add(1, Ordering::SeqCst);
            match &tls {
                Some(tls) => speak(tls.clone(), stream, &told).await,
                None => outdated(stream).await,
            }
        }
    });
    (address, seen)
}

/// Which believes the root of the test beside those of the machine.
fn client(address: SocketAddr) -> Transport {
    let base = Url::parse(&format!("https://{address}")).unwrap();
    let root = reqwest::Certificate::from_pem(ROOT).unwrap();
    let client = builder(true).tls_certs_merge([root]).build().unwrap();
    Transport {
        client,
        ..transport(&base)
    }
}

#[tokio::test]
async fn a_server_that_is_not_trusted_gets_no_request_and_is_asked_once() {
    let (address, seen) = serving(Some(GOOD)).await;
    assert_eq!(client(address).exchange(&call()).await.unwrap().status, 200);
    assert!(seen.bytes.load(Ordering::SeqCst) > 0);
    let untrusted = Fault::Untrusted {
        host: "127.0.0.1".into(),
    };
    for (name, certificate) in [
        ("expired", Some(EXPIRED)),
        ("another name", Some(ELSEWHERE)),
        ("an unknown root", Some(STRANGER)),
        ("TLS 1.1", None),
    ] {
        let (address, seen) = serving(certificate).await;
        let (clock, meter) = (Clock::manual(Moment(0)), Meter::default());
        let whole = asking(client(address), &clock, &meter);
        let error = whole.exchange(&call()).await.unwrap_err();
        assert_eq!(error.fault, untrusted, "{name}");
        assert!(!error.is_outcome_unknown(), "{name}: nothing was sent");
        assert_eq!(seen.connections.load(Ordering::SeqCst), 1, "{name}");
        assert_eq!(seen.bytes.load(Ordering::SeqCst), 0, "{name}");
        let told = meter.unreached().into_values();
        let told: Vec<_> = told.map(|one| one.told()).collect();
        assert_eq!(told, [Some("untrusted")], "{name}");
    }
}

#[test]
fn a_handshake_that_fails_for_another_reason_than_distrust_is_tried_again() {
    use rustls::{AlertDescription as Alert, CertificateError, Error, InvalidMessage};
    for distrust in [
        Error::InvalidCertificate(CertificateError::Expired),
        Error::InvalidMessage(InvalidMessage::InvalidContentType),
        Error::AlertReceived(Alert::ProtocolVersion),
        Error::AlertReceived(Alert::HandshakeFailure),
    ] {
        assert!(is_distrust(&distrust), "{distrust}");
    }
    for passing in [
        Error::AlertReceived(Alert::InternalError),
        Error::DecryptError,
        Error::General("x".to_owned()),
    ] {
        assert!(!is_distrust(&passing), "{passing}");
    }
}
