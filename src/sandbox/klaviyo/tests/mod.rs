//! The server as a client sees it: over HTTP, on a clock that stands still unless moved.

mod aggregates;
mod door;
mod reads;
mod segments;
mod writes;

use crate::clock::Clock;
use crate::model::Moment;
use crate::sandbox::{GeneratorSettings, Sandbox, SandboxSettings, Speed, World, generate};
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::Value as Json;
use std::time::Duration;

struct Shop {
    world: World,
    sandbox: Sandbox,
    client: reqwest::Client,
    key: String,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Json,
}

impl Shop {
    async fn open(speed: Speed) -> Self {
        let now = Moment::parse("2026-11-22T10:00:00Z").unwrap();
        let profiles = 240;
        let state = generate(GeneratorSettings::usual(profiles, 11, now));
        let key = state.klaviyo.api_key.clone();
        let world = World::new(Clock::manual(now), state);
        let listen = "127.0.0.1:0".parse().unwrap();
        let sandbox = Sandbox::serve(world.clone(), SandboxSettings { listen, speed })
            .await
            .unwrap();
        // Another test of this process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::new();
        Self {
            world,
            sandbox,
            client,
            key,
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = match path.starts_with("http") {
            true => path.to_owned(),
            false => format!("{}{path}", self.sandbox.klaviyo_url),
        };
        self.client
            .request(method, url)
            .header("authorization", format!("Klaviyo-API-Key {}", self.key))
            .header("revision", "2026-07-15")
    }

    async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    async fn send(&self, method: Method, path: &str, body: Json) -> Answer {
        let request = self.request(method, path).body(body.to_string());
        answer(request.header("content-type", "application/vnd.api+json")).await
    }

    /// Follows `links.next` to the end.
    async fn all(&self, path: &str) -> Vec<Json> {
        let mut found = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let answer = self.get(&path).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            found.extend(answer.body["data"].as_array().unwrap().iter().cloned());
            next = answer.body["links"]["next"].as_str().map(str::to_owned);
        }
        found
    }

    fn wait(&self, millis: u64) {
        self.world.clock.advance(Duration::from_millis(millis));
    }

    fn now(&self) -> Moment {
        self.world.clock.now()
    }

    /// Some profile that satisfies a condition.
    fn profile(&self, fits: impl Fn(&crate::sandbox::world::Profile) -> bool) -> String {
        let state = self.world.state();
        let found = state
            .klaviyo
            .profiles
            .iter()
            .find(|(_, profile)| fits(profile));
        found.unwrap().0.clone()
    }

    fn list(&self, name: &str) -> String {
        let state = self.world.state();
        let found = state
            .klaviyo
            .lists
            .iter()
            .find(|(_, list)| list.name == name);
        found.unwrap().0.clone()
    }

    fn metric(&self, name: &str) -> String {
        crate::sandbox::standard::metric(&self.world.state().klaviyo, name)
    }
}

async fn answer(request: RequestBuilder) -> Answer {
    let reply = request.send().await.unwrap();
    let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
    let text = reply.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_default();
    Answer {
        status,
        headers,
        body,
    }
}

fn ids(items: &[Json]) -> Vec<String> {
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}
