//! Values to JSON text (RFC 8259): compact, members in order, everything exact.
//!
//! The text is written into a buffer that is longer than it, so that short pieces are copied in
//! blocks of a fixed size and the buffer is asked for room once for each piece.

use super::chunks::ChunkContent;
use super::names::{NameId, PRINTED_BLOCK};
use super::number::Number;
use super::pack::{PackedBody, PackedName};
use super::parse::{plain_len, specials};
use super::view::{ArrayView, ObjectView, View};

/// Appends the value's JSON text.
pub fn json(view: View<'_>, out: &mut Vec<u8>) {
    let mut printer = Printer::new(out, view.text_hint());
    printer.value(view);
    printer.finish();
}

/// The value's JSON text as a `String`.
pub fn to_string(view: View<'_>) -> String {
    let mut out = Vec::new();
    json(view, &mut out);
    String::from_utf8(out).expect("JSON text of UTF-8 strings is UTF-8")
}

/// Appends UTF-8 text as a JSON string. Only what must be escaped is.
pub fn string(text: &[u8], out: &mut Vec<u8>) {
    let mut printer = Printer::new(out, text.len() + 2);
    printer.string(text);
    printer.finish();
}

struct Printer<'o> {
    /// The printed bytes, with room for more.
    buffer: &'o mut Vec<u8>,
    /// Where the text ends.
    at: usize,
}

impl<'o> Printer<'o> {
    fn new(buffer: &'o mut Vec<u8>, hint: usize) -> Printer<'o> {
        let at = buffer.len();
        buffer.resize(buffer.capacity().max(at + hint), 0);
        Printer { buffer, at }
    }

    fn finish(self) {
        self.buffer.truncate(self.at);
    }

    /// Makes room for so many bytes more.
    #[inline(always)]
    fn room(&mut self, bytes: usize) {
        if self.buffer.len() - self.at < bytes {
            self.grow(bytes);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, bytes: usize) {
        self.buffer.resize((self.at + bytes).max(self.buffer.len() * 2), 0);
    }

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
    fn byte(&mut self, byte: u8) {
        self.room(1);
        self.buffer[self.at] = byte;
        self.at += 1;
    }

    #[inline(always)]
    fn text(&mut self, text: &[u8]) {
        self.room(text.len());
        self.buffer[self.at..self.at + text.len()].copy_from_slice(text);
        self.at += text.len();
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

    fn string(&mut self, text: &[u8]) {
        self.room(text.len() + 2);
        let to = &mut self.buffer[self.at..self.at + text.len() + 2];
        if !copy_plain(text, &mut to[1..=text.len()]) {
            return self.escaped_string(text);
        }
        to[0] = b'"';
        to[text.len() + 1] = b'"';
        self.at += text.len() + 2;
    }

    #[cold]
    fn escaped_string(&mut self, text: &[u8]) {
        self.byte(b'"');
        let mut rest = text;
        loop {
            let plain = plain_len(rest);
            self.text(&rest[..plain]);
            let Some(special) = rest.get(plain) else { break };
            self.escape(*special);
            rest = &rest[plain + 1..];
        }
        self.byte(b'"');
    }

    fn escape(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        match byte {
            b'"' => self.text(b"\\\""),
            b'\\' => self.text(b"\\\\"),
            b'\n' => self.text(b"\\n"),
            b'\r' => self.text(b"\\r"),
            b'\t' => self.text(b"\\t"),
            0x08 => self.text(b"\\b"),
            0x0c => self.text(b"\\f"),
            _ => {
                self.text(b"\\u00");
                self.byte(HEX[usize::from(byte >> 4)]);
                self.byte(HEX[usize::from(byte & 15)]);
            }
        }
    }
}

/// Copies text into as many bytes; says whether all of it may stand in a JSON string as it is.
#[inline]
fn copy_plain(text: &[u8], to: &mut [u8]) -> bool {
    let mut special = 0;
    if let (Some(last), Some(last_to)) = (text.last_chunk::<8>(), to.last_chunk_mut::<8>()) {
        // The last eight bytes may overlap those copied below; they are the same.
        *last_to = *last;
        special |= specials(u64::from_le_bytes(*last));
        for (from, to) in text.chunks_exact(8).zip(to.chunks_exact_mut(8)) {
            let chunk: [u8; 8] = from.try_into().expect("a chunk has eight bytes");
            to.copy_from_slice(&chunk);
            special |= specials(u64::from_le_bytes(chunk));
        }
        return special == 0;
    }
    let mut word = [b' '; 8];
    for ((from, to), copy) in text.iter().zip(to).zip(&mut word) {
        *to = *from;
        *copy = *from;
    }
    specials(u64::from_le_bytes(word)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_must_be_escaped_is_found_wherever_it_stands() {
        let escaped = [(b'"', "\\\""), (b'\\', "\\\\"), (b'\n', "\\n"), (0x1f, "\\u001f")];
        for len in 0..40 {
            let plain = "é7".repeat(len).as_bytes()[..len / 3 * 3].to_vec();
            for at in 0..=plain.len() {
                if plain.get(at).is_some_and(|byte| (0x80..0xc0).contains(byte)) {
                    continue;
                }
                for (byte, text) in escaped {
                    let (before, after) = plain.split_at(at);
                    let mut out = b"before".to_vec();
                    string(&[before, &[byte], after].concat(), &mut out);
                    let expected = [b"before\"", before, text.as_bytes(), after, b"\""].concat();
                    assert_eq!(out, expected);
                }
            }
            let mut out = Vec::new();
            string(&plain, &mut out);
            assert_eq!(out, [b"\"", &plain[..], b"\""].concat());
        }
    }
}
