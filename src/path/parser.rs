//! The whole grammar of JSONPath (RFC 9535), with its rules on white space, types and numbers; and `args`, which
//! stands for a value that is bound.
//!
//! Recursive descent. Only filters can nest, and they do so at most [`FILTER_DEPTH_MAX`] levels deep,
//! so no text makes the parser, the evaluation or the drop of a query recurse deeper.

use super::bound::Binding;
use super::filter::{
    Comparable, FilterComparison, Literal, Logical, Matcher, QueryStart, SingularQuery, SubQuery,
};
use super::limits::PathLimits;
use super::pattern::{self, IRegexp, PATTERN_WEIGHT_MAX};
use super::query::{Query, Segment, Selector, Slice};
use super::singular::{PathStep, shorthand_len};
use crate::error::{Error, ErrorCode, Result};
use crate::limit;
use crate::value::{Number, View};

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

/// An operand of a comparison, a test or an argument, with the types RFC 9535 gives it.
enum FilterOperand {
    /// A value; a singular query is one, and a list of nodes too.
    Value(Comparable),
    /// A list of nodes.
    Nodes(SubQuery),
    /// True or false.
    Logical(Logical),
}

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
            Some(View::Str(name)) => {
                let bytes = name.as_bytes().len();
                if bytes > self.name_bytes {
                    return Err(Error::limit(limit::PATH_BYTES, self.name_bytes as u64));
                }
                Ok(Selector::Name(name.as_str().into()))
            }
            Some(View::Int(index)) => Ok(Selector::Index(index)),
            Some(other) => {
                let (written, found) = (&self.text[start..self.at], other.kind().name());
                let message =
                    format!("a selector is a string or an integer, and {written} is {found}");
                Err(Error::new(ErrorCode::Type, message).integer("offset", start as i64))
            }
            None => {
                let message = format!("ARGS has no {}", &self.text[start..self.at]);
                Err(Error::syntax(message).integer("offset", start as i64))
            }
        }
    }

    /// The value that `args` and the steps behind it stand for; the word, at `start`, was read.
    fn bound(&mut self, start: usize) -> Result<Option<View<'a>>> {
        let segments = self.nested(Self::segments)?;
        let path = Query::new(segments).into_singular().ok().filter(|path| !path.is_root());
        let Some(path) = path else {
            return Err(self.error_at(start, "args is followed by names or indexes"));
        };
        match self.binding {
            Some(binding) => binding.find(&path),
            None => Err(self.error_at(start, "the path reads args, and the command has no ARGS")),
        }
    }

    fn bound_comparable(&mut self, start: usize) -> Result<FilterOperand> {
        let value = match (self.bound(start)?, self.binding) {
            (Some(found), Some(binding)) => Some(binding.copy(found)?),
            _ => None,
        };
        Ok(FilterOperand::Value(Comparable::Bound(value)))
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

    // --- Filters ------------------------------------------------------------------------------

    /// A logical expression: terms joined by `||`.
    fn logical(&mut self) -> Result<Logical> {
        let mut terms = vec![self.conjunction()?];
        while self.eat_operator("||") {
            terms.push(self.conjunction()?);
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { Logical::Or(terms) })
    }

    fn conjunction(&mut self) -> Result<Logical> {
        let mut terms = vec![self.basic()?];
        while self.eat_operator("&&") {
            terms.push(self.basic()?);
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { Logical::And(terms) })
    }

    fn eat_operator(&mut self, operator: &str) -> bool {
        self.skip_space();
        self.eat_text(operator)
    }

    /// A parenthesis, a comparison, or a test; the first and the last may be negated.
    fn basic(&mut self) -> Result<Logical> {
        self.skip_space();
        let negated = self.eat(b'!');
        if negated {
            self.skip_space();
        }
        let term = if self.eat(b'(') {
            let inside = self.nested(Self::logical)?;
            self.skip_space();
            self.expect(b')', "expected ')'")?;
            inside
        } else if negated {
            let start = self.at;
            let operand = self.operand()?;
            self.as_test(operand, start)?
        } else {
            self.comparison_or_test()?
        };
        Ok(if negated { Logical::Not(Box::new(term)) } else { term })
    }

    fn comparison_or_test(&mut self) -> Result<Logical> {
        let start = self.at;
        let left = self.operand()?;
        self.skip_space();
        let Some(comparison) = self.comparison() else { return self.as_test(left, start) };
        let left = self.as_value(left, start)?;
        self.skip_space();
        let start = self.at;
        let right = self.operand()?;
        let right = self.as_value(right, start)?;
        Ok(Logical::Compare { left, comparison, right })
    }

    fn comparison(&mut self) -> Option<FilterComparison> {
        // Those of two characters first: some begin with one of the others.
        const ALL: [(&str, FilterComparison); 6] = [
            ("==", FilterComparison::Equal),
            ("!=", FilterComparison::NotEqual),
            ("<=", FilterComparison::LessOrEqual),
            (">=", FilterComparison::GreaterOrEqual),
            ("<", FilterComparison::Less),
            (">", FilterComparison::Greater),
        ];
        ALL.iter().find(|(text, _)| self.eat_text(text)).map(|(_, comparison)| *comparison)
    }

    fn as_test(&self, operand: FilterOperand, start: usize) -> Result<Logical> {
        match operand {
            FilterOperand::Logical(logical) => Ok(logical),
            FilterOperand::Nodes(query) => Ok(Logical::Exists(query)),
            FilterOperand::Value(Comparable::Singular(query)) => {
                Ok(Logical::Exists(SubQuery::Singular(query)))
            }
            FilterOperand::Value(_) => {
                Err(self.error_at(start, "a value is neither true nor false: compare it"))
            }
        }
    }

    fn as_value(&self, operand: FilterOperand, start: usize) -> Result<Comparable> {
        match operand {
            FilterOperand::Value(value) => Ok(value),
            FilterOperand::Nodes(_) => {
                Err(self.error_at(start, "expected a query with one result at most"))
            }
            FilterOperand::Logical(_) => {
                Err(self.error_at(start, "true or false is no value here"))
            }
        }
    }

    fn as_nodes(&self, operand: FilterOperand, start: usize) -> Result<SubQuery> {
        match operand {
            FilterOperand::Nodes(query) => Ok(query),
            FilterOperand::Value(Comparable::Singular(query)) => Ok(SubQuery::Singular(query)),
            _ => Err(self.error_at(start, "expected a query")),
        }
    }

    fn operand(&mut self) -> Result<FilterOperand> {
        match self.peek() {
            Some(b'$') => self.sub_query(QueryStart::Root),
            Some(b'@') => self.sub_query(QueryStart::Current),
            Some(b'\'' | b'"') => Ok(literal(Literal::Text(self.string()?.into()))),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'a'..=b'z') => self.word(),
            _ => Err(self.error("expected a query, a literal or a function")),
        }
    }

    fn sub_query(&mut self, origin: QueryStart) -> Result<FilterOperand> {
        self.at += 1;
        let query = Query::new(self.segments()?);
        Ok(match query.into_singular() {
            Ok(singular) => {
                let steps: Box<[PathStep<'static>]> = singular.into_steps().into_boxed_slice();
                FilterOperand::Value(Comparable::Singular(SingularQuery { origin, steps }))
            }
            Err(query) => FilterOperand::Nodes(SubQuery::Query(origin, query)),
        })
    }

    fn number(&mut self) -> Result<FilterOperand> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        match Number::parse(&self.bytes[start..self.at]) {
            Ok(number) => Ok(literal(Literal::Number(number))),
            Err(error) if error.code() == ErrorCode::Range => {
                Err(self.error_at(start, "a number that no document can hold"))
            }
            Err(_) => Err(self.error_at(start, "not a JSON number")),
        }
    }

    /// A literal's name, or a function with its arguments.
    fn word(&mut self) -> Result<FilterOperand> {
        let start = self.at;
        while matches!(self.peek(), Some(b'a'..=b'z' | b'0'..=b'9' | b'_')) {
            self.at += 1;
        }
        let name = &self.text[start..self.at];
        if self.eat(b'(') {
            return self.nested(|parser| parser.function(name, start));
        }
        match name {
            "true" => Ok(literal(Literal::Bool(true))),
            "false" => Ok(literal(Literal::Bool(false))),
            "null" => Ok(literal(Literal::Null)),
            ARGS => self.bound_comparable(start),
            _ => Err(self.error_at(start, "expected true, false, null, args or a function")),
        }
    }

    /// The arguments of a function, behind the parenthesis.
    fn function(&mut self, name: &str, start: usize) -> Result<FilterOperand> {
        let function = match name {
            "length" => FilterOperand::Value(Comparable::Length(Box::new(self.value_argument()?))),
            "count" => FilterOperand::Value(Comparable::Count(Box::new(self.nodes_argument()?))),
            "value" => FilterOperand::Value(Comparable::Value(Box::new(self.nodes_argument()?))),
            "match" | "search" => {
                let text = self.value_argument()?;
                self.skip_space();
                self.expect(b',', "expected a second argument")?;
                let source = self.value_argument()?;
                let pattern = self.matcher(source, name == "match")?;
                FilterOperand::Logical(Logical::Matches { text, pattern })
            }
            _ => return Err(self.error_at(start, "no such function")),
        };
        self.skip_space();
        self.expect(b')', "expected ')' behind the function's last argument")?;
        Ok(function)
    }

    fn value_argument(&mut self) -> Result<Comparable> {
        self.skip_space();
        let start = self.at;
        let operand = self.operand()?;
        self.as_value(operand, start)
    }

    fn nodes_argument(&mut self) -> Result<SubQuery> {
        self.skip_space();
        let start = self.at;
        let operand = self.operand()?;
        self.as_nodes(operand, start)
    }

    /// A pattern that is written out is compiled once, here.
    fn matcher(&mut self, source: Comparable, whole: bool) -> Result<Matcher> {
        let Comparable::Literal(literal) = source else {
            return Ok(Matcher::Dynamic { source: Box::new(source), whole });
        };
        let Literal::Text(text) = literal else { return Ok(Matcher::Constant(None)) };
        let pattern = IRegexp::parse(&text, whole)?;
        self.pattern_weight += pattern.as_ref().map_or(0, IRegexp::weight);
        if self.pattern_weight > PATTERN_WEIGHT_MAX {
            return Err(pattern::too_heavy());
        }
        Ok(Matcher::Constant(pattern))
    }
}

fn literal(literal: Literal) -> FilterOperand {
    FilterOperand::Value(Comparable::Literal(literal))
}
