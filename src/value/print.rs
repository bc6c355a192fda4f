//! Values to JSON text (RFC 8259): compact, members in order, everything exact.

use super::names::NameId;
use super::number::Number;
use super::pack::PackedName;
use super::parse::plain_len;
use super::tree::SlotName;
use super::view::{ArrayView, ObjectView, View};

/// Appends the value's JSON text.
pub fn json(view: View<'_>, out: &mut Vec<u8>) {
    value(view, out);
}

/// Scalars are printed where they were found, without a call.
#[inline(always)]
fn value(view: View<'_>, out: &mut Vec<u8>) {
    match view {
        View::Null => out.extend_from_slice(b"null"),
        View::Bool(true) => out.extend_from_slice(b"true"),
        View::Bool(false) => out.extend_from_slice(b"false"),
        View::Int(value) => Number::Int(value).print(out),
        View::Float(value) => Number::Float(value).print(out),
        View::Str(text) => string(text.as_bytes(), out),
        View::Array(items) => array(items, out),
        View::Object(members) => object(members, out),
    }
}

fn array(array: ArrayView<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    match array {
        ArrayView::Packed(body) => items(body.items(), out),
        ArrayView::Tree(array) => items(array.iter().map(|value| value.view()), out),
    }
    close(b']', out);
}

fn object(object: ObjectView<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    match object {
        ObjectView::Packed(body) => {
            for (name, member) in body.members() {
                match name {
                    PackedName::Shared(id) => shared_name(id, out),
                    PackedName::Text(text) => member_name(text, out),
                }
                value(member, out);
                out.push(b',');
            }
        }
        ObjectView::Tree(object) => {
            for (_, name, member) in object.members() {
                match name {
                    SlotName::Shared(id) => shared_name(*id, out),
                    other => member_name(other.text().as_bytes(), out),
                }
                value(member.view(), out);
                out.push(b',');
            }
        }
    }
    close(b'}', out);
}

#[inline]
fn items<'a>(items: impl Iterator<Item = View<'a>>, out: &mut Vec<u8>) {
    for item in items {
        value(item, out);
        out.push(b',');
    }
}

/// Ends a container; the comma behind its last child gives way.
fn close(bracket: u8, out: &mut Vec<u8>) {
    match out.last_mut() {
        Some(last) if *last == b',' => *last = bracket,
        _ => out.push(bracket),
    }
}

fn shared_name(id: NameId, out: &mut Vec<u8>) {
    let (bytes, len) = id.printed();
    out.extend_from_slice(&bytes[..len]);
}

fn member_name(text: &[u8], out: &mut Vec<u8>) {
    string(text, out);
    out.push(b':');
}

/// The value's JSON text as a `String`.
pub fn to_string(view: View<'_>) -> String {
    let mut out = Vec::with_capacity(64);
    json(view, &mut out);
    String::from_utf8(out).expect("JSON text of UTF-8 strings is UTF-8")
}

/// Appends UTF-8 text as a JSON string. Only what must be escaped is.
pub fn string(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    loop {
        let plain = plain_len(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some(special) = rest.get(plain) else { break };
        escape(*special, out);
        rest = &rest[plain + 1..];
    }
    out.push(b'"');
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0c => out.extend_from_slice(b"\\f"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
    }
}
