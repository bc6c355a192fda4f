//! The portable encoding of values: the same bytes for the same content on every machine, whatever
//! the representation. RDB, DUMP, replicated effects and digests are made of it.
//!
//! ```text
//! value := 0 null | 1 false | 2 true | 3 varint zigzag integer | 4 f64 little-endian
//!        | 5 text | 6 varint:count value* | 7 varint:count (text value)*
//! text  := varint:bytes UTF-8
//! ```
//!
//! A varint is LEB128 of at most ten bytes. Whatever is read here may be corrupt or hostile: every
//! length is checked against what is left, nothing is allocated from a count, and nesting is limited.

use smallvec::SmallVec;

use super::build::{Measured, ValueBuilder};
use super::limits::Limits;
use super::number::Number;
use super::view::{ArrayView, ObjectView, Text, View};
use crate::error::{Error, Result};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const FLOAT: u8 = 4;
const STRING: u8 = 5;
const ARRAY: u8 = 6;
const OBJECT: u8 = 7;

/// Appends a value.
pub fn put_value(view: View<'_>, out: &mut Vec<u8>) {
    match view {
        View::Null => out.push(NULL),
        View::Bool(value) => out.push(if value { TRUE } else { FALSE }),
        View::Int(value) => {
            out.push(INT);
            put_varint((value << 1 ^ value >> 63) as u64, out);
        }
        View::Float(value) => {
            out.push(FLOAT);
            out.extend_from_slice(&value.to_le_bytes());
        }
        View::Str(text) => {
            out.push(STRING);
            put_text(text.as_bytes(), out);
        }
        View::Array(array) => {
            out.push(ARRAY);
            put_varint(array.len() as u64, out);
            match array {
                ArrayView::Packed(body) => body.each_item(|item| put_value(item, out)),
                ArrayView::Tree(array) => array.iter().for_each(|item| put_value(item, out)),
            }
        }
        View::Object(object) => {
            out.push(OBJECT);
            put_varint(object.len() as u64, out);
            let mut put_member = |name: Text<'_>, value| {
                put_text(name.as_bytes(), out);
                put_value(value, out);
            };
            match object {
                ObjectView::Packed(body) => {
                    body.each_member(|name, value| put_member(name.text(), value));
                }
                ObjectView::Tree(object) => {
                    object.members().for_each(|(_, name, value)| put_member(name.text(), value));
                }
            }
        }
    }
}

pub fn put_text(text: &[u8], out: &mut Vec<u8>) {
    put_varint(text.len() as u64, out);
    out.extend_from_slice(text);
}

#[inline]
pub fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads portable bytes front to back.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Nothing may be left.
    pub fn finish(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(corrupt("bytes are left over")) }
    }

    /// Everything that is left.
    pub fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub fn byte(&mut self) -> Result<u8> {
        let (first, rest) =
            self.rest.split_first().ok_or_else(|| corrupt("the bytes end too early"))?;
        self.rest = rest;
        Ok(*first)
    }

    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        if len > self.rest.len() {
            return Err(corrupt("a length exceeds the bytes that are there"));
        }
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(taken)
    }

    pub fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(corrupt("an integer is too long"))
    }

    /// A count of things that take at least one byte each.
    pub fn count(&mut self) -> Result<usize> {
        let count = self.varint()?;
        if count > self.rest.len() as u64 {
            return Err(corrupt("a count exceeds the bytes that are there"));
        }
        Ok(count as usize)
    }

    pub fn text(&mut self) -> Result<&'a str> {
        let len = self.count()?;
        std::str::from_utf8(self.bytes(len)?).map_err(|_| corrupt("text is not UTF-8"))
    }

    /// Reads one value within limits.
    pub fn value(&mut self, limits: &Limits) -> Result<Measured> {
        let mut builder = ValueBuilder::new(limits);
        // How many children each open container still awaits.
        let mut awaited: SmallVec<[usize; 16]> = SmallVec::new();
        loop {
            self.node(&mut builder, &mut awaited)?;
            while awaited.last() == Some(&0) {
                awaited.pop();
                builder.end();
            }
            let Some(children) = awaited.last_mut() else { return Ok(builder.finish()) };
            *children -= 1;
            if builder.open() == Some(true) {
                builder.name(self.text()?)?;
            }
        }
    }

    fn node(
        &mut self,
        builder: &mut ValueBuilder,
        awaited: &mut SmallVec<[usize; 16]>,
    ) -> Result<()> {
        match self.byte()? {
            NULL => builder.null(),
            FALSE => builder.boolean(false),
            TRUE => builder.boolean(true),
            INT => {
                let zigzag = self.varint()?;
                builder.number(Number::Int((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)))
            }
            FLOAT => {
                let value =
                    f64::from_le_bytes(self.bytes(8)?.try_into().expect("eight bytes were taken"));
                if !value.is_finite() {
                    return Err(corrupt("a number is not finite"));
                }
                builder.number(Number::Float(value))
            }
            STRING => builder.string(self.text()?),
            ARRAY => {
                awaited.push(self.count()?);
                builder.begin_array()
            }
            OBJECT => {
                awaited.push(self.count()?);
                builder.begin_object()
            }
            _ => Err(corrupt("an unknown tag")),
        }
    }
}

#[cold]
pub fn corrupt(message: &'static str) -> Error {
    Error::syntax("corrupt payload").text("reason", message.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::parse;

    fn encode(json: &str) -> Vec<u8> {
        let parsed = parse::json(json.as_bytes(), &Limits::DEFAULT).unwrap();
        let mut out = Vec::new();
        put_value(parsed.value.view(), &mut out);
        out
    }

    fn decode(bytes: &[u8]) -> Result<String> {
        let mut reader = Reader::new(bytes);
        let read = reader.value(&Limits::DEFAULT)?;
        reader.finish()?;
        Ok(format!("{:?}", read.value))
    }

    #[test]
    fn values_survive() {
        for json in [
            "null",
            "-9223372036854775808",
            "9223372036854775807",
            "[]",
            "{}",
            "[[],{},[[0.1]]]",
            r#"{"a":{"b":[1,-1,"é\u0000"]},"":null,"~/":true}"#,
        ] {
            let bytes = encode(json);
            assert_eq!(decode(&bytes).unwrap(), json);
            for cut in 0..bytes.len() {
                assert!(decode(&bytes[..cut]).is_err(), "{json} cut at {cut}");
            }
        }
    }

    #[test]
    fn corrupt_bytes_are_refused() {
        let cases: [&[u8]; 9] = [
            &[9],
            &[0, 0],
            &[5, 2, b'a'],
            &[5, 1, 0xff],
            &[6, 0xff, 0xff, 0xff, 0xff, 0x0f],
            &[4, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f],
            &[3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
            &[7, 1, 0],
            &[6; 1000],
        ];
        for bytes in cases {
            assert!(decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
