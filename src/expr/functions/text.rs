//! Functions on strings, and those that strings share with lists or bytes. Positions count code points.

use super::arguments::{alike, list as list_of, text, wanted};
use super::foreign::Cost;
use super::{Function, list};
use crate::expr::datum::Datum;
use crate::expr::eval::{Eval, Evaluated};
use crate::expr::fault::Fault;

/// The functions of this family.
pub(super) static FUNCTIONS: [Function; 17] = [
    Function::global(
        "size",
        (1, 1),
        size,
        [
            "size(x)",
            "number of code points of a string, of bytes, of elements of a list, of entries of a map; also x.size()",
            "bytes of a string / 32",
            "size('Zoë') + [1, 2].size()",
            "5",
        ],
    ),
    Function::method("size", (1, 1), size, UNLISTED),
    Function::method(
        "contains",
        (2, 2),
        contains,
        [
            "text.contains(part)",
            "true if the string, or the bytes, contain the part",
            "bytes of both / 8",
            "'abc'.contains('b')",
            "true",
        ],
    ),
    Function::method(
        "startsWith",
        (2, 2),
        starts_with,
        [
            "text.startsWith(part)",
            "true if the string, or the bytes, begin with the part",
            "bytes of the part / 32",
            "b'abc'.startsWith(b'ab')",
            "true",
        ],
    ),
    Function::method(
        "endsWith",
        (2, 2),
        ends_with,
        [
            "text.endsWith(part)",
            "true if the string, or the bytes, end with the part",
            "bytes of the part / 32",
            "'abc'.endsWith('bc')",
            "true",
        ],
    ),
    Function::method(
        "indexOf",
        (2, 3),
        index_of,
        [
            "x.indexOf(part, from)",
            "position of the first occurrence of a part of a string, or of an element of a list; -1 if there is none; from only with strings",
            "bytes of both / 4, or elements",
            "'abcabc'.indexOf('c', 3) + [7, 8].indexOf(8)",
            "6",
        ],
    ),
    Function::method(
        "lastIndexOf",
        (2, 3),
        last_index_of,
        [
            "x.lastIndexOf(part, from)",
            "position of the last occurrence, as above",
            "bytes of both / 4, or elements",
            "'abcabc'.lastIndexOf('b') + [8, 8].lastIndexOf(8)",
            "5",
        ],
    ),
    Function::foreign_method(
        "charAt",
        (2, 2),
        Cost::Linear,
        [
            "text.charAt(place)",
            "character at a position; empty at the end",
            "bytes / 8",
            "'Zoë'.charAt(2)",
            "\"ë\"",
        ],
    ),
    Function::foreign_method(
        "substring",
        (2, 3),
        Cost::Linear,
        [
            "text.substring(start, end)",
            "characters from start to end - 1, or to the last one",
            "bytes / 8",
            "'abcd'.substring(1, 3)",
            "\"bc\"",
        ],
    ),
    Function::foreign_method(
        "replace",
        (3, 4),
        Cost::Replace,
        [
            "text.replace(part, other, count)",
            "string with every occurrence replaced, or the first count of them",
            "bytes / 8, and the bytes of other for each occurrence",
            "'aXbX'.replace('X', '-')",
            "\"a-b-\"",
        ],
    ),
    Function::foreign_method(
        "split",
        (2, 3),
        Cost::Split,
        [
            "text.split(separator, count)",
            "list of the parts between separators, at most count",
            "bytes / 8, and 8 for each part",
            "'a,b'.split(',')",
            "[\"a\",\"b\"]",
        ],
    ),
    Function::foreign_method(
        "trim",
        (1, 1),
        Cost::Linear,
        [
            "text.trim()",
            "string without white space at both ends",
            "bytes / 8",
            "' a '.trim()",
            "\"a\"",
        ],
    ),
    Function::foreign_method(
        "lowerAscii",
        (1, 1),
        Cost::Linear,
        [
            "text.lowerAscii()",
            "string with A to Z in lower case",
            "bytes / 8",
            "'TacoCÆt'.lowerAscii()",
            "\"tacocÆt\"",
        ],
    ),
    Function::foreign_method(
        "upperAscii",
        (1, 1),
        Cost::Linear,
        [
            "text.upperAscii()",
            "string with a to z in upper case",
            "bytes / 8",
            "'taco'.upperAscii()",
            "\"TACO\"",
        ],
    ),
    Function::method(
        "reverse",
        (1, 1),
        reverse,
        [
            "x.reverse()",
            "characters or elements in reverse order",
            "bytes / 4, or elements",
            "[1, 2].reverse()",
            "[2,1]",
        ],
    ),
    Function::foreign_method(
        "format",
        (2, 2),
        Cost::Format,
        [
            "text.format(list)",
            "string with %s %d %f %e %x %o %b replaced by the values of the list",
            "bytes of both, and 64 for each clause",
            "'%s: %.2f'.format(['a', 1.5])",
            "\"a: 1.50\"",
        ],
    ),
    Function::foreign(
        "strings.quote",
        (1, 1),
        Cost::Linear,
        [
            "strings.quote(text)",
            "string as a literal, in quotes and with escapes",
            "bytes / 8",
            "strings.quote('a\"b')",
            r#""\"a\\\"b\"""#,
        ],
    ),
];

const UNLISTED: [&str; 5] = [""; 5];

fn size<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let size = match &arguments[0] {
        Datum::Str(text) => {
            eval.budget.scan(text.as_bytes().len())?;
            text.code_points()
        }
        Datum::MadeStr(text) => {
            eval.budget.scan(text.len())?;
            text.chars().count()
        }
        Datum::Bytes(bytes) => bytes.len(),
        Datum::MadeBytes(bytes) => bytes.len(),
        Datum::List(list) => list.len(),
        Datum::Map(map) => map.len(),
        other => return Err(Fault::text(format!("{} has no size", other.described()))),
    };
    Ok(Datum::Int(size as i64))
}

fn contains<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let (whole, part) = alike(&arguments[0], &arguments[1])?;
    eval.budget.scan(4 * (whole.len() + part.len()))?;
    let found = match (arguments[0].as_str(), arguments[1].as_str()) {
        (Some(whole), Some(part)) => whole.contains(part),
        _ => memchr::memmem::find(whole, part).is_some(),
    };
    Ok(Datum::Bool(found))
}

fn starts_with<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let (whole, part) = alike(&arguments[0], &arguments[1])?;
    eval.budget.scan(part.len())?;
    Ok(Datum::Bool(whole.starts_with(part)))
}

fn ends_with<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let (whole, part) = alike(&arguments[0], &arguments[1])?;
    eval.budget.scan(part.len())?;
    Ok(Datum::Bool(whole.ends_with(part)))
}

fn reverse<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    if let Some(text) = arguments[0].as_str() {
        eval.budget.make(2 * text.len())?;
        return Ok(Datum::string(text.chars().rev().collect::<String>()));
    }
    let list = list_of(&arguments[0])?;
    eval.budget.make_list(list.len())?;
    let mut items: Vec<_> = list.iter().collect();
    items.reverse();
    Datum::list(items)
}

/// The code points before a byte.
fn code_points(text: &str, bytes: usize) -> i64 {
    text[..bytes].chars().count() as i64
}

/// The byte at which the code point of that number begins; `None` past the end.
fn byte_of(text: &str, code_point: i64) -> Option<usize> {
    let code_point = usize::try_from(code_point).ok()?;
    let ends = std::iter::once(text.len());
    text.char_indices().map(|(at, _)| at).chain(ends).nth(code_point)
}

/// The offset a search begins at, where there is one: as cel-go has it, an offset behind the last
/// character is out of range unless nothing is searched for.
fn offset(arguments: &[Datum<'_>], whole: &str, part: &str) -> Result<Option<i64>, Fault> {
    let offset = match arguments.get(2) {
        None => return Ok(None),
        Some(Datum::Int(offset)) => *offset,
        Some(other) => return Err(wanted("an int", other)),
    };
    let len = code_points(whole, whole.len());
    if offset < 0 || (offset >= len && !part.is_empty()) {
        return Err(Fault::Because("index out of range"));
    }
    Ok(Some(offset.min(len)))
}

fn index_of<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    if let [Datum::List(items), value] = arguments {
        return list::index_of(eval, items, value);
    }
    let (whole, part) = (text(&arguments[0])?, text(&arguments[1])?);
    eval.budget.scan(8 * (whole.len() + part.len()))?;
    let start = offset(arguments, whole, part)?.unwrap_or(0);
    let start = byte_of(whole, start).expect("the offset is inside");
    let found = whole[start..].find(part).map(|at| code_points(whole, start + at));
    Ok(Datum::Int(found.unwrap_or(-1)))
}

fn last_index_of<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    if let [Datum::List(items), value] = arguments {
        return list::last_index_of(eval, items, value);
    }
    let (whole, part) = (text(&arguments[0])?, text(&arguments[1])?);
    eval.budget.scan(8 * (whole.len() + part.len()))?;
    let end = match offset(arguments, whole, part)? {
        None => whole.len(),
        Some(offset) => {
            // The part begins at the offset at the latest.
            let start = byte_of(whole, offset).expect("the offset is inside");
            let room = whole.len() - start;
            let last = start + room.min(part.len());
            (0..=last).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0)
        }
    };
    let found = whole[..end].rfind(part).map(|at| code_points(whole, at));
    Ok(Datum::Int(found.unwrap_or(-1)))
}
