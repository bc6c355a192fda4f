//! The subschemas that apply to the children of a value.

use super::super::assertion::Check;
use super::super::named::NamedSubschemas;
use super::super::parts::Checker;
use super::super::subschema::SubschemaId;
use crate::error::Result;
use crate::value::{Text, View};

/// The subschemas of a value's children.
#[derive(Default)]
pub(in super::super) struct Children {
    pub properties: NamedSubschemas,
    /// The parts that match names, with their subschemas.
    pub patterns: Box<[(u32, SubschemaId)]>,
    pub additional: Option<SubschemaId>,
    /// The check of names, by `propertyNames`.
    pub names: Option<Check>,
    pub prefix: Box<[SubschemaId]>,
    pub items: Option<SubschemaId>,
}

impl Children {
    /// The bytes allocated for them.
    pub fn heap_bytes(&self) -> usize {
        let ids = size_of_val(&*self.patterns) + size_of_val(&*self.prefix);
        size_of::<Children>() + self.properties.heap_bytes() + ids
    }

    pub fn apply_to_members(&self) -> bool {
        self.properties.len() > 0
            || !self.patterns.is_empty()
            || self.additional.is_some()
            || self.names.is_some()
    }

    pub fn is_properties_alone(&self) -> bool {
        self.patterns.is_empty()
            && self.additional.is_none()
            && self.names.is_none()
            && self.prefix.is_empty()
            && self.items.is_none()
    }

    /// The subschema of the element at an index.
    pub fn of_element(&self, index: usize) -> Option<SubschemaId> {
        self.prefix.get(index).copied().or(self.items)
    }

    /// Passes the subschemas of a member to `add`.
    #[inline]
    pub fn of_member(
        &self,
        name: Text<'_>,
        checker: &Checker<'_>,
        mut add: impl FnMut(SubschemaId),
    ) -> Result<()> {
        let known = self.properties.get(name.as_bytes());
        known.into_iter().for_each(&mut add);
        let mut matched = known.is_some();
        for (pattern, id) in &self.patterns {
            if checker.passes(*pattern, View::Str(name))? {
                matched = true;
                add(*id);
            }
        }
        if let Some(id) = self.additional
            && !matched
        {
            add(id);
        }
        Ok(())
    }
}
