//! The patterns of `match` and `search`: I-Regexp (RFC 9485).
//!
//! A pattern is checked against the standard's grammar and translated for the `regex` crate, which
//! matches in time linear in the text and knows more syntax than the standard allows. Two readings of
//! the standard were open: `^` and `$` are anchors, as the compliance suite has them, and `.` is any
//! character but LF and CR. Multi-character escapes such as `\d` are not part of the standard.
//!
//! A pattern that is not I-Regexp is no error: RFC 9535 says that it matches nothing.

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};

use crate::error::{Error, Result};
use crate::limit;

/// How heavy a pattern may be, counted after its repetitions are unrolled: one for a character,
/// a group and a bar, more for classes. Bounds what compiling takes, and how much one byte of text may cost.
pub const PATTERN_WEIGHT_MAX: u64 = crate::limit::PATTERN_WEIGHT.default;

/// The longest pattern that comes from a document. A literal pattern is no longer than its path.
pub const PATTERN_BYTES_MAX: usize = crate::limit::PATTERN_BYTES.default as usize;

/// Groups inside groups.
const GROUP_DEPTH_MAX: usize = 64;
/// Bytes of the compiled program: a second bound behind the weight.
const PROGRAM_BYTES_MAX: usize = 4 << 20;

const COMPILE_NODES: u64 = 2000;
const COMPILE_NODES_OF_WEIGHT: u64 = 100;

const DOT_WEIGHT: u64 = 8;
const CATEGORY_WEIGHT: u64 = 64;

/// A pattern. It is compiled when it first matches something, because that takes milliseconds where it is
/// heavy, which the evaluation pays for.
#[derive(Clone, Debug)]
pub(super) struct IRegexp {
    /// In the crate's syntax.
    translated: Box<str>,
    weight: u64,
    /// None inside where the crate knows no such pattern: it matches nothing.
    regex: OnceLock<Option<Regex>>,
}

impl IRegexp {
    /// Reads a pattern to match the whole text, or any part of it. `None` when it is not I-Regexp, `LIMIT`
    /// when it is too heavy.
    pub fn parse(text: &str, whole: bool) -> Result<Option<IRegexp>> {
        let Some((translated, weight)) = translate(text)? else { return Ok(None) };
        let anchored = if whole { format!(r"\A(?:{translated})\z") } else { translated };
        Ok(Some(IRegexp { translated: anchored.into(), weight, regex: OnceLock::new() }))
    }

    /// Compiles the pattern unless it is; `LIMIT` when it is too heavy.
    pub fn compile(&self) -> Result<()> {
        if self.is_compiled() {
            return Ok(());
        }
        let regex = match RegexBuilder::new(&self.translated).size_limit(PROGRAM_BYTES_MAX).build()
        {
            Ok(regex) => Some(regex),
            Err(regex::Error::CompiledTooBig(_)) => return Err(too_heavy()),
            Err(_) => None,
        };
        self.regex.get_or_init(|| regex);
        Ok(())
    }

    #[inline]
    pub fn is_compiled(&self) -> bool {
        self.regex.get().is_some()
    }

    /// Returns true if a compiled pattern matches.
    pub fn is_match(&self, text: &[u8]) -> bool {
        let regex = self.regex.get().expect("the pattern was compiled");
        regex.as_ref().is_some_and(|regex| regex.is_match(text))
    }

    /// The cost of matching a text of that length, in nodes.
    pub fn match_cost(&self, text_len: usize) -> u64 {
        1 + (text_len as u64).saturating_mul(self.weight) / 256
    }

    /// The cost of compiling the pattern, in nodes: measured, a few hundredths of a millisecond, and three
    /// microseconds for each unit of its weight.
    pub fn compile_cost(&self) -> u64 {
        COMPILE_NODES + self.weight * COMPILE_NODES_OF_WEIGHT
    }

    pub fn weight(&self) -> u64 {
        self.weight
    }
}

#[cold]
pub(super) fn too_long() -> Error {
    Error::limit(limit::PATTERN_BYTES, PATTERN_BYTES_MAX as u64)
}

#[cold]
pub(super) fn too_heavy() -> Error {
    Error::limit(limit::PATTERN_WEIGHT, PATTERN_WEIGHT_MAX)
}

/// The pattern in the `regex` crate's syntax, and its weight. `None` when it is not I-Regexp.
fn translate(text: &str) -> Result<Option<(String, u64)>> {
    let mut translator = IRegexpTranslator {
        rest: text,
        out: String::with_capacity(text.len() + 16),
        open: vec![0],
        atom: None,
    };
    match translator.run()? {
        Some(()) => Ok(Some((translator.out, translator.open[0].max(1)))),
        None => Ok(None),
    }
}

struct IRegexpTranslator<'a> {
    rest: &'a str,
    out: String,
    /// The weight so far of every open group, the whole pattern first.
    open: Vec<u64>,
    /// The weight of the atom just read, which a quantifier may repeat.
    atom: Option<u64>,
}

impl IRegexpTranslator<'_> {
    fn run(&mut self) -> Result<Option<()>> {
        while let Some(c) = self.next() {
            if self.piece(c).is_none() {
                return Ok(None);
            }
            if self.open.len() > GROUP_DEPTH_MAX
                || self.open.iter().any(|w| *w > PATTERN_WEIGHT_MAX)
            {
                return Err(too_heavy());
            }
        }
        Ok((self.open.len() == 1).then_some(()))
    }

    /// One atom, quantifier, bar or parenthesis; `None` when the standard has no such thing.
    fn piece(&mut self, c: char) -> Option<()> {
        match c {
            '(' => {
                self.out.push_str("(?:");
                self.open.push(1);
                self.atom = None;
            }
            ')' => {
                let weight = self.open.pop().filter(|_| !self.open.is_empty())?;
                self.out.push(')');
                self.add_atom(weight);
            }
            '|' => {
                self.out.push('|');
                self.add_atom(1);
                self.atom = None;
            }
            '*' | '+' | '?' => {
                self.atom.take()?;
                self.out.push(c);
            }
            '{' => self.range_quantifier()?,
            '.' => {
                self.out.push_str(r"[^\n\r]");
                self.add_atom(DOT_WEIGHT);
            }
            '[' => self.class()?,
            '\\' => {
                let weight = self.escape()?;
                self.add_atom(weight);
            }
            ']' | '}' => return None,
            '^' | '$' => {
                self.out.push(c);
                self.add_atom(1);
            }
            c => {
                self.literal(c);
                self.add_atom(1);
            }
        }
        Some(())
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn add_atom(&mut self, weight: u64) {
        *self.open.last_mut().expect("the whole pattern is always open") += weight;
        self.atom = Some(weight);
    }

    /// A character that stands for itself, whatever the crate's syntax makes of it.
    fn literal(&mut self, c: char) {
        if c.is_ascii() && !c.is_ascii_alphanumeric() {
            self.out.push_str(&format!(r"\x{:02x}", c as u32));
        } else {
            self.out.push(c);
        }
    }

    /// `{n}`, `{n,}` or `{n,m}`, behind its brace.
    fn range_quantifier(&mut self) -> Option<()> {
        let atom = self.atom.take()?;
        let (least, least_text) = self.count()?;
        let (most, quantifier) = if !self.eat(',') {
            (least, format!("{{{least_text}}}"))
        } else if self.rest.starts_with('}') {
            (least.saturating_add(1), format!("{{{least_text},}}"))
        } else {
            let (most, most_text) = self.count()?;
            (most, format!("{{{least_text},{most_text}}}"))
        };
        if !self.eat('}') {
            return None;
        }
        let group = self.open.last_mut().expect("the whole pattern is always open");
        *group = group.saturating_add(atom.saturating_mul(most.saturating_sub(1)));
        self.out.push_str(&quantifier);
        Some(())
    }

    /// Decimal digits; more than fit are as many as fit.
    fn count(&mut self) -> Option<(u64, String)> {
        let len = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(len);
        self.rest = rest;
        (len > 0).then(|| (digits.parse().unwrap_or(u64::MAX), digits.to_owned()))
    }

    /// Translates an escape, behind its backslash, outside or inside a class; returns its weight.
    fn escape(&mut self) -> Option<u64> {
        match self.next()? {
            c @ ('p' | 'P') => {
                let category = self.rest.strip_prefix('{')?.split('}').next()?;
                if !is_category(category) || !self.rest[1 + category.len()..].starts_with('}') {
                    return None;
                }
                self.out.push_str(&format!(r"\{c}{{{category}}}"));
                self.rest = &self.rest[category.len() + 2..];
                Some(CATEGORY_WEIGHT)
            }
            c => {
                self.literal(escaped_char(c)?);
                Some(1)
            }
        }
    }

    /// A bracketed class, behind its bracket.
    fn class(&mut self) -> Option<()> {
        self.out.push('[');
        if self.eat('^') {
            self.out.push('^');
        }
        let mut weight = 0;
        if self.eat('-') {
            self.literal('-');
            weight += 1;
        }
        loop {
            match self.next()? {
                ']' if weight > 0 => break,
                '-' if weight > 0 && self.rest.starts_with(']') => self.literal('-'),
                '[' | ']' | '-' => return None,
                '\\' if self.rest.starts_with(['p', 'P']) => weight += self.escape()?,
                c => {
                    self.class_range(c)?;
                    weight += 2;
                }
            }
        }
        self.out.push(']');
        self.add_atom(weight);
        Some(())
    }

    /// One character of a class, or a range that begins with it.
    fn class_range(&mut self, first: char) -> Option<()> {
        self.class_char(first)?;
        if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
            self.eat('-');
            self.out.push('-');
            let last = self.next()?;
            self.class_char(last)?;
        }
        Some(())
    }

    fn class_char(&mut self, c: char) -> Option<()> {
        let c = match c {
            '\\' => escaped_char(self.next()?)?,
            '[' | ']' | '-' => return None,
            c => c,
        };
        self.literal(c);
        Some(())
    }
}

/// The character that a backslash and this one stand for.
fn escaped_char(c: char) -> Option<char> {
    match c {
        '(' | ')' | '*' | '+' | '-' | '.' | '?' | '[' | '\\' | ']' | '^' | '{' | '|' | '}' => {
            Some(c)
        }
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        _ => None,
    }
}

/// A general category of Unicode, as the standard lists them.
fn is_category(name: &str) -> bool {
    let minors = match name.as_bytes().first() {
        Some(b'L') => "lmotu",
        Some(b'M') => "cen",
        Some(b'N') => "dlo",
        Some(b'P') => "cdefios",
        Some(b'Z') => "lps",
        Some(b'S') => "ckmo",
        Some(b'C') => "cfno",
        _ => return false,
    };
    name.len() == 1 || (name.len() == 2 && minors.contains(&name[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    /// None where the standard or the crate has no such pattern.
    fn compile(text: &str, whole: bool) -> Result<Option<IRegexp>> {
        let Some(pattern) = IRegexp::parse(text, whole)? else { return Ok(None) };
        pattern.compile()?;
        Ok(pattern.regex.get().is_some_and(Option::is_some).then_some(pattern))
    }

    #[test]
    fn patterns_match_as_the_standard_says() {
        for (pattern, text, whole, part) in [
            ("", "", true, true),
            ("", "a", false, true),
            ("ab|c", "c", true, true),
            ("a|", "", true, true),
            ("a|bc", "xbc", false, true),
            (".", "\n", false, false),
            (".", "\r", false, false),
            (".", "☺", true, true),
            ("[^a]", "\n", true, true),
            ("[-a]", "-", true, true),
            ("[a-]", "-", true, true),
            ("[a-c-]", "-", true, true),
            ("[a&&b]", "&", true, true),
            ("[~~]", "~", true, true),
            ("[a^]", "^", true, true),
            (r"[\p{Lu}\d]", "A", false, false),
            (r"[\p{Lu}_]", "_", true, true),
            (r"\p{L}", "é", true, true),
            (r"\P{L}", "é", false, false),
            (r"[\-\]\\]", "\\", true, true),
            (r"\(a\)", "(a)", true, true),
            (r"\n", "\n", true, true),
            ("a{2}", "aa", true, true),
            ("a{2,}", "aaaa", true, true),
            ("a{1,2}", "aaa", false, true),
            ("(ab)+", "abab", true, true),
            ("^a$", "a", true, true),
            ("a b#c", "a b#c", true, true),
            ("<a>-/&@~\"'", "<a>-/&@~\"'", true, true),
        ] {
            for (mode, expected) in [(true, whole), (false, part)] {
                let compiled = compile(pattern, mode).unwrap();
                let found = compiled.is_some_and(|p| p.is_match(text.as_bytes()));
                assert_eq!(found, expected, "{pattern:?} {text:?} whole={mode}");
            }
        }
    }

    #[test]
    fn what_is_no_i_regexp_is_no_pattern() {
        for pattern in [
            "(",
            ")",
            "a)",
            "(a",
            "*",
            "a**",
            "a+?",
            "|*",
            "[",
            "[]",
            "[^]",
            "[b-a]",
            "[a--b]",
            "[--]a]",
            "[a-b-c]",
            "]",
            "}",
            "{",
            "a{",
            "a{}",
            "a{,2}",
            "a{2,1}",
            "a{x}",
            "\\",
            "\\d",
            "\\w",
            "\\s",
            "\\b",
            "\\A",
            "\\x41",
            "\\1",
            "\\p{Greek}",
            "\\p{Lx}",
            "\\p{}",
            "\\pL",
            "\\p{L",
            "[\\d]",
            "[[a]]",
            "(?:a)",
            "(?i)a",
            "(?=a)",
            "\\$",
            "[:alpha:",
        ] {
            assert!(compile(pattern, true).unwrap().is_none(), "{pattern:?}");
        }
    }

    #[test]
    fn heavy_patterns_are_refused_before_they_are_compiled() {
        assert!(compile("a{4096}", false).unwrap().is_some());
        assert!(compile(r"\p{L}{64}", true).unwrap().is_some());
        assert!(compile(&"|".repeat(4096), true).unwrap().is_some());
        assert!(compile(&"()".repeat(4096), true).unwrap().is_some());
        assert!(compile("(|||){1024}", true).unwrap().is_some());
        let deep = |n| "(".repeat(n) + "a" + &")".repeat(n);
        assert!(compile(&deep(GROUP_DEPTH_MAX - 1), true).unwrap().is_some());
        for pattern in [
            "a{4097}".to_owned(),
            "a{99999999999999999999}".to_owned(),
            "(((a{16}){16}){16}){2}".to_owned(),
            "((){1000000}){1000000}".to_owned(),
            r"\p{L}{65}".to_owned(),
            "|".repeat(4097),
            "()".repeat(4097),
            "(|||){1025}".to_owned(),
            deep(GROUP_DEPTH_MAX),
        ] {
            let error = compile(&pattern, true).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Limit, "{pattern}");
        }
    }
}
