//! Fills in the members that are missing and have a default.
//!
//! Only through the editor, so that what was filled in is undone and replicated as any other change. A
//! member that is there is never touched. What was just filled in is looked into as well. A default that
//! fills itself in for ever is refused when the schema is compiled; what several could do together is
//! bounded by the editor's limits.

use super::limits::SchemaLimits;
use super::parts::Run;
use super::plan::{Children, NONE, Plan};
use super::refusal::refuse;
use super::walk::Active;
use crate::error::{ErrorCode, Result};
use crate::value::edit::{Editor, Effects, Journal};
use crate::value::{Limits, Place, Root, Text, View};

/// One run over a document.
pub(super) struct Fill<'f> {
    pub plan: &'f Plan,
    pub run: &'f Run<'f>,
}

impl Fill<'_> {
    pub fn document(&self, editor: &mut Editor<'_>) -> Result<()> {
        let mut active = Active::default();
        active.add_through(self.plan, 0);
        self.value(editor, &mut Place::new(), &active)
    }

    /// Fills each default into an empty document, where the filling in comes to an end; and refuses
    /// those that would fill themselves in for ever.
    pub fn refuse_endless(&self, limits: &SchemaLimits) -> Result<()> {
        // What they fill in together is bounded too, or defaults that double would take for ever.
        let mut left = limits.default_bytes as u64;
        for (id, default) in &self.plan.defaults {
            if default.depth == 0 || !self.plan.leads_to_default[*id as usize] {
                continue;
            }
            let mut active = Active::default();
            active.add_through(self.plan, *id);
            let mut root = Root::bare(default.value.clone());
            let mut journal = Journal::default();
            let within = Limits { bytes: default.size + left, ..Limits::DEFAULT };
            let mut editor = Editor::new(&mut root, default.size, within, &mut journal)
                .with_effects(Effects::Unrecorded);
            let filled = self.value(&mut editor, &mut Place::new(), &active);
            left = left.saturating_sub(editor.size() - default.size);
            filled.map_err(|error| match error.code() {
                ErrorCode::Limit => refuse(
                    "the default fills in others without end, or too many",
                    &self.plan.nodes[*id as usize].pointer,
                ),
                _ => error,
            })?;
        }
        Ok(())
    }

    fn value(&self, editor: &mut Editor<'_>, place: &mut Place, active: &Active) -> Result<()> {
        if !active.ids().iter().any(|id| self.plan.leads_to_default[*id as usize]) {
            return Ok(());
        }
        match editor.at(place) {
            View::Object(_) => {
                self.members(editor, place, active)?;
                self.inside_members(editor, place, active)
            }
            View::Array(array) => {
                self.run.enter(array.len())?;
                for index in 0..array.len() {
                    let mut inner = Active::default();
                    for children in self.children(active) {
                        let id = children.of_element(index).unwrap_or(NONE);
                        inner.add_through(self.plan, id);
                    }
                    place.push(index as u32);
                    self.value(editor, place, &inner)?;
                    place.pop();
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn children(&self, active: &Active) -> impl Iterator<Item = &Children> {
        active.ids().iter().filter_map(|id| self.plan.nodes[*id as usize].children.as_deref())
    }

    fn members(&self, editor: &mut Editor<'_>, place: &Place, active: &Active) -> Result<()> {
        for children in self.children(active) {
            for (name, id) in children.properties.entries() {
                let Some(default) = self.plan.defaults.get(id) else { continue };
                let object = editor.at(place).as_object().expect("members are those of an object");
                if object.find(name).is_none() {
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
        active: &Active,
    ) -> Result<()> {
        // Nothing is taken out or put in between, so positions hold while members are looked into.
        let object = editor.at(place).as_object().expect("members are those of an object");
        let mut inside = Vec::new();
        for (position, name, value) in object.entries() {
            if matches!(value, View::Object(_) | View::Array(_)) {
                let inner = self.member_active(active, name)?;
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

    fn member_active(&self, active: &Active, name: Text<'_>) -> Result<Active> {
        let mut inner = Active::default();
        for children in self.children(active) {
            children.of_member(name, self.run, |id| inner.add_through(self.plan, id))?;
        }
        Ok(inner)
    }
}
