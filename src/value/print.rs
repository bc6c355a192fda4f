//! Values to JSON text (RFC 8259): compact, members in order, everything exact.

use super::chunks::ChunkContent;
use super::names::NameId;
use super::number::{Number, as_hundredths};
use super::pack::{self, HEADER_BYTES, PackedBody, PackedName};
use super::quote::{BLOCK, TextWriter};
use super::tree::Value;
use super::view::{ArrayView, ObjectView, View};

pub use super::quote::string;

/// Appends the value's JSON text.
pub fn json(view: View<'_>, out: &mut Vec<u8>) {
    // No more than this value needs: texts of many values are written one after the other into one buffer.
    out.reserve(view.text_hint());
    TextWriter::new(out).value(view);
}

/// The value's JSON text as a `String`.
pub fn to_string(view: View<'_>) -> String {
    let mut out = Vec::new();
    json(view, &mut out);
    String::from_utf8(out).expect("JSON text of UTF-8 strings is UTF-8")
}

impl TextWriter<'_> {
    #[inline]
    fn value(&mut self, view: View<'_>) {
        match view {
            View::Array(items) => self.array(items),
            View::Object(members) => self.object(members),
            scalar => self.scalar(scalar),
        }
    }

    /// Scalars are printed where they were found, without a call.
    #[inline(always)]
    fn scalar(&mut self, scalar: View<'_>) {
        match scalar {
            View::Null => self.text(b"null"),
            View::Bool(true) => self.text(b"true"),
            View::Bool(false) => self.text(b"false"),
            View::Int(value) => self.int(value),
            View::Float(value) => self.float(value),
            View::Str(text) => self.string(text.as_bytes()),
            View::Array(_) | View::Object(_) => unreachable!("a container is no scalar"),
        }
    }

    #[inline(always)]
    fn int(&mut self, value: i64) {
        match value {
            0..=9 => self.byte(b'0' + value as u8),
            10..=99 => self.text(&[b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]),
            _ => self.long_int(value),
        }
    }

    fn long_int(&mut self, value: i64) {
        Number::Int(value).with_text(|text| self.text(text));
    }

    fn float(&mut self, value: f64) {
        if let Some(hundredths) = as_hundredths(value) {
            return self.hundredths(hundredths);
        }
        Number::Float(value).with_text(|text| self.text(text));
    }

    /// Of at most five digits. Each piece has a length that is known to the compiler.
    #[inline(always)]
    fn hundredths(&mut self, hundredths: u32) {
        let digit = |number: u32| b'0' + (number % 10) as u8;
        let (whole, rest) = (hundredths / 100, hundredths % 100);
        match whole {
            0..10 => self.byte(digit(whole)),
            10..100 => self.text(&[digit(whole / 10), digit(whole)]),
            _ => self.text(&[digit(whole / 100), digit(whole / 10), digit(whole)]),
        }
        self.text(&[b'.', digit(rest / 10), digit(rest)]);
    }

    fn array(&mut self, array: ArrayView<'_>) {
        match array {
            ArrayView::Packed(body) => self.packed_array(body),
            ArrayView::Tree(array) => {
                self.byte(b'[');
                for part in array.chunks.parts() {
                    match part {
                        ChunkContent::Run(leaf) => self.all_items(leaf.get().body()),
                        ChunkContent::One((), item) => {
                            self.value(item.view());
                            self.byte(b',');
                        }
                    }
                }
                self.close(b']');
            }
        }
    }

    fn object(&mut self, object: ObjectView<'_>) {
        match object {
            ObjectView::Packed(body) => self.packed_object(body),
            ObjectView::Tree(object) => {
                self.byte(b'{');
                for part in object.chunks.parts() {
                    match part {
                        ChunkContent::Run(leaf) => self.all_members(leaf.get().body()),
                        ChunkContent::One(name, member) => {
                            self.name(name.packed());
                            self.value(member.view());
                            self.byte(b',');
                        }
                    }
                }
                self.close(b'}');
            }
        }
    }

    fn packed_array(&mut self, body: PackedBody<'_>) {
        self.byte(b'[');
        self.all_items(body);
        self.close(b']');
    }

    fn packed_object(&mut self, body: PackedBody<'_>) {
        self.byte(b'{');
        self.all_members(body);
        self.close(b'}');
    }

    fn all_items(&mut self, body: PackedBody<'_>) {
        self.items(body.bytes(), 0, body.len());
    }

    fn all_members(&mut self, body: PackedBody<'_>) {
        self.members(body.bytes(), 0, body.len());
    }

    // Containers inside packed bytes are printed from the same bytes as those around them: behind most strings there is
    // a block's worth of them.

    /// Prints so many nodes from `at` on, each with a comma, and returns where they end.
    fn items(&mut self, bytes: &[u8], mut at: usize, count: usize) -> usize {
        for _ in 0..count {
            at = self.node(bytes, at);
            self.byte(b',');
        }
        at
    }

    /// As [`TextWriter::items`], of members.
    fn members(&mut self, bytes: &[u8], mut at: usize, count: usize) -> usize {
        for _ in 0..count {
            let (name, value_at) = pack::name_at(bytes, at);
            if name.is_hole() {
                at = value_at + pack::node_len(bytes, value_at);
                continue;
            }
            self.name(name);
            at = self.node(bytes, value_at);
            self.byte(b',');
        }
        at
    }

    /// Prints the packed node at `at` and returns where it ends. The usual kinds are printed from the bytes, without
    /// a view in between.
    #[inline(always)]
    fn node(&mut self, bytes: &[u8], at: usize) -> usize {
        let tag = bytes[at];
        match pack::short_string_len(tag) {
            Some(len) => {
                self.string_at(bytes, at, len);
                at + 1 + len
            }
            None if tag == pack::ARRAY => {
                self.byte(b'[');
                let end = self.items(bytes, at + HEADER_BYTES, pack::u16_at(bytes, at + 3));
                self.close(b']');
                end
            }
            None if tag == pack::OBJECT => {
                self.byte(b'{');
                let end = self.members(bytes, at + HEADER_BYTES, pack::u16_at(bytes, at + 3));
                self.close(b'}');
                end
            }
            None => {
                let (scalar, end) = pack::read(bytes, at);
                self.scalar(scalar);
                end
            }
        }
    }

    #[inline(always)]
    fn name(&mut self, name: PackedName<'_>) {
        match name {
            PackedName::Shared(id) => self.shared_name(id),
            PackedName::Text(text) => {
                self.string(text);
                self.byte(b':');
            }
        }
    }

    #[inline(always)]
    fn shared_name(&mut self, id: NameId) {
        let (blocks, len) = id.printed();
        match blocks.first_chunk::<BLOCK>() {
            Some(block) if len <= BLOCK => self.block(block, len),
            _ => self.text(&blocks[..len]),
        }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&to_string(self.view()))
    }
}
