//! Fences: the numbers of grants, which only grow.

/// Fences stay exact in clients whose numbers are doubles.
pub const FENCE_MAX: u64 = (1 << 53) - 1;
/// The highest fence that is derived from a clock: that of the year 2072.
const FENCE_CLOCK_MAX: u64 = FENCE_MAX - (1 << 51);
/// 2020-01-01, in unix milliseconds.
const EPOCH_MS: u64 = 1_577_836_800_000;
/// Fences of one millisecond.
const PER_MS: u64 = 4096;

/// The first fence of a millisecond.
fn at(unix_ms: u64) -> u64 {
    unix_ms.saturating_sub(EPOCH_MS).saturating_mul(PER_MS)
}

/// The time by which an untrusted fence or revision may be ahead of this server's clock: ten years.
pub const AHEAD_MS: u64 = 315_360_000_000;

/// The highest fence that is accepted from an untrusted payload (`RESTORE`, or `MODEL.APPLY` by a client): a forged one
/// must leave room for later fences. What this server or its master wrote is accepted up to [`FENCE_MAX`].
pub fn believed_fence(unix_ms: u64) -> u64 {
    at(unix_ms.saturating_add(AHEAD_MS)).min(FENCE_MAX - (1 << 50))
}

/// Issues the fences of one server.
///
/// A new fence is greater than every one this server has issued or seen, for any document, and at least the first fence
/// of the current millisecond. So it is also greater than those that were lost with a failed master, unless the
/// master's clock was ahead by more than the duration of the failover.
#[derive(Clone, Debug, Default)]
pub struct Fences {
    seen: u64,
}

impl Fences {
    /// The highest fence seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Records a fence that was issued elsewhere.
    pub fn see(&mut self, fence: u64) {
        self.seen = self.seen.max(fence);
    }

    pub fn issue(&mut self, unix_ms: u64) -> u64 {
        let clock = at(unix_ms);
        // A clock far in the future must not use up all fences.
        let clock = clock.min(FENCE_CLOCK_MAX);
        self.seen = (self.seen + 1).max(clock);
        assert!(self.seen <= FENCE_MAX, "fences last for centuries");
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_issued_after_an_untrusted_one_is_accepted_elsewhere() {
        let now = EPOCH_MS + 200_000_000_000;
        let mut fences = Fences::default();
        fences.see(believed_fence(now));
        let next = fences.issue(now);
        assert!(next > believed_fence(now) && next <= believed_fence(now + 1));
        assert!(believed_fence(u64::MAX) < FENCE_MAX);
    }

    #[test]
    fn fences_grow_whatever_the_clock_does() {
        let mut fences = Fences::default();
        let mut last = 0;
        for unix_ms in [EPOCH_MS + 5, EPOCH_MS + 5, EPOCH_MS + 3, 0, EPOCH_MS + 6, u64::MAX, 7] {
            let fence = fences.issue(unix_ms);
            assert!(fence > last && fence <= FENCE_MAX, "{fence} after {last}");
            last = fence;
        }
        assert_eq!(Fences::default().issue(EPOCH_MS + 5), 5 * PER_MS);
        fences = Fences::default();
        fences.see(900_000);
        assert_eq!(fences.issue(EPOCH_MS + 5), 900_001);
    }
}
