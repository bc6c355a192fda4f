//! `PULL`: removes equal elements.

use std::ops::Range;

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Run, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;
use crate::value::edit::Editor;
use crate::value::{ArrayView, Measured, Place, View};

#[linkme::distributed_slice(OPERATORS)]
static PULL: OpSpec = OpSpec {
    name: "PULL",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "count", kind: OperandKind::Integer },
        Operand { name: "json", kind: OperandKind::Json },
    ],
    summary: "Removes elements equal to a value: the first count, the last -count, or with 0 all",
    accepts: "array",
    absent: Absent::Zero,
    reply: "the number removed; with a non-singular path the total",
    errors: &[ErrorCode::Type],
    complexity: "O(N) with N the size of the array",
    since: "0.1.0",
    examples: &[
        Example {
            before: "[1,2,1,1.0]",
            statement: &["PULL", "$", "0", "1"],
            reply: "(integer) 3",
            after: "[2]",
        },
        Example {
            before: "[1,2,1,3,1]",
            statement: &["PULL", "$", "2", "1"],
            reply: "(integer) 2",
            after: "[2,3,1]",
        },
        Example {
            before: "[1,2,1,3,1]",
            statement: &["PULL", "$", "-2", "1"],
            reply: "(integer) 2",
            after: "[1,2,3]",
        },
        Example {
            before: "[1,2]",
            statement: &["PULL", "$", "-9223372036854775808", "1"],
            reply: "(integer) 1",
            after: "[2]",
        },
        Example {
            before: r#"[{"a":1,"b":2},{"a":1}]"#,
            statement: &["PULL", "$", "0", r#"{"b":2,"a":1}"#],
            reply: "(integer) 1",
            after: r#"[{"a":1}]"#,
        },
        Example {
            before: "[1]",
            statement: &["PULL", "$", "0", "\"1\""],
            reply: "(integer) 0",
            after: "[1]",
        },
        Example {
            before: "[[1,2],[1,1]]",
            statement: &["PULL", "$[*]", "1", "1"],
            reply: "(integer) 2",
            after: "[[2],[1]]",
        },
        Example {
            before: "{}",
            statement: &["PULL", "$.a", "0", "1"],
            reply: "(integer) 0",
            after: "{}",
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["PULL", "$.a", "0", "1"],
            reply: "TYPE",
            after: r#"{"a":1}"#,
        },
    ],
    run: Run::Total(pull),
};

fn pull(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let runs = matches(site.present_array()?, args[1].integer(), args[2].json().value.view());
    let removed = runs.iter().map(ExactSizeIterator::len).sum();
    let (editor, place) = site.parts();
    if is_scattered(&runs) {
        close_up(editor, place, &runs)?;
    } else {
        runs.iter().rev().for_each(|run| editor.remove_items(place, run.start, run.len()));
    }
    Ok(Reply::count(removed))
}

/// The elements to remove, in order, neighbours joined.
fn matches(array: ArrayView<'_>, count: i64, wanted: View<'_>) -> Vec<Range<usize>> {
    let mut found: Vec<usize> = array
        .iter()
        .enumerate()
        .filter(|(_, item)| item.equals(wanted))
        .map(|(index, _)| index)
        .collect();
    let most = match count {
        0 => found.len(),
        _ => {
            usize::try_from(count.unsigned_abs()).map_or(found.len(), |most| most.min(found.len()))
        }
    };
    if count < 0 {
        found.drain(..found.len() - most);
    } else {
        found.truncate(most);
    }
    let mut runs: Vec<Range<usize>> = Vec::new();
    for index in found {
        match runs.last_mut() {
            Some(run) if run.end == index => run.end += 1,
            _ => runs.push(index..index + 1),
        }
    }
    runs
}

fn span(runs: &[Range<usize>]) -> Range<usize> {
    runs.first().map_or(0, |run| run.start)..runs.last().map_or(0, |run| run.end)
}

/// Whether so many runs are so far apart that moving the elements behind each of them, once a run,
/// costs more than taking the whole span out and putting back what stays.
fn is_scattered(runs: &[Range<usize>]) -> bool {
    const RUNS_MAX: usize = 128;
    const MOVES_MAX: usize = 1 << 20;
    runs.len() > RUNS_MAX && runs.len().saturating_mul(span(runs).len()) > MOVES_MAX
}

/// Removes all runs at once, at a cost that grows with their span alone.
fn close_up(editor: &mut Editor<'_>, place: &Place, runs: &[Range<usize>]) -> Result<()> {
    let span = span(runs);
    let array = editor.at(place).as_array().expect("the place is an array");
    let items: Vec<View<'_>> = array.iter().skip(span.start).take(span.len()).collect();
    let between = runs.windows(2).flat_map(|pair| pair[0].end..pair[1].start);
    let kept: Vec<Measured> =
        between.map(|index| items[index - span.start].to_value().into()).collect();
    editor.remove_items(place, span.start, span.len());
    editor.insert_items(place, span.start, kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::edit::Journal;
    use crate::value::{Limits, parse, print};

    fn check(array: &str, count: i64) -> Vec<(usize, usize)> {
        let array = parse::json(array.as_bytes(), &Limits::NONE).unwrap().value;
        let runs = matches(array.view().as_array().unwrap(), count, View::Int(1));
        runs.iter().map(|run| (run.start, run.end)).collect()
    }

    #[test]
    fn count_chooses_among_matches() {
        for (count, expected) in [
            (0, vec![(0, 2), (3, 4), (5, 6)]),
            (1, vec![(0, 1)]),
            (3, vec![(0, 2), (3, 4)]),
            (9, vec![(0, 2), (3, 4), (5, 6)]),
            (-1, vec![(5, 6)]),
            (-3, vec![(1, 2), (3, 4), (5, 6)]),
            (i64::MIN, vec![(0, 2), (3, 4), (5, 6)]),
            (i64::MAX, vec![(0, 2), (3, 4), (5, 6)]),
        ] {
            assert_eq!(check("[1,1.0,2,1,[1],1]", count), expected, "{count}");
        }
        assert!(check("[]", 0).is_empty());
    }

    #[test]
    fn many_far_runs_are_scattered() {
        let every = |step: usize, count: usize| {
            (0..count).map(|n| n * step..n * step + 1).collect::<Vec<_>>()
        };
        assert!(!is_scattered(&[]));
        assert!(!is_scattered(&every(2, 500)));
        assert!(!is_scattered(&every(100_000, 100)));
        assert!(is_scattered(&every(3, 20_000)));
    }

    #[test]
    fn closing_up_removes_the_same() {
        let document = parse::json(b"[[0,1,2,1,1,3,1],0]", &Limits::NONE).unwrap();
        let (mut root, mut journal) = (document.value, Journal::default());
        let mut editor = Editor::new(&mut root, document.size, Limits::NONE, &mut journal);
        let runs = matches(editor.at(&[0]).as_array().unwrap(), 0, View::Int(1));
        close_up(&mut editor, &Place::from_slice(&[0]), &runs).unwrap();
        assert_eq!(print::to_string(editor.view()), "[[0,2,3],0]");
        editor.rollback();
        assert_eq!(print::to_string(editor.view()), "[[0,1,2,1,1,3,1],0]");
    }
}
