//! Watched values against a copy of the whole document.

use super::*;
use crate::budget::{Allowance, WorkLimits};

type OwnedPath = Vec<Box<str>>;

/// Paths through the document, some of them to what is missing there.
fn paths_of(document: View<'_>, drawn: &[(usize, Option<String>)]) -> Vec<OwnedPath> {
    let mut places = Vec::new();
    all_places(document, Place::new(), &mut places);
    let path = |(at, more): &(usize, Option<String>)| {
        let (mut view, mut path) = (document, OwnedPath::new());
        for position in &places[at % places.len()] {
            let View::Object(object) = view else { break };
            let (name, value) = object.member(*position).unwrap();
            path.push(name.as_str().into());
            view = value;
        }
        path.extend(more.iter().map(|name| name.as_str().into()));
        path
    };
    drawn.iter().map(path).collect()
}

fn spelled(seen: Option<Seen<View<'_>>>) -> String {
    match seen {
        Some(Seen::Value(value)) => format!("{:?}", value.to_value()),
        other => format!("{:?}", other.map(|seen| seen.copy())),
    }
}

/// Runs changes; gives how many values were copied.
fn check(start: &str, tail: usize, paths: &[OwnedPath], changes: &[RandomChange]) -> usize {
    let Measured { value: document, size, .. } = value(start);
    let mut model: serde_json::Value = serde_json::from_str(start).unwrap();
    let (old, mut root) = (document.clone(), root(document, tail));
    let watched = WatchPaths::new(paths.iter().cloned());
    let copy = watched.watch();
    let mut journal = Journal::default();
    let mut editor = Editor::new(&mut root, size, Limits::NONE, &mut journal);
    editor.watch(&watched);
    for change in changes {
        apply(&mut editor, &mut model, change);
        for path in paths {
            let seen = spelled(editor.watched().unwrap().before(editor.view(), path));
            assert_eq!(seen, spelled(copy.before(old.view(), path)), "{path:?} after {change:?}");
        }
    }
    let copies = editor.watched().map_or(0, Watch::copies);
    editor.rollback();
    for path in paths {
        let seen = spelled(editor.watched().unwrap().before(editor.view(), path));
        assert_eq!(seen, spelled(copy.before(old.view(), path)), "{path:?} after the way back");
    }
    copies
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn watched_values_are_those_of_a_copy_of_the_whole_document(
        start in json_text(),
        tail in 0..3usize,
        drawn in prop::collection::vec((any::<usize>(), prop::option::of("[a-f]|new[0-3]")), 1..8),
        changes in prop::collection::vec(change(), 1..8),
    ) {
        let document = value(&start).value;
        check(&start, tail, &paths_of(document.view(), &drawn), &changes);
    }
}

fn path(names: &str) -> OwnedPath {
    names.split_terminator('.').map(Box::from).collect()
}

#[test]
fn each_change_keeps_the_values_it_touches_and_no_others() {
    type WatchedEdit = fn(&mut Editor<'_>) -> Result<()>;
    let cases: [(&[&str], WatchedEdit, usize); 11] = [
        (&["b", "b.c", "b.c.d", "a.x", "n.x"], |e| e.replace(&[0], value("2")), 1),
        (&["a", "b", "b.c", "b.c.d", "b.d"], |e| e.replace(&[1, 0], value("2")), 3),
        (&["a", "b", "b.c", "b.e"], |e| e.insert_member(&[1], "e", value("2")).map(drop), 2),
        (&["a", "b", "b.c", "b.d"], |e| e.remove_member(&[1], 1), 2),
        (&["l", "l.x", "b"], |e| e.insert_items(&[2], 0, vec![value("2")]), 2),
        (&["l", "l.m", "b"], |e| e.replace(&[2, 1, 0], value("2")), 1),
        (&["l", "b"], |e| e.remove_each(&[2], &[0, 2]), 1),
        (&["a", "b", "l", ""], |e| e.exchange(&[0], &[2]).map(drop), 3),
        (&["a", "b", "b.c", "l"], |e| e.lift(&[1, 0], &[1]), 2),
        (&["", "a", "l", "q.r"], |e| e.replace(&[], value("2")), 4),
        (&["", "a"], |e| e.replace(&[0], value("1")), 0),
    ];
    for (paths, change, copies) in cases {
        let (mut root, size) = rooted(r#"{"a":1,"b":{"c":{"d":1},"d":2},"l":[1,{"m":1},3]}"#);
        let paths = WatchPaths::new(paths.iter().map(|names| path(names)));
        let mut journal = Journal::default();
        let mut editor = Editor::new(&mut root, size, Limits::NONE, &mut journal);
        editor.watch(&paths);
        change(&mut editor).unwrap();
        assert_eq!(editor.watched().unwrap().copies(), copies, "{paths:?}");
    }
}

#[test]
fn copies_are_paid_for_before_they_are_made_and_what_is_not_touched_is_not() {
    let numbers = vec!["12345"; 10_000].join(",");
    let text = format!(r#"{{"n":1,"a":[{numbers}]}}"#);
    let limits = WorkLimits { command_steps: 5000, ..WorkLimits::DEFAULT };
    let (watched, none) =
        (WatchPaths::new([path("a")].into_iter()), WatchPaths::new([].into_iter()));
    let steps = |paths: &WatchPaths, change: fn(&mut Editor<'_>) -> Result<()>| {
        let (mut root, size) = rooted(&text);
        let allowance = Allowance::new(&limits);
        let mut journal = Journal::default();
        let editor = Editor::new(&mut root, size, Limits::NONE, &mut journal);
        let mut editor = editor.with_allowance(&allowance);
        editor.watch(paths);
        let done = change(&mut editor).map_err(|refusal| refusal.code());
        let copies = editor.watched().map_or(0, Watch::copies);
        drop(editor);
        assert_eq!(format!("{root:?}"), text);
        (done, copies, limits.command_steps - allowance.steps_left())
    };
    let count: fn(&mut Editor<'_>) -> Result<()> = |editor| editor.replace(&[0], value("2"));
    let append: fn(&mut Editor<'_>) -> Result<()> =
        |editor| editor.insert_items(&[1], 0, vec![value("2")]);
    assert_eq!(steps(&none, count), (Ok(()), 0, weight::CHANGE));
    assert_eq!(steps(&watched, count), (Ok(()), 0, weight::CHANGE + 2), "two names are looked up");
    assert!(steps(&none, append).0.is_ok());
    assert_eq!(steps(&watched, append), (Err(ErrorCode::Limit), 0, limits.command_steps));
}
