//! Members and elements, presence, and the parts of `oldSelf`.

use super::{Eval, Evaluated, check_key};
use crate::expr::code::{AccessStep, ExprNode, Global, NodeId, Span};
use crate::expr::datum::Datum;
use crate::expr::fault::Fault;
use crate::value::View;
use crate::value::edit::Seen;

impl<'a> Eval<'a> {
    pub(super) fn path(&mut self, base: NodeId, steps: Span) -> Evaluated<'a> {
        let code = self.code;
        let steps = code.steps(steps);
        self.budget.charge(steps.len() as u64)?;
        let document = match code.node(base) {
            ExprNode::Root(Global::This) => self.scope.this,
            ExprNode::Root(Global::Args) => self.scope.args,
            _ => None,
        };
        match document {
            Some(document) => self.path_in_document(document, steps),
            None => {
                let value = self.node(base)?;
                self.follow(value, steps)
            }
        }
    }

    /// Names inside a document need no values in between.
    fn path_in_document(&mut self, document: View<'a>, steps: &'a [AccessStep]) -> Evaluated<'a> {
        let mut view = document;
        for (at, step) in steps.iter().enumerate() {
            let (AccessStep::Name(name), View::Object(object)) = (*step, view) else {
                return self.follow(Datum::from(view), &steps[at..]);
            };
            view = object.get_kept(self.code.kept_name(name)).ok_or(Fault::NoMember(name))?;
        }
        Ok(Datum::from(view))
    }

    fn follow(&mut self, mut value: Datum<'a>, steps: &'a [AccessStep]) -> Evaluated<'a> {
        for (at, step) in steps.iter().enumerate() {
            value = match *step {
                _ if matches!(value, Datum::Optional(_)) => {
                    return self.follow_optional(value, &steps[at..]);
                }
                AccessStep::Name(name) => self.member(&value, name)?,
                AccessStep::Index(index) => {
                    let index = self.node(index)?;
                    self.element(&value, &index)?
                }
                AccessStep::MaybeName(_) | AccessStep::MaybeIndex(_) => {
                    return self.follow_optional(value, &steps[at..]);
                }
            };
        }
        Ok(value)
    }

    fn member(&mut self, value: &Datum<'a>, name: u32) -> Evaluated<'a> {
        let text = self.code.name(name);
        match value {
            Datum::Map(map) => map.get_name(text, &mut self.budget)?.ok_or(Fault::NoMember(name)),
            other => Err(no_members(other, text)),
        }
    }

    fn element(&mut self, value: &Datum<'a>, index: &Datum<'a>) -> Evaluated<'a> {
        self.find_element(value, index)?.ok_or_else(|| match value {
            Datum::List(_) => Fault::Because("index out of range"),
            _ => no_such_key(index),
        })
    }

    /// Presence: false where a step of the path is missing, or leads behind null. A step behind a value of
    /// another kind is a fault.
    #[inline(never)]
    pub(super) fn has(&mut self, base: NodeId, steps: Span) -> Evaluated<'a> {
        let code = self.code;
        let steps = code.steps(steps);
        let mut value = self.node(base)?;
        self.budget.charge(steps.len() as u64 - 1)?;
        for step in steps {
            // Behind an optional each step gives an optional again.
            if let Datum::Optional(inner) = value {
                let Some(inner) = inner else { return Ok(Datum::Bool(false)) };
                value = (*inner).clone();
            }
            if matches!(value, Datum::Null) {
                return Ok(Datum::Bool(false));
            }
            match self.find_step(&value, *step)? {
                Some(found) => value = found,
                None => return Ok(Datum::Bool(false)),
            }
        }
        Ok(Datum::Bool(true))
    }

    /// The member or element that a step leads to, if it is there.
    fn find_step(
        &mut self,
        value: &Datum<'a>,
        step: AccessStep,
    ) -> Result<Option<Datum<'a>>, Fault> {
        match step {
            AccessStep::Name(name) | AccessStep::MaybeName(name) => {
                let text = self.code.name(name);
                match value {
                    Datum::Map(map) => map.get_name(text, &mut self.budget),
                    other => Err(no_members(other, text)),
                }
            }
            AccessStep::Index(index) | AccessStep::MaybeIndex(index) => {
                let index = self.node(index)?;
                self.find_element(value, &index)
            }
        }
    }

    fn find_element(
        &mut self,
        value: &Datum<'a>,
        index: &Datum<'a>,
    ) -> Result<Option<Datum<'a>>, Fault> {
        match value {
            Datum::List(list) => {
                let Some(whole) = index.as_whole() else {
                    return Err(not_an_index(index));
                };
                Ok(usize::try_from(whole).ok().and_then(|index| list.get(index)))
            }
            Datum::Map(map) => {
                check_key(index)?;
                map.get(index, &mut self.budget)
            }
            other => Err(no_elements(other)),
        }
    }

    /// The steps behind an optional: each gives an optional of what it leads to.
    #[inline(never)]
    fn follow_optional(&mut self, value: Datum<'a>, steps: &'a [AccessStep]) -> Evaluated<'a> {
        let mut value = value;
        for step in steps {
            let inner = match value {
                Datum::Optional(None) => return Ok(value),
                Datum::Optional(Some(inner)) => (*inner).clone(),
                other => other,
            };
            let found = self.find_step(&inner, *step)?;
            value = Datum::optional(found)?;
        }
        Ok(value)
    }

    fn seen(&mut self, path: u32) -> Result<Seen<View<'a>>, Fault> {
        let path = &self.code.old_paths[path as usize];
        self.budget.charge(path.len() as u64)?;
        let old = self.scope.old_self.ok_or(Fault::Because("there is no oldSelf here"))?;
        old.get(path).ok_or(Fault::Because("there is no oldSelf here"))
    }

    #[inline(never)]
    pub(super) fn old(&mut self, path: u32) -> Evaluated<'a> {
        let names = &self.code.old_paths[path as usize];
        match self.seen(path)? {
            Seen::Value(value) => Ok(Datum::from(value)),
            Seen::Missing(at) => Err(Fault::text(format!("no such member: {}", names[at]))),
            Seen::Null(at) => Err(no_members(&Datum::Null, &names[at])),
            Seen::NoObject(at) => {
                Err(Fault::text(format!("only maps have members, such as {}", names[at])))
            }
        }
    }

    #[inline(never)]
    pub(super) fn has_old(&mut self, path: u32) -> Evaluated<'a> {
        match self.seen(path)? {
            Seen::Value(_) => Ok(Datum::Bool(true)),
            Seen::Missing(_) | Seen::Null(_) => Ok(Datum::Bool(false)),
            Seen::NoObject(_) => self.old(path),
        }
    }

    /// An optional of the last member of the path.
    #[inline(never)]
    pub(super) fn maybe_old(&mut self, path: u32) -> Evaluated<'a> {
        let last = self.code.old_paths[path as usize].len() - 1;
        match self.seen(path)? {
            Seen::Missing(at) if at == last => Ok(Datum::Optional(None)),
            _ => self.old(path).and_then(Datum::present),
        }
    }
}

#[cold]
fn not_an_index(index: &Datum<'_>) -> Fault {
    Fault::text(format!("{} is no index of a list", index.described()))
}

#[cold]
fn no_members(value: &Datum<'_>, name: &str) -> Fault {
    let hint = match name {
        "length" | "len" | "size" | "count" => "; size(x) counts",
        _ => "",
    };
    Fault::text(format!("only maps have members, not {}: {name}{hint}", value.described()))
}

#[cold]
fn no_elements(value: &Datum<'_>) -> Fault {
    Fault::text(format!("{} has no elements", value.described()))
}

#[cold]
fn no_such_key(key: &Datum<'_>) -> Fault {
    match key.as_str() {
        Some(name) => {
            let cut: String = name.chars().take(64).collect();
            Fault::text(format!("no such member: {cut}"))
        }
        None => Fault::Because("no such key"),
    }
}
