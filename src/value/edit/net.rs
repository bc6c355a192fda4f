//! The net change of a document, as a JSON Patch: made of the journal before it is committed.
//!
//! Effects say where each change was, in names and indexes, and the undo log what was there. Both are walked once, in
//! order, into a tree of the places that changed ([`NetNode`]). The patch is then read off the document as it stands now:
//! each place is mentioned once, however often it changed, and what was changed back not at all. Nothing of the
//! document is visited but what changed.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::effects::effect;
use super::{Editor, Journal, Undo};
use crate::value::patch::PatchWriter;
use crate::value::wire::Reader;
use crate::value::{Value, View};

/// Work on the elements of arrays whose elements are put in and taken out one by one. Beyond it an array is
/// replaced as a whole.
const SHIFTS_MAX: usize = 1 << 20;

/// A place, with what became of it.
enum NetNode<'j> {
    Same,
    /// Its value is another one as a whole; the one before, where it is known.
    New(Option<&'j Value>),
    /// Changes inside of an object.
    Members(BTreeMap<&'j str, NetMember<'j>>),
    /// Changes inside of an array.
    Items(NetItems<'j>),
}

struct NetMember<'j> {
    /// Flag: it was there before.
    existed: bool,
    node: NetNode<'j>,
}

/// The elements of an array: which are old ones, and what became of these.
struct NetItems<'j> {
    /// The last one has an open end.
    runs: Vec<NetRun>,
    /// By index as it is now.
    inside: BTreeMap<u32, NetNode<'j>>,
}

#[derive(Clone, Copy, Debug)]
enum NetRun {
    /// Elements that stood side by side before, from `start` on; `len` is none for all that follow.
    Kept {
        start: u32,
        len: Option<u32>,
    },
    New(u32),
}

/// A step of a path.
#[derive(Clone, Copy)]
enum NetStep<'j> {
    Name(&'j str),
    Index(u32),
}

type NetPath<'j> = SmallVec<[NetStep<'j>; 4]>;

impl Editor<'_> {
    /// The changes so far as the text of a JSON Patch for the document before, or none if it would be longer than
    /// `most` bytes. Effects are recorded.
    pub fn net_patch(&self, most: usize) -> Option<Vec<u8>> {
        let mut patch = PatchWriter::new(most);
        NetChange::of(self.journal).root.write(self.view(), &mut patch);
        patch.finish()
    }
}

/// The places that a journal's changes concern.
struct NetChange<'j> {
    root: NetNode<'j>,
    shifts_left: usize,
}

impl<'j> NetChange<'j> {
    fn of(journal: &'j Journal) -> NetChange<'j> {
        let mut changed = NetChange { root: NetNode::Same, shifts_left: SHIFTS_MAX };
        let mut reader = Reader::new(&journal.effects);
        for undo in &journal.undo {
            // The effects are those of this journal: each change recorded one.
            changed.note(&mut reader, undo).expect("recorded effects are well-formed");
        }
        assert!(reader.is_empty(), "each change has its effect");
        changed
    }

    fn note(&mut self, reader: &mut Reader<'j>, undo: &'j Undo) -> crate::error::Result<()> {
        let tag = reader.byte()?;
        let path = read_path(reader)?;
        let before = match undo {
            Undo::Replace { old, .. } | Undo::PutMemberBack { old, .. } => Some(old),
            _ => None,
        };
        match tag {
            effect::REPLACE => {
                reader.skip()?;
                self.renew(&path, before);
            }
            effect::INSERT_MEMBER => {
                let name = reader.text()?;
                reader.skip()?;
                if let Some(members) = self.find(&path).and_then(NetNode::members) {
                    members
                        .entry(name)
                        .and_modify(|member| member.node.renew(None))
                        .or_insert(NetMember { existed: false, node: NetNode::New(None) });
                }
            }
            effect::REMOVE_MEMBER => {
                let name = reader.text()?;
                if let Some(members) = self.find(&path).and_then(NetNode::members) {
                    let member = NetMember { existed: true, node: NetNode::Same };
                    members.entry(name).or_insert(member).node.renew(before);
                }
            }
            effect::INSERT_ITEMS => {
                let (index, count) = (reader.varint()? as u32, reader.count()?);
                for _ in 0..count {
                    reader.skip()?;
                }
                self.shift(&path, |items| items.insert(index, count as u32));
            }
            effect::REMOVE_ITEMS => {
                let (index, count) = (reader.varint()? as u32, reader.varint()? as u32);
                let positions: Vec<u32> = (index..index + count).collect();
                self.shift(&path, |items| items.remove(&positions));
            }
            effect::REMOVE_EACH => {
                let (mut positions, mut next) = (Vec::new(), 0);
                for _ in 0..reader.count()? {
                    let position = next + reader.varint()? as u32;
                    positions.push(position);
                    next = position + 1;
                }
                self.shift(&path, |items| items.remove(&positions));
            }
            // Two places have new values; that of a lifted value is read from its new place.
            _ => {
                let other = read_path(reader)?;
                self.renew(&path, None);
                if tag == effect::EXCHANGE {
                    self.renew(&other, None);
                }
            }
        }
        Ok(())
    }

    /// The node of a place; none inside a value that is new.
    fn find(&mut self, path: &[NetStep<'j>]) -> Option<&mut NetNode<'j>> {
        let mut node = &mut self.root;
        for step in path {
            node = match *step {
                NetStep::Name(name) => {
                    let member = NetMember { existed: true, node: NetNode::Same };
                    &mut node.members()?.entry(name).or_insert(member).node
                }
                NetStep::Index(index) => {
                    let items = node.items()?;
                    if items.is_new(index) {
                        return None;
                    }
                    items.inside.entry(index).or_insert(NetNode::Same)
                }
            };
        }
        Some(node)
    }

    fn renew(&mut self, path: &[NetStep<'j>], old: Option<&'j Value>) {
        if let Some(node) = self.find(path) {
            node.renew(old);
        }
    }

    /// Changes which elements an array has.
    fn shift(&mut self, path: &[NetStep<'j>], change: impl FnOnce(&mut NetItems<'j>)) {
        let left = self.shifts_left;
        let Some(node) = self.find(path) else { return };
        let Some(items) = node.items() else { return };
        let work = items.runs.len() + items.inside.len();
        if work > left {
            *node = NetNode::New(None);
            return;
        }
        change(items);
        self.shifts_left = left - work;
    }
}

fn read_path<'j>(reader: &mut Reader<'j>) -> crate::error::Result<NetPath<'j>> {
    let mut path = NetPath::new();
    for _ in 0..reader.count()? {
        path.push(match reader.byte()? {
            effect::NAME => NetStep::Name(reader.text()?),
            _ => NetStep::Index(reader.varint()? as u32),
        });
    }
    Ok(path)
}

impl<'j> NetNode<'j> {
    /// The value is another one. `old` is what was there: that before all changes only where there were none.
    fn renew(&mut self, old: Option<&'j Value>) {
        match self {
            NetNode::Same => *self = NetNode::New(old),
            NetNode::New(_) => {}
            NetNode::Members(_) | NetNode::Items(_) => *self = NetNode::New(None),
        }
    }

    /// The members of an object; none where it is new.
    fn members(&mut self) -> Option<&mut BTreeMap<&'j str, NetMember<'j>>> {
        if matches!(self, NetNode::Same) {
            *self = NetNode::Members(BTreeMap::new());
        }
        match self {
            NetNode::Members(members) => Some(members),
            _ => None,
        }
    }

    /// The elements of an array; none where it is new.
    fn items(&mut self) -> Option<&mut NetItems<'j>> {
        if matches!(self, NetNode::Same) {
            let runs = vec![NetRun::Kept { start: 0, len: None }];
            *self = NetNode::Items(NetItems { runs, inside: BTreeMap::new() });
        }
        match self {
            NetNode::Items(items) => Some(items),
            _ => None,
        }
    }

    /// Writes the operations that lead to the value as it stands now.
    fn write(&self, now: View<'_>, patch: &mut PatchWriter) {
        let mark = patch.mark();
        match (self, now) {
            (NetNode::Same, _) => return,
            (NetNode::New(Some(old)), _) => return patch.difference(old.view(), now),
            (NetNode::Members(members), View::Object(object)) => {
                for (name, member) in members {
                    patch.at_member(name, |patch| match (member.existed, object.get(name)) {
                        (true, Some(value)) => member.node.write(value, patch),
                        (true, None) => patch.remove(),
                        (false, Some(value)) => patch.add(value),
                        (false, None) => {}
                    });
                }
            }
            (NetNode::Items(items), View::Array(array)) => {
                items.write_shifts(array.len() as u32, |index| array.get(index as usize), patch);
                for (index, node) in &items.inside {
                    if let Some(value) = array.get(*index as usize) {
                        patch.at_item(*index as usize, |patch| node.write(value, patch));
                    }
                }
            }
            _ => return patch.replace(now),
        }
        patch.shorten(mark, now);
    }
}

impl NetRun {
    fn len(self) -> u32 {
        match self {
            NetRun::Kept { len, .. } => len.unwrap_or(u32::MAX),
            NetRun::New(len) => len,
        }
    }

    /// The elements `from..to` of it; `to` is none for all.
    fn part(self, from: u32, to: Option<u32>) -> NetRun {
        match self {
            NetRun::New(len) => NetRun::New(to.unwrap_or(len) - from),
            NetRun::Kept { start, len } => {
                NetRun::Kept { start: start + from, len: to.or(len).map(|end| end - from) }
            }
        }
    }
}

impl<'j> NetItems<'j> {
    /// Returns true for an element that was not there before.
    fn is_new(&self, index: u32) -> bool {
        let mut position: u32 = 0;
        for run in &self.runs {
            position = position.saturating_add(run.len());
            if index < position {
                return matches!(run, NetRun::New(_));
            }
        }
        false
    }

    fn insert(&mut self, index: u32, count: u32) {
        let (mut runs, mut position, mut added) = (Vec::with_capacity(self.runs.len() + 2), 0, 0);
        for run in &self.runs {
            let end = run.len().saturating_add(position);
            if added == 0 && index < end {
                added = count;
                push_run(&mut runs, run.part(0, Some(index - position)));
                push_run(&mut runs, NetRun::New(count));
                push_run(&mut runs, run.part(index - position, None));
            } else {
                push_run(&mut runs, *run);
            }
            position = end;
        }
        self.runs = runs;
        let behind = self.inside.split_off(&index);
        self.inside.extend(behind.into_iter().map(|(at, node)| (at + count, node)));
    }

    /// `positions` ascend.
    fn remove(&mut self, positions: &[u32]) {
        let (mut runs, mut position) = (Vec::with_capacity(self.runs.len() + positions.len()), 0);
        let mut removed = positions.iter().copied().peekable();
        for run in &self.runs {
            let (end, mut from) = (run.len().saturating_add(position), 0);
            while let Some(at) = removed.next_if(|at| *at < end) {
                push_run(&mut runs, run.part(from, Some(at - position)));
                from = at - position + 1;
            }
            push_run(&mut runs, run.part(from, None));
            position = end;
        }
        self.runs = runs;
        let inside = std::mem::take(&mut self.inside);
        for (at, node) in inside {
            if let Err(before) = positions.binary_search(&at) {
                self.inside.insert(at - before as u32, node);
            }
        }
    }

    /// Writes removals from the end on, so that indexes before them stay; then what is new, from the front on.
    fn write_shifts<'v>(
        &self,
        len: u32,
        item: impl Fn(u32) -> Option<View<'v>>,
        patch: &mut PatchWriter,
    ) {
        let shifts = self.shifts(len);
        for shift in shifts.iter().rev() {
            for index in (shift.before + shift.replaced()..shift.before + shift.gone).rev() {
                patch.at_item(index as usize, PatchWriter::remove);
            }
        }
        for shift in &shifts {
            for nth in 0..shift.new {
                let index = shift.now + nth;
                let Some(value) = item(index) else { return };
                patch.at_item(index as usize, |patch| match nth < shift.replaced() {
                    true => patch.replace(value),
                    false => patch.add(value),
                });
            }
        }
    }

    /// The places between kept elements where some went or came; `len` is the length now.
    fn shifts(&self, len: u32) -> Vec<NetShift> {
        let closed = self.runs.iter().map(|run| match run {
            NetRun::Kept { len, .. } => len.unwrap_or(0),
            NetRun::New(len) => *len,
        });
        let open = len - closed.sum::<u32>();
        let mut shifts = Vec::new();
        let mut shift = NetShift::default();
        for run in &self.runs {
            match *run {
                NetRun::New(len) => shift.new += len,
                NetRun::Kept { start, len } => {
                    shift.gone = start - shift.before;
                    let len = len.unwrap_or(open);
                    let (before, now) = (start + len, shift.now + shift.new + len);
                    shifts.push(shift);
                    shift = NetShift { before, now, ..NetShift::default() };
                }
            }
        }
        shifts
    }
}

/// Elements that went and others that came, between two kept ones.
#[derive(Clone, Copy, Default)]
struct NetShift {
    /// The index of the first one that went, before.
    before: u32,
    gone: u32,
    /// The index of the first one that came, now.
    now: u32,
    new: u32,
}

impl NetShift {
    fn replaced(&self) -> u32 {
        self.gone.min(self.new)
    }
}

/// Empty runs are left out, but for the last one.
fn push_run(runs: &mut Vec<NetRun>, run: NetRun) {
    if run.len() > 0 {
        runs.push(run);
    }
}
