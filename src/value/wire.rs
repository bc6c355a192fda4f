//! The portable encoding of values: the same bytes for the same content on every machine, whatever
//! the representation. RDB, DUMP, replicated effects and digests are made of it.
//!
//! ```text
//! value := 0 null | 1 false | 2 true | 3 varint zigzag integer | 4 f64 little-endian
//!        | 5 text | 6 varint:count value* | 7 varint:count (text value)*
//!        | 8 packed container       in an RDB alone, see [`super::saved`]
//! text  := varint:bytes UTF-8
//! ```
//!
//! A varint is LEB128 of at most ten bytes. Whatever is read here may be corrupt or hostile: every
//! length is checked against what is left, nothing is allocated from a count, and nesting is limited.

use smallvec::SmallVec;

use super::build::{Measured, ValueBuilder};
use super::limits::Limits;
use super::number::Number;
use super::pack;
use super::saved::{self, FileNames};
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
const PACKED: u8 = 8;

/// The bytes of the longest varint.
pub const VARINT_BYTES_MAX: usize = 10;

/// Appends a value.
pub fn put_value(view: View<'_>, out: &mut Vec<u8>) {
    put::<false>(view, out);
}

/// As [`put_value`], with packed containers as they are. The file has a table of the names that they have numbers of.
pub fn put_value_for_file(view: View<'_>, out: &mut Vec<u8>) {
    put::<true>(view, out);
}

fn put<const PACKS: bool>(view: View<'_>, out: &mut Vec<u8>) {
    match view {
        View::Array(ArrayView::Packed(body)) if PACKS => {
            out.push(PACKED);
            saved::put(pack::ARRAY, body, out);
        }
        View::Object(ObjectView::Packed(body)) if PACKS => {
            out.push(PACKED);
            saved::put(pack::OBJECT, body, out);
        }
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
                ArrayView::Packed(body) => body.each_item(|item| put::<PACKS>(item, out)),
                ArrayView::Tree(array) => array.iter().for_each(|item| put::<PACKS>(item, out)),
            }
        }
        View::Object(object) => {
            out.push(OBJECT);
            put_varint(object.len() as u64, out);
            let mut put_member = |name: Text<'_>, value| {
                put_text(name.as_bytes(), out);
                put::<PACKS>(value, out);
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
    /// The names of the file; none in bytes of another origin, which have no packed containers.
    names: Option<&'a FileNames>,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes, names: None }
    }

    /// The same reader, of bytes in a file that has these names.
    pub fn with_names(self, names: Option<&'a FileNames>) -> Reader<'a> {
        Reader { names, ..self }
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
        if let Some(packed) = self.whole_packed() {
            limits.check_depth(packed.depth)?;
            limits.check_bytes(packed.size)?;
            return Ok(packed);
        }
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

    /// Passes over one value.
    pub fn skip(&mut self) -> Result<()> {
        // The children that each open container still awaits, and if they have names.
        let mut awaited: SmallVec<[(usize, bool); 16]> = SmallVec::new();
        loop {
            match self.byte()? {
                NULL | FALSE | TRUE => {}
                INT => drop(self.varint()?),
                FLOAT => drop(self.bytes(8)?),
                STRING => drop(self.text()?),
                tag @ (ARRAY | OBJECT) => awaited.push((self.count()?, tag == OBJECT)),
                _ => return Err(corrupt("an unknown tag")),
            }
            while matches!(awaited.last(), Some((0, _))) {
                awaited.pop();
            }
            let Some((children, named)) = awaited.last_mut() else { return Ok(()) };
            *children -= 1;
            if *named {
                self.text()?;
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
            PACKED => self.packed(builder),
            _ => Err(corrupt("an unknown tag")),
        }
    }

    /// A value that is one packed container, as most documents are.
    fn whole_packed(&mut self) -> Option<Measured> {
        let [PACKED, rest @ ..] = self.rest else { return None };
        let (node, rest) = rest.split_at_checked(saved::len(rest)?)?;
        let value = saved::read_whole(node, self.names?)?;
        self.rest = rest;
        Some(value)
    }

    fn packed(&mut self, builder: &mut ValueBuilder) -> Result<()> {
        let invalid = || corrupt("an invalid packed container");
        let names = self.names.ok_or_else(invalid)?;
        let len = saved::len(self.rest).ok_or_else(invalid)?;
        let node = self.bytes(len)?;
        saved::build(node, names, builder).unwrap_or_else(|| Err(invalid()))
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
            let mut reader = Reader::new(&bytes);
            reader.skip().unwrap();
            assert!(reader.is_empty(), "{json}");
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
