//! What this process used: processor seconds and memory, as Linux counts them.

use std::fs;
use std::time::Instant;

/// Linux counts a process's time in these.
const TICKS_A_SECOND: f64 = 100.0;

/// Wall and processor time since a beginning.
pub struct Stopwatch {
    began: Instant,
    ticks: f64,
}

impl Stopwatch {
    pub fn start() -> Self {
        Self {
            began: Instant::now(),
            ticks: ticks(),
        }
    }

    /// Seconds of wall time and of processor time, user and system.
    pub fn read(&self) -> (f64, f64) {
        let wall = self.began.elapsed().as_secs_f64();
        (wall, (ticks() - self.ticks) / TICKS_A_SECOND)
    }
}

fn ticks() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    // utime and stime are fields 14 and 15; the third follows the name.
    let fields = after_name.split(' ').skip(11).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum()
}

/// Resident MiB: now, and the most since the last [`forget_peak`].
pub fn memory() -> (f64, f64) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or_default() / 1024.0
    };
    (mib("VmRSS:"), mib("VmHWM:"))
}

/// From here on the peak is counted anew.
pub fn forget_peak() {
    // Where this may not be written, peaks are those since the start.
    let _ = fs::write("/proc/self/clear_refs", "5");
}
