//! What sled alone takes for profiles: a value of 328 bytes under a random key and two keys that lead to it, a
//! hundred profiles to a batch, each batch on the disk before the next. `benches/cost.py` puts what driftless
//! takes for a profile beside it, so that the machine's speed cancels out.
//!
//! ```text
//! cargo bench --bench sled_alone -- 20000
//! ```

#![allow(clippy::print_stdout, reason = "figures are what a benchmark is for")]

mod usage;

use fastrand::Rng;
use sled::{Batch, Config};
use std::error::Error;
use std::iter::repeat_with;
use usage::{Stopwatch, forget_peak, memory};

const PAGE: u32 = 100;
const RECORD_BYTES: usize = 328;
const ID_BYTES: usize = 16;
/// As much as holds all of a fill's pages: reading them back is not what is measured.
const CACHE_BYTES: u64 = 512 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().find_map(|argument| argument.parse().ok());
    let profiles: u32 = count.unwrap_or(20_000);
    let directory = tempfile::tempdir()?;
    let store = Config::new().path(&directory).cache_capacity(CACHE_BYTES);
    let store = store.open()?;
    let mut rng = Rng::with_seed(1);
    forget_peak();
    let watch = Stopwatch::start();
    for page in 0..profiles / PAGE {
        let mut batch = page_of(&mut rng);
        batch.insert(b"cursor", &page.to_be_bytes());
        store.apply_batch(batch)?;
        store.flush()?;
    }
    let (wall, cpu) = watch.read();
    let (_, peak) = memory();
    println!("{profiles} profiles: {wall:.2} s wall, {cpu:.2} s cpu, {peak:.0} MiB at most");
    Ok(())
}

fn page_of(rng: &mut Rng) -> Batch {
    let mut batch = Batch::default();
    for _ in 0..PAGE {
        let id = bytes(rng, ID_BYTES);
        batch.insert(key(b'e', &bytes(rng, 8)), id.as_slice());
        // Seven in ten shop.
        if rng.u8(..10) < 7 {
            batch.insert(key(b's', &bytes(rng, 8)), id.as_slice());
        }
        batch.insert(key(b'p', &id), bytes(rng, RECORD_BYTES));
    }
    batch
}

fn key(shelf: u8, rest: &[u8]) -> Vec<u8> {
    [&[shelf], rest].concat()
}

fn bytes(rng: &mut Rng, count: usize) -> Vec<u8> {
    repeat_with(|| rng.u8(..)).take(count).collect()
}
