//! Values to JSON text (RFC 8259): compact, members in order, everything exact.

use super::chunks::ChunkContent;
use super::names::{NameId, PRINTED_BLOCK};
use super::number::Number;
use super::pack::{PackedBody, PackedName};
use super::quote::TextWriter;
use super::tree::Value;
use super::view::{ArrayView, ObjectView, View};

pub use super::quote::string;

/// Appends the value's JSON text.
pub fn json(view: View<'_>, out: &mut Vec<u8>) {
    let mut writer = TextWriter::new(out, view.text_hint());
    writer.value(view);
    writer.finish();
}

/// The value's JSON text as a `String`.
pub fn to_string(view: View<'_>) -> String {
    let mut out = Vec::new();
    json(view, &mut out);
    String::from_utf8(out).expect("JSON text of UTF-8 strings is UTF-8")
}

impl TextWriter<'_> {
    /// Scalars are printed where they were found, without a call.
    #[inline(always)]
    fn value(&mut self, view: View<'_>) {
        match view {
            View::Null => self.text(b"null"),
            View::Bool(true) => self.text(b"true"),
            View::Bool(false) => self.text(b"false"),
            View::Int(value) => self.int(value),
            View::Float(value) => self.float(value),
            View::Str(text) => self.string(text.as_bytes()),
            View::Array(items) => self.array(items),
            View::Object(members) => self.object(members),
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
        Number::Float(value).with_text(|text| self.text(text));
    }

    fn array(&mut self, array: ArrayView<'_>) {
        self.byte(b'[');
        match array {
            ArrayView::Packed(body) => self.items(body),
            ArrayView::Tree(array) => {
                for part in array.chunks.parts() {
                    match part {
                        ChunkContent::Run(leaf) => self.items(leaf.get().body()),
                        ChunkContent::One((), item) => {
                            self.value(item.view());
                            self.byte(b',');
                        }
                    }
                }
            }
        }
        self.close(b']');
    }

    fn items(&mut self, body: PackedBody<'_>) {
        body.each_item(|item| {
            self.value(item);
            self.byte(b',');
        });
    }

    fn object(&mut self, object: ObjectView<'_>) {
        self.byte(b'{');
        match object {
            ObjectView::Packed(body) => self.members(body),
            ObjectView::Tree(object) => {
                for part in object.chunks.parts() {
                    match part {
                        ChunkContent::Run(leaf) => self.members(leaf.get().body()),
                        ChunkContent::One(name, member) => {
                            self.member(name.packed(), member.view())
                        }
                    }
                }
            }
        }
        self.close(b'}');
    }

    fn members(&mut self, body: PackedBody<'_>) {
        body.each_member(|name, member| {
            if !name.is_hole() {
                self.member(name, member);
            }
        });
    }

    #[inline(always)]
    fn member(&mut self, name: PackedName<'_>, member: View<'_>) {
        match name {
            PackedName::Shared(id) => self.shared_name(id),
            PackedName::Text(text) => self.name(text),
        }
        self.value(member);
        self.byte(b',');
    }

    /// Ends a container; the comma behind its last child gives way.
    #[inline]
    fn close(&mut self, bracket: u8) {
        match &mut self.buffer[self.at - 1] {
            last @ b',' => *last = bracket,
            _ => self.byte(bracket),
        }
    }

    #[inline(always)]
    fn shared_name(&mut self, id: NameId) {
        let (blocks, len) = id.printed();
        self.room(blocks.len());
        let to = &mut self.buffer[self.at..self.at + blocks.len()];
        let to = to.chunks_exact_mut(PRINTED_BLOCK);
        to.zip(blocks.chunks_exact(PRINTED_BLOCK)).for_each(|(to, from)| to.copy_from_slice(from));
        self.at += len;
    }

    fn name(&mut self, text: &[u8]) {
        self.string(text);
        self.byte(b':');
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&to_string(self.view()))
    }
}
