//! Builds values from a stream of events, packing every container that is small enough.
//!
//! All open containers share one scratch buffer, in packed form. When one grows past the size of a leaf it
//! becomes a tree node, and so do those around it: its children leave the buffer in runs.

use std::cell::Cell;

use super::chunks::{Child, ChildName, Gather, RUN_BYTES_MAX};
use super::leaf::{Leaf, LeafRef};
use super::limits::Limits;
use super::member_index;
use super::names::{Mark, NameId, Sequence};
use super::number::Number;
use super::object::{LargeObject, SlotName};
use super::pack::{self, HEADER_BYTES};
use super::tree::{LargeArray, Repr, Value};
use super::view::{SCALAR_BYTES, Text, View, string_size, text_size};
use crate::error::Result;

/// A value with what limits need to know of it.
#[derive(Clone, Debug)]
pub struct Measured {
    pub value: Value,
    /// As [`View::size`] counts it.
    pub size: u64,
    /// As [`View::depth`] counts it.
    pub depth: u32,
}

impl From<Value> for Measured {
    fn from(value: Value) -> Measured {
        let (size, depth) = (value.view().size(), value.view().depth());
        Measured { value, size, depth }
    }
}

impl From<Number> for Measured {
    #[inline]
    fn from(number: Number) -> Measured {
        Measured { value: number.into(), size: SCALAR_BYTES, depth: 0 }
    }
}

/// Receives a value as events: scalars, and `begin_*` / `end` around containers.
pub struct ValueBuilder {
    scratch: BuildBuffers,
    names: Sequence,
    root: Option<Value>,
    limits: Limits,
    size: u64,
    depth: u32,
    /// A name was repeated: what was counted is more than what there is.
    recount: bool,
}

/// The buffers of a builder. They are empty between values.
#[derive(Default)]
struct BuildBuffers {
    buffer: Vec<u8>,
    frames: Vec<OpenContainer>,
    /// The mark of each name in each open object: to notice repeated names, and for the index of a large object.
    seen: Vec<Mark>,
}

thread_local! {
    /// The buffers of the last builder of this thread: most values are built in less time than it
    /// takes to allocate them.
    static SPARE: Cell<BuildBuffers> = Cell::default();
}

impl BuildBuffers {
    fn take() -> BuildBuffers {
        // A thread that ends has none to spare.
        SPARE.try_with(Cell::take).unwrap_or_default()
    }

    /// Keeps the buffers for the next builder, up to a size worth keeping.
    fn keep(mut self) {
        const KEEP: usize = 1 << 14;
        self.buffer.clear();
        self.frames.clear();
        self.seen.clear();
        if self.buffer.capacity() > KEEP {
            self.buffer.shrink_to(KEEP);
        }
        if self.frames.capacity() > KEEP / size_of::<OpenContainer>() {
            self.frames.shrink_to(KEEP / size_of::<OpenContainer>());
        }
        if self.seen.capacity() > KEEP / size_of::<Mark>() {
            self.seen.shrink_to(KEEP / size_of::<Mark>());
        }
        let _ = SPARE.try_with(|spare| spare.set(self));
    }
}

impl Drop for ValueBuilder {
    fn drop(&mut self) {
        std::mem::take(&mut self.scratch).keep();
    }
}

struct OpenContainer {
    /// Where the packed container begins in the buffer. Of a tree it has the children that are in no run yet.
    start: usize,
    /// The children in the buffer.
    count: usize,
    seen_start: usize,
    /// The low bits of the marks in `seen`, as a set.
    bits: u64,
    /// Where the child begins that comes next, or the last one did: its name, in an object.
    child_at: usize,
    object: bool,
    tree: Option<Tree>,
    /// Flag: two of the first names have one mark. They are repeated, or, seldom, only have the same mark.
    alike: bool,
}

enum Tree {
    Array(Gather<()>),
    /// With the name of the member whose value comes next, where it is too long to be packed.
    Object(Gather<SlotName>, Option<Box<str>>),
}

/// Up to so many names of an object are compared as they come, and more of them when the object ends.
const COMPARED_AT_ONCE_MAX: usize = 24;

impl OpenContainer {
    /// Counts a child that is complete at the end of the buffer. Returns true if there is more than a leaf or a run
    /// may have.
    #[inline(always)]
    fn is_full_with_child(&mut self, end: usize) -> bool {
        self.count += 1;
        let most = if self.tree.is_none() { pack::LEAF_BYTES_MAX } else { RUN_BYTES_MAX };
        end - self.start > most
    }

    /// Moves `count` children, those before `end`, out of the buffer; what is behind moves up.
    fn take_runs(&mut self, buffer: &mut Vec<u8>, end: usize, count: usize) {
        let content = self.start + HEADER_BYTES;
        let bytes = &buffer[content..end];
        let one_run = HEADER_BYTES + bytes.len() <= RUN_BYTES_MAX;
        let tree = self.tree.get_or_insert_with(|| match self.object {
            true => Tree::Object(Gather::new(), None),
            false => Tree::Array(Gather::new()),
        });
        match tree {
            _ if count == 0 => {}
            Tree::Array(items) if one_run => items.push_run(bytes, count),
            Tree::Array(items) => items.push_packed(bytes),
            Tree::Object(members, _) if one_run => members.push_run(bytes, count),
            Tree::Object(members, _) => members.push_packed(bytes),
        }
        buffer.drain(content..end);
        self.child_at = content;
    }

    /// Notes the mark of the next name.
    #[inline(always)]
    fn note(&mut self, mark: Mark, seen: &mut Vec<Mark>) {
        // Most marks of a small object differ from all others in these few bits already.
        let bit = 1 << (mark.get() % u64::BITS);
        if self.bits & bit != 0 {
            self.compare(mark, &seen[self.seen_start..]);
        }
        self.bits |= bit;
        seen.push(mark);
    }

    #[inline]
    fn compare(&mut self, mark: Mark, first: &[Mark]) {
        if first.len() < COMPARED_AT_ONCE_MAX {
            member_index::count_compared(first.len());
            self.alike |= first.contains(&mark);
        }
    }

    /// Returns true if two names of the object, whose marks these are, may be the same.
    #[inline]
    fn has_alike(&self, marks: &[Mark]) -> bool {
        self.alike || marks.len() > COMPARED_AT_ONCE_MAX && member_index::has_alike(marks)
    }

    /// Returns true if the next child cannot be packed because of its name.
    #[inline]
    fn has_long_name(&self) -> bool {
        matches!(self.tree, Some(Tree::Object(_, Some(_))))
    }
}

impl ValueBuilder {
    pub fn new(limits: &Limits) -> ValueBuilder {
        ValueBuilder {
            scratch: BuildBuffers::take(),
            names: Sequence::new(),
            root: None,
            limits: *limits,
            size: 0,
            depth: 0,
            recount: false,
        }
    }

    /// The open container, if any: true for an object.
    #[inline]
    pub fn open(&self) -> Option<bool> {
        self.scratch.frames.last().map(|frame| frame.object)
    }

    pub fn null(&mut self) -> Result<()> {
        self.grow(SCALAR_BYTES)?;
        self.scalar(pack::write_null, || Value::NULL);
        Ok(())
    }

    pub fn boolean(&mut self, value: bool) -> Result<()> {
        self.grow(SCALAR_BYTES)?;
        self.scalar(|out| pack::write_bool(value, out), || value.into());
        Ok(())
    }

    #[inline]
    pub fn number(&mut self, number: Number) -> Result<()> {
        self.grow(SCALAR_BYTES)?;
        self.scalar(|out| pack::write_number(number, out), || number.into());
        Ok(())
    }

    #[inline]
    pub fn string(&mut self, text: &str) -> Result<()> {
        self.grow(string_size(text.into()))?;
        if text.len() > pack::STRING_BYTES_MAX {
            self.push(Value::string(text));
        } else {
            self.scalar(|out| pack::write_string(text.as_bytes(), out), || Value::string(text));
        }
        Ok(())
    }

    /// A string: the `len` bytes behind the first one of a block. `text` gives it in another form.
    #[inline(always)]
    pub(super) fn block_string<'t, const N: usize>(
        &mut self,
        block: [u8; N],
        len: usize,
        text: impl FnOnce() -> &'t str,
    ) -> Result<()> {
        self.grow((2 + len as u64).max(SCALAR_BYTES))?;
        self.scalar(|out| pack::write_block_string(block, len, out), || Value::string(text()));
        Ok(())
    }

    pub fn begin_array(&mut self) -> Result<()> {
        self.begin(false)
    }

    pub fn begin_object(&mut self) -> Result<()> {
        self.begin(true)
    }

    fn begin(&mut self, object: bool) -> Result<()> {
        let depth = self.scratch.frames.len() as u32 + 1;
        self.limits.check_depth(depth)?;
        self.depth = self.depth.max(depth);
        self.grow(4)?;
        self.begin_child();
        let tag = if object { pack::OBJECT } else { pack::ARRAY };
        let start = pack::open_container(tag, &mut self.scratch.buffer);
        let seen_start = self.scratch.seen.len();
        self.scratch.frames.push(OpenContainer {
            start,
            count: 0,
            seen_start,
            bits: 0,
            child_at: start + HEADER_BYTES,
            object,
            tree: None,
            alike: false,
        });
        Ok(())
    }

    /// A packed container that was checked: its names are distinct, and this is its size and its depth.
    pub(super) fn packed(&mut self, node: &[u8], size: u64, depth: u32) -> Result<()> {
        let depth = self.scratch.frames.len() as u32 + depth;
        self.limits.check_depth(depth)?;
        self.depth = self.depth.max(depth);
        self.grow(size)?;
        self.push_leaf(LeafRef::new(node));
        Ok(())
    }

    /// The name of the member whose value comes next.
    #[inline]
    pub fn name(&mut self, name: &str) -> Result<()> {
        self.grow(text_size(name.into()))?;
        let (id, mark) = self.names.admit(name);
        self.admitted_name(name, id, mark);
        Ok(())
    }

    /// Takes the name of the member whose value comes next from the beginning of a JSON text, where that is the
    /// one that is likely. Returns the bytes that it takes there, with its colon.
    #[inline(always)]
    pub(super) fn predicted_name(&mut self, json: &[u8]) -> Result<Option<usize>> {
        let Some((id, name, mark, len)) = self.names.predict(json) else { return Ok(None) };
        self.grow(text_size(name.into()))?;
        self.admitted_name(name, Some(id), mark);
        Ok(Some(len))
    }

    #[inline(always)]
    fn admitted_name(&mut self, name: &str, id: Option<NameId>, mark: Mark) {
        let BuildBuffers { buffer, frames, seen } = &mut self.scratch;
        let frame = frames.last_mut().expect("a name stands in an object");
        frame.note(mark, seen);
        frame.child_at = buffer.len();
        match id {
            Some(id) => pack::write_name_id(id, buffer),
            None if name.len() > pack::STRING_BYTES_MAX => self.long_name(name),
            None => pack::write_name_text(name.as_bytes(), buffer),
        }
    }

    /// A member whose name is too long to be packed is a chunk of its own.
    #[cold]
    fn long_name(&mut self, name: &str) {
        let BuildBuffers { buffer, frames, .. } = &mut self.scratch;
        let frame = frames.last_mut().expect("a name stands in an object");
        frame.take_runs(buffer, buffer.len(), frame.count);
        frame.count = 0;
        let Some(Tree::Object(_, long)) = &mut frame.tree else {
            unreachable!("the frame is an object's tree")
        };
        *long = Some(name.into());
    }

    /// Closes the container opened last.
    pub fn end(&mut self) {
        let BuildBuffers { buffer, frames, seen } = &mut self.scratch;
        let mut frame = frames.pop().expect("a container is open");
        let marks = &seen[frame.seen_start..];
        let is_small = frame.tree.is_none();
        if is_small {
            if !frame.has_alike(marks) {
                seen.truncate(frame.seen_start);
                pack::close_container(frame.start, frame.count, buffer);
                return self.end_packed(frame.start);
            }
            frame.take_runs(buffer, buffer.len(), frame.count);
        }
        let rest = buffer.get(frame.start + HEADER_BYTES..).unwrap_or_default();
        let mut repeats = false;
        let value = match frame.tree.take().expect("the frame is a tree") {
            Tree::Array(mut items) => {
                items.push_packed(rest);
                Value(Repr::Array(Box::new(LargeArray::from(items.finish()))))
            }
            Tree::Object(mut members, _) => {
                members.push_packed(rest);
                let (object, repeated) = LargeObject::of_marked(members.finish(), marks);
                repeats = repeated;
                Value(Repr::Object(Box::new(object)))
            }
        };
        seen.truncate(frame.seen_start);
        buffer.truncate(frame.start);
        self.recount |= repeats;
        let again = if is_small || repeats { value.packed_again() } else { None };
        match again {
            Some(leaf) => self.push_leaf(leaf.get()),
            None => self.push(value),
        }
    }

    /// A packed container at the end of the buffer is closed.
    #[inline]
    fn end_packed(&mut self, start: usize) {
        if self.keeps_packed() {
            return self.count_child();
        }
        let value = Value(Repr::Leaf(Leaf::new(&self.scratch.buffer[start..])));
        self.scratch.buffer.truncate(start);
        self.push(value)
    }

    /// Adds a packed container that is complete.
    fn push_leaf(&mut self, leaf: LeafRef<'_>) {
        if !self.keeps_packed() {
            return self.push(Value(Repr::Leaf(Leaf::new(leaf.node()))));
        }
        self.begin_child();
        self.scratch.buffer.extend_from_slice(leaf.node());
        self.count_child();
    }

    /// The value, when everything was closed.
    pub fn finish(mut self) -> Measured {
        let value = self.root.take().expect("one value was built");
        if self.recount {
            return value.into();
        }
        Measured { value, size: self.size, depth: self.depth }
    }

    #[inline(always)]
    fn grow(&mut self, size: u64) -> Result<()> {
        self.size += size;
        self.limits.check_bytes(self.size)
    }

    /// Returns true if the next node goes to the buffer.
    #[inline]
    fn keeps_packed(&self) -> bool {
        let top = self.scratch.frames.last();
        top.is_some_and(|frame| !frame.has_long_name())
    }

    #[inline(always)]
    fn scalar(&mut self, write: impl FnOnce(&mut Vec<u8>), make: impl FnOnce() -> Value) {
        // The container on top is looked at once.
        let BuildBuffers { buffer, frames, .. } = &mut self.scratch;
        let frame = match frames.last_mut() {
            Some(frame) if !frame.has_long_name() => frame,
            _ => return self.push(make()),
        };
        if !frame.object {
            frame.child_at = buffer.len();
        }
        write(buffer);
        if frame.is_full_with_child(buffer.len()) {
            self.end_run();
        }
    }

    /// A child of the container on top comes next. In an object its name says where it begins.
    #[inline]
    fn begin_child(&mut self) {
        let at = self.scratch.buffer.len();
        if let Some(frame) = self.scratch.frames.last_mut()
            && !frame.object
        {
            frame.child_at = at;
        }
    }

    /// A child of the container on top, which is in the buffer, is complete.
    #[inline]
    fn count_child(&mut self) {
        let frame = self.scratch.frames.last_mut().expect("a packed container is open");
        if frame.is_full_with_child(self.scratch.buffer.len()) {
            self.end_run();
        }
    }

    /// Moves the children out of the buffer, all but the last, to the tree that the container on top becomes.
    #[inline(never)]
    fn end_run(&mut self) {
        let BuildBuffers { buffer, frames, .. } = &mut self.scratch;
        let frame = frames.last_mut().expect("a packed container is open");
        frame.take_runs(buffer, frame.child_at, frame.count - 1);
        frame.count = 1;
    }

    /// Adds a value to the container on top, which becomes a tree if it is not.
    fn push(&mut self, value: Value) {
        let BuildBuffers { buffer, frames, .. } = &mut self.scratch;
        let Some(frame) = frames.last_mut() else {
            self.root = Some(value);
            return;
        };
        if let Some(Tree::Object(members, long)) = &mut frame.tree
            && let Some(name) = long.take()
        {
            return members.push(Child::One(SlotName::Text(name), value));
        }
        let child_at = if frame.object { frame.child_at } else { buffer.len() };
        frame.take_runs(buffer, child_at, frame.count);
        frame.count = 0;
        let content = frame.start + HEADER_BYTES;
        match frame.tree.as_mut().expect("the frame is a tree") {
            Tree::Array(items) => items.push(Child::new((), value)),
            Tree::Object(members, _) => {
                members.push(Child::new(SlotName::read(&buffer[content..]), value));
            }
        }
        buffer.truncate(content);
    }

    /// A whole value at once.
    pub fn events(&mut self, view: View<'_>) -> Result<()> {
        match view {
            View::Null => self.null(),
            View::Bool(value) => self.boolean(value),
            View::Int(value) => self.number(Number::Int(value)),
            View::Float(value) => self.number(Number::Float(value)),
            View::Str(text) => self.string(text.as_str()),
            View::Array(array) => {
                self.begin_array()?;
                array.iter().try_for_each(|item| self.events(item))?;
                self.end();
                Ok(())
            }
            View::Object(object) => {
                self.begin_object()?;
                for (name, value) in object.iter() {
                    self.name(name.as_str())?;
                    self.events(value)?;
                }
                self.end();
                Ok(())
            }
        }
    }
}

/// `inner` as the only member of an object in another, by `names` from the outside in. A large value is
/// moved into its place, a small one written there once.
pub fn nested(names: &[&str], inner: Measured) -> Measured {
    let (size, depth) = nested_size(names, &inner);
    let mut builder = ValueBuilder::new(&Limits::NONE);
    let within = "what was measured is within the representation's limits";
    for name in names {
        builder.begin_object().and_then(|()| builder.name(name)).expect(within);
    }
    if inner.value.is_tree() {
        builder.push(inner.value);
    } else {
        builder.events(inner.value.view()).expect(within);
    }
    names.iter().for_each(|_| builder.end());
    Measured { value: builder.finish().value, size, depth }
}

/// The size and the depth of what [`nested`] makes, before it is made.
pub fn nested_size(names: &[&str], inner: &Measured) -> (u64, u32) {
    let around = names.iter().map(|name| 4 + text_size((*name).into())).sum::<u64>();
    (inner.size + around, inner.depth + names.len() as u32)
}

/// Builds an array of values.
pub fn array<'a>(items: impl IntoIterator<Item = View<'a>>) -> Value {
    let mut builder = ValueBuilder::new(&Limits::NONE);
    builder.begin_array().expect("an array is within the representation's limits");
    for item in items {
        builder.events(item).expect("parts of a document are within the representation's limits");
    }
    builder.end();
    builder.finish().value
}

/// Builds an object of members; of repeated names the last value wins.
pub fn object<'a>(members: impl IntoIterator<Item = (Text<'a>, View<'a>)>) -> Value {
    let mut builder = ValueBuilder::new(&Limits::NONE);
    builder.begin_object().expect("an object is within the representation's limits");
    for (name, value) in members {
        builder
            .name(name.as_str())
            .and_then(|()| builder.events(value))
            .expect("parts of a document are within the representation's limits");
    }
    builder.end();
    builder.finish().value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{parse, print};

    /// Address of the array that stands below `names`.
    fn address_below(mut view: View<'_>, names: &[&str]) -> usize {
        for name in names {
            view = view.as_object().unwrap().get(name).unwrap();
        }
        view.as_array().unwrap().address()
    }

    #[test]
    fn a_large_value_is_moved_into_its_parents() {
        let long_name = "n".repeat(2000);
        let names: Vec<&str> = ["a", "b", &long_name].into_iter().cycle().take(120).collect();
        let text = format!("[{}]", vec!["7"; 2000].join(","));
        let inner = parse::json(text.as_bytes(), &Limits::NONE).unwrap();
        let first = address_below(inner.value.view(), &[]);
        let made = nested(&names, inner);
        assert_eq!(first, address_below(made.value.view(), &names), "the array is where it was");
        assert_eq!((made.size, made.depth), (made.value.view().size(), made.value.view().depth()));
    }

    #[test]
    fn names_with_one_mark_are_different_members() {
        let mut marks = std::collections::HashMap::new();
        let [a, b] = (0..10_000_000)
            .find_map(|nth| {
                let name = format!("m{nth}");
                marks.insert(Mark::of(&name), name.clone()).map(|other| [other, name])
            })
            .expect("there are fewer marks than pairs of names");
        for text in [
            format!(r#"{{"{a}":1,"{b}":2}}"#),
            format!(r#"{{"{a}":{{"{b}":1,"{a}":2}},"c":[],"{b}":{{"{a}":1,"{b}":[2]}}}}"#),
        ] {
            let measured = parse::json(text.as_bytes(), &Limits::NONE).unwrap();
            assert_eq!(format!("{:?}", measured.value), text);
            assert_eq!(measured.size, measured.value.view().size());
            assert!(!measured.value.is_tree(), "a small object is packed");
        }
    }

    #[test]
    fn what_is_nested_is_what_its_text_says() {
        for inner in ["1", "null", "[1,{\"b\":2}]", "{}", &format!("\"{}\"", "x".repeat(3000))] {
            for names in [&[][..], &["a"], &["a", "a", "long enough to be no shared name"]] {
                let measured = parse::json(inner.as_bytes(), &Limits::NONE).unwrap();
                let made = nested(names, measured);
                let start: String = names.iter().map(|name| format!("{{\"{name}\":")).collect();
                let text = format!("{start}{inner}{}", "}".repeat(names.len()));
                assert_eq!(format!("{:?}", made.value), text);
                assert_eq!(made.size, made.value.view().size());
                assert_eq!(made.depth, made.value.view().depth());
            }
        }
    }
    /// The members that remain of some with these names and values: the last value in the first place.
    fn remaining(members: &[(String, String)]) -> Vec<(&str, &str)> {
        let (mut all, mut places) = (Vec::new(), std::collections::HashMap::new());
        for (name, value) in members {
            let at = *places.entry(name).or_insert_with(|| {
                all.push((&**name, ""));
                all.len() - 1
            });
            all[at].1 = value;
        }
        all
    }

    #[test]
    fn of_repeated_names_the_last_value_takes_the_first_place() {
        let large = format!("[{}]", vec!["7"; 2000].join(","));
        let values = ["1", "null", "[1,{\"b\":2}]", "{}", "\"0123456789\"", &large];
        let long = "n".repeat(1100);
        let mut state = 7_u64;
        let mut draw = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        for count in (1_usize..70).chain([120, 500, 511, 512, 513, 600, 3000]) {
            for different in [1, 2, 10, count.div_ceil(2), 20 * count] {
                let kinds = [1, 5, 6][draw(3)];
                let member = |_| {
                    let name = match draw(100) {
                        0 => format!("{long}{}", draw(2)),
                        _ => format!("{}", draw(different)),
                    };
                    (name, values[draw(kinds)].to_owned())
                };
                let members: Vec<_> = (0..count).map(member).collect();
                let text = |members: &mut dyn Iterator<Item = (&str, &str)>| {
                    let all: Vec<_> = members.map(|(n, v)| format!("\"{n}\":{v}")).collect();
                    format!("{{{}}}", all.join(","))
                };
                let given = text(&mut members.iter().map(|(n, v)| (&**n, &**v)));
                let rest = text(&mut remaining(&members).into_iter());
                for (given, rest) in
                    [(&given, &rest), (&format!("[0,{given},1]"), &format!("[0,{rest},1]"))]
                {
                    let made = parse::json(given.as_bytes(), &Limits::NONE).unwrap();
                    let direct = parse::json(rest.as_bytes(), &Limits::NONE).unwrap();
                    assert_eq!(format!("{:?}", made.value), **rest, "{given}");
                    assert_eq!((made.size, made.depth), (direct.size, direct.depth));
                    assert_eq!(made.value.is_tree(), direct.value.is_tree(), "{given}");
                }
                let made = parse::json(given.as_bytes(), &Limits::NONE).unwrap();
                let object = made.value.view().as_object().unwrap();
                for (name, value) in remaining(&members) {
                    assert_eq!(print::to_string(object.get(name).unwrap()), value);
                }
                assert!(object.get("no such name").is_none());
            }
        }
    }

    #[test]
    fn some_hundred_names_are_compared_with_few_each() {
        for count in [30, 100, 400, 511] {
            let members: Vec<_> = (0..count).map(|nth| format!("\"n{nth}\":1")).collect();
            let text = format!("{{{}}}", members.join(","));
            let before = member_index::COMPARED.get();
            parse::json(text.as_bytes(), &Limits::NONE).unwrap();
            let compared = member_index::COMPARED.get() - before;
            assert!(compared < 12 * count, "{compared} comparisons of marks for {count} names");
        }
    }
}
