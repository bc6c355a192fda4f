//! Builds values from a stream of events, packing every container that is small enough.
//!
//! All open containers share one scratch buffer, in packed form. When one grows past the size of a leaf it
//! becomes a tree node, and so do those around it: its children leave the buffer in runs.

use std::cell::Cell;

use hashbrown::HashSet;

use super::chunks::{Child, ChildName, Gather, RUN_BYTES_MAX};
use super::leaf::Leaf;
use super::limits::Limits;
use super::names::{Mark, Sequence};
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
    /// Flag: no object repeats a name, as in a value that was built already.
    distinct: bool,
}

/// The buffers of a builder. They are empty between values.
#[derive(Default)]
struct BuildBuffers {
    buffer: Vec<u8>,
    frames: Vec<OpenContainer>,
    /// The mark of each name in each open object with not many of them, to notice repeated names. Two names
    /// with one mark are taken for repeated, which costs time and changes nothing.
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
        self.buffer.shrink_to(KEEP);
        self.frames.shrink_to(KEEP / size_of::<OpenContainer>());
        self.seen.shrink_to(KEEP / size_of::<Mark>());
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
    /// Where the child begins that comes next, or the last one did: its name, in an object.
    child_at: usize,
    object: bool,
    tree: Option<Tree>,
    /// It left the packed form for another reason than its size.
    repack: bool,
}

enum Tree {
    Array(Gather<()>),
    /// With the marks of all names, once there are many.
    Object(Gather<SlotName>, HashSet<Mark>),
    /// A name was repeated or is too long: each member is looked up, and none is in the buffer.
    Careful(LargeObject, Option<Box<str>>),
}

/// From so many members on the marks of their names are hashed.
const HASHED_FROM: usize = 64;

impl OpenContainer {
    /// Moves `count` children, those before `end`, out of the buffer; what is behind moves up.
    fn take_runs(&mut self, buffer: &mut Vec<u8>, end: usize, count: usize) {
        let content = self.start + HEADER_BYTES;
        let bytes = &buffer[content..end];
        let one_run = HEADER_BYTES + bytes.len() <= RUN_BYTES_MAX;
        let tree = self.tree.get_or_insert_with(|| match self.object {
            true => Tree::Object(Gather::new(), HashSet::new()),
            false => Tree::Array(Gather::new()),
        });
        match tree {
            _ if count == 0 => {}
            Tree::Array(items) if one_run => items.push_run(bytes, count),
            Tree::Array(items) => items.push_packed(bytes),
            Tree::Object(members, _) if one_run => members.push_run(bytes, count),
            Tree::Object(members, _) => members.push_packed(bytes),
            Tree::Careful(..) => unreachable!("no member of a careful object is in the buffer"),
        }
        buffer.drain(content..end);
        self.child_at = content;
    }

    /// Returns true if the object has a name of this mark already; else notes the mark.
    fn repeats(&mut self, mark: Mark, seen: &mut Vec<Mark>) -> bool {
        match &mut self.tree {
            Some(Tree::Object(_, marks)) if !marks.is_empty() => return !marks.insert(mark),
            _ if seen[self.seen_start..].contains(&mark) => return true,
            Some(Tree::Object(_, marks)) if seen.len() - self.seen_start >= HASHED_FROM => {
                marks.extend(seen.drain(self.seen_start..));
                marks.insert(mark);
            }
            _ => seen.push(mark),
        }
        false
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
            distinct: false,
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
            child_at: start + HEADER_BYTES,
            object,
            tree: None,
            repack: false,
        });
        Ok(())
    }

    /// The name of the member whose value comes next.
    #[inline]
    pub fn name(&mut self, name: &str) -> Result<()> {
        self.grow(text_size(name.into()))?;
        let frame = self.scratch.frames.last_mut().expect("a name stands in an object");
        if matches!(frame.tree, Some(Tree::Careful(..))) {
            return self.name_carefully(name);
        }
        let (id, mark) = self.names.admit(name);
        let repeated = !self.distinct && frame.repeats(mark, &mut self.scratch.seen);
        if repeated || name.len() > pack::STRING_BYTES_MAX {
            frame.repack |= repeated;
            self.be_careful();
            return self.name_carefully(name);
        }
        frame.child_at = self.scratch.buffer.len();
        match id {
            Some(id) => pack::write_name_id(id, &mut self.scratch.buffer),
            None => pack::write_name_text(name.as_bytes(), &mut self.scratch.buffer),
        }
        Ok(())
    }

    /// Every member of the object on top is looked up from now on.
    #[cold]
    fn be_careful(&mut self) {
        let buffer = &mut self.scratch.buffer;
        let frame = self.scratch.frames.last_mut().expect("a name stands in an object");
        let mut members = match frame.tree.take() {
            Some(Tree::Object(members, _)) => members,
            _ => Gather::new(),
        };
        members.push_packed(&buffer[frame.start + HEADER_BYTES..]);
        buffer.truncate(frame.start);
        frame.tree = Some(Tree::Careful(LargeObject::new(members.finish()), None));
    }

    #[cold]
    fn name_carefully(&mut self, name: &str) -> Result<()> {
        let frame = self.scratch.frames.last_mut().expect("a name stands in an object");
        let Some(Tree::Careful(object, awaited)) = &mut frame.tree else {
            unreachable!("the object is careful")
        };
        self.recount |= object.find(name).is_some();
        *awaited = Some(name.into());
        Ok(())
    }

    /// Closes the container opened last.
    pub fn end(&mut self) {
        let mut frame = self.scratch.frames.pop().expect("a container is open");
        self.scratch.seen.truncate(frame.seen_start);
        let Some(tree) = frame.tree.take() else {
            pack::close_container(frame.start, frame.count, &mut self.scratch.buffer);
            if self.keeps_packed() {
                return self.count_child();
            }
            let value = Value(Repr::Leaf(Leaf::new(&self.scratch.buffer[frame.start..])));
            self.scratch.buffer.truncate(frame.start);
            return self.push(value);
        };
        let rest = self.scratch.buffer.get(frame.start + HEADER_BYTES..).unwrap_or_default();
        let value = match tree {
            Tree::Array(mut items) => {
                items.push_packed(rest);
                Value(Repr::Array(Box::new(LargeArray::from(items.finish()))))
            }
            Tree::Object(mut members, _) => {
                members.push_packed(rest);
                Value(Repr::Object(Box::new(LargeObject::new(members.finish()))))
            }
            Tree::Careful(object, _) => Value(Repr::Object(Box::new(object))),
        };
        self.scratch.buffer.truncate(frame.start);
        if frame.repack {
            self.copy(value.view());
        } else {
            self.push(value);
        }
    }

    /// The value, when everything was closed.
    pub fn finish(mut self) -> Measured {
        let value = self.root.take().expect("one value was built");
        if self.recount {
            return value.into();
        }
        Measured { value, size: self.size, depth: self.depth }
    }

    #[inline]
    fn grow(&mut self, size: u64) -> Result<()> {
        self.size += size;
        self.limits.check_bytes(self.size)
    }

    /// Returns true if the next node goes to the buffer.
    #[inline]
    fn keeps_packed(&self) -> bool {
        let top = self.scratch.frames.last();
        top.is_some_and(|frame| !matches!(frame.tree, Some(Tree::Careful(..))))
    }

    #[inline]
    fn scalar(&mut self, write: impl FnOnce(&mut Vec<u8>), make: impl FnOnce() -> Value) {
        if self.keeps_packed() {
            self.begin_child();
            write(&mut self.scratch.buffer);
            self.count_child();
        } else {
            self.push(make());
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
        frame.count += 1;
        let used = self.scratch.buffer.len() - frame.start;
        let most = if frame.tree.is_none() { pack::LEAF_BYTES_MAX } else { RUN_BYTES_MAX };
        if used > most {
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
        if let Some(Tree::Careful(object, awaited)) = &mut frame.tree {
            let name = awaited.take().expect("a value in an object follows a name");
            return object.set(&name, value);
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
            Tree::Careful(..) => unreachable!("a careful object has been given the value"),
        }
        buffer.truncate(content);
    }

    /// Replays a value as events, without counting it again. Its names are not compared again either: two with
    /// one mark would make the copy careful in turn, and it would be copied without end.
    fn copy(&mut self, view: View<'_>) {
        let (size, recount) = (self.size, self.recount);
        let limits = std::mem::replace(&mut self.limits, Limits::NONE);
        self.distinct = true;
        self.events(view).expect("a value within limits is copied without any");
        self.distinct = false;
        (self.size, self.recount, self.limits) = (size, recount, limits);
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
    use crate::value::parse;

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
}
