//! Values that change places: nothing is copied, whatever their size.

use super::effects::{effect, spell};
use super::place::swap;
use super::{Editor, Effects, Undo, check_effects};
use crate::error::Result;
use crate::value::{Limits, Root, Value, View};

/// Size of the null that takes a place for as long as its value is on the way.
const PLACEHOLDER_BYTES: u64 = View::Null.scalar_size();

/// The limits of an editor whose bound on bytes is raised for a while.
#[must_use]
pub struct Relaxed(Limits);

impl Editor<'_> {
    /// Exchanges the values at two places, neither of which is inside the other. Gives the number of values
    /// looked at to see whether anything changes, and whether the depth is within its limit: the rest takes
    /// the same time for values of any size.
    pub fn exchange(&mut self, a: &[u32], b: &[u32]) -> Result<u64> {
        assert!(!a.starts_with(b) && !b.starts_with(a), "no value is moved into itself");
        let (at_a, at_b) = (self.at(a), self.at(b));
        let mut looked_at = 0;
        if at_a.identical_counting(at_b, &mut looked_at) {
            self.spend(looked_at)?;
            return Ok(looked_at);
        }
        let sunk = if a.len() < b.len() { at_a } else { at_b };
        if a.len() != b.len() {
            let depth = sunk.depth_counting(&mut looked_at);
            self.limits.check_depth(a.len().max(b.len()) as u32 + depth)?;
        }
        self.touch(a, None)?;
        self.touch(b, None)?;
        self.record_two(effect::EXCHANGE, a, b)?;
        self.kept_way = None;
        exchange(self.root, a, b);
        self.note(|changes| {
            changes.value(a);
            changes.value(b);
        });
        self.push(Undo::Exchange { a: a.into(), b: b.into() }, 0);
        self.spend(looked_at)?;
        self.pay_change(0, 0)?;
        Ok(looked_at)
    }

    /// Returns true if the value at `place` would be too deep in a place of so many steps. Adds the number of values
    /// looked at.
    pub fn is_too_deep_at(&self, steps: usize, place: &[u32], looked_at: &mut u64) -> bool {
        if steps <= place.len() {
            return false;
        }
        let depth = self.at(place).depth_counting(looked_at);
        self.limits.check_depth(steps as u32 + depth).is_err()
    }

    /// Puts the value at `from` in the place of the value at `to`, of which it is a part. What else that one
    /// consists of is gone.
    pub fn lift(&mut self, from: &[u32], to: &[u32]) -> Result<()> {
        assert!(
            from.len() > to.len() && from.starts_with(to),
            "a part takes the place of the whole"
        );
        self.touch(to, None)?;
        self.record_two(effect::LIFT, to, from)?;
        self.kept_way = None;
        let lifted = swap(self.root, from.into(), Value::NULL);
        let old = swap(self.root, to.into(), lifted);
        let growth = PLACEHOLDER_BYTES as i64 - old.view().size() as i64;
        self.note(|changes| changes.value(to));
        let work = old.view().work();
        self.push(Undo::Lift { from: from.into(), to: to.into(), old }, growth);
        self.pay_change(work, 0)
    }

    /// Lets the document be larger than its limit, until [`Editor::end_relaxed`]: for a placeholder with the
    /// names on the way to it.
    pub fn relax(&mut self) -> Relaxed {
        let before = self.limits;
        if before != Limits::NONE {
            self.limits.bytes = before.bytes.saturating_mul(2);
        }
        Relaxed(before)
    }

    /// Puts the limits back; the document keeps them as it is now.
    pub fn end_relaxed(&mut self, Relaxed(limits): Relaxed) -> Result<()> {
        self.limits = limits;
        if self.journal.size_change > 0 { self.limits.check_bytes(self.size()) } else { Ok(()) }
    }

    fn record_two(&mut self, tag: u8, first: &[u32], second: &[u32]) -> Result<()> {
        if self.effects == Effects::Unrecorded {
            return Ok(());
        }
        let start = self.journal.effects.len();
        spell(self.root, tag, first.into(), &mut self.journal.effects);
        super::effects::spell_path(self.root, second.into(), &mut self.journal.effects);
        check_effects(&self.limits, &mut self.journal.effects, start)
    }
}

/// Exchanges the values at two places, neither of which is inside the other.
pub(super) fn exchange(root: &mut Root, a: &[u32], b: &[u32]) {
    let at_a = swap(root, a.into(), Value::NULL);
    let at_b = swap(root, b.into(), at_a);
    swap(root, a.into(), at_b);
}

/// Undoes [`Editor::lift`].
pub(super) fn lower(root: &mut Root, from: &[u32], to: &[u32], old: Value) {
    let lifted = swap(root, to.into(), old);
    swap(root, from.into(), lifted);
}
