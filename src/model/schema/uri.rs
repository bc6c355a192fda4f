//! URIs of the schema and its parts, and fragments of URIs.

/// The URI of the user's schema, unless it has an `$id`.
///
/// The crate stores a URI for every keyword, unless its scheme is this one. That would take a large part of its memory.
pub(super) const SCHEMA_URI: &str = "json-schema:///";
/// The URI of the resource with all parts. No `$id` of the user may start with it.
pub(super) const PARTS_URI: &str = "json-schema:///-/model-parts";

/// A JSON Pointer as the fragment of a URI.
pub(super) fn fragment(pointer: &str) -> String {
    let mut out = "#".to_owned();
    for byte in pointer.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~$".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The fragment with the characters escaped that no URI may have, as in `#/definitions/Record<string,number>`, which
/// generators write. None if there are no such characters.
pub(super) fn escaped(fragment: &str) -> Option<String> {
    let is_digit = |at: usize| fragment.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    let fits = |at: usize, byte: u8| match byte {
        b'%' => is_digit(at + 1) && is_digit(at + 2),
        _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte),
    };
    if fragment.bytes().enumerate().all(|(at, byte)| fits(at, byte)) {
        return None;
    }
    let mut out = String::with_capacity(fragment.len() + 8);
    for (at, byte) in fragment.bytes().enumerate() {
        match fits(at, byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    Some(out)
}

/// The text a URI's fragment spells.
pub(super) fn unescape(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut at = 0;
    while let Some(byte) = fragment.as_bytes().get(at) {
        let digits = fragment.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Appends a name as a token of a JSON Pointer.
pub(super) fn push_token(out: &mut String, name: &str) {
    for c in name.chars() {
        match c {
            '~' => out.push_str("~0"),
            '/' => out.push_str("~1"),
            c => out.push(c),
        }
    }
}

/// The name that a token of a JSON Pointer spells.
pub(super) fn token_name(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}
