//! Many small shops at once, each on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Runs to its end what must happen in the same order every time.
pub fn alone<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(work)
}

/// Works through numbers from 0, several at a time, for some wait for the disk. The first that fails
/// ends all.
pub fn side_by_side(count: u64, work: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(0);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let work_some = || {
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth >= count {
                return Ok(());
            }
            let worked = catch_unwind(AssertUnwindSafe(|| work(nth)));
            if worked.is_err() {
                next.store(count, Ordering::Relaxed);
                return worked;
            }
        }
    };
    let ends: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..2 * cores).map(|_| scope.spawn(work_some)).collect();
        let ends = threads.into_iter().map(|thread| thread.join().unwrap());
        ends.collect()
    });
    for end in ends {
        end.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}
