//! The whole grammar of JSONPath (RFC 9535), with its rules on white space, types and numbers; and `args`, which
//! stands for a value that is bound.
//!
//! Recursive descent. Only filters can nest, and they do so at most [`FILTER_DEPTH_MAX`] levels deep,
//! so no text makes the parser, the evaluation or the drop of a query recurse deeper.

mod filter;

use super::bound::{Binding, Bound};
use super::limits::PathLimits;
use super::query::{Query, Segment, Selector, Slice};
use super::singular::shorthand_len;
use crate::error::{Error, ErrorCode, Result};
use crate::limit;
use crate::value::View;

/// How deep filters, parentheses and function calls may nest in each other.
pub const FILTER_DEPTH_MAX: u32 = crate::limit::FILTER_DEPTH.default as u32;

/// The integers that I-JSON (RFC 7493) holds exact.
const INT_MAX: i64 = (1 << 53) - 1;

/// Parses a whole text as a query. Its first byte, `$` or `@`, is the root.
pub(super) fn query(
    text: &str,
    limits: &PathLimits,
    binding: Option<Binding<'_>>,
) -> Result<Query> {
    let bytes = text.as_bytes();
    let name_bytes = limits.path_bytes;
    let mut parser =
        PathParser { text, bytes, at: 1, depth: 0, pattern_weight: 0, name_bytes, binding };
    let segments = parser.segments()?;
    if parser.at < parser.bytes.len() {
        return Err(parser.error("expected '.', '[' or the end of the path"));
    }
    Ok(Query::new(segments))
}

struct PathParser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: u32,
    /// Of all constant patterns together.
    pattern_weight: u64,
    /// The longest name that may be bound: no longer than one that is written out.
    name_bytes: usize,
    binding: Option<Binding<'a>>,
}

/// The word that stands for the object of `ARGS`.
const ARGS: &str = "args";

impl<'a> PathParser<'a> {
    // --- Characters ---------------------------------------------------------------------------

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn eat_text(&mut self, text: &str) -> bool {
        let found = self.bytes[self.at..].starts_with(text.as_bytes());
        if found {
            self.at += text.len();
        }
        found
    }

    fn expect(&mut self, byte: u8, message: &'static str) -> Result<()> {
        if self.eat(byte) { Ok(()) } else { Err(self.error(message)) }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn error(&self, message: &'static str) -> Error {
        self.error_at(self.at, message)
    }

    #[cold]
    fn error_at(&self, at: usize, message: &'static str) -> Error {
        Error::syntax(message).integer("offset", at as i64)
    }

    /// Counts the nesting of everything that can contain itself.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == FILTER_DEPTH_MAX {
            return Err(Error::limit(limit::FILTER_DEPTH, FILTER_DEPTH_MAX.into()));
        }
        self.depth += 1;
        let parsed = parse(self)?;
        self.depth -= 1;
        Ok(parsed)
    }

    // --- Segments and selectors ---------------------------------------------------------------

    /// All segments that follow. White space belongs to them only when a segment comes behind it.
    fn segments(&mut self) -> Result<Vec<Segment>> {
        let mut segments = Vec::new();
        loop {
            let end = self.at;
            self.skip_space();
            match self.peek() {
                Some(b'.' | b'[') => segments.push(self.segment()?),
                _ => {
                    self.at = end;
                    return Ok(segments);
                }
            }
        }
    }

    fn segment(&mut self) -> Result<Segment> {
        let descendant = self.eat_text("..");
        let selectors = if (descendant || !self.eat(b'.')) && self.eat(b'[') {
            self.selectors()?
        } else {
            vec![self.dotted()?]
        };
        Ok(Segment { descendant, selectors })
    }

    /// Parses the segment behind one or two dots.
    fn dotted(&mut self) -> Result<Selector> {
        if self.eat(b'*') {
            return Ok(Selector::Wildcard);
        }
        match shorthand_len(&self.bytes[self.at..]) {
            0 => Err(self.error("expected a member's name")),
            len => {
                let name = &self.text[self.at..self.at + len];
                self.at += len;
                if self.peek() == Some(b'-') {
                    return Err(self.dash_in_name(self.at - len));
                }
                Ok(Selector::Name(name.into()))
            }
        }
    }

    /// The refusal of a name with a dash behind a dot: nothing in the grammar continues with one there.
    #[cold]
    fn dash_in_name(&self, start: usize) -> Error {
        let is_part = |byte: &u8| *byte == b'-' || shorthand_len(std::slice::from_ref(byte)) > 0;
        let rest = &self.bytes[start..];
        let digit = |byte: &u8| byte.is_ascii_digit();
        let len = rest.iter().position(|byte| !is_part(byte) && !digit(byte)).unwrap_or(rest.len());
        let name = &self.text[start..start + len];
        let message =
            format!("a name with '-' is written in brackets, ['{name}'], or in a JSON Pointer");
        Error::syntax(message).integer("offset", self.at as i64)
    }

    /// Selectors up to the closing bracket.
    fn selectors(&mut self) -> Result<Vec<Selector>> {
        let mut selectors = Vec::with_capacity(1);
        loop {
            self.skip_space();
            selectors.push(self.selector()?);
            self.skip_space();
            if self.eat(b']') {
                return Ok(selectors);
            }
            if self.peek() == Some(b'=') {
                return Err(self.error("'=' is not a comparison: write '=='"));
            }
            self.expect(b',', "expected ',' or ']'")?;
        }
    }

    fn selector(&mut self) -> Result<Selector> {
        match self.peek() {
            Some(b'\'' | b'"') => Ok(Selector::Name(self.string()?.into())),
            Some(b'*') => {
                self.at += 1;
                Ok(Selector::Wildcard)
            }
            Some(b'?') => {
                self.at += 1;
                let filter = self.nested(Self::logical)?;
                Ok(Selector::Filter(Box::new(filter)))
            }
            Some(b'-' | b'0'..=b'9' | b':') => self.index_or_slice(),
            Some(b'a') if self.eat_text(ARGS) => self.bound_selector(self.at - ARGS.len()),
            _ => Err(self.error("expected a selector")),
        }
    }

    /// A selector that is bound: a string is a name, an integer an index.
    fn bound_selector(&mut self, start: usize) -> Result<Selector> {
        match self.bound(start)? {
            Bound::Value(View::Str(name)) => {
                let bytes = name.as_bytes().len();
                if bytes > self.name_bytes {
                    return Err(Error::limit(limit::PATH_BYTES, self.name_bytes as u64));
                }
                Ok(Selector::Name(name.as_str().into()))
            }
            Bound::Value(View::Int(index)) => Ok(Selector::Index(index)),
            Bound::Value(other) => {
                let (written, found) = (&self.text[start..self.at], other.kind().name());
                let message =
                    format!("a selector is a string or an integer, and {written} is {found}");
                Err(Error::new(ErrorCode::Type, message).integer("offset", start as i64))
            }
            // A path with it is as singular as with any name.
            Bound::Later => Ok(Selector::Name("".into())),
            Bound::Missing => {
                let message = format!("ARGS has no {}", &self.text[start..self.at]);
                Err(Error::syntax(message).integer("offset", start as i64))
            }
        }
    }

    /// The value that `args` and the steps behind it stand for; the word, at `start`, was read.
    fn bound(&mut self, start: usize) -> Result<Bound<'a>> {
        let segments = self.nested(Self::segments)?;
        let path = Query::new(segments).into_singular().ok().filter(|path| !path.is_root());
        let Some(path) = path else {
            return Err(self.error_at(start, "args is followed by names or indexes"));
        };
        match self.binding {
            Some(binding) => binding.find(&path),
            // MODEL.GET and MODEL.MGET have no such option: they take paths up to the last argument.
            None => Err(self.error_at(
                start,
                "the path reads args, and the command has no ARGS, as in MODEL.FIELDOP key ARGS json GET path",
            )),
        }
    }

    fn index_or_slice(&mut self) -> Result<Selector> {
        let start = self.optional_int()?;
        let end_of_start = self.at;
        self.skip_space();
        if !self.eat(b':') {
            self.at = end_of_start;
            return Ok(Selector::Index(start.expect("without a colon there is an index")));
        }
        self.skip_space();
        let end = self.optional_int()?;
        self.skip_space();
        let mut step = None;
        if self.eat(b':') {
            self.skip_space();
            step = self.optional_int()?;
        }
        Ok(Selector::Slice(Slice { start, end, step: step.unwrap_or(1) }))
    }

    /// An integer as indexes and slices have it, if there is one.
    fn optional_int(&mut self) -> Result<Option<i64>> {
        let start = self.at;
        let negative = self.eat(b'-');
        let digits_start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        let digits = &self.text[digits_start..self.at];
        if digits.is_empty() {
            return if negative { Err(self.error("expected a digit")) } else { Ok(None) };
        }
        if digits.starts_with('0') && (digits.len() > 1 || negative) {
            return Err(self.error_at(start, "an index has no leading zero"));
        }
        match digits.parse::<i64>() {
            Ok(value) if value <= INT_MAX => Ok(Some(if negative { -value } else { value })),
            _ => {
                Err(self.error_at(start, "an index is within the integers a double holds exactly"))
            }
        }
    }

    // --- Strings ------------------------------------------------------------------------------

    /// A quoted string, from its opening quote.
    fn string(&mut self) -> Result<String> {
        let quote = self.bytes[self.at];
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|b| b != quote && b != b'\\' && b >= b' ') {
                self.at += 1;
            }
            out.push_str(&self.text[start..self.at]);
            match self.peek() {
                Some(b'\\') => out.push(self.escape(quote)?),
                Some(b) if b == quote => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(_) => return Err(self.error("a control character has to be escaped")),
                None => return Err(self.error("a string has no end")),
            }
        }
    }

    /// The character behind a backslash.
    fn escape(&mut self, quote: u8) -> Result<char> {
        let start = self.at;
        self.at += 2;
        Ok(match self.bytes.get(start + 1) {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'/') => '/',
            Some(b'\\') => '\\',
            Some(b'u') => self.unicode_escape(start)?,
            Some(b) if *b == quote => char::from(quote),
            _ => return Err(self.error_at(start, "not an escape sequence")),
        })
    }

    /// The four digits behind `\u`, and a second escape where the first is half of a pair.
    fn unicode_escape(&mut self, start: usize) -> Result<char> {
        let first = self.hex4()?;
        let code = match first {
            0xd800..=0xdbff if self.eat_text("\\u") => match self.hex4()? {
                second @ 0xdc00..=0xdfff => 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                _ => return Err(self.error_at(start, "half of a surrogate pair")),
            },
            single => single,
        };
        char::from_u32(code).ok_or_else(|| self.error_at(start, "half of a surrogate pair"))
    }

    fn hex4(&mut self) -> Result<u32> {
        let digits = self.bytes.get(self.at..self.at + 4).unwrap_or_default();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(self.error("expected four hexadecimal digits"));
        }
        let value = u32::from_str_radix(&self.text[self.at..self.at + 4], 16);
        self.at += 4;
        Ok(value.expect("four hexadecimal digits are a number"))
    }
}
