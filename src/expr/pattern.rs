//! The patterns of `matches`: the `regex` crate's syntax, which is RE2's but for details, as CEL asks.
//!
//! Matching takes time linear in the text. How much for each byte depends on the size of the compiled
//! pattern, which is bounded, known to within a factor of four, and what matching is charged by. Most
//! patterns take a nanosecond for a byte whatever their size; those made to defeat the matcher's cache
//! take some 200 for each KiB of theirs, and a charge must not depend on what the cache holds.
//!
//! Reading a pattern takes no time in proportion to its length either, so no pattern is parsed before
//! what that may cost is bounded or paid for.

use std::ops::Range;

use regex_automata::Input;
use regex_automata::meta::{Builder, Config, Regex};
use regex_syntax::ParserBuilder;

use super::budget::StepBudget;
use super::fault::Fault;
use crate::error::Error;
use crate::limit;

/// The longest pattern that is not written out in an expression: one found in a document or among the
/// arguments. What is written out is no longer than its expression.
pub const PATTERN_BYTES_MAX: usize = crate::limit::PATTERN_BYTES.default as usize;
/// Sizes of a compiled pattern in KiB, smallest first; what does not fit the last is refused.
const TIERS_KIB: [usize; 4] = [2, 8, 32, 128];
/// The bytes the matcher may cache.
const CACHE_BYTES_MAX: usize = 1 << 18;
const NEST_MAX: u32 = 32;
/// The most all patterns of one expression may take together: compiling them takes time as well.
pub(super) const TOTAL_KIB_MAX: usize = 512;
/// The most steps reading all patterns written out in one expression may take: as much as an
/// evaluation of it.
pub(super) const TOTAL_READING_MAX: u64 = 1_000_000;

const BYTE_STEPS: u64 = 10;
/// Reading a class: its ranges are copied, sorted and merged.
const CLASS_STEPS: u64 = 500;
/// Reading one whose case is folded: that looks at each character of its ranges.
const FOLDED_STEPS: u64 = 20_000;
/// For how many classes one counts that may have a million characters: a range, a category.
const WIDEST_CLASSES: u64 = 5;

#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    source: Box<str>,
    tier_kib: usize,
}

impl Pattern {
    /// It is parsed once, and once tried in each size, smallest first.
    pub fn compile(pattern: &str) -> Result<Pattern, String> {
        if reading_steps(pattern) > TOTAL_READING_MAX {
            return Err(too_large());
        }
        let parsed = ParserBuilder::new().utf8(false).nest_limit(NEST_MAX).build().parse(pattern);
        let parsed = parsed.map_err(|error| invalid(pattern, &error))?;
        for tier_kib in TIERS_KIB {
            let config = Config::new()
                .utf8_empty(false)
                .nfa_size_limit(Some(tier_kib << 10))
                .hybrid_cache_capacity(CACHE_BYTES_MAX);
            match Builder::new().configure(config).build_from_hir(&parsed) {
                Ok(regex) => return Ok(Pattern { regex, source: pattern.into(), tier_kib }),
                Err(error) if error.size_limit().is_some() => {}
                Err(_) => return Err(not_regular().to_owned()),
            }
        }
        Err(too_large())
    }

    /// Compiles a pattern in the middle of an evaluation, paid for before anything looks at it.
    pub fn compile_within(pattern: &str, budget: &mut StepBudget) -> Result<Pattern, Fault> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(Fault::Refused(Error::limit(
                limit::PATTERN_BYTES,
                PATTERN_BYTES_MAX as u64,
            )));
        }
        budget.charge(COMPILE_STEPS + reading_steps(pattern))?;
        Pattern::compile(pattern).map_err(Fault::text)
    }

    pub fn is_match(&self, text: &[u8], budget: &mut StepBudget) -> Result<bool, Fault> {
        budget.charge(4 + (text.len() as u64).saturating_mul(2 * self.tier_kib as u64))?;
        Ok(self.regex.is_match(text))
    }

    /// The first match at or behind a byte of the text. It is charged for all of the text behind: that is
    /// how far one search may look, however short the match is.
    pub fn find(
        &self,
        text: &str,
        start: usize,
        budget: &mut StepBudget,
    ) -> Result<Option<Range<usize>>, Fault> {
        let len = (text.len() - start) as u64;
        budget.charge(4 + len.saturating_mul(2 * self.tier_kib as u64))?;
        let Some(found) = self.regex.find(Input::new(text).range(start..)) else { return Ok(None) };
        match text.get(found.range()) {
            Some(_) => Ok(Some(found.range())),
            None => Err(Fault::Because("the pattern matches a part of a character")),
        }
    }

    /// The size of the compiled pattern in KiB, about.
    pub fn kib(&self) -> usize {
        self.tier_kib
    }

    /// Steps of a command that reading and compiling it took: measured, with the sizes tried before.
    pub fn compile_cost(&self) -> u64 {
        self.reading_steps() + PATTERN_STEPS + self.tier_kib as u64 * PATTERN_KIB_STEPS
    }

    /// The steps reading it took.
    pub fn reading_steps(&self) -> u64 {
        reading_steps(&self.source)
    }

    pub fn is(&self, pattern: &str) -> bool {
        *self.source == *pattern
    }

    /// About the bytes it takes, with what the matcher usually caches.
    pub fn heap_bytes(&self) -> usize {
        (self.tier_kib << 11) + CACHE_BYTES_MAX / 4 + self.source.len()
    }
}

const PATTERN_STEPS: u64 = 5_000;
const PATTERN_KIB_STEPS: u64 = 4_000;
/// The cost of compiling a pattern in the middle of an evaluation: some milliseconds.
const COMPILE_STEPS: u64 = 100_000;

#[cold]
fn too_large() -> String {
    "the regular expression is too large".to_owned()
}

#[cold]
fn not_regular() -> &'static str {
    "not a regular expression"
}

/// The message for a pattern that is not parsed: the reason, and its offset in characters.
#[cold]
fn invalid(pattern: &str, error: &regex_syntax::Error) -> String {
    let (reason, at) = match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span().start.offset),
        regex_syntax::Error::Translate(error) => {
            (error.kind().to_string(), error.span().start.offset)
        }
        _ => return not_regular().to_owned(),
    };
    let offset = pattern[..at].chars().count();
    format!("{}: {reason}, at offset {offset}", not_regular())
}

/// An upper bound of the cost of parsing a pattern, known without parsing it: a few bytes can stand for
/// hundreds of ranges of characters, and each class around them does the work again.
fn reading_steps(pattern: &str) -> u64 {
    let bytes = pattern.as_bytes();
    let folds = may_fold_case(bytes) && may_be_wide(bytes);
    let widest = if folds { WIDEST_CLASSES } else { 1 };
    let mut classes = 0;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        // The characters that open, negate, combine or extend a class, wherever they stand.
        classes += match byte {
            b'[' | b'^' | b'&' | b'~' => 1,
            b'-' => widest,
            b'\\' => match bytes.get(at + 1) {
                Some(b'p' | b'P') => widest,
                Some(letter) => u64::from(is_class_escape(*letter)),
                None => 0,
            },
            _ => 0,
        };
        at += if *byte == b'\\' { 2 } else { 1 };
    }
    let each = if folds { FOLDED_STEPS } else { CLASS_STEPS };
    bytes.len() as u64 * BYTE_STEPS + classes * each
}

/// Tests for a class, or a character that may end a wide range.
fn is_class_escape(letter: u8) -> bool {
    matches!(letter, b'w' | b'W' | b'd' | b'D' | b's' | b'S' | b'p' | b'P' | b'x' | b'u' | b'U')
}

/// Tests for a possible flag `i`: text that looks like flags and has it, wherever it stands.
fn may_fold_case(pattern: &[u8]) -> bool {
    let is_flag =
        |byte: &&u8| matches!(byte, b'i' | b'm' | b's' | b'R' | b'U' | b'u' | b'x' | b'-');
    let mut behind = pattern.split(|byte| *byte == b'?').skip(1);
    behind.any(|flags| flags.iter().take_while(is_flag).any(|flag| *flag == b'i'))
}

/// Tests for a possible class of more than a few hundred characters.
fn may_be_wide(pattern: &[u8]) -> bool {
    let mut before = b' ';
    for pair in pattern.windows(2) {
        let [byte, next] = [pair[0], pair[1]];
        match byte {
            // Digits and blanks are few, and a comment may stand anywhere.
            b'\\' if is_class_escape(next) && !matches!(next, b'd' | b's') => return true,
            b'^' if matches!(before, b'[' | b':') => return true,
            b'#' | 0x80.. => return true,
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            before = byte;
        }
    }
    pattern.last().is_some_and(|last| *last >= 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    #[test]
    fn patterns_that_fold_the_case_of_many_characters_are_dear_to_read() {
        let folded =
            |pattern: &str| may_fold_case(pattern.as_bytes()) && may_be_wide(pattern.as_bytes());
        for pattern in [
            r"(?i)\W",
            r"(?i:[^\D\S])",
            r"(?s-i:\pL)",
            r"(?mi)[\x{0}-\x{10FFFF}]",
            "(?i)[\u{0}-\u{10ffff}]",
            "(?i)[a[:^alpha:]]",
            "(?xi)[ ^a]",
            "(?x)( ?i)[#c\n ^a]",
        ] {
            assert!(folded(pattern), "{pattern}");
            assert!(reading_steps(pattern) > FOLDED_STEPS, "{pattern}");
        }
        for pattern in
            [r"^\W+$", "(?i)^[a-z0-9._%+-]+@[a-z0-9.-]+$", r"(?i)bb\d+|\s", "a?i[^b]", ""]
        {
            assert_eq!(folded(pattern), pattern == "a?i[^b]", "{pattern}");
        }
        assert_eq!(reading_steps("abc"), 3 * BYTE_STEPS);
        assert_eq!(reading_steps(r"^[a-z]\w\."), 10 * BYTE_STEPS + 4 * CLASS_STEPS);
        assert_eq!(reading_steps(r"(?i)\W-"), 7 * BYTE_STEPS + 6 * FOLDED_STEPS);
    }

    #[test]
    fn an_invalid_pattern_is_answered_with_the_construct_and_its_offset() {
        for (pattern, told) in [
            (
                "é(?=b)",
                "look-around, including look-ahead and look-behind, is not supported, at offset 1",
            ),
            (r"(a)\1", "backreferences are not supported, at offset 3"),
            ("a(", "unclosed group, at offset 1"),
            (r"\p{Nope}", "Unicode property not found, at offset 0"),
        ] {
            let expected = format!("not a regular expression: {told}");
            assert_eq!(Pattern::compile(pattern).err(), Some(expected));
        }
    }

    #[test]
    fn what_is_dear_to_read_is_refused_before_it_is_read() {
        let unit = r"(?i:[^\W\D\S])";
        for pattern in [unit.repeat(100), unit.repeat(100_000)] {
            assert_eq!(Pattern::compile(&pattern).err(), Some(too_large()));
            // Not even an error in it is seen.
            assert_eq!(Pattern::compile(&(pattern + "(")).err(), Some(too_large()));
        }
        assert!(Pattern::compile(&unit.repeat(4)).is_ok());
        assert!(Pattern::compile(r"(?i)^[\w._+-]+@[a-z\d.-]+\.[a-z]{2,}$").is_ok());
    }

    #[test]
    fn patterns_within_an_evaluation_are_bounded_and_paid_for_before_they_are_read() {
        let compiled = |pattern: &str, steps| {
            let mut budget = StepBudget::new(steps);
            Pattern::compile_within(pattern, &mut budget).map(|_| ())
        };
        let longest = "[ab]".repeat(PATTERN_BYTES_MAX / 4);
        let cost = COMPILE_STEPS + reading_steps(&longest);
        assert!(matches!(compiled(&longest, cost), Ok(())));
        assert!(matches!(compiled(&longest, cost - 1), Err(Fault::Exhausted)));
        let refused = compiled(&(longest + "?"), u64::MAX);
        assert!(matches!(refused, Err(Fault::Refused(error)) if error.code() == ErrorCode::Limit));
        assert!(matches!(compiled("(", COMPILE_STEPS), Err(Fault::Exhausted)));
        assert!(matches!(compiled("(", 2 * COMPILE_STEPS), Err(Fault::Text(_))));
    }
}
