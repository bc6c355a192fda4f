//! The path from the root of a document to a value, for messages.

use super::uri::push_token;
use crate::value::Text;

/// The path from the root to a value, for the place of a violation.
#[derive(Clone, Copy)]
pub(super) struct Trail<'t> {
    outer: Option<&'t Trail<'t>>,
    step: TrailStep<'t>,
}

#[derive(Clone, Copy)]
enum TrailStep<'t> {
    Root,
    Name(Text<'t>),
    Index(usize),
}

impl Trail<'_> {
    pub const ROOT: Trail<'static> = Trail { outer: None, step: TrailStep::Root };

    pub fn name<'t>(&'t self, name: Text<'t>) -> Trail<'t> {
        Trail { outer: Some(self), step: TrailStep::Name(name) }
    }

    pub fn index(&self, index: usize) -> Trail<'_> {
        Trail { outer: Some(self), step: TrailStep::Index(index) }
    }

    pub fn pointer(&self) -> String {
        let mut steps = Vec::new();
        let mut trail = Some(self);
        while let Some(here) = trail {
            steps.push(here.step);
            trail = here.outer;
        }
        let mut out = String::new();
        for step in steps.iter().rev() {
            match step {
                TrailStep::Root => {}
                TrailStep::Name(name) => {
                    out.push('/');
                    push_token(&mut out, name.as_str());
                }
                TrailStep::Index(index) => out.push_str(&format!("/{index}")),
            }
        }
        out
    }
}
