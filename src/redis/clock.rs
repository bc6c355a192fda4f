//! The server's clocks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

/// A slice of processor time of this thread. Where the thread has to wait for a processor, the slice does not pass: work that
/// is done in slices goes on as far in each of them when the machine is busy.
pub struct ProcessorSlice {
    began: Duration,
    length: Duration,
    /// Before this moment the slice cannot be over. Reading the processor time is a system call.
    earliest: Instant,
}

impl ProcessorSlice {
    /// Begins a slice.
    pub fn begin(length: Duration) -> ProcessorSlice {
        ProcessorSlice { began: processor_time(), length, earliest: Instant::now() + length }
    }

    pub fn is_over(&mut self) -> bool {
        let now = Instant::now();
        if now < self.earliest {
            return false;
        }
        let used = processor_time().saturating_sub(self.began);
        let left = self.length.saturating_sub(used);
        self.earliest = now + left;
        left.is_zero()
    }
}

/// The processor time that this thread has used.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is written.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "every thread has a clock of its processor time");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_does_not_pass_while_its_thread_waits() {
        let mut slice = ProcessorSlice::begin(Duration::from_millis(5));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!slice.is_over());
        let before = processor_time();
        while !slice.is_over() {
            std::hint::spin_loop();
        }
        assert!(processor_time() - before > Duration::from_millis(2));
    }
}
