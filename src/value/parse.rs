//! JSON text to values (RFC 8259), losslessly or with an error.

use super::build::{Measured, ValueBuilder};
use super::limits::Limits;
use super::number::{self, Number};
use super::quote::{BLOCK, plain_len, specials};
use super::text_place;
use super::tree::Value;
use super::view::string_size;
use crate::error::{Detail, Error, Result};

/// Parses one JSON text. Malformed text is `ERR` with the byte offset; a number that cannot be held
/// exactly as an `i64` or as a finite double is `RANGE` with its place; too deep or too large is `LIMIT`.
pub fn json(text: &[u8], limits: &Limits) -> Result<Measured> {
    let text = std::str::from_utf8(text).map_err(|bad| {
        Error::syntax("JSON text is not UTF-8").integer("offset", bad.valid_up_to() as i64)
    })?;
    let mut parser = JsonParser { text, bytes: text.as_bytes(), at: 0, unescaped: String::new() };
    if let Some(scalar) = parser.lone_number() {
        return Ok(scalar.into());
    }
    if let Some(scalar) = parser.lone_string(limits) {
        return Ok(scalar);
    }
    let mut builder = ValueBuilder::new(limits);
    parser.value(&mut builder)?;
    Ok(builder.finish())
}

/// Parses one JSON text that has to be a string.
pub fn string(text: &[u8], limits: &Limits) -> Result<String> {
    let parsed = json(text, limits)?;
    let text_view = parsed.value.view().as_text();
    text_view
        .map(|t| t.as_str().to_owned())
        .ok_or_else(|| Error::syntax("not a JSON string").text("argument", text))
}

struct JsonParser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    unescaped: String,
}

impl<'a> JsonParser<'a> {
    /// The most frequent arguments of all need no builder.
    fn lone_number(&self) -> Option<Number> {
        match number::scan(self.bytes) {
            Some((Ok(number), len)) if len == self.bytes.len() => Some(number),
            _ => None,
        }
    }

    /// A string without escapes that is short enough to break no limit.
    fn lone_string(&self, limits: &Limits) -> Option<Measured> {
        const SHORT: usize = 256;
        let inside = self.bytes.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let size = string_size(self.text.get(1..1 + inside.len())?.into());
        if inside.len() > SHORT || plain_len(inside) < inside.len() || limits.bytes < size {
            return None;
        }
        Some(Measured { value: Value::string(&self.text[1..=inside.len()]), size, depth: 0 })
    }

    fn value(&mut self, builder: &mut ValueBuilder) -> Result<()> {
        self.begin_value(builder)?;
        while let Some(object) = builder.open() {
            self.skip_space();
            match (self.next_byte()?, object) {
                (b',', true) => {
                    self.member_name(builder)?;
                    self.begin_value(builder)?;
                }
                (b',', false) => self.begin_value(builder)?,
                (b'}', true) | (b']', false) => builder.end(),
                _ => return Err(self.error_before("expected a comma or the container's end")),
            }
        }
        self.skip_space();
        if self.at < self.bytes.len() {
            return Err(self.error("text after the JSON value"));
        }
        Ok(())
    }

    /// Reads a scalar whole, or opens containers up to their first scalar or to an empty one.
    fn begin_value(&mut self, builder: &mut ValueBuilder) -> Result<()> {
        loop {
            self.skip_space();
            match self.peek() {
                Some(b'{') => {
                    self.at += 1;
                    builder.begin_object()?;
                    self.skip_space();
                    if self.peek() == Some(b'}') {
                        self.at += 1;
                        builder.end();
                        return Ok(());
                    }
                    self.member_name(builder)?;
                }
                Some(b'[') => {
                    self.at += 1;
                    builder.begin_array()?;
                    self.skip_space();
                    if self.peek() == Some(b']') {
                        self.at += 1;
                        builder.end();
                        return Ok(());
                    }
                }
                _ => return self.scalar(builder),
            }
        }
    }

    #[inline(always)]
    fn scalar(&mut self, builder: &mut ValueBuilder) -> Result<()> {
        match self.peek() {
            Some(b'"') => {
                let start = self.at + 1;
                if let Some((block, len)) = self.block_string() {
                    self.at = start + len + 1;
                    return builder.block_string(block, len, || &self.text[start..start + len]);
                }
                if let Some((block, len)) = self.two_block_string() {
                    self.at = start + len + 1;
                    return builder.block_string(block, len, || &self.text[start..start + len]);
                }
                let text = self.string()?;
                builder.string(text.get(&self.unescaped))
            }
            Some(b't') => self.literal("true").and_then(|()| builder.boolean(true)),
            Some(b'f') => self.literal("false").and_then(|()| builder.boolean(false)),
            Some(b'n') => self.literal("null").and_then(|()| builder.null()),
            Some(_) => {
                let scanned = number::scan(&self.bytes[self.at..]);
                let (number, len) = scanned.ok_or_else(|| self.no_value())?;
                let number = number.map_err(|error| self.out_of_range(error))?;
                self.at += len;
                builder.number(number)
            }
            None => Err(self.error("the JSON text ends too early")),
        }
    }

    fn literal(&mut self, word: &str) -> Result<()> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.no_value());
        }
        self.at += word.len();
        Ok(())
    }

    /// A string without escapes that is so short that it lies in one block, with its quotes: the block, and the length of
    /// the text in it.
    #[inline(always)]
    fn block_string(&self) -> Option<([u8; BLOCK], usize)> {
        let block = *self.bytes[self.at..].first_chunk::<BLOCK>()?;
        let text = u128::from_le_bytes(block) >> 8;
        let len = match specials(text as u64) {
            0 => match specials((text >> 64) as u64) {
                0 => return None,
                high => 8 + high.trailing_zeros() as usize / 8,
            },
            low => low.trailing_zeros() as usize / 8,
        };
        // The byte that was shifted in last is none of the block.
        (block.get(len + 1) == Some(&b'"')).then_some((block, len))
    }

    /// As [`JsonParser::block_string`], of a string that lies in two blocks.
    #[inline]
    fn two_block_string(&self) -> Option<([u8; 2 * BLOCK], usize)> {
        let block = *self.bytes[self.at..].first_chunk::<{ 2 * BLOCK }>()?;
        // The last word overlaps the one before it.
        for start in [1, 9, 17, 24] {
            let word = block[start..].first_chunk().expect("a word is inside both blocks");
            let special = specials(u64::from_le_bytes(*word));
            if special != 0 {
                let end = start + special.trailing_zeros() as usize / 8;
                return (block[end] == b'"').then_some((block, end - 1));
            }
        }
        None
    }

    #[inline(always)]
    fn member_name(&mut self, builder: &mut ValueBuilder) -> Result<()> {
        // Objects of one shape repeat, in one text and from command to command.
        if let Some(len) = builder.predicted_name(&self.bytes[self.at..])? {
            self.at += len;
            return Ok(());
        }
        self.other_member_name(builder)
    }

    #[inline(never)]
    fn other_member_name(&mut self, builder: &mut ValueBuilder) -> Result<()> {
        self.skip_space();
        if self.peek() != Some(b'"') {
            return Err(self.error("expected a member name in double quotes"));
        }
        let name = self.string()?;
        builder.name(name.get(&self.unescaped))?;
        self.skip_space();
        if self.next_byte()? != b':' {
            return Err(self.error_before("expected a colon"));
        }
        Ok(())
    }

    /// Reads a string; what had escapes is left in `unescaped`.
    #[inline]
    fn string(&mut self) -> Result<Scanned<'a>> {
        let start = self.at + 1;
        let end = start + plain_len(&self.bytes[start..]);
        self.at = end;
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(Scanned::Plain(&self.text[start..end]));
        }
        self.unescaped.clear();
        self.unescaped.push_str(&self.text[start..end]);
        self.string_with_escapes()?;
        Ok(Scanned::Unescaped)
    }

    fn string_with_escapes(&mut self) -> Result<()> {
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    let c = self.escape()?;
                    self.unescaped.push(c);
                }
                Some(_) => return Err(self.error("a control character inside a string")),
                None => return Err(self.error("the JSON text ends inside a string")),
            }
            let plain = plain_len(&self.bytes[self.at..]);
            self.unescaped.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain;
        }
    }

    fn escape(&mut self) -> Result<char> {
        Ok(match self.next_byte()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(self.error_before("an unknown escape in a string")),
        })
    }

    fn unicode_escape(&mut self) -> Result<char> {
        let first = self.four_hex_digits()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.bytes[self.at..].starts_with(b"\\u")
        {
            self.at += 2;
            let second = self.four_hex_digits()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.error("a lone surrogate in a string"));
            }
            0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.error("a lone surrogate in a string"))
    }

    fn four_hex_digits(&mut self) -> Result<u32> {
        let digits = self
            .bytes
            .get(self.at..self.at + 4)
            .ok_or_else(|| self.error("an unfinished escape"))?;
        let mut code = 0;
        for digit in digits {
            let value = char::from(*digit)
                .to_digit(16)
                .ok_or_else(|| self.error("expected four hex digits"))?;
            code = code << 4 | value;
        }
        self.at += 4;
        Ok(code)
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn next_byte(&mut self) -> Result<u8> {
        let byte = self.peek().ok_or_else(|| self.error("the JSON text ends too early"))?;
        self.at += 1;
        Ok(byte)
    }

    #[inline(always)]
    fn skip_space(&mut self) {
        if self.peek().is_some_and(|byte| byte <= b' ') {
            self.skip_more_space();
        }
    }

    #[inline(never)]
    fn skip_more_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// The refusal where a value should begin. A word or a single quote is most likely a string without its quotes.
    #[cold]
    fn no_value(&self) -> Error {
        match self.peek() {
            Some(b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'\'' | 0x80..) => self.unquoted(),
            _ => self.error("expected a JSON value"),
        }
    }

    /// The refusal of a string without its quotes. Where the text is one word, it is spelled as a shell is given it.
    #[cold]
    fn unquoted(&self) -> Error {
        const WORD_BYTES_MAX: usize = 40;
        let error = self.error("expected a JSON value: a string stands in double quotes");
        let rest = &self.bytes[self.at..];
        const LITERALS: [(&[u8], &str); 4] = [
            (b"true", "expected a JSON value: write true"),
            (b"false", "expected a JSON value: write false"),
            (b"null", "expected a JSON value: write null"),
            (b"none", "expected a JSON value: write null"),
        ];
        let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if let Some((_, message)) =
            LITERALS.iter().find(|(word, _)| rest[..end].eq_ignore_ascii_case(word))
        {
            return self.error(message);
        }
        let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let word = std::str::from_utf8(self.bytes).ok().filter(|_| self.at == 0);
        match word.filter(|word| {
            word.len() <= WORD_BYTES_MAX && word.bytes().all(|byte| is_of_word(&byte))
        }) {
            Some(word) => {
                let message = format!("{}, as '\"{word}\"' in a shell", error.message());
                Error::syntax(message).integer("offset", 0).text("argument", word.as_bytes())
            }
            None => error,
        }
    }

    /// The refusal of a number that no document can hold.
    #[cold]
    fn out_of_range(&self, error: Error) -> Error {
        let refused = Error::new(error.code(), format!("{}: write it as text", error.message()));
        let refused = match error.detail("argument") {
            Some(Detail::Text(argument)) => refused.text("argument", argument.as_bytes()),
            _ => refused,
        };
        let read = |name: &str| {
            string(name.as_bytes(), &Limits::NONE).expect("the text before the place was read")
        };
        match text_place::pointer(self.text, self.at, read) {
            root if root.is_empty() => refused,
            place => refused.text("place", place.as_bytes()),
        }
    }

    #[cold]
    fn error(&self, message: &'static str) -> Error {
        Error::syntax(message).integer("offset", self.at as i64)
    }

    #[cold]
    fn error_before(&self, message: &'static str) -> Error {
        Error::syntax(message).integer("offset", self.at as i64 - 1)
    }
}

enum Scanned<'a> {
    Plain(&'a str),
    Unescaped,
}

impl<'a> Scanned<'a> {
    #[inline]
    fn get<'s>(self, unescaped: &'s str) -> &'s str
    where
        'a: 's,
    {
        match self {
            Scanned::Plain(text) => text,
            Scanned::Unescaped => unescaped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::value::print;

    fn round_trip(text: &str) -> Result<String> {
        json(text.as_bytes(), &Limits::DEFAULT).map(|parsed| print::to_string(parsed.value.view()))
    }

    #[test]
    fn texts_come_back_compact() {
        for (text, expected) in [
            (" 1 ", "1"),
            ("\t[ ]\n", "[]"),
            (r#"{ "a" : [ 1 , 2.50 , "x" ] , "b" : { } }"#, r#"{"a":[1,2.5,"x"],"b":{}}"#),
            (
                r#""\u00e9\ud83d\ude00\/\b\f\n\r\t\"\\\u0000""#,
                "\"é😀/\\b\\f\\n\\r\\t\\\"\\\\\\u0000\"",
            ),
            ("9007199254740993", "9007199254740993"),
            ("[100000000000000000000]", "[1e20]"),
            (r#"{"a":-18446744073709552000}"#, r#"{"a":-1.8446744073709552e19}"#),
            ("1.0", "1.0"),
            ("[null,true,false]", "[null,true,false]"),
        ] {
            assert_eq!(round_trip(text).unwrap(), expected);
        }
    }

    #[test]
    fn of_a_repeated_name_the_last_value_wins_at_the_first_place() {
        assert_eq!(round_trip(r#"{"a":1,"b":2,"a":3}"#).unwrap(), r#"{"a":3,"b":2}"#);
        assert_eq!(
            round_trip(r#"{"a":{"x":1},"b":2,"\u0061":[3],"b":4}"#).unwrap(),
            r#"{"a":[3],"b":4}"#
        );
        let many: Vec<String> = (0..400).map(|i| format!("\"name{}\":{i}", i % 200)).collect();
        let expected: Vec<String> =
            (200..400).map(|i| format!("\"name{}\":{i}", i - 200)).collect();
        assert_eq!(
            round_trip(&format!("{{{}}}", many.join(","))).unwrap(),
            format!("{{{}}}", expected.join(","))
        );
        let parsed = json(br#"{"a":"long enough","a":1}"#, &Limits::DEFAULT).unwrap();
        assert_eq!(parsed.size, parsed.value.view().size());
    }

    #[test]
    fn malformed_text_is_a_syntax_error() {
        for text in [
            "",
            " ",
            "{",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "]",
            "}",
            "[}",
            "{]",
            "tru",
            "nul",
            "falsee",
            "1 2",
            "\"",
            "\"\\",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"a\nb\"",
            "\"\0\"",
            "\0",
            "1\0",
            "[1 2]",
            "--1",
            "01",
            "'a'",
            "+1",
            "\"\\u+123\"",
            "[\"a\":1]",
            "\u{feff}1",
            "NaN",
        ] {
            assert_eq!(round_trip(text).unwrap_err().code(), ErrorCode::Err, "{text:?}");
        }
        assert_eq!(json(b"\"\xff\"", &Limits::DEFAULT).unwrap_err().code(), ErrorCode::Err);
    }

    #[test]
    fn a_number_that_cannot_be_held_is_refused_with_its_place() {
        for (text, argument, place) in [
            ("9223372036854775808", "9223372036854775808", None),
            (
                r#"{"a":[0,{"b/c":-9223372036854775809}]}"#,
                "-9223372036854775809",
                Some("/a/1/b~1c"),
            ),
            (r#"["1,2", 1e999]"#, "1e999", Some("/1")),
        ] {
            let error = round_trip(text).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Range, "{text}");
            assert!(error.message().ends_with(": write it as text"), "{text}");
            assert_eq!(error.detail("argument"), Some(&Detail::Text(argument.into())), "{text}");
            let place = place.map(|place| Detail::Text(place.into()));
            assert_eq!(error.detail("place"), place.as_ref(), "{text}");
        }
    }

    #[test]
    fn a_word_where_a_value_should_be_is_refused_with_the_spelling_that_is_right() {
        const QUOTES: &str = "expected a JSON value: a string stands in double quotes";
        for (text, message) in [
            ("Ann", QUOTES),
            ("truth", QUOTES),
            (r#"{"name":Ann}"#, QUOTES),
            ("['a']", QUOTES),
            ("é", QUOTES),
            ("@", "expected a JSON value"),
            ("[,]", "expected a JSON value"),
        ] {
            let error = round_trip(text).unwrap_err();
            assert!(error.message().starts_with(message), "{text}: {}", error.message());
            let spelled = error.message().ends_with(&format!(", as '\"{text}\"' in a shell"));
            assert_eq!(spelled, matches!(text, "Ann" | "truth"), "{text}");
        }
    }

    #[test]
    fn a_text_means_the_same_however_its_parts_lie() {
        // Names that are known by now, so that they are predicted, and strings of every length around a block's.
        for nth in 0..20 {
            for len in 0..32 {
                let text = "é7x".repeat(11).chars().take(len).collect::<String>();
                for escape in ["", "\\n", "\\\"", "\\\\", "\\u0000"] {
                    let compact = format!(
                        r#"{{"parse-a":"{text}{escape}","parse-b":["{escape}{text}","{text}"],"parse-a{nth}":{{"parse-b":"{text}"}},"parse-c":{nth}}}"#
                    );
                    let spaced = compact.replace(',', " ,\n ").replace(':', "\t: ");
                    for text in [&compact, &compact.replace(':', ": "), &spaced] {
                        assert_eq!(round_trip(text).unwrap(), compact);
                    }
                }
            }
        }
        for text in [
            r#"{"parse-a" 1}"#,
            r#"{"parse-a":1,,}"#,
            "{\"parse-a\":\"a\nb\"}",
            "{\"parse-a\":\"\0\"}",
        ] {
            assert_eq!(round_trip(text).unwrap_err().code(), ErrorCode::Err, "{text}");
        }
        let repeated = r#"{"parse-a":1,"parse-b":2,"parse-a":3}"#;
        assert_eq!(round_trip(repeated).unwrap(), r#"{"parse-a":3,"parse-b":2}"#);
    }

    #[test]
    fn limits_hold_at_the_maximum_and_one_past_it() {
        let limits = Limits { depth: 3, bytes: 100 };
        assert!(json(b"[[[1]]]", &limits).is_ok());
        assert_eq!(json(b"[[[[]]]]", &limits).unwrap_err().code(), ErrorCode::Limit);
        assert!(json(format!("\"{}\"", "x".repeat(98)).as_bytes(), &limits).is_ok());
        assert_eq!(
            json(format!("\"{}\"", "x".repeat(99)).as_bytes(), &limits).unwrap_err().code(),
            ErrorCode::Limit
        );
        let deep = "[".repeat(1_000_000);
        assert_eq!(json(deep.as_bytes(), &Limits::NONE).unwrap_err().code(), ErrorCode::Limit);
    }

    #[test]
    fn plain_len_stops_at_every_special_byte() {
        for len in 0..20 {
            for special in [0u8, 0x1f, b'"', b'\\'] {
                let mut bytes = vec![b'a'; len];
                bytes.push(special);
                bytes.extend_from_slice(b"\"\"\"\"\"\"\"\"\"");
                assert_eq!(plain_len(&bytes), len);
            }
        }
        assert_eq!(plain_len("é\u{7f}\u{80}ÿ x!]#[".as_bytes()), "é\u{7f}\u{80}ÿ x!]#[".len());
    }
}
