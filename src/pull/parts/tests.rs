//! First fills from a vendor without sockets, whose pages take their time.

mod vendor;

use super::*;
use crate::api::Vendors;
use crate::clock::{Clock, Stop};
use crate::config::{self, Environment};
use crate::mirror::Mirror;
use crate::model::{Mentions, MetricId};
use crate::policy::Policy;
use crate::pull::events::{ABREAST, Events};
use crate::pull::profiles::Profiles;
use crate::telemetry::{Meter, Progress};
use crate::vault::Vault;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use vendor::{Vendor, client};

const NOW: Moment = Moment::from_secs(1_790_000_000);
const DAY: i64 = 86_400;
/// Seven tenths of 750 a minute.
const ALLOWED: f64 = 0.7 * 750.0 / 60.0;

/// A mirror to be filled.
struct House {
    mirror: Arc<Mirror>,
    vendors: Vendors,
    policy: Policy,
    progress: Progress,
    stop: Stop,
    clock: Clock,
    _dir: TempDir,
}

impl House {
    fn new(clock: &Clock) -> Self {
        let in_memory = Path::new("/dev/shm");
        let dir = match in_memory.is_dir() {
            true => TempDir::new_in(in_memory).unwrap(),
            false => TempDir::new().unwrap(),
        };
        let text = "[shop]\nname = \"acme\"\nstate_dir = \"state\"\n\
             [klaviyo]\nkey = { env = \"K\" }\n\
             [shopify]\ndomain = \"acme.myshopify.com\"\ntoken = { env = \"S\" }\n";
        let secrets = [
            ("K", "pk_0123456789abcdef0123456789abcdef01"),
            ("S", "shpat_0123456789abcdef"),
        ];
        let file = dir.path().join("acme.toml");
        let shop = config::parse(&file, text, &Environment::fixed(secrets)).unwrap();
        let vault = Vault::open(dir.path(), None).unwrap();
        let meter = Meter::default();
        Self {
            mirror: Arc::new(Mirror::open(dir.path(), &vault, NOW).unwrap().0),
            vendors: Vendors::new(&shop, &Default::default(), clock, &meter).unwrap(),
            policy: shop.policy,
            progress: Progress::default(),
            stop: Stop::default(),
            clock: clock.clone(),
            _dir: dir,
        }
    }

    fn pull(&self) -> Pull<'_> {
        Pull {
            vendors: &self.vendors,
            mirror: &self.mirror,
            inbox: None,
            policy: &self.policy,
            sweep: Duration::ZERO,
            ledger: Duration::ZERO,
            clock: &self.clock,
            progress: &self.progress,
            stop: &self.stop,
        }
    }

    /// Fills the profiles; how many there are.
    async fn fill(&self, vendor: &Vendor) -> Result<u64, PullError> {
        self.fill_into(vendor, &mut Pulled::default()).await
    }

    async fn fill_into(&self, vendor: &Vendor, pulled: &mut Pulled) -> Result<u64, PullError> {
        let klaviyo = client(vendor, &self.clock);
        let mentions = Mentions::default();
        let source = Profiles {
            klaviyo: &klaviyo,
            mentions: &mentions,
        };
        let pull = self.pull();
        let walked = pull.first_profiles(source, NOW, pulled).await?;
        Ok(walked.count)
    }

    /// Fills the events of some metrics; how many of each there are.
    async fn fill_events(&self, vendor: &Vendor, metrics: &[MetricId]) -> Vec<u64> {
        let (counts, read) = self.go_on_with_events(vendor, metrics).await;
        assert_eq!(read, counts.iter().sum::<u64>());
        counts
    }

    /// Fills those that are not filled; how many of each there are, and how many were read.
    async fn go_on_with_events(&self, vendor: &Vendor, metrics: &[MetricId]) -> (Vec<u64>, u64) {
        let klaviyo = client(vendor, &self.clock);
        let mentions = Mentions::default();
        let sources = metrics.iter().map(|metric| Events {
            klaviyo: &klaviyo,
            metric,
            mentions: &mentions,
            until: NOW,
            look_back: Duration::ZERO,
        });
        let (pull, mut pulled) = (self.pull(), Pulled::default());
        let is_due = |source: &Events<'_, _>| pull.is_first_fill(&source.stream()).unwrap();
        let sources: Vec<_> = sources.filter(is_due).collect();
        let walks = pull
            .first_fill(&sources, ABREAST, NOW, &mut pulled)
            .await
            .unwrap();
        self.mirror.fold().unwrap();
        let counts = walks.iter().map(|walked| walked.count);
        (counts.collect(), pulled.count("events"))
    }

    fn lines(&self) -> Vec<String> {
        self.mirror.export().map(Result::unwrap).collect()
    }
}

/// Instants of creation: a shop that imports a third of its profiles within an hour and then grows for
/// two years, faster and faster.
fn growing(count: i64) -> Vec<i64> {
    let begun = NOW.secs() - 730 * DAY;
    let imported = (0..count / 3).map(|n| begun + n * 3_600 * 3 / count);
    let grown = (0..count - count / 3).map(|n| {
        let share = (n as f64 * 1.5 / count as f64).sqrt();
        begun + DAY + (share * (728 * DAY) as f64) as i64
    });
    imported.chain(grown).collect()
}

/// Instants of mail: a campaign a week for two years that most of it goes out with, within minutes.
fn bursts(count: i64) -> Vec<i64> {
    let begun = NOW.secs() - 728 * DAY;
    let campaigns = 104;
    let sent = count * 9 / 10 / campaigns;
    let mut instants: Vec<i64> = (0..campaigns)
        .flat_map(|week| (0..sent).map(move |n| begun + week * 7 * DAY + n * 600 / sent))
        .collect();
    let rest = count - sent * campaigns;
    instants.extend((0..rest).map(|n| begun + n * (728 * DAY / rest)));
    instants.sort_unstable();
    instants
}

/// What a sequential fill of the same makes.
async fn expected(created: &[i64]) -> Vec<String> {
    let clock = Clock::manual(NOW);
    let house = House::new(&clock);
    let vendor = Vendor::new(&clock, created, Duration::ZERO);
    let count = house.fill(&vendor).await.unwrap();
    assert_eq!(count, created.len() as u64);
    assert_eq!(vendor.requests(), vendor.fewest(), "one after the other");
    assert_eq!(vendor.most_at_once(), 1);
    house.lines()
}

#[tokio::test(start_paused = true)]
async fn a_first_fill_takes_as_long_as_the_allowed_rate_and_makes_the_same_mirror() {
    let created = growing(4_000);
    let clock = Clock::with_timers(NOW);
    let house = House::new(&clock);
    let vendor = Vendor::new(&clock, &created, Duration::from_millis(1_500));
    let count = house.fill(&vendor).await.unwrap();
    let took = clock.now().since(NOW).as_secs_f64();
    let (requests, fewest) = (vendor.requests(), vendor.fewest());
    let bound = requests as f64 / ALLOWED;
    println!(
        "{requests} requests of 1.5 s, {} at once at most, where {fewest} are the fewest: {took:.1} s, \
         where the allowed rate takes {bound:.1} s",
        vendor.most_at_once()
    );
    assert!(took <= 1.03 * bound, "{took} of {bound}");
    assert!(
        requests as f64 <= 1.04 * fewest as f64,
        "{requests} of {fewest}"
    );
    assert!(vendor.most_at_once() <= 20);
    assert_eq!(count, created.len() as u64);
    assert_eq!(house.lines(), expected(&created).await);
    let cursor = house
        .mirror
        .cursor(&Stream::KlaviyoProfiles)
        .unwrap()
        .unwrap();
    let done = Cursor {
        watermark: Some(NOW),
        done: true,
        ..Cursor::default()
    };
    assert_eq!(cursor, done);
    assert_eq!(
        house.mirror.parts(&Stream::KlaviyoProfiles).unwrap(),
        [].into()
    );
}

#[tokio::test(start_paused = true)]
async fn a_fill_ended_at_any_moment_goes_on_and_reads_only_what_was_under_way_again() {
    let created = growing(600);
    let expected = expected(&created).await;
    let latency = Duration::from_millis(1_500);
    let calm = {
        let clock = Clock::with_timers(NOW);
        let vendor = Vendor::new(&clock, &created, latency);
        House::new(&clock).fill(&vendor).await.unwrap();
        vendor.requests()
    };
    let mut random = fastrand::Rng::with_seed(3);
    for run in 0..4 {
        let clock = Clock::with_timers(NOW);
        let house = House::new(&clock);
        let vendor = Vendor::new(&clock, &created, latency);
        let mut lost = 0;
        let count = loop {
            let kill = Duration::from_millis(random.u64(1_000..25_000));
            if let Ok(filled) = tokio::time::timeout(kill, house.fill(&vendor)).await {
                break filled.unwrap();
            }
            lost += vendor.abandon();
            // Every other time the cursors are good for nothing afterwards.
            if random.bool() {
                vendor.forget_cursors();
            }
        };
        let asked = vendor.requests() - vendor.refused() - lost;
        println!("run {run}: {asked} pages, {lost} lost under way");
        assert_eq!(count, created.len() as u64, "run {run}");
        assert!(house.lines() == expected, "run {run}");
        // A fill that goes on must learn anew how dense its ranges are, and a refusal reads a page again.
        assert!(
            asked <= calm + calm / 10 + vendor.refused(),
            "run {run}: {asked} of {calm}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_forbidden_takes_none_along_that_came_with_it() {
    let created = growing(600);
    let expected = expected(&created).await;
    for forbidden in 150..160 {
        let clock = Clock::with_timers(NOW);
        let house = House::new(&clock);
        let vendor = Vendor::new(&clock, &created, Duration::from_millis(1_500));
        vendor.lift_limits();
        vendor.forbid(forbidden);
        let mut pulled = Pulled::default();
        let error = house.fill_into(&vendor, &mut pulled).await.unwrap_err();
        assert!(error.to_string().contains("401"), "{error}");
        let parts = house.mirror.parts(&Stream::KlaviyoProfiles).unwrap();
        let stored: u64 = parts.values().map(|part| part.seen).sum();
        assert_eq!(stored, pulled.count("profiles"));
        vendor.abandon();
        house.fill(&vendor).await.unwrap();
        assert!(house.lines() == expected);
    }
}

#[tokio::test(start_paused = true)]
async fn thousands_of_the_same_instant_are_each_read_once() {
    let mut created = vec![NOW.secs() - 100 * DAY; 300];
    created.extend(growing(300));
    created.sort_unstable();
    let clock = Clock::with_timers(NOW);
    let house = House::new(&clock);
    let vendor = Vendor::new(&clock, &created, Duration::from_millis(1_500));
    assert_eq!(house.fill(&vendor).await.unwrap(), 600);
    assert_eq!(house.lines(), expected(&created).await);
}

#[tokio::test(start_paused = true)]
async fn metrics_share_the_places_and_each_event_is_kept_once() {
    let created = growing(600);
    let metrics = ["M1", "M2", "M3"].map(MetricId::from);
    let filled = async |clock: Clock, latency| {
        let house = House::new(&clock);
        let vendor = Vendor::new(&clock, &created, latency);
        let counts = house.fill_events(&vendor, &metrics).await;
        assert_eq!(counts, [600; 3]);
        println!(
            "{} requests, {} at once at most, {:?}",
            vendor.requests(),
            vendor.most_at_once(),
            clock.now().since(NOW)
        );
        (house.lines(), vendor)
    };
    let (one_by_one, calm) = filled(Clock::manual(NOW), Duration::ZERO).await;
    let latency = Duration::from_millis(1_500);
    let (at_once, busy) = filled(Clock::with_timers(NOW), latency).await;
    assert_eq!(calm.requests(), 3 * calm.fewest());
    assert!(at_once.len() >= 3 * 600);
    assert!(at_once == one_by_one);
    assert!(busy.most_at_once() > 20 && busy.most_at_once() <= ABREAST as u64);
    let (requests, fewest) = (busy.requests(), calm.requests());
    // A page holds two, and one of them lies beyond the cut.
    assert!(requests <= fewest + fewest / 12, "{requests} of {fewest}");
    assert_eq!(calm.censuses(), 0, "nothing is cut");
    assert_eq!(busy.censuses(), 3 * 3, "two years and a day each");
}

/// So many instants spread evenly over days, the first of them so many days ago.
fn spread(count: i64, days_ago: i64, days: f64) -> impl Iterator<Item = i64> {
    let begun = NOW.secs() - days_ago * DAY;
    (0..count).map(move |n| begun + (n as f64 * days * DAY as f64 / count as f64) as i64)
}

/// Instants of events that come in bursts, by what they are.
fn uneven() -> [(&'static str, Vec<i64>); 5] {
    let hour = 1.0 / 24.0;
    let steady = || spread(6_000, 728, 728.0);
    let shapes = [
        ("campaigns", bursts(20_000)),
        (
            "an import",
            spread(20_000, 730, hour).chain(steady()).collect(),
        ),
        (
            "a burst",
            spread(20_000, 300, hour / 2.0).chain(steady()).collect(),
        ),
        (
            "this morning",
            spread(20_000, 0, -hour)
                .map(|at| at - 60)
                .chain(steady())
                .collect(),
        ),
        (
            "a pause",
            spread(14_000, 728, 200.0)
                .chain(spread(6_000, 100, 99.0))
                .collect(),
        ),
    ];
    shapes.map(|(name, mut instants): (_, Vec<i64>)| {
        instants.sort_unstable();
        (name, instants)
    })
}

#[tokio::test(start_paused = true)]
async fn events_that_come_in_bursts_take_few_pages_more_and_are_read_side_by_side() {
    for (name, created) in uneven() {
        let clock = Clock::with_timers(NOW);
        let house = House::new(&clock);
        let vendor = Vendor::paged(&clock, &created, Duration::from_millis(1_500), 20);
        let counts = house.fill_events(&vendor, &[MetricId::from("M1")]).await;
        assert_eq!(counts, [created.len() as u64], "{name}");
        let (requests, fewest) = (vendor.requests(), vendor.fewest());
        let took = clock.now().since(NOW).as_secs_f64();
        let least = fewest as f64 / ABREAST as f64 * 1.5;
        println!("{name}: {requests} pages of {fewest} in {took:.1} s of {least:.1}");
        assert!(
            requests <= fewest + fewest / 12,
            "{name}: {requests} of {fewest}"
        );
        assert!(took <= 1.5 * least + 10.0, "{name}: {took} of {least}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fill_of_events_ended_at_any_moment_goes_on_counted_or_not() {
    let metrics = ["M1", "M2"].map(MetricId::from);
    let [_, _, (_, burst), ..] = uneven();
    let created: Vec<i64> = burst.into_iter().step_by(5).collect();
    let latency = Duration::from_millis(1_500);
    let expected = {
        let clock = Clock::manual(NOW);
        let house = House::new(&clock);
        let vendor = Vendor::paged(&clock, &created, Duration::ZERO, 20);
        house.fill_events(&vendor, &metrics).await;
        house.lines()
    };
    let mut random = fastrand::Rng::with_seed(7);
    for is_counted in [true, false] {
        let clock = Clock::with_timers(NOW);
        let house = House::new(&clock);
        let vendor = Vendor::paged(&clock, &created, latency, 20);
        if !is_counted {
            vendor.refuse_counts();
        }
        let mut kills = 0;
        loop {
            let kill = Duration::from_millis(random.u64(2_000..12_000));
            let fill = house.go_on_with_events(&vendor, &metrics);
            if tokio::time::timeout(kill, fill).await.is_ok() {
                break;
            }
            vendor.abandon();
            kills += 1;
            if random.bool() {
                vendor.forget_cursors();
            }
        }
        println!(
            "{kills} kills, {} pages, counted: {is_counted}",
            vendor.requests()
        );
        assert!(kills > 2);
        assert!(house.lines() == expected, "counted: {is_counted}");
        assert!(vendor.censuses() > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_is_stored_as_a_whole() {
    let created = growing(900);
    let clock = Clock::with_timers(NOW);
    let house = House::new(&clock);
    let vendor = Vendor::new(&clock, &created, Duration::from_millis(1_500));
    let mut looks = 0;
    while tokio::time::timeout(Duration::from_millis(5_000), house.fill(&vendor))
        .await
        .is_err()
    {
        let parts = house.mirror.parts(&Stream::KlaviyoProfiles).unwrap();
        let mut parts: Vec<Part> = parts.into_values().collect();
        parts.sort_by_key(|part| part.from);
        assert_eq!((parts[0].from, parts[parts.len() - 1].to), (None, None));
        for pair in parts.windows(2) {
            assert_eq!(pair[0].to, pair[1].from, "a gap or an overlap");
        }
        looks += usize::from(parts.len() > 2);
    }
    assert!(looks > 3, "{looks}");
}

#[test]
fn nobody_waits_for_a_range_that_is_read_to_its_end() {
    let metric = MetricId::from("M");
    let range = |done| {
        Range::of(Part {
            done,
            ..Part::default()
        })
    };
    let mut fills = [Fill {
        source: &(),
        stream: Stream::Events(metric),
        start: NOW,
        begun: true,
        ranges: [(0, range(true)), (3, range(false))].into(),
        census: Census::Unasked,
        page: 1,
    }];
    assert_eq!(next_ask(&mut fills), Some((0, Ask::Page(3))));
    fills[0].ranges.get_mut(&3).unwrap().busy = true;
    assert_eq!(next_ask(&mut fills), None);
}
