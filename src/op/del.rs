//! `DEL`: removes.

use super::{
    Absent, Action, Arg, Example, Frame, OPERATORS, OpSpec, Operand, OperandKind, Repeats,
};
use crate::error::Result;
use crate::path::Path;
use crate::reply::Reply;
use crate::value::Place;

#[linkme::distributed_slice(OPERATORS)]
static DEL: OpSpec = OpSpec {
    name: "DEL",
    operands: &[Operand { name: "path", kind: OperandKind::PathBelowRoot }],
    summary: "Removes members and elements; the elements behind shift",
    accepts: "any",
    absent: Absent::Zero,
    reply: "the total removed",
    errors: &[],
    complexity: "O(N) with N the size of what is removed, and the elements that shift",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(r#"{"a":1,"b":2}"#, "DEL $.a", "(integer) 1", r#"{"b":2}"#),
        Example::new(r#"{"b":2}"#, "DEL $.a", "(integer) 0", r#"{"b":2}"#),
        Example::new("[1,2,3,4]", "DEL $[0,2]", "(integer) 2", "[2,4]"),
        Example::new("[1]", "DEL $", "ERR", "[1]"),
    ],
    run: Action::Once(del),
};

fn del(frame: &mut Frame<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    match args[0].path() {
        Path::Singular(path) => {
            let mut site = frame.site(path);
            let there = site.value().is_some();
            if there {
                site.remove()?;
            }
            Ok(Reply::count(there.into()))
        }
        Path::Query(query) => {
            let mut places = query.places(frame.view(), frame.allowance)?;
            remove_all(frame, &mut places)?;
            Ok(Reply::count(places.len()))
        }
    }
}

/// Removes children of one container together, in one pass over it; what stands deeper goes first, so
/// that every place is still where it was when its turn comes.
fn remove_all(frame: &mut Frame<'_, '_>, places: &mut [Place]) -> Result<()> {
    let editor = &mut *frame.editor;
    places.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    for siblings in
        places.chunk_by(|a, b| a.len() == b.len() && a[..a.len() - 1] == b[..b.len() - 1])
    {
        let (_, parent) = siblings[0].split_last().expect("a query never names the root");
        let positions = siblings.iter().map(|place| place[parent.len()]);
        if let Some(array) = editor.at(parent).as_array() {
            frame.allowance.scan(array.len())?;
            editor.remove_each(parent, &positions.collect::<Vec<_>>())?;
        } else {
            for position in positions.rev() {
                editor.remove_member(parent, position)?;
            }
        }
    }
    Ok(())
}
