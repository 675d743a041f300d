//! Both servers on loopback ports, and the config that leads a daemon to them.

use super::klaviyo::{self, limits};
use super::{Speed, World, faults, shopify};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::DATE;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use jiff::fmt::rfc2822::DateTimePrinter;
use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The floor of the guards' budgets.
const LEAST_BUDGET: usize = 25;

/// Where and how to serve.
#[derive(Clone, Copy, Debug)]
pub struct SandboxSettings {
    /// Klaviyo's address. Shopify's is the next port, or another free one when this port is 0.
    pub listen: SocketAddr,
    /// Whether limits hold.
    pub speed: Speed,
}

/// Why the sandbox could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A port is taken or not ours.
    #[error("sandbox: cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The secrets travel in the clear, so only this machine may be reached.
    #[error("sandbox: {0} is not a loopback address; use 127.0.0.1 or [::1]")]
    NotLoopback(SocketAddr),
}

/// Method and endpoint of a request; the endpoint has `{placeholders}` where the vendor's table does.
type Endpoint = (String, String);
/// Requests, and how many of them were answered with 429.
type Counts = BTreeMap<Endpoint, (u64, u64)>;

/// Two running servers. They stop when this is dropped.
#[derive(Debug)]
pub struct Sandbox {
    /// `http://127.0.0.1:4001`.
    pub klaviyo_url: String,
    /// `http://127.0.0.1:4002`.
    pub shopify_url: String,
    world: World,
    counts: Arc<Mutex<Counts>>,
    servers: Vec<(oneshot::Sender<()>, JoinHandle<io::Result<()>>)>,
}

/// A sandbox's config for clients that wait for no limits, as it has none.
pub fn without_limits(config: &str) -> String {
    config.replace("[klaviyo]\n", "[klaviyo]\nlimits = false\n")
}

impl Sandbox {
    /// Opens both ports and serves the world from them. Time is the world's clock only.
    ///
    /// # Errors
    ///
    /// When an address is not loopback or cannot be listened on.
    pub async fn serve(world: World, settings: SandboxSettings) -> Result<Self, ServeError> {
        let first = listen(settings.listen).await?;
        let second = match settings.listen.port() {
            0 => settings.listen,
            port => SocketAddr::new(settings.listen.ip(), port.wrapping_add(1)),
        };
        let second = listen(second).await?;
        let klaviyo_url = url_of(&first, settings.listen)?;
        let shopify_url = url_of(&second, settings.listen)?;
        let shop = shopify::router(world.clone(), settings.speed, shopify_url.clone());
        let mail = klaviyo::router(world.clone(), settings.speed);
        let counts = Arc::<Mutex<Counts>>::default();
        let servers = [(first, mail), (second, shop)].map(|(listener, router)| {
            let disturbed = router.layer(from_fn_with_state(world.clone(), faults::disturb));
            let dated = disturbed.layer(from_fn_with_state(world.clone(), dated));
            start(
                listener,
                dated.layer(from_fn_with_state(counts.clone(), count)),
            )
        });
        Ok(Self {
            klaviyo_url,
            shopify_url,
            world,
            counts,
            servers: servers.into(),
        })
    }

    /// What both servers were asked so far.
    pub fn requests(&self) -> BTreeMap<(String, String), (u64, u64)> {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A config for this sandbox, ready to be used with the variables of [`Sandbox::secrets`].
    pub fn config_toml(&self, state_dir: &Path) -> String {
        let state = self.world.state();
        // A budget below its floor, which small shops have, is no config.
        let people = state.klaviyo.profiles.len().max(LEAST_BUDGET);
        // TOML's basic strings escape as JSON's do.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        include_str!("config.toml")
            .replace("{state_dir}", &quoted(&state_dir.display().to_string()))
            .replace("{klaviyo_url}", &quoted(&self.klaviyo_url))
            .replace("{account}", &quoted(&state.klaviyo.account))
            .replace("{shopify_url}", &quoted(&self.shopify_url))
            .replace("{domain}", &quoted(&state.shopify.domain))
            .replace("{people}", &people.to_string())
    }

    /// The environment variables that the config names, with the secrets they should hold.
    pub fn secrets(&self) -> [(&'static str, String); 2] {
        let state = self.world.state();
        [
            ("DRIFTLESS_KLAVIYO_KEY", state.klaviyo.api_key.clone()),
            ("DRIFTLESS_SHOPIFY_TOKEN", state.shopify.token.clone()),
        ]
    }

    /// Stops both servers and waits until their last requests are answered.
    pub async fn shutdown(self) {
        for (stop, server) in self.servers {
            // A server that ended already has nothing left to stop.
            let _ = stop.send(());
            let _ = server.await;
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    let failed = |source| ServeError::Listen { address, source };
    TcpListener::bind(address).await.map_err(failed)
}

fn url_of(listener: &TcpListener, address: SocketAddr) -> Result<String, ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let bound = listener.local_addr().map_err(failed)?;
    Ok(format!("http://{bound}"))
}

fn start(
    listener: TcpListener,
    router: Router,
) -> (oneshot::Sender<()>, JoinHandle<io::Result<()>>) {
    let (stop, stopped) = oneshot::channel::<()>();
    // A dropped sender stops the server just as a sent word does.
    let ended = async move { drop(stopped.await) };
    let server = axum::serve(listener, router).with_graceful_shutdown(ended);
    (stop, tokio::spawn(server.into_future()))
}

/// Without this the HTTP library would tell the machine's time, which is not the world's.
async fn dated(State(world): State<World>, request: Request, next: Next) -> Response {
    let mut reply = next.run(request).await;
    let now = jiff::Timestamp::from_millisecond(world.clock.now().0).unwrap_or_default();
    let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&now);
    let value = text.ok().and_then(|text| HeaderValue::try_from(text).ok());
    if let Some(value) = value {
        reply.headers_mut().entry(DATE).or_insert(value);
    }
    reply
}

async fn count(State(counts): State<Arc<Mutex<Counts>>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let endpoint = match limits::operation(request.method(), path) {
        Ok(operation) => operation.base.path.to_owned(),
        Err(_) if path.starts_with("/bulk/") => "/bulk/{file}".to_owned(),
        Err(_) => path.to_owned(),
    };
    let endpoint = (request.method().to_string(), endpoint);
    let reply = next.run(request).await;
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    let counted = counts.entry(endpoint).or_default();
    counted.0 += 1;
    counted.1 += u64::from(reply.status() == StatusCode::TOO_MANY_REQUESTS);
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::model::Moment;
    use crate::sandbox::world;
    use toml::de::DeTable;

    fn settings(listen: &str) -> SandboxSettings {
        SandboxSettings {
            listen: listen.parse().unwrap(),
            speed: Speed::Real,
        }
    }

    fn world() -> World {
        let mut state = world::State::default();
        "pk_test".clone_into(&mut state.klaviyo.api_key);
        "Abc123".clone_into(&mut state.klaviyo.account);
        "shpat_test".clone_into(&mut state.shopify.token);
        "shop.myshopify.com".clone_into(&mut state.shopify.domain);
        World::new(Clock::manual(Moment::from_secs(1_800_000_000)), state)
    }

    #[tokio::test]
    async fn the_config_names_both_servers_and_no_secret() {
        let sandbox = Sandbox::serve(world(), settings("127.0.0.1:0"))
            .await
            .unwrap();
        let text = sandbox.config_toml(Path::new("/tmp/a \"quoted\" dir"));
        let config = DeTable::parse(&text).unwrap();
        let value = |section: &str, key: &str| {
            let section = config.get_ref()[section].get_ref().as_table().unwrap();
            section[key].get_ref().as_str().unwrap().to_owned()
        };
        assert_eq!(value("klaviyo", "base_url"), sandbox.klaviyo_url);
        assert_eq!(value("shopify", "base_url"), sandbox.shopify_url);
        assert_eq!(value("klaviyo", "account"), "Abc123");
        assert_eq!(value("shop", "state_dir"), "/tmp/a \"quoted\" dir");
        assert!(!text.contains("pk_test") && !text.contains("shpat_test"));
        let [(key, secret), (token, other)] = sandbox.secrets();
        assert!(key == "DRIFTLESS_KLAVIYO_KEY" && secret.starts_with("pk_test"));
        assert!(token == "DRIFTLESS_SHOPIFY_TOKEN" && other.starts_with("shpat_test"));
        sandbox.shutdown().await;
    }

    #[tokio::test]
    async fn both_servers_tell_the_worlds_time() {
        let sandbox = Sandbox::serve(world(), settings("127.0.0.1:0"))
            .await
            .unwrap();
        // Whoever installs it first; loopback without TLS needs none, but the library wants one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        for url in [&sandbox.klaviyo_url, &sandbox.shopify_url] {
            let reply = reqwest::get(format!("{url}/api/accounts")).await.unwrap();
            assert_eq!(reply.headers()["date"], "Fri, 15 Jan 2027 08:00:00 GMT");
        }
    }

    #[tokio::test]
    async fn only_loopback_is_served_and_a_taken_port_is_named() {
        let outside = Sandbox::serve(world(), settings("0.0.0.0:0"))
            .await
            .unwrap_err();
        assert!(matches!(outside, ServeError::NotLoopback(_)));
        let sandbox = Sandbox::serve(world(), settings("127.0.0.1:0"))
            .await
            .unwrap();
        let taken = sandbox.klaviyo_url.trim_start_matches("http://");
        let error = Sandbox::serve(world(), settings(taken)).await.unwrap_err();
        assert!(error.to_string().contains(taken), "{error}");
    }
}
