//! `MERGE`: JSON Merge Patch (RFC 7396).
//!
//! Only what the patch names is touched: the walk goes along the patch, and a member whose value
//! stays the same is not changed.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::budget::weight;
use crate::error::Result;
use crate::reply::Reply;
use crate::value::edit::Editor;
use crate::value::{Limits, Measured, ObjectView, Place, ValueBuilder, View};

#[linkme::distributed_slice(OPERATORS)]
static MERGE: OpSpec = OpSpec {
    name: "MERGE",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "json", kind: OperandKind::Json },
    ],
    summary: "Applies a JSON Merge Patch (RFC 7396): members are set, null removes, objects are merged, all else is replaced",
    accepts: "any",
    absent: Absent::Create,
    reply: "the new value as JSON text",
    errors: &[],
    complexity: "O(M + N) with M the size of the patch and of what it replaces, and N that of the new value, which is replied",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(
            r#"{"a":{"b":1,"c":2},"d":3}"#,
            r#"MERGE $ '{"a":{"b":null,"e":4},"d":[null]}'"#,
            r#"{"a":{"c":2,"e":4},"d":[null]}"#,
            r#"{"a":{"c":2,"e":4},"d":[null]}"#,
        ),
        Example::new(r#"{"a":1}"#, r#"MERGE $ '{"a":1,"b":null}'"#, r#"{"a":1}"#, r#"{"a":1}"#),
        Example::new(
            r#"{"a":[1]}"#,
            r#"MERGE $.a '{"b":{"c":null}}'"#,
            r#"{"b":{}}"#,
            r#"{"a":{"b":{}}}"#,
        ),
        Example::new("{}", r#"MERGE $.a '{"b":1,"c":null}'"#, r#"{"b":1}"#, r#"{"a":{"b":1}}"#),
        Example::new(r#"{"a":1}"#, "MERGE $.a null", "null", r#"{"a":null}"#),
        Example::new(
            r#"[{"a":1},{"b":2}]"#,
            r#"MERGE $[*] '{"a":null}'"#,
            r#"[{} {"b":2}]"#,
            r#"[{},{"b":2}]"#,
        ),
    ],
    run: Action::Each(merge),
};

fn merge(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let patch = args[1].json().value.view();
    if site.value().is_some() {
        let (editor, place) = site.parts();
        merge_at(editor, &mut place.clone(), patch)?;
    } else {
        site.put(without_nulls(patch))?;
    }
    site.new_value()
}

fn merge_at(editor: &mut Editor<'_>, place: &mut Place, patch: View<'_>) -> Result<()> {
    match (patch.as_object(), editor.at(place).as_object()) {
        (Some(members), Some(_)) => merge_members(editor, place, members),
        _ => editor.replace(place, without_nulls(patch)),
    }
}

/// `place` is an object's.
fn merge_members(
    editor: &mut Editor<'_>,
    place: &mut Place,
    members: ObjectView<'_>,
) -> Result<()> {
    editor.spend(weight::MEMBER * members.len() as u64)?;
    for (name, patch) in members.iter() {
        let found =
            editor.at(place).as_object().expect("the place is an object").find(name.as_str());
        match (found.map(|(position, _)| position), patch) {
            (None, View::Null) => {}
            (None, _) => {
                editor.insert_member(place, name.as_str(), without_nulls(patch))?;
            }
            (Some(position), View::Null) => editor.remove_member(place, position)?,
            (Some(position), _) => {
                place.push(position);
                merge_at(editor, place, patch)?;
                place.pop();
            }
        }
    }
    Ok(())
}

/// The result of a patch applied to no value: the patch without the members it would remove. Arrays
/// are plain values, whatever they contain.
fn without_nulls(patch: View<'_>) -> Measured {
    let mut builder = ValueBuilder::new(&Limits::NONE);
    build(&mut builder, patch)
        .expect("a part of a value within limits is within the representation's");
    builder.finish()
}

fn build(builder: &mut ValueBuilder, patch: View<'_>) -> Result<()> {
    let Some(members) = patch.as_object() else { return builder.events(patch) };
    builder.begin_object()?;
    for (name, value) in members.iter().filter(|(_, value)| !matches!(value, View::Null)) {
        builder.name(name.as_str())?;
        build(builder, value)?;
    }
    builder.end();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::edit::Journal;
    use crate::value::{Root, parse, print};

    /// The document after the patch, and true if it changed. Undo restores the document.
    fn check(target: &str, patch: &str) -> (String, bool) {
        let document = parse::json(target.as_bytes(), &Limits::NONE).unwrap();
        let patch = parse::json(patch.as_bytes(), &Limits::NONE).unwrap();
        let (mut root, mut journal) = (Root::bare(document.value), Journal::default());
        let mut editor = Editor::new(&mut root, document.size, Limits::NONE, &mut journal);
        merge_at(&mut editor, &mut Place::new(), patch.value.view()).unwrap();
        let after = (print::to_string(editor.view()), editor.changed());
        assert_eq!(editor.size(), editor.view().size());
        editor.rollback();
        assert_eq!(print::to_string(editor.view()), target);
        after
    }

    #[test]
    fn the_standards_table_holds() {
        for (target, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert_eq!(check(target, patch), (expected.to_owned(), true), "{target} {patch}");
        }
    }

    #[test]
    fn what_stays_is_not_changed() {
        for (target, patch) in [
            (r#"{"a":{"b":1}}"#, r#"{"a":{"b":1,"c":null}}"#),
            (r#"{"a":{"b":1}}"#, "{}"),
            (r#"{"a":[1,null]}"#, r#"{"a":[1,null],"x":null}"#),
        ] {
            assert_eq!(check(target, patch), (target.to_owned(), false), "{target} {patch}");
        }
    }

    #[test]
    fn deep_and_wide_patches_merge() {
        let nest = |inner: &str| format!("{}{inner}{}", r#"{"a":"#.repeat(100), "}".repeat(100));
        let (merged, _) = check(&nest(r#"{"x":1,"z":0}"#), &nest(r#"{"y":[null],"z":null}"#));
        assert_eq!(merged, nest(r#"{"x":1,"y":[null]}"#));

        let object = |names: &mut dyn Iterator<Item = String>| {
            format!("{{{}}}", names.collect::<Vec<_>>().join(","))
        };
        let before = object(&mut (0..1000).map(|n| format!("\"{n}\":{{\"v\":1}}")));
        let patch = object(&mut (0..1000).filter(|n| n % 2 == 0).map(|n| format!("\"{n}\":null")));
        let after =
            object(&mut (0..1000).filter(|n| n % 2 == 1).map(|n| format!("\"{n}\":{{\"v\":1}}")));
        assert_eq!(check(&before, &patch).0, after);
    }
}
