//! Several requests at a time, each waiting for its own: on a clock that goes with tokio's timers.

use super::*;
use crate::api::fake::answer;
use std::sync::atomic::{AtomicU64, Ordering};

/// Takes a while, and refuses while told to.
struct Server {
    clock: Clock,
    refuses_until: Moment,
    retry_after: Duration,
    served: Mutex<BTreeMap<Box<str>, u64>>,
    refused: AtomicU64,
}

impl Server {
    fn new(clock: &Clock, refuses_until: Moment) -> Self {
        Self {
            clock: clock.clone(),
            refuses_until,
            retry_after: Duration::from_secs(30),
            served: Mutex::default(),
            refused: AtomicU64::new(0),
        }
    }

    fn served(&self) -> BTreeMap<Box<str>, u64> {
        self.served.lock().unwrap().clone()
    }
}

impl Exchange for &Server {
    async fn exchange(&self, call: &Call) -> Result<Answer, ApiError> {
        self.clock.sleep(Duration::from_millis(80)).await;
        if self.clock.now() < self.refuses_until {
            self.refused.fetch_add(1, Ordering::SeqCst);
            let mut refusal = answer(429);
            refusal.headers.retry_after = Some(self.retry_after);
            return Ok(refusal);
        }
        let served = &mut *self.served.lock().unwrap();
        *served
            .entry(call.path_and_query.as_str().into())
            .or_default() += 1;
        Ok(answer(200))
    }
}

/// Sends the same call again and again.
async fn keep_sending(budget: &WindowBudget<&Server>, call: Call) {
    loop {
        budget.exchange(&call).await.unwrap();
    }
}

fn about(path: &str, urgent: bool) -> Call {
    Call {
        urgent,
        path_and_query: path.to_owned(),
        ..call()
    }
}

#[tokio::test(start_paused = true)]
async fn shops_on_one_key_get_as_much_each_and_their_resources_do_too() {
    let (clock, meter, budgets) = (
        Clock::with_timers(START),
        Meter::default(),
        Budgets::default(),
    );
    let server = Server::new(&clock, START);
    let draw = |shop| drawing(&server, (&budgets, shop), 0.7, (&clock, &meter));
    let (a, b) = (draw("a"), draw("b"));
    let mut work = Vec::new();
    for _ in 0..5 {
        work.push(keep_sending(&a, about("/a/one", false)));
    }
    work.push(keep_sending(&a, about("/a/two", false)));
    work.push(keep_sending(&b, about("/b/one", false)));
    work.push(keep_sending(&b, about("/b/one", false)));
    let all = futures_util::future::join_all(work);
    tokio::time::timeout(20 * MINUTE, all).await.unwrap_err();
    let served = server.served();
    let (one, two, other) = (served["/a/one"], served["/a/two"], served["/b/one"]);
    println!("{served:?}");
    assert!((one + two).abs_diff(other) <= 10);
    assert!(one.abs_diff(two) <= 50);
    let allowed = 0.7 * 750.0 * 20.0;
    let used = (one + two + other) as f64 / allowed;
    assert!((0.99..1.01).contains(&used), "{used}");
}

#[tokio::test(start_paused = true)]
async fn interactive_reads_go_first_up_to_a_quarter() {
    let (clock, meter, budgets) = (
        Clock::with_timers(START),
        Meter::default(),
        Budgets::default(),
    );
    let server = Server::new(&clock, START);
    let draw = |shop| drawing(&server, (&budgets, shop), 0.7, (&clock, &meter));
    let (a, b) = (draw("a"), draw("b"));
    let mut work = Vec::new();
    for _ in 0..6 {
        work.push(keep_sending(&a, about("/bulk", false)));
        work.push(keep_sending(&b, about("/urgent", true)));
    }
    let all = futures_util::future::join_all(work);
    tokio::time::timeout(20 * MINUTE, all).await.unwrap_err();
    let served = server.served();
    let share = served["/urgent"] as f64 / (served["/urgent"] + served["/bulk"]) as f64;
    assert!((0.249..0.256).contains(&share), "{share}");
}

/// reliability.md, L5.
#[tokio::test(start_paused = true)]
async fn while_everything_is_refused_one_request_asks_after_each_retry_after() {
    let (clock, meter, budgets) = (
        Clock::with_timers(START),
        Meter::default(),
        Budgets::default(),
    );
    let server = Server::new(&clock, START.plus(10 * MINUTE));
    let budget = drawing(&server, (&budgets, "a"), 0.7, (&clock, &meter));
    let mut work = Vec::new();
    for _ in 0..8 {
        work.push(keep_sending(&budget, about("/a", false)));
    }
    let all = futures_util::future::join_all(work);
    tokio::time::timeout(11 * MINUTE, all).await.unwrap_err();
    let refused = server.refused.load(Ordering::SeqCst);
    // Those on their way at the first refusal, then one for each half minute.
    assert!((8 + 15..8 + 20).contains(&refused), "{refused}");
    assert!(server.served()["/a"] > 300, "and then all goes on");
}

#[tokio::test(start_paused = true)]
async fn a_request_given_up_in_the_queue_holds_nobody_up() {
    let (clock, meter, budgets) = (
        Clock::with_timers(START),
        Meter::default(),
        Budgets::default(),
    );
    let server = Server::new(&clock, START);
    let budget = drawing(&server, (&budgets, "a"), 0.1, (&clock, &meter));
    let send = || keep_sending(&budget, about("/a", false));
    let soon = Duration::from_millis(500);
    for _ in 0..20 {
        let two = futures_util::future::join(send(), send());
        tokio::time::timeout(soon, two).await.unwrap_err();
    }
    let before = server.served()["/a"];
    tokio::time::timeout(MINUTE, send()).await.unwrap_err();
    assert!(server.served()["/a"] - before >= 70, "75 a minute");
}
