//! Packed containers in buffers: reading, and changing them in place.

use smallvec::SmallVec;

use super::pack::{
    ARRAY, HEADER_BYTES, LEAF_BYTES_MAX, OBJECT, PackedBody, PackedName, name_at, name_len,
    node_len, set_header, u16_at, view,
};
use super::view::{ArrayView, ObjectView, View};

/// A packed container that owns its buffer.
#[derive(Clone)]
pub struct Leaf(Box<[u8]>);

/// A packed container at the start of a buffer, whoever owns that.
#[derive(Clone, Copy)]
pub struct LeafRef<'a>(&'a [u8]);

/// Where a node stands inside a leaf: the byte range of the node itself (for an object's member
/// with its name in front) and the headers of the containers around it, outermost first.
#[derive(Clone)]
pub struct NodeRange {
    pub headers: SmallVec<[u16; 8]>,
    pub start: usize,
    /// Where the value begins; `start` unless a name stands before it.
    pub value: usize,
    pub end: usize,
}

/// The way from the root of a leaf to a node in it, kept while a path is looked up, so that a change of the node
/// need not find it a second time. It has the size of a few words and is copied; a longer one is not known.
#[derive(Clone, Copy, Default)]
pub struct PackedWay {
    headers: [u16; PackedWay::STEPS_MAX],
    /// The steps gone. The way is known from the first one on, up to [`PackedWay::STEPS_MAX`].
    steps: u16,
    start: u16,
    end: u16,
    /// Where the name of the last step stands in the body of its object, plus one; 0 of a step into an array.
    name_at: u16,
}

impl PackedWay {
    /// The most steps of a known way: few paths have more.
    const STEPS_MAX: usize = 8;

    /// Goes on to the child whose value stands at `start..end` of the body of the container reached so far.
    #[inline]
    pub(super) fn step(&mut self, start: usize, end: usize) {
        let header = usize::from(self.start);
        if let Some(kept) = self.headers.get_mut(usize::from(self.steps)) {
            *kept = header as u16;
        }
        self.steps = self.steps.saturating_add(1);
        self.start = (header + HEADER_BYTES + start) as u16;
        self.end = (header + HEADER_BYTES + end) as u16;
        self.name_at = 0;
    }

    /// As [`PackedWay::step`], to a member, whose name stands at `name_at`.
    #[inline]
    pub(super) fn step_to_member(&mut self, name_at: usize, start: usize, end: usize) {
        self.step(start, end);
        self.name_at = name_at as u16 + 1;
    }

    /// Forgets the way.
    #[inline]
    pub fn clear(&mut self) {
        self.steps = 0;
    }

    /// Returns true if the way is known: it leads to a node inside a leaf, and is not too long.
    #[inline]
    pub fn is_known(&self) -> bool {
        (1..=PackedWay::STEPS_MAX).contains(&self.steps.into())
    }

    /// Where the name of a member of the root stands in the root's body, if the way leads to one.
    #[inline]
    pub(super) fn name_in_root(&self) -> Option<usize> {
        if self.steps == 1 { usize::from(self.name_at).checked_sub(1) } else { None }
    }

    /// Where the value that was reached begins, where the way is known.
    #[inline]
    pub(super) fn value_at(&self) -> Option<usize> {
        self.is_known().then_some(self.start.into())
    }

    /// The node that was reached, where the way is known: the headers of the containers around it, its start and its end.
    #[inline]
    pub(super) fn node(&self) -> Option<(&[u16], usize, usize)> {
        let headers = self.headers.get(..self.steps.into()).filter(|known| !known.is_empty())?;
        Some((headers, self.start.into(), self.end.into()))
    }
}

/// The way to a node inside a leaf.
#[derive(Clone, Copy)]
pub struct Steps<'s> {
    /// The children that stand before the leaf's own in the container the leaf is a run of.
    pub before: u32,
    pub rest: &'s [u32],
    /// Where children on the way begin, as far as it is known: of the leaf's own container, and of those inside it on
    /// the way.
    pub known: &'s [ChildStarts],
}

impl<'s> Steps<'s> {
    /// Steps inside a leaf that is no run.
    pub fn inside(rest: &'s [u32]) -> Steps<'s> {
        Steps { before: 0, rest, known: &[] }
    }
}

/// Where the first children of a container inside a leaf begin. Children have different lengths: without it, each is
/// found from the first one on.
#[derive(Default)]
pub struct ChildStarts {
    /// Where the tag of the container stands.
    header: u16,
    /// Of a member, where its name begins.
    starts: Vec<u16>,
}

impl ChildStarts {
    /// Begins with a container, none of whose children is known.
    pub fn begin(&mut self, header: usize) {
        self.header = header as u16;
        self.starts.clear();
    }

    /// Forgets the children from `position` on.
    pub fn truncate(&mut self, position: usize) {
        self.starts.truncate(position);
    }

    #[inline]
    fn get(&self, position: usize) -> Option<usize> {
        self.starts.get(position).map(|start| usize::from(*start))
    }
}

/// One change in a leaf: `bytes` take the place of `start..end`, and the count of the innermost container
/// changes by `count_change`. The headers are those of a [`NodeRange`].
pub struct Splice<'s> {
    pub headers: &'s [u16],
    pub start: usize,
    pub end: usize,
    pub bytes: &'s [u8],
    pub count_change: isize,
}

impl Leaf {
    /// `node` is one packed container.
    pub fn new(node: &[u8]) -> Leaf {
        debug_assert!(matches!(node[0], ARRAY | OBJECT) && node_len(node, 0) == node.len());
        debug_assert!(node.len() <= LEAF_BYTES_MAX);
        let mut buffer = Vec::with_capacity(rounded(node.len()));
        buffer.extend_from_slice(node);
        Leaf::with_slack(buffer)
    }

    pub fn from_body(tag: u8, body: PackedBody<'_>) -> Leaf {
        let used = HEADER_BYTES + body.bytes().len();
        let mut buffer = Vec::with_capacity(rounded(used));
        buffer.extend_from_slice(&[tag, 0, 0, 0, 0]);
        set_header(&mut buffer, body.bytes().len(), body.len());
        buffer.extend_from_slice(body.bytes());
        Leaf::with_slack(buffer)
    }

    /// `count` packed children, or members, in a container of their own.
    pub fn of_children(tag: u8, bytes: &[u8], count: usize) -> Leaf {
        Leaf::from_body(tag, PackedBody::new(bytes, count))
    }

    /// Fills the buffer up to its capacity, so that none of it is given back.
    fn with_slack(mut buffer: Vec<u8>) -> Leaf {
        buffer.resize(buffer.capacity(), 0);
        Leaf(buffer.into_boxed_slice())
    }

    pub fn empty(tag: u8) -> Leaf {
        Leaf::new(&[tag, 0, 0, 0, 0])
    }

    #[inline]
    pub fn get(&self) -> LeafRef<'_> {
        LeafRef(&self.0)
    }

    pub fn buffer_bytes(&self) -> usize {
        self.0.len()
    }

    pub fn buffer_mut(&mut self) -> &mut Box<[u8]> {
        &mut self.0
    }

    /// There is room for it, see [`LeafRef::has_room`].
    #[inline]
    pub fn splice(&mut self, splice: &Splice<'_>) {
        let after = splice.used_after(self.get());
        if self.0.len() > rounded(after) * 2 || !splice.in_place(&mut self.0) {
            *self = splice.elsewhere(self.get());
        }
    }
}

impl Splice<'_> {
    fn used_after(&self, leaf: LeafRef<'_>) -> usize {
        leaf.used() - (self.end - self.start) + self.bytes.len()
    }

    /// Makes the change within the buffer of the leaf; says whether it could.
    #[inline(always)]
    pub fn in_place(&self, buffer: &mut [u8]) -> bool {
        // Most changes put a number in the place of one of the same length: nothing moves.
        if self.bytes.len() == self.end - self.start && self.count_change == 0 {
            buffer[self.start..self.end].copy_from_slice(self.bytes);
            return true;
        }
        self.move_in_place(buffer)
    }

    #[inline(never)]
    fn move_in_place(&self, buffer: &mut [u8]) -> bool {
        let used = LeafRef(buffer).used();
        let after = used - (self.end - self.start) + self.bytes.len();
        assert!(after <= LEAF_BYTES_MAX, "the caller asked whether there is room");
        if after > buffer.len() {
            return false;
        }
        let end = self.start + self.bytes.len();
        buffer.copy_within(self.end..used, end);
        buffer[self.start..end].copy_from_slice(self.bytes);
        self.correct_headers(buffer);
        true
    }

    /// The leaf as it is after the change, in a buffer of its own.
    pub fn elsewhere(&self, leaf: LeafRef<'_>) -> Leaf {
        let after = self.used_after(leaf);
        assert!(after <= LEAF_BYTES_MAX, "the caller asked whether there is room");
        let mut buffer = Vec::with_capacity(rounded(after));
        buffer.extend_from_slice(&leaf.0[..self.start]);
        buffer.extend_from_slice(self.bytes);
        buffer.extend_from_slice(&leaf.0[self.end..leaf.used()]);
        self.correct_headers(&mut buffer);
        Leaf::with_slack(buffer)
    }

    fn correct_headers(&self, buffer: &mut [u8]) {
        let growth = self.bytes.len() as isize - (self.end - self.start) as isize;
        for header in self.headers {
            grow(buffer, usize::from(*header) + 1, growth);
        }
        if let Some(innermost) = self.headers.last()
            && self.count_change != 0
        {
            grow(buffer, usize::from(*innermost) + 3, self.count_change);
        }
    }
}

/// Adds to one of the numbers of a header, which is at `at`.
#[inline]
fn grow(buffer: &mut [u8], at: usize, growth: isize) {
    let grown = u16_at(buffer, at) as isize + growth;
    let grown = u16::try_from(grown).expect("a leaf is small");
    buffer[at..at + 2].copy_from_slice(&grown.to_le_bytes());
}

impl<'a> LeafRef<'a> {
    #[inline]
    pub fn new(buffer: &'a [u8]) -> LeafRef<'a> {
        LeafRef(buffer)
    }

    /// The packed node, without the slack behind it.
    #[inline]
    pub fn node(self) -> &'a [u8] {
        &self.0[..self.used()]
    }

    #[inline]
    pub fn used(self) -> usize {
        HEADER_BYTES + u16_at(self.0, 1)
    }

    #[inline(always)]
    pub fn view(self) -> View<'a> {
        let body = self.body();
        // A leaf is a container: nothing else need be told apart.
        match self.0[0] {
            OBJECT => View::Object(ObjectView::Packed(body)),
            tag => {
                debug_assert_eq!(tag, ARRAY, "a leaf is a container");
                View::Array(ArrayView::Packed(body))
            }
        }
    }

    /// The inside of the container.
    #[inline(always)]
    pub fn body(self) -> PackedBody<'a> {
        PackedBody::at(self.0, 0)
    }

    /// The view of the node at a place inside this leaf.
    pub fn view_at(self, steps: Steps<'_>) -> View<'a> {
        if steps.rest.is_empty() {
            return self.view();
        }
        view(self.0, self.locate(steps).value)
    }

    /// The view of the node that begins at `value`.
    #[inline]
    pub fn view_from(self, value: usize) -> View<'a> {
        view(self.0, value)
    }

    /// Finds the node at a place inside this leaf. The place exists.
    #[inline]
    pub fn locate(self, steps: Steps<'_>) -> NodeRange {
        let mut spot = NodeRange { headers: SmallVec::new(), start: 0, value: 0, end: 0 };
        let mut before = steps.before;
        for (nth, step) in steps.rest.iter().enumerate() {
            let step = (*step - std::mem::take(&mut before)) as usize;
            let header = spot.value;
            assert!(
                step < PackedBody::at(self.0, header).len(),
                "a place names a node that is there"
            );
            spot.headers.push(header as u16);
            spot.start = self.child_start(header, step, steps.known.get(nth));
            spot.value = self.value_of_child(header, spot.start);
        }
        spot.end = spot.value + node_len(self.0, spot.value);
        spot
    }

    /// Where the child at `position` of the container at `header` begins; behind the last one where there is none.
    #[inline]
    fn child_start(self, header: usize, position: usize, known: Option<&ChildStarts>) -> usize {
        let body = PackedBody::at(self.0, header);
        let inside = header + HEADER_BYTES;
        let by_walking = || match self.0[header] {
            ARRAY => inside + body.item_offset(position),
            _ => inside + body.member_offset(position),
        };
        let Some(start) = known.and_then(|known| known.get(position)) else {
            return if position == body.len() { inside + body.bytes().len() } else { by_walking() };
        };
        debug_assert_eq!(start, by_walking(), "what is known of the way is true");
        start
    }

    /// Where the value of the child that begins at `start` of the container at `header` begins.
    #[inline]
    fn value_of_child(self, header: usize, start: usize) -> usize {
        if self.0[header] == ARRAY { start } else { start + name_len(self.0, start) }
    }

    /// Goes on from a container to its child at `position`, from the last one known on, which the starts of all on the
    /// way are added to. Gives where the child's value begins.
    pub fn pass(self, known: &mut ChildStarts, position: usize) -> usize {
        let header = usize::from(known.header);
        let body = PackedBody::at(self.0, header);
        assert!(position < body.len(), "a place names a node that is there");
        let mut next = match known.starts.last() {
            None => header + HEADER_BYTES,
            Some(last) if known.starts.len() <= position => {
                self.child_end(header, usize::from(*last))
            }
            Some(_) => 0,
        };
        while known.starts.len() <= position {
            known.starts.push(next as u16);
            next = self.child_end(header, next);
        }
        self.value_of_child(header, known.starts[position].into())
    }

    #[inline]
    fn child_end(self, header: usize, start: usize) -> usize {
        let value = self.value_of_child(header, start);
        value + node_len(self.0, value)
    }

    /// The name of the child at `position` of a container, if it is a member, and its value. None where it is not
    /// known where the child begins.
    #[inline]
    pub fn known_child(
        self,
        known: &ChildStarts,
        position: usize,
    ) -> Option<(Option<PackedName<'a>>, View<'a>)> {
        let (header, start) = (usize::from(known.header), known.get(position)?);
        debug_assert_eq!(start, self.child_start(header, position, None), "what is known is true");
        Some(match self.0[header] {
            ARRAY => (None, view(self.0, start)),
            _ => {
                let (name, value) = name_at(self.0, start);
                (Some(name), view(self.0, value))
            }
        })
    }

    /// The gap before the child at `position` of the container at `steps`; behind the last when
    /// `position` is the number of children. The headers include the container's own.
    pub fn locate_gap(self, steps: Steps<'_>, position: usize) -> NodeRange {
        let mut spot = self.locate(steps);
        let header = spot.value;
        assert!(position <= PackedBody::at(self.0, header).len(), "a gap is inside its container");
        spot.headers.push(header as u16);
        spot.start = self.child_start(header, position, steps.known.get(steps.rest.len()));
        spot.value = spot.start;
        spot.end = spot.start;
        spot
    }

    /// Returns true if replacing `removed` bytes by `added` keeps the leaf within its size.
    #[inline]
    pub fn has_room(self, removed: usize, added: usize) -> bool {
        self.used() - removed + added <= LEAF_BYTES_MAX
    }
}

/// The size of the allocator's class for `bytes`, as jemalloc spaces them: what is allocated anyway.
pub fn rounded(bytes: usize) -> usize {
    let step = match bytes {
        0..=128 => 16,
        129..=256 => 32,
        257..=512 => 64,
        _ => 128,
    };
    bytes.next_multiple_of(step)
}
