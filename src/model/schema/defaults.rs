//! Fills in the members that are missing and have a default.
//!
//! Only through the editor, so that what was filled in is undone and replicated as any other change. A
//! member that is there is never touched. What was just filled in is looked into as well; how deep that
//! goes is bounded by the editor's limits.

use super::parts::Run;
use super::plan::{NONE, Plan};
use super::walk::Active;
use crate::error::Result;
use crate::value::edit::Editor;
use crate::value::{Place, Text, View};

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

    fn children(&self, active: &Active) -> impl Iterator<Item = &super::plan::Children> {
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
