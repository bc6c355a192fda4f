//! JSON Pointer (RFC 6901).

use std::borrow::Cow;

use super::singular::Singular;
use super::step::PathStep;
use crate::error::{Error, Result};

/// Parses the empty text, or tokens that each follow a `/`.
pub(super) fn parse(text: &str) -> Result<Singular<'_>> {
    let mut singular = Singular::root();
    if text.is_empty() {
        return Ok(singular);
    }
    let Some(tokens) = text.strip_prefix('/') else {
        return Err(
            Error::syntax("a JSON Pointer is empty or begins with '/'").integer("offset", 0)
        );
    };
    let mut offset = 1;
    for token in tokens.split('/') {
        singular.push(PathStep::Token(unescape(token, offset)?));
        offset += token.len() + 1;
    }
    Ok(singular)
}

/// `~1` stands for `/` and `~0` for `~`; each is replaced once, so `~01` is `~1`.
fn unescape(token: &str, offset: usize) -> Result<Cow<'_, str>> {
    if !token.contains('~') {
        return Ok(Cow::Borrowed(token));
    }
    let mut out = String::with_capacity(token.len());
    let mut rest = token;
    while let Some(tilde) = rest.find('~') {
        out.push_str(&rest[..tilde]);
        out.push(match rest.as_bytes().get(tilde + 1) {
            Some(b'0') => '~',
            Some(b'1') => '/',
            _ => {
                let at = offset + token.len() - rest.len() + tilde;
                return Err(Error::syntax("'~' in a JSON Pointer is written '~0'")
                    .integer("offset", at as i64));
            }
        });
        rest = &rest[tilde + 2..];
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Detail;
    use crate::path::{Path, PathLimits};
    use crate::value::{Limits, Value, parse, print};

    fn document(json: &str) -> Value {
        parse::json(json.as_bytes(), &Limits::DEFAULT).unwrap().value
    }

    fn find(json: &str, pointer: &str) -> Option<String> {
        let document = document(json);
        let path = Path::parse(pointer.as_bytes(), &PathLimits::DEFAULT).unwrap();
        path.singular().unwrap().find(document.view()).map(print::to_string)
    }

    #[test]
    fn the_standards_examples_hold() {
        let json = r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#;
        for (pointer, expected) in [
            ("", json),
            ("/foo", r#"["bar","baz"]"#),
            ("/foo/0", r#""bar""#),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
        ] {
            assert_eq!(find(json, pointer).as_deref(), Some(expected), "{pointer}");
        }
    }

    #[test]
    fn tokens_fit_what_they_meet() {
        for (json, pointer, expected) in [
            (r#"{"~1":1,"/":2}"#, "/~01", Some("1")),
            (r#"{"~1":1,"/":2}"#, "/~1", Some("2")),
            (r#"{"a~/b":1}"#, "/a~0~1b", Some("1")),
            (r#"{"0":1,"-":2,"01":3}"#, "/0", Some("1")),
            (r#"{"0":1,"-":2,"01":3}"#, "/-", Some("2")),
            (r#"{"0":1,"-":2,"01":3}"#, "/01", Some("3")),
            (r#"{"":{"":5}}"#, "//", Some("5")),
            (r#"{"☺":1}"#, "/☺", Some("1")),
            ("[5,6]", "/1", Some("6")),
            ("[5,6]", "/01", None),
            ("[5,6]", "/00", None),
            ("[5,6]", "/+1", None),
            ("[5,6]", "/-1", None),
            ("[5,6]", "/-", None),
            ("[5,6]", "/2", None),
            ("[5,6]", "/", None),
            ("[5,6]", "/1/", None),
            ("[5,6]", "/99999999999999999999999999", None),
            ("[5,6]", "/٠", None),
            ("5", "/0", None),
        ] {
            assert_eq!(find(json, pointer).as_deref(), expected, "{json} {pointer}");
        }
    }

    #[test]
    fn a_bad_escape_is_refused_where_it_stands() {
        for (pointer, offset) in [("/~", 1), ("/a~", 2), ("/~2", 1), ("/ab/c~x", 5), ("/~0~", 3)] {
            let error = Path::parse(pointer.as_bytes(), &PathLimits::DEFAULT).unwrap_err();
            assert_eq!(error.detail("offset"), Some(&Detail::Integer(offset)), "{pointer}");
        }
    }

    #[test]
    fn a_pointer_is_no_query() {
        for text in ["a", "$", "#/a"] {
            assert!(Singular::parse_pointer(text.as_bytes(), &PathLimits::DEFAULT).is_err());
        }
    }
}
