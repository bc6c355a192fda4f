//! The patterns of `matches`: the `regex` crate's syntax, which is RE2's but for details, as CEL asks.
//!
//! Matching takes time linear in the text. How much for each byte depends on the size of the compiled
//! pattern, which is bounded, known to within a factor of four, and what matching is charged by. Most
//! patterns take a nanosecond for a byte whatever their size; those made to defeat the matcher's cache
//! take some 200 for each KiB of theirs, and a charge must not depend on what the cache holds.

use regex::bytes::{Regex, RegexBuilder};

use super::budget::{Budget, Fault};

/// Sizes of a compiled pattern in KiB, smallest first; what does not fit the last is refused.
const TIERS_KIB: [usize; 4] = [2, 8, 32, 128];
/// What the matcher may cache, in bytes.
const CACHE_BYTES_MAX: usize = 1 << 18;
const NEST_MAX: u32 = 32;
/// What all patterns of one expression may take together: compiling them takes time as well.
pub(super) const TOTAL_KIB_MAX: usize = 512;

#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    tier_kib: usize,
}

impl Pattern {
    pub fn compile(pattern: &str) -> Result<Pattern, String> {
        for tier_kib in TIERS_KIB {
            let built = RegexBuilder::new(pattern)
                .size_limit(tier_kib << 10)
                .dfa_size_limit(CACHE_BYTES_MAX)
                .nest_limit(NEST_MAX)
                .build();
            match built {
                Ok(regex) => return Ok(Pattern { regex, tier_kib }),
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(_) => return Err("not a regular expression".to_owned()),
            }
        }
        Err("the regular expression is too large".to_owned())
    }

    pub fn is_match(&self, text: &[u8], budget: &mut Budget) -> Result<bool, Fault> {
        budget.charge(4 + (text.len() as u64).saturating_mul(2 * self.tier_kib as u64))?;
        Ok(self.regex.is_match(text))
    }

    /// What compiling one costs in the middle of an evaluation: up to a millisecond.
    pub const COMPILE_STEPS: u64 = 100_000;

    /// The size of the compiled pattern in KiB, about.
    pub fn kib(&self) -> usize {
        self.tier_kib
    }

    pub fn is(&self, pattern: &str) -> bool {
        self.regex.as_str() == pattern
    }

    /// About the bytes it takes, with what the matcher usually caches.
    pub fn heap_bytes(&self) -> usize {
        (self.tier_kib << 11) + CACHE_BYTES_MAX / 4
    }
}
