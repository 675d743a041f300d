//! A day of two shops on one key, beside a neighbour: the product's client and budgets on one side, the
//! sandbox's own counting on the other, and no sockets between them.

use crate::house::{morning, setting};
use driftless::api::klaviyo::{Klaviyo, ProfileQuery, Stack};
use driftless::api::{Answer, ApiError, BudgetMemory, Budgets, Call, Conduct, Exchange, Headers};
use driftless::clock::Clock;
use driftless::config::KlaviyoAccess;
use driftless::model::{Mentions, Moment, ProfileId};
use driftless::pace::RateHeaders;
use driftless::sandbox::klaviyo::limits::{self, Limiter, Verdict};
use driftless::telemetry::Meter;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// Of Klaviyo's 750 a minute for profiles.
const SHARE: f64 = 0.7;
const ALLOWED: f64 = SHARE * 750.0;
/// The first judge's verdicts are told; the others have other phases, and only count.
const JUDGES: u64 = 3;
/// Requests arrive up to this much later than they left.
const JITTER: u64 = 250;
/// 180 a minute.
const NEIGHBOURS_PAUSE: Duration = Duration::from_nanos(1_000_000_000 / 3);

/// Requests of one kind, by one sender.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    arrived: u64,
    /// By at least one judge.
    refused: u64,
}

/// The vendor: windows of random phase, a clock, and a count of everything.
struct Server {
    clock: Clock,
    judges: Vec<Limiter>,
    random: fastrand::Rng,
    counts: BTreeMap<(String, &'static str), Count>,
    /// What the two shops keep over a restart.
    disks: BTreeMap<&'static str, String>,
}

type Shared = Arc<Mutex<Server>>;

/// One sender's way to the vendor.
#[derive(Clone)]
struct Wire {
    server: Shared,
    who: &'static str,
}

impl Wire {
    async fn pause(&self, from: u64, to: u64) {
        let (clock, span) = {
            let mut server = self.server.lock().unwrap();
            let span = server.random.u64(from..=to);
            (server.clock.clone(), span)
        };
        clock.sleep(Duration::from_millis(span)).await;
    }

    /// A request arrives.
    fn arrive(
        &self,
        who: &'static str,
        method: &axum::http::Method,
        path_and_query: &str,
    ) -> (Verdict, Moment) {
        let (path, query) = path_and_query
            .split_once('?')
            .unwrap_or((path_and_query, ""));
        let row = limits::operation(method, path).unwrap().base;
        let query = url::form_urlencoded::parse(query.as_bytes());
        let query: Vec<(String, String)> = query.into_owned().collect();
        let server = &mut *self.server.lock().unwrap();
        let now = server.clock.now();
        let judges = server.judges.iter_mut();
        let verdicts: Vec<Verdict> = judges
            .map(|one| one.admit(row, &query, now, true))
            .collect();
        let refused = verdicts
            .iter()
            .any(|one| matches!(one, Verdict::Throttled(_)));
        let count = server.counts.entry((row.path.to_owned(), who));
        let count = count.or_default();
        count.arrived += 1;
        count.refused += u64::from(refused);
        (verdicts[0], now)
    }
}

impl Exchange for Wire {
    async fn exchange(&self, call: &Call) -> Result<Answer, ApiError> {
        self.pause(0, JITTER).await;
        let method = call.method.as_str().parse().unwrap();
        let who = if call.urgent { "waited for" } else { self.who };
        let (verdict, now) = self.arrive(who, &method, &call.path_and_query);
        self.pause(20, 120).await;
        let (status, rate, retry_after) = match verdict {
            Verdict::Pass {
                limit,
                remaining,
                reset,
            } => {
                let reset = Duration::from_secs(u64::try_from(reset).unwrap());
                let rate = RateHeaders {
                    limit,
                    remaining,
                    reset,
                };
                (200, Some(rate), None)
            }
            Verdict::Throttled(wait) => (429, None, Some(u64::try_from(wait).unwrap())),
        };
        let headers = Headers {
            date: Some(now),
            rate,
            retry_after: retry_after.map(Duration::from_secs),
            ..Headers::default()
        };
        let body = bytes::Bytes::from_static(br#"{"data":[],"links":{"next":null}}"#);
        Ok(Answer {
            status,
            headers,
            body,
            envelope: None,
        })
    }
}

type Client = Klaviyo<Stack<Wire>>;

/// A process with both shops, until it is dropped, which is as sudden as a kill.
struct Process {
    shops: [(&'static str, Client); 2],
}

impl Process {
    fn start(server: &Shared) -> Self {
        let budgets = Budgets::default();
        let shops = ["acme", "zeta"].map(|shop| (shop, client(server, &budgets, shop)));
        Self { shops }
    }

    /// Everybody reads profiles as fast as may be; now and then somebody waits for one of them.
    async fn busy(&self, span: Duration) {
        let mut work: Vec<BoxFuture<'_, ()>> = Vec::new();
        for (_, client) in &self.shops {
            for _ in 0..4 {
                work.push(read(client).boxed());
            }
        }
        work.push(wake(&self.shops[1].1).boxed());
        let all = join_all(work);
        tokio::time::timeout(span, all).await.unwrap_err();
    }

    /// A pass of each shop every quarter of an hour.
    async fn quiet(&self, passes: usize) {
        for _ in 0..passes {
            for (_, client) in &self.shops {
                client.account().await.unwrap_err();
                client.segments().await.unwrap();
                for _ in 0..12 {
                    profiles(client).await;
                }
            }
            tokio::time::sleep(15 * MINUTE).await;
        }
    }
}

fn client(server: &Shared, budgets: &Budgets, shop: &'static str) -> Client {
    let clock = server.lock().unwrap().clock.clone();
    let wire = Wire {
        server: server.clone(),
        who: shop,
    };
    let access = KlaviyoAccess {
        base_url: url::Url::parse("https://a.klaviyo.com").unwrap(),
        key: "pk_shared".into(),
        account: None,
        budget_share: SHARE,
        limits: true,
    };
    let conduct = Conduct::default();
    let client = Klaviyo::on(
        wire,
        &access,
        (budgets, shop),
        clock,
        Meter::default(),
        conduct,
    );
    let kept = server.lock().unwrap().disks.get(shop).cloned();
    let past = kept.map_or_else(BudgetMemory::default, |text| {
        serde_json::from_str(&text).unwrap()
    });
    let server = server.clone();
    let keeper = move |memory: &BudgetMemory, _| {
        let text = serde_json::to_string(memory)?;
        server.lock().unwrap().disks.insert(shop, text);
        Ok(())
    };
    client.remember(past, Arc::new(keeper));
    client
}

async fn profiles(client: &Client) {
    let (all, mentions) = (ProfileQuery::default(), Mentions::default());
    client.profiles(&all, &mentions).await.unwrap();
}

async fn read(client: &Client) {
    loop {
        profiles(client).await;
    }
}

async fn wake(client: &Client) {
    let (ids, mentions) = ([ProfileId::from("01A")], Mentions::default());
    loop {
        client.profiles_by_id(&ids, &mentions).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

/// Asks for profiles at an even pace, and knows nothing of anybody.
async fn neighbour(wire: Wire) {
    let begun = tokio::time::Instant::now();
    for count in 0_u32.. {
        tokio::time::sleep_until(begun + NEIGHBOURS_PAUSE * count).await;
        wire.pause(0, JITTER).await;
        wire.arrive(wire.who, &axum::http::Method::GET, "/api/profiles");
    }
}

/// What both shops sent for profiles.
fn sent(server: &Shared) -> u64 {
    let server = server.lock().unwrap();
    let own = server.counts.iter();
    let own = own.filter(|((path, who), _)| path == "/api/profiles" && *who != "neighbour");
    own.map(|(_, count)| count.arrived).sum()
}

/// Busy for so many minutes; how much of the allowed share was used.
async fn used(server: &Shared, minutes: u32, work: impl Future<Output = ()>) -> f64 {
    let before = sent(server);
    work.await;
    (sent(server) - before) as f64 / (ALLOWED * f64::from(minutes))
}

/// Killed at random moments, and started again at once.
async fn restarting(server: &Shared, minutes: u32) {
    let end = tokio::time::Instant::now() + minutes * MINUTE;
    loop {
        let left = end.saturating_duration_since(tokio::time::Instant::now());
        if left.is_zero() {
            return;
        }
        let span = {
            let random = &mut server.lock().unwrap().random;
            Duration::from_millis(random.u64(500..8 * 60_000))
        };
        Process::start(server).busy(span.min(left)).await;
    }
}

/// From cold, idle, after idling, across restarts, idle until the day is over.
async fn day(server: &Shared, hours: u64) -> BTreeMap<&'static str, f64> {
    let begun = tokio::time::Instant::now();
    let mut shares = BTreeMap::new();
    let process = Process::start(server);
    let minutes = 30;
    let cold = used(server, minutes, process.busy(minutes * MINUTE)).await;
    shares.insert("from cold", cold);
    process.quiet(4 * (hours / 4) as usize).await;
    let idled = used(server, minutes, process.busy(minutes * MINUTE)).await;
    shares.insert("after idling", idled);
    drop(process);
    let restarts = used(server, 2 * minutes, restarting(server, 2 * minutes)).await;
    shares.insert("across restarts", restarts);
    let process = Process::start(server);
    while begun.elapsed() < hours as u32 * 60 * MINUTE {
        process.quiet(1).await;
    }
    shares
}

#[tokio::test(start_paused = true)]
async fn in_a_day_of_two_shops_and_a_neighbour_on_one_key_nobody_is_refused() {
    let (seed, hours) = (setting("DRIFTLESS_SEED", 1), setting("DRIFTLESS_HOURS", 24));
    let clock = Clock::with_timers(morning());
    let server = Arc::new(Mutex::new(Server {
        clock,
        judges: (0..JUDGES)
            .map(|one| Limiter::with_phases(seed * JUDGES + one))
            .collect(),
        random: fastrand::Rng::with_seed(seed),
        counts: BTreeMap::new(),
        disks: BTreeMap::new(),
    }));
    let who = "neighbour";
    let beside = tokio::spawn(neighbour(Wire {
        server: server.clone(),
        who,
    }));
    let shares = day(&server, hours).await;
    beside.abort();

    let counts = server.lock().unwrap().counts.clone();
    for ((path, who), count) in &counts {
        println!(
            "{path:<24} {who:<10} {:>7} requests, {} refused",
            count.arrived, count.refused
        );
    }
    for (when, share) in &shares {
        println!("used of the allowed share {when}: {:.1} %", share * 100.0);
    }
    assert!(counts.values().all(|count| count.refused == 0));
    assert!(
        shares.values().all(|share| (0.97..=1.05).contains(share)),
        "{shares:?}"
    );
    let profiles = |who| counts[&("/api/profiles".to_owned(), who)].arrived;
    let (acme, zeta) = (profiles("acme") as f64, profiles("zeta") as f64);
    assert!((acme / zeta - 1.0).abs() < 0.01, "{acme} and {zeta}");
    assert!(profiles("neighbour") >= 180 * 60 * hours - 1);
}
