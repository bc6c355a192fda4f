//! Fills in missing members that have a default.
//!
//! Members are inserted through the editor, so that they are reverted and replicated as any other change. An existing
//! member is never changed. Defaults are filled into defaults too. A default that would be filled into itself without
//! end is refused when the schema is compiled; the size of several together is bounded by the limits of the editor.

use smallvec::SmallVec;

use super::active::{Active, Route};
use super::limits::SchemaLimits;
use super::parts::Checker;
use super::plan::{Children, Plan};
use super::refusal::refuse;
use super::subschema::{NONE, SubschemaId};
use super::walk::Walk;
use crate::error::{ErrorCode, Result};
use crate::value::edit::{Editor, Effects, Journal};
use crate::value::{Limits, Place, Root, Text, View};

/// The subschemas of one value.
type Ids = SmallVec<[SubschemaId; 6]>;

/// Fills one document.
pub(super) struct Fill<'f> {
    pub plan: &'f Plan,
    pub checker: &'f Checker<'f>,
}

/// The steps for filling in one default, and for reverting it: a new member of a small object takes a microsecond.
const FILL_STEPS: u64 = 60;
/// Members of the object for which filling one more in takes a step more.
const MEMBERS_FOR_STEP: u64 = 4;

impl Fill<'_> {
    pub fn document(&self, editor: &mut Editor<'_>) -> Result<()> {
        let mut active = Active::default();
        active.add_through(self.plan, 0, editor.view());
        self.value(editor, &mut Place::new(), active.ids())
    }

    /// Fills each default, to find those that are invalid against their own schema, which are returned. Refuses a
    /// default that would be filled in without end.
    pub fn unfit(&self, limits: &SchemaLimits) -> Result<Vec<SubschemaId>> {
        // The size of all together is bounded too, because defaults can double each other.
        let mut left = limits.default_bytes as u64;
        let mut unfit = Vec::new();
        for (id, default) in &self.plan.defaults {
            let mut active = Active::default();
            active.add_through(self.plan, *id, default.value.view());
            let mut root = Root::bare(default.value.clone());
            let mut journal = Journal::default();
            let within = Limits { bytes: default.size + left, ..Limits::DEFAULT };
            let mut editor = Editor::new(&mut root, default.size, within, &mut journal)
                .with_effects(Effects::Unrecorded);
            let filled = match default.depth {
                0 => Ok(()),
                _ => self.value(&mut editor, &mut Place::new(), active.ids()),
            };
            left = left.saturating_sub(editor.size() - default.size);
            filled.map_err(|error| match error.code() {
                ErrorCode::Limit => refuse(
                    "defaults are filled into this one without end, or too many of them",
                    &self.plan.nodes[*id as usize].pointer,
                ),
                _ => error,
            })?;
            let walk = Walk::new(Route { plan: self.plan, through: false }, self.checker);
            if walk.by(*id, editor.view())?.is_some() {
                unfit.push(*id);
            }
        }
        Ok(unfit)
    }

    fn value(
        &self,
        editor: &mut Editor<'_>,
        place: &mut Place,
        active: &[SubschemaId],
    ) -> Result<()> {
        if !active.iter().any(|id| self.plan.leads_to_default[*id as usize]) {
            return Ok(());
        }
        match editor.at(place) {
            View::Object(_) => {
                self.members(editor, place, active)?;
                self.inside_members(editor, place, active)
            }
            View::Array(array) => {
                self.checker.enter(array.len())?;
                for index in 0..array.len() {
                    let mut inner = Active::default();
                    let array = editor.at(place).as_array().expect("it stays an array");
                    let item = array.get(index).expect("no element comes or goes");
                    for children in self.children(active) {
                        let id = children.of_element(index).unwrap_or(NONE);
                        inner.add_through(self.plan, id, item);
                    }
                    let inner: Ids = inner.ids().into();
                    place.push(index as u32);
                    self.value(editor, place, &inner)?;
                    place.pop();
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn children(&self, active: &[SubschemaId]) -> impl Iterator<Item = &Children> {
        active.iter().filter_map(|id| self.plan.nodes[*id as usize].children.as_deref())
    }

    fn members(
        &self,
        editor: &mut Editor<'_>,
        place: &Place,
        active: &[SubschemaId],
    ) -> Result<()> {
        for children in self.children(active) {
            for (name, id) in children.properties.entries() {
                let Some(default) = self.plan.defaults.get(id) else { continue };
                let object = editor.at(place).as_object().expect("members are those of an object");
                if object.find(name).is_none() {
                    editor.spend(FILL_STEPS + object.len() as u64 / MEMBERS_FOR_STEP)?;
                    editor.insert_member(place, name, default.clone())?;
                }
            }
        }
        Ok(())
    }

    fn inside_members(
        &self,
        editor: &mut Editor<'_>,
        place: &mut Place,
        active: &[SubschemaId],
    ) -> Result<()> {
        // No member is inserted or removed meanwhile, so positions stay valid.
        let object = editor.at(place).as_object().expect("members are those of an object");
        let mut inside = Vec::new();
        for (position, name, value) in object.entries() {
            if matches!(value, View::Object(_) | View::Array(_)) {
                let inner = self.member_active(active, name, value)?;
                if !inner.is_empty() {
                    inside.push((position, inner));
                }
            }
        }
        for (position, inner) in inside {
            place.push(position);
            self.value(editor, place, &inner)?;
            place.pop();
        }
        Ok(())
    }

    fn member_active(
        &self,
        active: &[SubschemaId],
        name: Text<'_>,
        value: View<'_>,
    ) -> Result<Ids> {
        let mut inner = Active::default();
        for children in self.children(active) {
            children.of_member(name, self.checker, |id| inner.add_through(self.plan, id, value))?;
        }
        Ok(inner.ids().into())
    }
}
