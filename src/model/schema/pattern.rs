//! Patterns: which are supported, their spelling for the engine, and their memory.
//!
//! Every pattern is matched in linear time. Look-ahead at the very start, `^(?!a)(?=b)c`, is one more pattern that must
//! match there, or must not: it is supported. Every other construct that needs backtracking is refused by name, with
//! its offset.
//!
//! It must never accept a pattern whose matching could take more than linear time.

use std::collections::HashMap;

use jsonschema_regex::to_rust_regex;
use regex_automata::nfa::thompson;

use super::limits::SchemaLimits;
use super::refusal::refuse;
use crate::budget::Allowance;
use crate::error::{Error, Result};
use crate::limit;

/// The memory of most compiled patterns: [`super::Schema::compile_cost`] includes them.
const SMALL_BYTES: usize = 4 << 10;
/// The steps of a command for each byte of a compiled pattern beyond that. It is compiled here, and again by the crate.
const BYTE_STEPS: u64 = 4;

/// The patterns of one schema.
pub(super) struct Patterns<'l> {
    limits: &'l SchemaLimits,
    /// Pays for compiling them.
    allowance: &'l Allowance<'l>,
    /// Each pattern with its spelling for the engine, if that differs.
    known: HashMap<Box<str>, Option<Box<str>>>,
    bytes: usize,
    largest: usize,
    look_aheads: usize,
}

/// A construct that is not supported.
#[derive(Debug, PartialEq, Eq)]
struct Unsupported {
    construct: &'static str,
    /// In bytes.
    at: usize,
}

/// Look-ahead at the start of a pattern.
#[derive(Debug, PartialEq, Eq)]
struct LookAhead<'p> {
    negated: bool,
    body: &'p str,
}

/// A pattern, split into look-ahead and the rest.
#[derive(Debug, PartialEq, Eq)]
struct ParsedPattern<'p> {
    ahead: Vec<LookAhead<'p>>,
    rest: &'p str,
}

impl<'l> Patterns<'l> {
    pub fn new(limits: &'l SchemaLimits, allowance: &'l Allowance<'l>) -> Patterns<'l> {
        Patterns { limits, allowance, known: HashMap::new(), bytes: 0, largest: 0, look_aheads: 0 }
    }

    /// The memory of the compiled patterns.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The memory of the largest compiled pattern.
    pub fn largest(&self) -> usize {
        self.largest
    }

    /// The most look-aheads that one pattern begins with.
    pub fn look_aheads(&self) -> usize {
        self.look_aheads
    }

    /// Adds a pattern of the subschema at `pointer`. Returns its spelling for the engine, if that differs.
    pub fn add(&mut self, pattern: &str, pointer: &str) -> Result<Option<String>> {
        if let Some(known) = self.known.get(pattern) {
            return Ok(known.as_deref().map(str::to_owned));
        }
        let before = self.bytes;
        let with_pattern = |error: Error| error.text("pattern", pattern.as_bytes());
        let spelled = self.check(pattern, pointer).map_err(with_pattern)?;
        self.largest = self.largest.max(self.bytes - before);
        self.known.insert(pattern.into(), spelled.as_deref().map(Into::into));
        Ok(spelled)
    }

    fn check(&mut self, pattern: &str, pointer: &str) -> Result<Option<String>> {
        let kept = || without_idle_end(pattern).and_then(|kept| parse(kept).ok());
        let parsed =
            parse(pattern).or_else(|error| kept().ok_or(error)).map_err(|unsupported| {
                let offset = pattern[..unsupported.at].chars().count();
                refuse(
                    format!(
                        "the pattern has {} at offset {offset}, which is not supported",
                        unsupported.construct
                    ),
                    pointer,
                )
            })?;
        if parsed.ahead.is_empty() {
            self.compile(parsed.rest, pointer)?;
            return Ok((parsed.rest.len() < pattern.len()).then(|| parsed.rest.to_owned()));
        }
        self.look_aheads = self.look_aheads.max(parsed.ahead.len());
        let mut spelled = "^".to_owned();
        for ahead in &parsed.ahead {
            let body = self.compile(ahead.body, pointer)?;
            spelled.push_str(if ahead.negated { "(?!" } else { "(?=" });
            spelled.push_str(&body);
            spelled.push(')');
        }
        spelled.push_str(&self.compile(parsed.rest, pointer)?);
        Ok((spelled != pattern).then_some(spelled))
    }

    /// Compiles a pattern without look-ahead, to measure its memory. Returns its spelling for the engine.
    fn compile(&mut self, pattern: &str, pointer: &str) -> Result<String> {
        let invalid = |reason: String| {
            refuse(format!("the pattern is not a regular expression: {reason}"), pointer)
        };
        let spelled = to_rust_regex(pattern).map_err(|()| {
            let parsed = regex_syntax::ast::parse::Parser::new().parse(pattern);
            invalid(parsed.err().map_or("invalid syntax".to_owned(), |error| {
                format!("{} at offset {}", error.kind(), error.span().start.offset)
            }))
        })?;
        let hir = regex_syntax::parse(&spelled).map_err(|error| {
            invalid(match error {
                regex_syntax::Error::Parse(error) => error.kind().to_string(),
                regex_syntax::Error::Translate(error) => error.kind().to_string(),
                _ => "invalid syntax".to_owned(),
            })
        })?;
        let limit = || {
            let limit = self.limits.pattern_bytes as u64;
            Error::limit(limit::SCHEMA_PATTERN_BYTES, limit).text("schema", pointer.as_bytes())
        };
        let affordable = usize::try_from(self.allowance.steps_left() / BYTE_STEPS)
            .map_or(usize::MAX, |bytes| bytes.saturating_add(SMALL_BYTES));
        // While it is built it takes more memory than afterwards.
        let left = self.limits.pattern_bytes.saturating_sub(self.bytes);
        let most = left.min(affordable);
        let config = thompson::Config::new()
            .nfa_size_limit(Some(most.saturating_mul(4)))
            .which_captures(thompson::WhichCaptures::None);
        let built = thompson::Compiler::new().configure(config).build_from_hir(&hir);
        let bytes = built.map_or(usize::MAX, |built| built.memory_usage());
        if bytes > most {
            return Err(if affordable < left { self.allowance.exhausted() } else { limit() });
        }
        self.allowance.spend(bytes.saturating_sub(SMALL_BYTES) as u64 * BYTE_STEPS)?;
        self.bytes += bytes;
        Ok(spelled.into_owned())
    }
}

/// Splits a pattern into look-ahead and the rest.
fn parse(pattern: &str) -> Result<ParsedPattern<'_>, Unsupported> {
    let mut ahead = Vec::new();
    let mut rest = pattern;
    let mut anchored = false;
    loop {
        if !anchored && let Some(behind) = rest.strip_prefix('^') {
            (anchored, rest) = (true, behind);
            continue;
        }
        let at = pattern.len() - rest.len();
        let negated = match rest.get(..3) {
            Some("(?=") => false,
            Some("(?!") => true,
            _ => break,
        };
        let len = scan(&rest[3..], at + 3, Some(()))?;
        ahead.push(LookAhead { negated, body: &rest[3..3 + len] });
        rest = &rest[3 + len + 1..];
        if rest.starts_with(['*', '+', '?', '{']) {
            return Err(Unsupported {
                construct: "a repetition of look-ahead",
                at: pattern.len() - rest.len(),
            });
        }
    }
    if ahead.is_empty() {
        scan(pattern, 0, None)?;
        return Ok(ParsedPattern { ahead, rest: pattern });
    }
    let at = pattern.len() - rest.len();
    scan(rest, at, None)?;
    if !anchored {
        return Err(Unsupported { construct: "look-ahead without '^' before it", at: 0 });
    }
    match top_level_bar(rest) {
        Some(bar) => {
            Err(Unsupported { construct: "an alternative beside look-ahead", at: at + bar })
        }
        None => Ok(ParsedPattern { ahead, rest }),
    }
}

/// The pattern without a group at its end that matches nothing at all as well as anything: behind it nothing is asked, so
/// the group decides nothing. Pydantic 2.12 and 2.13 write such a group, with look-ahead in another alternative, for
/// decimals with a number of digits: `^(?!^[-+.]*$)[+-]?0*(?:\d{0,4}|(?=[\d.]{1,7}0*$)\d{0,4}\.\d{0,2}0*$)`.
fn without_idle_end(pattern: &str) -> Option<&str> {
    let open = last_group(pattern)?;
    let (kept, group) = pattern.split_at(open);
    let mut body = group[..group.len() - 1].strip_prefix("(?:")?;
    if top_level_bar(kept).is_some() {
        return None;
    }
    loop {
        let bar = top_level_bar(body);
        let alternative = &body[..bar.unwrap_or(body.len())];
        if matches_nothing_at_all(alternative) {
            return Some(kept);
        }
        body = &body[bar? + 1..];
    }
}

/// Returns true if the alternative matches the empty text at any place.
fn matches_nothing_at_all(alternative: &str) -> bool {
    let spelled = to_rust_regex(alternative).ok();
    spelled.and_then(|spelled| regex_syntax::parse(&spelled).ok()).is_some_and(|hir| {
        let properties = hir.properties();
        properties.minimum_len() == Some(0) && properties.look_set().is_empty()
    })
}

/// Scans a pattern for unsupported constructs. Inside a group the scan ends at the closing parenthesis, and returns its
/// offset. `base`: the offset of the text in the whole pattern.
fn scan(text: &str, base: usize, group: Option<()>) -> Result<usize, Unsupported> {
    let bytes = text.as_bytes();
    let unsupported = |construct, at: usize| Err(Unsupported { construct, at: base + at });
    let (mut at, mut depth, mut in_class, mut repeated) = (0, 0_usize, false, false);
    while at < bytes.len() {
        let rest = &text[at..];
        let mut repeats = false;
        match bytes[at] {
            b'\\' => {
                match bytes.get(at + 1) {
                    Some(b'1'..=b'9') if !in_class => return unsupported("a back-reference", at),
                    Some(b'k') if !in_class => return unsupported("a back-reference", at),
                    _ => {}
                }
                let escaped = rest[1..].chars().next().map_or(0, char::len_utf8);
                at += 1 + escaped;
                // The braces of `\p{Letter}` repeat nothing.
                if matches!(rest.as_bytes().get(1), Some(b'p' | b'P' | b'u' | b'x'))
                    && text[at..].starts_with('{')
                {
                    at += text[at..].find('}').map_or(0, |end| end + 1);
                }
                repeated = false;
                continue;
            }
            b']' if in_class => in_class = false,
            _ if in_class => {}
            b'[' => {
                in_class = true;
                // The first bracket of a class may be a member of it, or close an empty one.
                if rest.starts_with("[^") {
                    at += 1;
                }
            }
            b'(' => {
                for (start, construct) in CONSTRUCTS {
                    if rest.starts_with(start) {
                        return unsupported(construct, at);
                    }
                }
                depth += 1;
            }
            b')' if depth == 0 && group.is_some() => return Ok(at),
            b')' => depth = depth.saturating_sub(1),
            b'+' if repeated => return unsupported("a possessive repetition", at),
            b'*' | b'+' | b'?' | b'}' => repeats = true,
            _ => {}
        }
        repeated = repeats;
        at += rest.chars().next().map_or(1, char::len_utf8);
    }
    match group {
        Some(()) => unsupported("look-ahead that is not closed", 0),
        None => Ok(at),
    }
}

const CONSTRUCTS: [(&str, &str); 10] = [
    ("(?=", "look-ahead that is not at the start"),
    ("(?!", "look-ahead that is not at the start"),
    ("(?<=", "look-behind"),
    ("(?<!", "look-behind"),
    ("(?>", "an atomic group"),
    ("(?(", "a conditional group"),
    ("(?P=", "a back-reference"),
    ("(?P>", "a recursive group"),
    ("(?&", "a recursive group"),
    ("(?R", "a recursive group"),
];

/// The offset of the first bar outside of all groups and classes.
fn top_level_bar(text: &str) -> Option<usize> {
    let mut depth = 0_i32;
    marks(text).find_map(|(at, byte)| {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => return (depth == 0).then_some(at),
        }
        None
    })
}

/// Where the group opens that closes with the last byte of the pattern, and lies in no other group.
fn last_group(pattern: &str) -> Option<usize> {
    let (mut open, mut found) = (Vec::new(), None);
    for (at, byte) in marks(pattern) {
        match byte {
            b'(' => open.push(at),
            b')' => found = open.pop().map(|open| (open, at)),
            _ => {}
        }
    }
    let (start, end) = found?;
    (open.is_empty() && end + 1 == pattern.len()).then_some(start)
}

/// The parentheses and bars that stand outside of classes, unescaped.
fn marks(text: &str) -> impl Iterator<Item = (usize, u8)> {
    let (mut in_class, mut escaped) = (false, false);
    text.bytes().enumerate().filter(move |(_, byte)| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b']' => in_class = false,
            b'[' => in_class = true,
            b'(' | b')' | b'|' => return !in_class,
            _ => {}
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::WorkLimits;

    #[test]
    fn look_ahead_at_the_start_is_split_off() {
        let ahead = |negated, body| LookAhead { negated, body };
        for (pattern, expected, rest) in [
            ("^(?!a)b", vec![ahead(true, "a")], "b"),
            (
                "^(?=.*\\d)(?!x|y)[a-z]+$",
                vec![ahead(false, ".*\\d"), ahead(true, "x|y")],
                "[a-z]+$",
            ),
            ("(?!^-$)^[)]", vec![ahead(true, "^-$")], "[)]"),
            ("^(?!(a)[)](b))c", vec![ahead(true, "(a)[)](b)")], "c"),
            ("^(?!\\))", vec![ahead(true, "\\)")], ""),
            ("a|b", vec![], "a|b"),
            ("", vec![], ""),
        ] {
            assert_eq!(parse(pattern), Ok(ParsedPattern { ahead: expected, rest }), "{pattern}");
        }
    }

    #[test]
    fn constructs_that_need_backtracking_are_named_with_their_offset() {
        for (pattern, construct, at) in [
            ("^a(?=b)c$", "look-ahead that is not at the start", 2),
            ("(?!a)b", "look-ahead without '^' before it", 0),
            ("^(?!(?=a)b)", "look-ahead that is not at the start", 4),
            ("^(?!a)*", "a repetition of look-ahead", 6),
            ("^(?!a)b|c", "an alternative beside look-ahead", 7),
            ("^(?!a", "look-ahead that is not closed", 4),
            ("x(?<=a)", "look-behind", 1),
            ("(?<!a)", "look-behind", 0),
            ("(a)\\1", "a back-reference", 3),
            ("(?<n>a)\\k<n>", "a back-reference", 7),
            ("(?>a)", "an atomic group", 0),
            ("a++", "a possessive repetition", 2),
            ("[(?=](?=b)", "look-ahead that is not at the start", 5),
        ] {
            assert_eq!(parse(pattern), Err(Unsupported { construct, at }), "{pattern}");
        }
    }

    #[test]
    fn a_group_at_the_end_that_may_match_nothing_is_left_out() {
        for (pattern, expected) in [
            (r"^(?!^[-+.]*$)0*(?:\d{0,4}|(?=[\d.]{1,7}0*$)\d{0,4}\.\d*$)", Some("^(?!^[-+.]*$)0*")),
            ("^a(?:(?=b)b+|)", Some("^a")),
            ("a(?:b|(c?))", Some("a")),
            // The group has an alternative of its own, an assertion, a repetition, or it is not at the end.
            ("^a(?:b|(?=c)c)", None),
            ("^a(?:b*$|(?=c)c)", None),
            ("^a(?:b?|c)+", None),
            ("^a(?:b?|c)d", None),
            ("x|a(?:b?|c)", None),
            (r"a(?:b?|c\)", None),
            ("a[(?:b?|c)]", None),
            ("(a(?:b?|c))", None),
        ] {
            assert_eq!(without_idle_end(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn memory_is_counted_over_all_patterns() {
        let limits = SchemaLimits::DEFAULT;
        let free = Allowance::unlimited();
        let mut patterns = Patterns::new(&limits, &free);
        patterns.add("^.{0,5000}$", "").unwrap();
        let one = patterns.bytes();
        // A pattern counts once, and look-ahead counts too.
        patterns.add("^.{0,5000}$", "").unwrap();
        assert_eq!(patterns.bytes(), one);
        let limits = SchemaLimits { pattern_bytes: one, ..limits };
        assert!(Patterns::new(&limits, &Allowance::unlimited()).add("^.{0,5000}$", "").is_ok());
        let limits = SchemaLimits { pattern_bytes: one - 1, ..limits };
        let refused =
            Patterns::new(&limits, &Allowance::unlimited()).add("^.{0,5000}$", "").unwrap_err();
        assert!(refused.line().contains("model.schema-pattern-bytes"), "{refused}");
        assert!(
            Patterns::new(&limits, &Allowance::unlimited()).add("^(?!.{0,5000}$)", "").is_err()
        );
    }

    #[test]
    fn a_large_pattern_is_paid_for_by_its_compiled_bytes() {
        let work = WorkLimits { command_steps: 50_000, ..WorkLimits::DEFAULT };
        let limits = SchemaLimits::DEFAULT;
        let spent = |pattern: &str| {
            let allowance = Allowance::new(&work);
            Patterns::new(&limits, &allowance)
                .add(pattern, "")
                .map(|_| 50_000 - allowance.steps_left())
        };
        assert_eq!(spent("^[a-z]{2,9}$").unwrap(), 0);
        let letter = spent(r"^\p{L}$").unwrap();
        assert!((20_000..50_000).contains(&letter), "{letter}");
        for large in [r"^\p{L}{9}$", r"^(?!\p{L}{9})a", r"^\p{L}{2000}$"] {
            let refused = spent(large).unwrap_err();
            assert!(refused.line().contains("model.command-steps"), "{large}: {}", refused.line());
        }
    }
}
