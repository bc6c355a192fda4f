//! A rule of a model: an expression that has to hold for every document.

use crate::budget::Allowance;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::{ExprLimits, OldSelf, Program, Scope};
use crate::value::edit::{ChangeKind, PlaceChange};
use crate::value::{Text, View};

/// A compiled rule.
pub struct Rule {
    pub name: Box<str>,
    pub program: Program,
}

/// The values that rules may read in addition to the document, and the budget of a validation.
#[derive(Clone, Copy)]
pub struct ValidationContext<'a> {
    pub key: &'a [u8],
    /// The document's revision before the command; none at its creation.
    pub revision: Option<u64>,
    /// None if no rule reads it, see [`Definition::reads_clock`].
    pub now_us: Option<u64>,
    pub limits: &'a ExprLimits,
    /// The budget that the schema and the rules are charged to.
    pub allowance: &'a Allowance<'a>,
}

impl Rule {
    /// Returns true if the changes can have altered the result of the rule.
    pub fn is_touched(&self, document: View<'_>, changes: &[PlaceChange]) -> bool {
        let Some(members) = self.program.self_members() else { return true };
        changes.iter().any(|change| match (change.place.first(), change.kind) {
            // The root itself: it is new, or a member was added or removed.
            (None, ChangeKind::Value | ChangeKind::Members) => true,
            (Some(position), _) => match document.as_object().and_then(|o| o.member(*position)) {
                Some((name, _)) => members.iter().any(|member| name == Text::from(&**member)),
                None => true,
            },
        })
    }

    pub fn validate(
        &self,
        document: View<'_>,
        before: Option<OldSelf<'_>>,
        context: &ValidationContext<'_>,
    ) -> Result<()> {
        // A rule that reads `oldSelf` does not apply to a new document.
        if before.is_none() && !self.program.old_self_paths().is_empty() {
            return Ok(());
        }
        let scope = Scope {
            this: Some(document),
            args: None,
            docs: None,
            old_self: before,
            value: None,
            now_us: context.now_us,
            key: context.key,
            revision: context.revision,
            allowance: Some(context.allowance),
        };
        let named = |error: Error| error.text("rule", self.name.as_bytes());
        if self.program.test(&scope, context.limits).map_err(named)? {
            return Ok(());
        }
        let error = Error::new(ErrorCode::Rule, "the document would break a rule of its model")
            .text("rule", self.name.as_bytes())
            .text("expr", self.program.source().as_bytes());
        Err(error.values(self.program.explain(&scope, context.limits)))
    }
}
