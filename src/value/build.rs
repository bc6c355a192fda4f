//! Builds values from a stream of events, packing every container that is small enough.
//!
//! All open containers that are still small share one scratch buffer, in packed form. When one grows
//! past the size of a leaf it becomes a tree node, and so do those around it.

use std::cell::Cell;

use super::leaf::Leaf;
use super::limits::Limits;
use super::names::{Mark, Sequence};
use super::number::Number;
use super::object::Object;
use super::pack::{self, Body};
use super::tree::{Array, Node, Value};
use super::view::{ArrayView, ObjectView, Text, View, text_size};
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
        Measured { value: number.into(), size: 9, depth: 0 }
    }
}

/// An owned copy of a view.
pub fn copy(view: View<'_>) -> Value {
    match view {
        View::Null => Value::NULL,
        View::Bool(value) => value.into(),
        View::Int(value) => value.into(),
        View::Float(value) => Value(Node::Float(value)),
        View::Str(text) => Value::string(text.as_str()),
        View::Array(ArrayView::Packed(body)) => {
            Value(Node::Leaf(Leaf::from_body(pack::ARRAY, body)))
        }
        View::Object(ObjectView::Packed(body)) => {
            Value(Node::Leaf(Leaf::from_body(pack::OBJECT, body)))
        }
        View::Array(ArrayView::Tree(array)) => Value(Node::Array(Box::new(array.clone()))),
        View::Object(ObjectView::Tree(object)) => Value(Node::Object(Box::new(object.clone()))),
    }
}

/// Receives a value as events: scalars, and `begin_*` / `end` around containers.
pub struct Builder {
    scratch: Scratch,
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
struct Scratch {
    buffer: Vec<u8>,
    frames: Vec<Frame>,
    /// The mark of each name in each open packed object, to notice repeated names. Two names with one
    /// mark are taken for repeated, which costs time and changes nothing.
    seen: Vec<Mark>,
    /// The elements of all open arrays that are trees: their number is known when they are moved to the array.
    values: Vec<Value>,
}

thread_local! {
    /// The buffers of the last builder of this thread: most values are built in less time than it
    /// takes to allocate them.
    static SPARE: Cell<Scratch> = Cell::default();
}

impl Scratch {
    fn take() -> Scratch {
        // A thread that ends has none to spare.
        SPARE.try_with(Cell::take).unwrap_or_default()
    }

    /// Keeps the buffers for the next builder, up to a size worth keeping.
    fn keep(mut self) {
        const KEEP: usize = 1 << 14;
        self.buffer.clear();
        self.frames.clear();
        self.seen.clear();
        self.values.clear();
        self.values.shrink_to(KEEP / size_of::<Value>());
        self.buffer.shrink_to(KEEP);
        self.frames.shrink_to(KEEP / size_of::<Frame>());
        self.seen.shrink_to(KEEP / size_of::<Mark>());
        let _ = SPARE.try_with(|spare| spare.set(self));
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        std::mem::take(&mut self.scratch).keep();
    }
}

struct Frame {
    /// Where the packed container begins in the buffer; its content does, once it is a tree.
    start: usize,
    count: usize,
    seen_start: usize,
    /// Where the name whose value is awaited begins.
    name_at: Option<usize>,
    object: bool,
    tree: Option<Tree>,
    /// It left the packed form for another reason than its size.
    repack: bool,
}

enum Tree {
    /// Its elements are the values from this one on.
    Array(usize),
    Object(Object, Option<Box<str>>),
}

impl Builder {
    pub fn new(limits: &Limits) -> Builder {
        Builder {
            scratch: Scratch::take(),
            names: Sequence::new(),
            root: None,
            limits: *limits,
            size: 0,
            depth: 0,
            recount: false,
        }
    }

    /// Whether a container is open, and whether it is an object.
    #[inline]
    pub fn open(&self) -> Option<bool> {
        self.scratch.frames.last().map(|frame| frame.object)
    }

    pub fn null(&mut self) -> Result<()> {
        self.grow(1)?;
        self.scalar(pack::write_null, || Value::NULL);
        Ok(())
    }

    pub fn boolean(&mut self, value: bool) -> Result<()> {
        self.grow(1)?;
        self.scalar(|out| pack::write_bool(value, out), || value.into());
        Ok(())
    }

    #[inline]
    pub fn number(&mut self, number: Number) -> Result<()> {
        self.grow(9)?;
        self.scalar(|out| pack::write_number(number, out), || number.into());
        Ok(())
    }

    #[inline]
    pub fn string(&mut self, text: &str) -> Result<()> {
        self.grow(text_size(text.into()))?;
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
        let tag = if object { pack::OBJECT } else { pack::ARRAY };
        let start = pack::open_container(tag, &mut self.scratch.buffer);
        let seen_start = self.scratch.seen.len();
        self.scratch.frames.push(Frame {
            start,
            count: 0,
            seen_start,
            name_at: None,
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
        if let Some(Tree::Object(object, awaited)) = &mut frame.tree {
            self.recount |= object.find(name).is_some();
            *awaited = Some(name.into());
            return Ok(());
        }
        let (id, mark) = self.names.admit(name);
        let repeated = self.scratch.seen[frame.seen_start..].contains(&mark);
        if repeated || name.len() > pack::STRING_BYTES_MAX {
            frame.repack |= repeated;
            self.unpack(self.scratch.frames.len() - 1);
            return self.name_in_tree(name);
        }
        self.scratch.seen.push(mark);
        frame.name_at = Some(self.scratch.buffer.len());
        match id {
            Some(id) => pack::write_name_id(id, &mut self.scratch.buffer),
            None => pack::write_name_text(name.as_bytes(), &mut self.scratch.buffer),
        }
        Ok(())
    }

    fn name_in_tree(&mut self, name: &str) -> Result<()> {
        let frame = self.scratch.frames.last_mut().expect("a name stands in an object");
        let Some(Tree::Object(object, awaited)) = &mut frame.tree else {
            unreachable!("the frame was unpacked")
        };
        self.recount |= object.find(name).is_some();
        *awaited = Some(name.into());
        Ok(())
    }

    /// Closes the container opened last.
    pub fn end(&mut self) {
        let frame = self.scratch.frames.pop().expect("a container is open");
        self.scratch.seen.truncate(frame.seen_start);
        match frame.tree {
            None => {
                pack::close_container(frame.start, frame.count, &mut self.scratch.buffer);
                if self.keeps_packed() {
                    self.count_child();
                } else {
                    let value = Value(Node::Leaf(Leaf::new(&self.scratch.buffer[frame.start..])));
                    self.scratch.buffer.truncate(frame.start);
                    self.push(value);
                }
            }
            Some(tree) => {
                let value = match tree {
                    Tree::Array(start) => {
                        let items = self.scratch.values.drain(start..).collect();
                        Value(Node::Array(Box::new(Array { items })))
                    }
                    Tree::Object(object, _) => Value(Node::Object(Box::new(object))),
                };
                if frame.repack {
                    self.copy(value.view());
                } else {
                    self.push(value);
                }
            }
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

    /// Whether the next node goes to the buffer.
    #[inline]
    fn keeps_packed(&self) -> bool {
        self.scratch.frames.last().is_some_and(|frame| frame.tree.is_none())
    }

    #[inline]
    fn scalar(&mut self, write: impl FnOnce(&mut Vec<u8>), make: impl FnOnce() -> Value) {
        if self.keeps_packed() {
            write(&mut self.scratch.buffer);
            self.count_child();
        } else {
            self.push(make());
        }
    }

    /// A node of the packed container on top is complete.
    #[inline]
    fn count_child(&mut self) {
        let frame = self.scratch.frames.last_mut().expect("a packed container is open");
        frame.count += 1;
        frame.name_at = None;
        if self.scratch.buffer.len() - frame.start > pack::LEAF_BYTES_MAX {
            self.unpack(self.scratch.frames.len() - 1);
        }
    }

    /// Adds a value to the container on top, which becomes a tree if it is not.
    fn push(&mut self, value: Value) {
        let Some(top) = self.scratch.frames.len().checked_sub(1) else {
            self.root = Some(value);
            return;
        };
        self.unpack(top);
        match self.scratch.frames[top].tree.as_mut().expect("the frame was unpacked") {
            Tree::Array(_) => self.scratch.values.push(value),
            Tree::Object(object, awaited) => {
                object.set(&awaited.take().expect("a value in an object follows a name"), value);
            }
        }
    }

    /// Turns a packed frame into a tree. Nothing inside it is open.
    fn unpack(&mut self, nth: usize) {
        let frame = &mut self.scratch.frames[nth];
        if frame.tree.is_some() {
            return;
        }
        let content = frame.start + pack::HEADER_BYTES;
        let body = Body::new(&self.scratch.buffer[content..], frame.count);
        let tree = if frame.object {
            let mut object = Object::default();
            for (name, value) in body.members() {
                object.push(name.text().as_str(), value.to_value());
            }
            let awaited =
                frame.name_at.map(|at| pack::name_text(&self.scratch.buffer, at).as_str().into());
            Tree::Object(object, awaited)
        } else {
            let start = self.scratch.values.len();
            self.scratch.values.extend(body.items().map(View::to_value));
            Tree::Array(start)
        };
        frame.tree = Some(tree);
        self.scratch.buffer.truncate(frame.start);
    }

    /// Replays a value as events, without counting it again.
    fn copy(&mut self, view: View<'_>) {
        let (size, recount) = (self.size, self.recount);
        let limits = std::mem::replace(&mut self.limits, Limits::NONE);
        self.events(view).expect("a value within limits is copied without any");
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
    let mut builder = Builder::new(&Limits::NONE);
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
    let mut builder = Builder::new(&Limits::NONE);
    builder.begin_array().expect("an array is within the representation's limits");
    for item in items {
        builder.events(item).expect("parts of a document are within the representation's limits");
    }
    builder.end();
    builder.finish().value
}

/// Builds an object of members; of repeated names the last value wins.
pub fn object<'a>(members: impl IntoIterator<Item = (Text<'a>, View<'a>)>) -> Value {
    let mut builder = Builder::new(&Limits::NONE);
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

    /// The array that stands below `names`.
    fn array_below<'v>(mut view: View<'v>, names: &[&str]) -> &'v Array {
        for name in names {
            view = view.as_object().unwrap().get(name).unwrap();
        }
        let View::Array(ArrayView::Tree(array)) = view else { panic!("it is a large array") };
        array
    }

    #[test]
    fn a_large_value_is_moved_into_its_parents() {
        let long_name = "n".repeat(2000);
        let names: Vec<&str> = ["a", "b", &long_name].into_iter().cycle().take(120).collect();
        let text = format!("[{}]", vec!["7"; 2000].join(","));
        let inner = parse::json(text.as_bytes(), &Limits::NONE).unwrap();
        let first: *const Value = array_below(inner.value.view(), &[]).get(0).unwrap();
        let made = nested(&names, inner);
        let moved: *const Value = array_below(made.value.view(), &names).get(0).unwrap();
        assert_eq!(first, moved, "the elements are where they were");
        assert_eq!((made.size, made.depth), (made.value.view().size(), made.value.view().depth()));
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
