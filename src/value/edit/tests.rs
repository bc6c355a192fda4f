//! Changes against a naive model, their undo, and their effects elsewhere.

mod watching;

use super::*;
use crate::error::ErrorCode;
use crate::value::Kind;
use crate::value::number::Number;
use crate::value::parse;
use proptest::prelude::*;

fn value(json: &str) -> Measured {
    parse::json(json.as_bytes(), &Limits::NONE).unwrap()
}

fn wire_of(view: View<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    wire::put_value(view, &mut out);
    out
}

/// A root of its own, or in a tail that just fits or has room for more.
fn root(value: Value, tail: usize) -> Box<Root> {
    let bare = Root::bare(value);
    match bare.tail_wanted() + [0, 1, 400][tail % 3] {
        _ if tail.is_multiple_of(3) || bare.tail_wanted() == 0 => Box::new(bare),
        0..=16 => with_tail::<16>(bare),
        17..=64 => with_tail::<64>(bare),
        65..=256 => with_tail::<256>(bare),
        257..=512 => with_tail::<512>(bare),
        _ => with_tail::<1424>(bare),
    }
}

fn with_tail<const N: usize>(mut bare: Root<[u8; 0]>) -> Box<Root> {
    let root = Root::<[u8; N]>::with_tail(bare.take());
    assert_eq!(Root::tail_bytes(&root), N as u16);
    Box::new(root)
}

/// A document with a tail, and its size.
fn rooted(json: &str) -> (Box<Root>, u64) {
    let document = value(json);
    (root(document.value, 1), document.size)
}

#[test]
fn a_limit_refuses_before_anything_changes() {
    let (mut root, size) = rooted(r#"{"a":[1]}"#);
    let limits = Limits { depth: 2, bytes: size + 9 };
    let mut journal = Journal::default();
    let mut editor = Editor::new(&mut root, size, limits, &mut journal);
    let deep = editor.insert_items(&[0], 0, vec![value("[]")]).unwrap_err();
    assert_eq!(deep.code(), ErrorCode::Limit);
    let large = editor.insert_member(&[], "b", value("1")).unwrap_err();
    assert_eq!(large.code(), ErrorCode::Limit);
    assert!(!editor.changed());
    editor.insert_items(&[0], 1, vec![value("2")]).unwrap();
    assert!(editor.insert_items(&[0], 1, vec![value("3")]).is_err());
    editor.commit();
    assert_eq!(format!("{root:?}"), r#"{"a":[1,2]}"#);
}

#[test]
fn what_one_command_puts_in_is_bounded() {
    let (mut root, size) = rooted(r#"{"a":1}"#);
    let limits = Limits { depth: 8, bytes: 1000 };
    let mut journal = Journal::default();
    let mut editor = Editor::new(&mut root, size, limits, &mut journal);
    let long = value(&format!("\"{}\"", "x".repeat(900)));
    let mut put_in_and_out = || {
        editor.replace(&[0], long.clone())?;
        editor.replace(&[0], value("1"))
    };
    assert!((0..4).all(|_| put_in_and_out().is_ok()));
    assert_eq!(put_in_and_out().unwrap_err().code(), ErrorCode::Limit);
}

/// Changes every element below a name of `name_bytes`, or takes members out, until it is refused; gives how
/// many changes were made and the most bytes of effects there were.
fn changes_until_refused(
    name_bytes: usize,
    limits: Limits,
    effects: Effects,
    change: impl Fn(&mut Editor<'_>, u32) -> Result<()>,
) -> (u32, usize) {
    let items: Vec<String> = (0..500).map(|n| format!("{{\"a\":[{n},0,{n}]}}")).collect();
    let text = format!("{{\"{}\":[{}]}}", "n".repeat(name_bytes), items.join(","));
    let (mut root, size) = rooted(&text);
    let before = wire_of(root.view());
    let mut journal = Journal::default();
    let mut editor = Editor::new(&mut root, size, limits, &mut journal).with_effects(effects);
    for nth in 0..500 {
        let (now, written) = (wire_of(editor.view()), editor.journal.effects.clone());
        if let Err(refusal) = change(&mut editor, nth) {
            assert_eq!(refusal.code(), ErrorCode::Limit);
            assert!(refusal.to_string().contains("journal-bytes"), "{refusal}");
            assert!(wire_of(editor.view()) == now && editor.journal.effects == written);
            let bytes = written.len();
            drop(editor);
            assert_eq!(wire_of(root.view()), before);
            return (nth, bytes);
        }
    }
    (500, editor.journal.effects.len())
}

#[test]
fn what_is_written_down_to_be_repeated_is_bounded() {
    let limits = Limits { depth: 8, bytes: 100_000 };
    let most = 4 * limits.bytes as usize;
    type EditCall = fn(&mut Editor<'_>, u32) -> Result<()>;
    let changes: [EditCall; 5] = [
        |editor, nth| editor.replace(&[0, nth, 0, 1], value("true")),
        |editor, nth| editor.insert_member(&[0, nth], "b", value("1")).map(drop),
        |editor, nth| editor.insert_items(&[0, nth, 0], 1, vec![value("1")]),
        |editor, nth| editor.remove(&[0, nth, 0]),
        |editor, nth| editor.remove_each(&[0, nth, 0], &[0, 2]),
    ];
    for change in changes {
        let run = |name_bytes, limits, effects| {
            changes_until_refused(name_bytes, limits, effects, change)
        };
        let (made, bytes) = run(40_000, limits, Effects::Recorded);
        assert_eq!(made, 9);
        assert!(bytes <= most && bytes + 41_000 > most, "{bytes}");
        // Ordinary names; unrecorded effects; a change validated elsewhere.
        let (made, bytes) = run(20, limits, Effects::Recorded);
        assert_eq!(made, 500);
        assert!(bytes < 500 * 50, "{bytes}");
        assert_eq!(run(40_000, limits, Effects::Unrecorded), (500, 0));
        assert_eq!(run(4_000, Limits::NONE, Effects::Recorded).0, 500);
    }
}

/// A document as large as the limit allows, every member of which is changed at once.
#[test]
fn a_change_of_every_member_of_the_largest_document_is_within_the_bound() {
    for (start, member) in [("{", "\"NNNNN\":1"), ("[", "{\"n\":NNNNN}"), ("[", "NNNNN")] {
        let members: Vec<String> =
            (0..3000).map(|n| member.replace("NNNNN", &format!("{:05}", 10_000 + n))).collect();
        let end = if start == "{" { "}" } else { "]" };
        let (mut root, size) = rooted(&format!("{start}{}{end}", members.join(",")));
        let limits = Limits { depth: 8, bytes: size };
        let mut journal = Journal::default();
        let mut editor = Editor::new(&mut root, size, limits, &mut journal);
        for nth in 0..3000 {
            let place: &[u32] = if member.starts_with('{') { &[nth, 0] } else { &[nth] };
            editor.replace(place, value("123456789012")).unwrap();
        }
        assert!((editor.journal.effects.len() as u64) < 2 * size, "{member}");
    }
}

#[test]
fn a_panic_on_the_way_leaves_nothing_behind() {
    let (mut root, size) = rooted(r#"{"a":[1],"b":"x"}"#);
    let before = wire_of(root.view());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut journal = Journal::default();
        let mut editor = Editor::new(&mut root, size, Limits::NONE, &mut journal);
        editor.insert_items(&[0], 0, vec![value("[2,3]")]).unwrap();
        editor.remove_member(&[], 1).unwrap();
        panic!("a mistake of ours");
    }));
    assert!(panicked.is_err());
    assert_eq!(wire_of(root.view()), before);
}

#[test]
fn an_identical_value_is_no_change() {
    let (mut root, size) = rooted(r#"{"a":[1,{"b":"x"}]}"#);
    let mut journal = Journal::default();
    let mut editor = Editor::new(&mut root, size, Limits::NONE, &mut journal);
    editor.replace(&[0], value(r#"[1,{"b":"x"}]"#)).unwrap();
    assert!(!editor.changed());
    editor.replace(&[0, 0], value("1.0")).unwrap();
    assert!(editor.changed());
}

#[test]
fn values_that_change_places_are_not_copied_and_keep_to_the_depth() {
    let long = format!("[{}]", vec!["7"; 100_000].join(","));
    let (mut root, size) = rooted(&format!(r#"{{"a":{long},"b":[1,{long}]}}"#));
    let before = wire_of(root.view());
    let address = |view: View<'_>| view.as_array().unwrap().address();
    let limits = Limits { depth: 3, bytes: size };
    let mut journal = Journal::default();
    let mut editor = Editor::new(&mut root, size, limits, &mut journal);
    let [a, b] = [editor.at(&[0]), editor.at(&[1, 1])].map(address);
    // Equal values change nothing, and comparing their bytes is paid for.
    assert!((6_000..10_000).contains(&editor.exchange(&[0], &[1, 1]).unwrap()));
    assert!(!editor.changed());
    editor.replace(&[0, 0], value("8")).unwrap();
    assert!(editor.exchange(&[0], &[1, 1]).unwrap() >= 100_000, "what sinks is looked at");
    assert_eq!([editor.at(&[1, 1]), editor.at(&[0])].map(address), [a, b]);
    assert!(
        editor.exchange(&[0], &[1]).unwrap() < 10,
        "at the same depth nothing else is looked at"
    );
    assert_eq!(address(editor.at(&[0, 1])), a);
    editor.lift(&[0, 1], &[0]).unwrap();
    assert_eq!(address(editor.at(&[0])), a);
    assert_eq!(editor.size(), editor.view().size());
    assert!(editor.journal.effects().len() < 100);
    editor.rollback();
    assert_eq!([editor.at(&[0]), editor.at(&[1, 1])].map(address), [a, b]);
    let deep = Limits { depth: 2, ..limits };
    drop(editor);
    assert_eq!(wire_of(root.view()), before);
    let mut editor = Editor::new(&mut root, size, deep, &mut journal);
    editor.replace(&[1, 0], value("8")).unwrap();
    let refused = editor.exchange(&[0], &[1, 0]).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Limit);
}

/// Names and strings around the sizes that decide whether a member is part of a run.
#[test]
fn members_of_any_length_come_and_go() {
    let lens = [1, 62, 64, 500, 510, 1000, 1015, 1025, 70_000];
    let (mut root, _) = rooted(r#"{"a":1}"#);
    let mut model = serde_json::json!({"a": 1});
    for name in lens {
        for len in lens {
            let (name, text) = (format!("{}{len}", "n".repeat(name)), "v".repeat(len));
            let (size, mut journal) = (root.view().size(), Journal::default());
            let mut editor = Editor::new(&mut root, size, Limits::NONE, &mut journal);
            let position = editor.insert_member(&[], &name, value("1")).unwrap();
            editor.replace(&[position], value(&format!("\"{text}\""))).unwrap();
            editor.replace(&[position], value(&format!("[\"{text}\"]"))).unwrap();
            editor.replace(&[position, 0], value("[2]")).unwrap();
            editor.replace(&[position], value(&format!("\"{text}\""))).unwrap();
            editor.remove_member(&[], 0).unwrap();
            editor.rollback();
            let position = editor.insert_member(&[], &name, value(&format!("\"{text}\""))).unwrap();
            assert_eq!(editor.view().as_object().unwrap().find(&name).unwrap().0, position);
            editor.commit();
            model[name] = text.into();
        }
        let fresh = value(&serde_json::to_string(&model).unwrap()).value;
        assert!(root.view().identical(fresh.view()));
    }
    let mut editor_journal = Journal::default();
    let size = root.view().size();
    let mut editor = Editor::new(&mut root, size, Limits::NONE, &mut editor_journal);
    while let Some((position, _, _)) = editor.view().as_object().unwrap().last() {
        editor.remove_member(&[], position).unwrap();
    }
    editor.commit();
    assert!(root.heap_bytes() < 500, "{}", root.heap_bytes());
}

#[test]
fn holes_close_when_a_command_is_over() {
    let members: Vec<String> = (0..500).map(|i| format!("\"member number {i}\":{i}")).collect();
    let (mut root, size) = rooted(&format!("{{{}}}", members.join(",")));
    let heap_before = root.heap_bytes();
    let mut journal = Journal::default();
    let mut editor = Editor::new(&mut root, size, Limits::NONE, &mut journal);
    for position in 0..490 {
        editor.remove_member(&[], position).unwrap();
    }
    editor.commit();
    assert_eq!(root.view().as_object().unwrap().len(), 10);
    assert_eq!(
        root.view().as_object().unwrap().get("member number 495").unwrap().as_number(),
        Some(Number::Int(495))
    );
    assert!(root.heap_bytes() < heap_before / 10);
}

/// One random change, told in numbers that are reduced to what the document has.
#[derive(Clone, Debug)]
enum RandomChange {
    Replace(usize, String),
    Insert(usize, usize, String),
    Remove(usize, usize),
    RemoveEach(usize, u64),
    Exchange(usize, usize),
    Lift(usize, usize),
}

fn json_text() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|i| i.to_string()),
        (-200i64..200).prop_map(|i| i.to_string()),
        (-1e9f64..1e9).prop_map(|f| format!("{f:?}")),
        "[a-z\"\\\\é]{0,80}".prop_map(|s| serde_json::to_string(&s).unwrap()),
        (900usize..1100).prop_map(|n| format!("\"{}\"", "y".repeat(n))),
    ];
    scalar.prop_recursive(5, 200, 40, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..40)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(("[a-f]{1,3}", inner), 0..40).prop_map(|members| {
                let members: Vec<String> =
                    members.into_iter().map(|(n, v)| format!("\"{n}\":{v}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn change() -> impl Strategy<Value = RandomChange> {
    prop_oneof![
        (any::<usize>(), json_text()).prop_map(|(at, v)| RandomChange::Replace(at, v)),
        (any::<usize>(), any::<usize>(), json_text())
            .prop_map(|(at, i, v)| RandomChange::Insert(at, i, v)),
        (any::<usize>(), any::<usize>()).prop_map(|(at, i)| RandomChange::Remove(at, i)),
        (any::<usize>(), any::<u64>()).prop_map(|(at, bits)| RandomChange::RemoveEach(at, bits)),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| RandomChange::Exchange(a, b)),
        (any::<usize>(), any::<usize>()).prop_map(|(from, up)| RandomChange::Lift(from, up)),
    ]
}

fn all_places(view: View<'_>, here: Place, out: &mut Vec<Place>) {
    out.push(here.clone());
    let children: Vec<(u32, View<'_>)> = match view {
        View::Array(array) => (0..).zip(array.iter()).collect(),
        View::Object(object) => {
            object.entries().map(|(position, _, value)| (position, value)).collect()
        }
        _ => return,
    };
    for (position, child) in children {
        let mut deeper = here.clone();
        deeper.push(position);
        all_places(child, deeper, out);
    }
}

/// The same change on serde_json's values.
fn model_at<'m>(
    model: &'m mut serde_json::Value,
    view: View<'_>,
    place: &[u32],
) -> &'m mut serde_json::Value {
    let (mut model, mut view) = (model, view);
    for position in place {
        let name =
            view.as_object().map(|object| object.member(*position).unwrap().0.as_str().to_owned());
        view = view.child(*position).unwrap();
        model = match name {
            Some(name) => &mut model[name],
            None => &mut model[*position as usize],
        };
    }
    model
}

fn apply(editor: &mut Editor<'_>, model: &mut serde_json::Value, change: &RandomChange) {
    let mut places = Vec::new();
    all_places(editor.view(), Place::new(), &mut places);
    let at = match change {
        RandomChange::Replace(at, _) | RandomChange::Insert(at, _, _) => at,
        RandomChange::Remove(at, _) | RandomChange::RemoveEach(at, _) => at,
        RandomChange::Exchange(at, _) | RandomChange::Lift(at, _) => at,
    };
    // Half of the changes are of containers, of which there are few.
    let containers: Vec<Place> = places
        .iter()
        .filter(|place| !matches!(editor.at(place).kind(), Kind::Null | Kind::Boolean))
        .filter(|place| !matches!(editor.at(place).kind(), Kind::Number | Kind::String))
        .cloned()
        .collect();
    let place = match at % 2 == 1 && !containers.is_empty() {
        true => &containers[at / 2 % containers.len()],
        false => &places[at / 2 % places.len()],
    };
    if at % 4 < 2 {
        editor.go_to(place);
    }
    let node = model_at(model, editor.view(), place);
    let array_len = editor.at(place).as_array().map(|array| array.len());
    let positions: Vec<(u32, String)> = editor
        .at(place)
        .as_object()
        .map(|o| o.entries().map(|(p, name, _)| (p, name.as_str().to_owned())).collect())
        .unwrap_or_default();
    match change {
        RandomChange::Replace(_, json) => {
            *node = serde_json::from_str(json).unwrap();
            editor.replace(place, value(json)).unwrap();
        }
        RandomChange::Insert(_, index, json) => {
            let new: serde_json::Value = serde_json::from_str(json).unwrap();
            if let Some(len) = array_len {
                let index = index % (len + 1);
                let items = node.as_array_mut().unwrap();
                items.splice(index..index, [new.clone(), new]);
                editor.insert_items(place, index, vec![value(json), value(json)]).unwrap();
            } else if let Some(members) = node.as_object_mut() {
                let name = format!("new{index}");
                if members.insert(name.clone(), new).is_none() {
                    editor.insert_member(place, &name, value(json)).unwrap();
                } else {
                    let (position, _) = editor.at(place).as_object().unwrap().find(&name).unwrap();
                    let mut inside = place.clone();
                    inside.push(position);
                    editor.replace(&inside, value(json)).unwrap();
                }
            }
        }
        RandomChange::RemoveEach(_, bits) => {
            let Some(len) = array_len else { return };
            let positions: Vec<u32> =
                (0..len as u32).filter(|nth| bits >> (nth % 64) & 1 == 1).collect();
            let items = node.as_array_mut().unwrap();
            positions.iter().rev().for_each(|position| drop(items.remove(*position as usize)));
            editor.remove_each(place, &positions).unwrap();
        }
        RandomChange::Exchange(_, other) => {
            let other = &places[other % places.len()];
            if place.starts_with(other) || other.starts_with(place) {
                return;
            }
            let at_place = node.take();
            let at_other = std::mem::replace(model_at(model, editor.view(), other), at_place);
            *model_at(model, editor.view(), place) = at_other;
            editor.exchange(place, other).unwrap();
        }
        RandomChange::Lift(_, up) => {
            let Some(depth) = up.checked_rem(place.len()) else { return };
            let lifted = node.take();
            *model_at(model, editor.view(), &place[..depth]) = lifted;
            editor.lift(place, &place[..depth]).unwrap();
        }
        RandomChange::Remove(_, index) => {
            if let Some(len) = array_len.filter(|len| *len > 0) {
                let index = index % len;
                let count = (len - index).min([1, 3, 500][index % 3]);
                node.as_array_mut().unwrap().drain(index..index + count);
                editor.remove_items(place, index, count).unwrap();
            } else if !positions.is_empty() {
                let (position, name) = &positions[index % positions.len()];
                node.as_object_mut().unwrap().shift_remove(name);
                editor.remove_member(place, *position).unwrap();
            }
        }
    }
}

/// Says whether all that differs between two documents was noted.
struct Noted<'c> {
    changes: &'c [super::PlaceChange],
}

impl Noted<'_> {
    fn has(&self, place: &[u32], kind: ChangeKind) -> bool {
        self.changes.iter().any(|change| *change.place == *place && change.kind == kind)
    }

    fn explain(&self, old: View<'_>, new: View<'_>, place: &[u32]) -> bool {
        if self.has(place, ChangeKind::Value) {
            return true;
        }
        let below = |position: u32| -> Place { place.iter().copied().chain([position]).collect() };
        let moved = self.has(place, ChangeKind::Members);
        match (old, new) {
            (View::Array(old), View::Array(new)) => {
                let mut left = old.iter();
                let all = (0..).zip(new.iter()).all(|(index, item)| {
                    let place = below(index);
                    if moved && self.has(&place, ChangeKind::Value) {
                        return true;
                    }
                    match moved {
                        true => left.any(|old| self.explain(old, item, &place)),
                        false => left.next().is_some_and(|old| self.explain(old, item, &place)),
                    }
                });
                all && (moved || old.len() == new.len())
            }
            (View::Object(old), View::Object(new)) => {
                let all = new.entries().all(|(position, name, member)| {
                    let place = below(position);
                    (moved && self.has(&place, ChangeKind::Value))
                        || old
                            .get(name.as_str())
                            .is_some_and(|old| self.explain(old, member, &place))
                });
                all && (moved || old.len() == new.len())
            }
            _ => old.identical(new),
        }
    }
}

#[test]
fn places_that_changed_follow_what_moves_them() {
    let (mut root, size) = rooted(r#"{"a":[0,1,[2],3],"b":{"c":1,"d":2}}"#);
    let mut journal = Journal::default();
    let mut editor =
        Editor::new(&mut root, size, Limits::DEFAULT, &mut journal).track_changes(true);
    let noted = |editor: &Editor<'_>| -> Vec<(Vec<u32>, ChangeKind)> {
        editor.changes().iter().map(|change| (change.place.to_vec(), change.kind)).collect()
    };
    editor.replace(&[0, 2, 0], value("7")).unwrap();
    editor.replace(&[0, 0], value("8")).unwrap();
    editor.insert_items(&[0], 1, vec![value("9")]).unwrap();
    let (new, members) = (ChangeKind::Value, ChangeKind::Members);
    let expected =
        vec![(vec![0, 3, 0], new), (vec![0, 0], new), (vec![0], members), (vec![0, 1], new)];
    assert_eq!(noted(&editor), expected);
    // The packed member behind the one that goes moves up.
    editor.replace(&[1, 1], value("3")).unwrap();
    editor.remove_member(&[1], 0).unwrap();
    assert_eq!(noted(&editor)[4..], [(vec![1, 0], new), (vec![1], members)]);
    editor.remove_items(&[0], 0, 2).unwrap();
    assert_eq!(noted(&editor)[..2], [(vec![0, 1, 0], new), (vec![0], members)]);
    // A value that is new as a whole says it all.
    editor.replace(&[0], value("[]")).unwrap();
    assert_eq!(noted(&editor)[..], [(vec![1, 0], new), (vec![1], members), (vec![0], new)]);
    editor.rollback();
    assert!(editor.changes().is_empty());
}

#[test]
fn very_many_changes_are_noted_as_one() {
    let items = vec!["1"; CHANGES_MAX + 1].join(",");
    let (mut root, size) = rooted(&format!("[{items}]"));
    let mut journal = Journal::default();
    let mut editor =
        Editor::new(&mut root, size, Limits::DEFAULT, &mut journal).track_changes(true);
    for index in 0..CHANGES_MAX as u32 {
        editor.replace(&[index], value("2")).unwrap();
    }
    assert_eq!(editor.changes().len(), CHANGES_MAX);
    editor.replace(&[CHANGES_MAX as u32], value("2")).unwrap();
    let whole = super::PlaceChange { place: Place::new(), kind: ChangeKind::Value };
    assert_eq!(editor.changes(), [whole]);
}

/// An array of so many children, which are shorter and longer when they change, and what their places lead to.
fn gone_through(item: &str, below: &[u32], count: usize, new: &[&str]) {
    let (mut root, size) = rooted(&format!("[{}]", vec![item; count].join(",")));
    let before = wire_of(root.view());
    let mut journal = Journal::default();
    let mut editor = Editor::new(&mut root, size, Limits::NONE, &mut journal);
    for (round, new) in new.iter().enumerate() {
        for nth in (0..count as u32).rev() {
            let place: Place = [nth].iter().chain(below).copied().collect();
            let kept = wire_of(editor.go_to(&place));
            assert_eq!(kept, wire_of(editor.view().at(&place).unwrap()), "{round} {place:?}");
            // Some stay as they are, so that lengths are mixed.
            if nth as usize % 3 != round % 3 {
                editor.replace(&place, value(new)).unwrap();
            }
            for near in [&place[..], &place[..1], &[nth / 2], &[count as u32 - 1]] {
                let plain = editor.view().at(near).unwrap();
                assert!(editor.at(near).identical(plain), "{round} {place:?} {near:?}");
            }
        }
        editor.end_ways();
    }
    let changed = wire_of(editor.view());
    let effects = editor.journal.effects().to_vec();
    editor.rollback();
    assert_eq!(wire_of(editor.view()), before);
    editor.apply_effects(&effects).unwrap();
    assert_eq!(wire_of(editor.view()), changed);
}

#[test]
fn kept_ways_lead_to_the_same_values_after_changes_of_length() {
    let new = ["5", "700000", "\"a text\"", "[1,[2]]", "null", "{\"a\":1}", "0"];
    let long = format!("\"{}\"", "x".repeat(400));
    for count in [2, 90, 600, 3000] {
        gone_through("1", &[], count, &new);
        gone_through(r#"{"n":1,"m":[1,2]}"#, &[0], count, &new);
        gone_through(r#"{"n":1,"m":[1,2]}"#, &[1, 1], count, &new);
        gone_through(r#"[1,2,3]"#, &[1], count, &["1", &long, "[]", "2"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Changes agree with a naive model, effects repeat them elsewhere, undo gives the bytes back.
    #[test]
    fn changes_effects_and_undo_agree(start in json_text(), tail in 0..3usize, commands in prop::collection::vec(prop::collection::vec(change(), 1..8), 1..4)) {
        agree(&start, tail, &commands)?;
    }

    #[test]
    fn parsing_printing_and_the_wire_agree(text in json_text()) {
        let parsed = value(&text);
        prop_assert_eq!(parsed.size, parsed.value.view().size());
        prop_assert_eq!(parsed.depth, parsed.value.view().depth());
        let bytes = wire_of(parsed.value.view());
        let decoded = wire::Reader::new(&bytes).value(&Limits::NONE).unwrap();
        prop_assert_eq!(wire_of(decoded.value.view()), bytes);
        prop_assert!(decoded.value.view().identical(parsed.value.view()));
        prop_assert_eq!(format!("{:?}", value(&format!("{:?}", decoded.value)).value), format!("{:?}", parsed.value));
    }

    #[test]
    fn corrupt_effects_change_nothing(start in json_text(), effects in prop::collection::vec(0u8..10, 0..60)) {
        let (mut root, size) = rooted(&start);
        let before = wire_of(root.view());
        let mut journal = Journal::default();
        let mut editor = Editor::new(&mut root, size, Limits::NONE, &mut journal);
        let refused = editor.apply_effects(&effects).is_err();
        drop(editor);
        if refused {
            prop_assert_eq!(wire_of(root.view()), before);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// As above, of containers with very many children.
    #[test]
    fn changes_of_large_containers_agree(start in large_text(), commands in prop::collection::vec(prop::collection::vec(change(), 1..8), 1..8)) {
        agree(&start, 0, &commands)?;
    }
}

/// Two containers, of up to 1500 children each.
fn large_text() -> impl Strategy<Value = String> {
    let child = || {
        prop_oneof![
            8 => (-40_000i64..40_000).prop_map(|n| n.to_string()),
            4 => "[a-z]{0,20}".prop_map(|s| format!("\"{s}\"")),
            2 => (0..99i64).prop_map(|n| format!("{{\"a\":{n},\"b\":[{n},null]}}")),
            1 => (100usize..1100).prop_map(|n| format!("\"{}\"", "y".repeat(n))),
        ]
    };
    let children = |most| prop::collection::vec(child(), 0..most);
    (children(1500), children(1500)).prop_map(|(items, members)| {
        let members: Vec<String> =
            (0..).zip(members).map(|(nth, value)| format!("\"member {nth}\":{value}")).collect();
        format!("[[{}],{{{}}}]", items.join(","), members.join(","))
    })
}

/// Runs commands against a naive model and a replica, each once to be undone before.
fn agree(
    start: &str,
    tail: usize,
    commands: &[Vec<RandomChange>],
) -> std::result::Result<(), TestCaseError> {
    let Measured { value: document, mut size, .. } = value(start);
    let mut replica = root(document.clone(), 0);
    let mut root = root(document, tail);
    let mut model: serde_json::Value = serde_json::from_str(start).unwrap();
    for changes in commands {
        let before = wire_of(root.view());
        let mut journal = Journal::default();

        let mut scratch = model.clone();
        let mut editor = Editor::new(&mut root, size, Limits::NONE, &mut journal);
        changes.iter().for_each(|change| apply(&mut editor, &mut scratch, change));
        drop(editor);
        prop_assert_eq!(&wire_of(root.view()), &before);
        prop_assert!(journal.is_empty() && journal.size_change() == 0);

        let old = root.view().to_value();
        let mut editor =
            Editor::new(&mut root, size, Limits::NONE, &mut journal).track_changes(true);
        changes.iter().for_each(|change| apply(&mut editor, &mut model, change));
        size = editor.size();
        let noted = Noted { changes: editor.changes() };
        prop_assert!(noted.changes.len() <= CHANGES_MAX);
        prop_assert!(noted.explain(old.view(), editor.view(), &[]), "{:?}", noted.changes);
        editor.commit();
        prop_assert_eq!(size, root.view().size());
        let fresh = value(&serde_json::to_string(&model).unwrap()).value;
        prop_assert_eq!(format!("{:?}", root), format!("{:?}", fresh));
        for (position, name) in names_of(root.view()) {
            let found = root.view().at(&position).unwrap().as_object().unwrap().find(&name);
            prop_assert!(found.is_some(), "{name}");
        }
        let (held, least) = (root.heap_bytes(), fresh.heap_bytes());
        prop_assert!(held <= 2 * least + 1024, "{held} bytes are held where {least} would do");

        let mut elsewhere = Journal::default();
        let replica_size = replica.view().size();
        let mut editor = Editor::new(&mut replica, replica_size, Limits::NONE, &mut elsewhere);
        editor.apply_effects(journal.effects()).unwrap();
        editor.commit();
        prop_assert_eq!(wire_of(replica.view()), wire_of(root.view()));
    }
    Ok(())
}

/// The names of all members, with the place of their object.
fn names_of(view: View<'_>) -> Vec<(Place, String)> {
    let mut places = Vec::new();
    all_places(view, Place::new(), &mut places);
    let objects = places.into_iter().filter_map(|place| {
        let object = view.at(&place).unwrap().as_object()?;
        Some(object.iter().map(|(name, _)| (place.clone(), name.as_str().to_owned())).collect())
    });
    objects.collect::<Vec<Vec<_>>>().concat()
}
