//! The server's clocks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::lock::Moment;

/// Since when this server has been responsible for leases.
static SINCE_MS: AtomicU64 = AtomicU64::new(0);

/// All leases run in full from now on: this server has become a master, or has loaded its data.
pub fn restart_leases() {
    SINCE_MS.store(moment().steady_ms, Ordering::Relaxed);
}

/// The current moment. The steady clock does not step, and goes on while the server is stopped.
pub fn moment() -> Moment {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed();
    // Never 0, so that a lease that is over at once has ended before now.
    let steady_ms = elapsed.as_millis() as u64 + 1;
    Moment { steady_ms, unix_ms: now_us() / 1000, since_ms: SINCE_MS.load(Ordering::Relaxed) }
}

/// The system's clock, which is also the server's: microseconds since 1970.
pub fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}
