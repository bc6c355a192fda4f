//! Names, and members and elements behind them.

use cel::common::ast::{Expr, IdedExpr, SelectExpr};

use super::Compiler;
use crate::error::Result;
use crate::expr::code::{AccessStep, ExprNode, Global, NodeId, Span};
use crate::expr::datum::Constant;
use crate::expr::syntax::{AccessSyntax, first_name, type_name};

impl Compiler<'_> {
    pub(super) fn variable(&self, name: &str) -> Option<u32> {
        self.variables.iter().rposition(|own| own == name).map(|at| at as u32)
    }

    /// The root behind a name, when it is one of those a caller provides.
    fn root(&self, name: &str) -> Option<Global> {
        match name.strip_prefix('.').unwrap_or(name) {
            "self" => Some(Global::This),
            "now" => Some(Global::Now),
            "key" => Some(Global::Key),
            "revision" => Some(Global::Revision),
            "args" if self.names.args => Some(Global::Args),
            "docs" if self.names.docs => Some(Global::Docs),
            "value" if self.names.value => Some(Global::Value),
            _ => None,
        }
    }

    fn is_old_self(&self, name: &str) -> bool {
        self.names.old_self
            && name.trim_start_matches('.') == "oldSelf"
            && self.variable(name).is_none()
    }

    /// Members and elements of something. Names behind names are no nesting.
    pub(super) fn path(&mut self, expr: &IdedExpr) -> Result<NodeId> {
        if let Expr::Select(select) = &expr.expr
            && select.test
        {
            return self.has(select);
        }
        if let Some(name) = type_name(&expr.expr)
            && self.variable(first_name(name)).is_none()
        {
            return Ok(self.constant(Constant::Type(name)));
        }
        let (parts, inner) = AccessSyntax::all(expr);
        let (base, taken) = self.base(inner, &parts)?;
        if taken == parts.len() {
            return Ok(base);
        }
        let steps = self.steps(&parts[taken..])?;
        Ok(self.add(ExprNode::Path { base, steps }))
    }

    fn steps(&mut self, parts: &[AccessSyntax<'_>]) -> Result<Span> {
        let mut steps = Vec::with_capacity(parts.len());
        for part in parts {
            steps.push(match part {
                AccessSyntax::Name(name) => AccessStep::Name(self.name(name)),
                AccessSyntax::Index(expr) => AccessStep::Index(self.expression(expr)?),
                AccessSyntax::MaybeName(name) => AccessStep::MaybeName(self.name(name)),
                AccessSyntax::MaybeIndex(expr) => AccessStep::MaybeIndex(self.expression(expr)?),
            });
        }
        let start = self.code.steps.len() as u32;
        self.code.steps.extend_from_slice(&steps);
        Ok(Span { start, len: steps.len() as u32 })
    }

    /// The base of a path, and the number of parts behind it that it takes with it. Notes the member of the
    /// document that it makes the expression depend on.
    fn base(&mut self, expr: &IdedExpr, behind: &[AccessSyntax<'_>]) -> Result<(NodeId, usize)> {
        let Expr::Ident(name) = &expr.expr else { return Ok((self.expression(expr)?, 0)) };
        if let Some(variable) = self.variable(name) {
            return Ok((self.add(ExprNode::Variable(variable)), 0));
        }
        if self.is_old_self(name) {
            return Ok(self.old_self(behind));
        }
        let Some(root) = self.root(name) else {
            if let Some(name) = type_name(&expr.expr) {
                return Ok((self.constant(Constant::Type(name)), 0));
            }
            return Err(self.refuse_name(self.why_unknown(name), name));
        };
        match (root, behind.first()) {
            (Global::This, Some(AccessSyntax::Name(member) | AccessSyntax::MaybeName(member))) => {
                if !self.reads.members.iter().any(|known| **known == **member) {
                    self.reads.members.push((*member).into());
                }
            }
            (Global::Docs, Some(AccessSyntax::Name(key) | AccessSyntax::MaybeName(key))) => {
                self.reads.anything_else = true;
                self.reads.keys.push((*key).into());
            }
            _ => self.reads.anything_else = true,
        }
        self.reads.clock |= root == Global::Now;
        Ok((self.add(ExprNode::Root(root)), 0))
    }

    fn why_unknown(&self, name: &str) -> &'static str {
        match (name, self.names.docs) {
            ("native", true) => "name a key and ask about it, as in native['key'].size(), not only",
            ("native", false) => {
                "structures are read in transactions and actions alone, by native['key'].size(); unknown name"
            }
            _ => match name {
                "None" | "nil" | "undefined" | "NULL" => "unknown name (is null meant?)",
                "True" | "TRUE" => "unknown name (is true meant?)",
                "False" | "FALSE" => "unknown name (is false meant?)",
                "this" | "doc" | "document" => "unknown name (is self meant?)",
                "args" | "docs" | "value" | "oldSelf" => "this expression cannot read",
                _ => "unknown name",
            },
        }
    }

    /// `oldSelf` with the names behind it, so that no more of the old document is captured than is read.
    fn old_self(&mut self, behind: &[AccessSyntax<'_>]) -> (NodeId, usize) {
        let mut names: Vec<Box<str>> =
            behind.iter().map_while(AccessSyntax::name).map(Box::from).collect();
        let taken = names.len();
        if let Some(AccessSyntax::MaybeName(name)) = behind.get(taken) {
            names.push((*name).into());
            let path = self.old_path(names);
            return (self.add(ExprNode::MaybeOld(path)), taken + 1);
        }
        let path = self.old_path(names);
        (self.add(ExprNode::Old(path)), taken)
    }

    fn old_path(&mut self, path: Vec<Box<str>>) -> u32 {
        self.reads.anything_else = true;
        let known = self.code.old_paths.iter().position(|own| *own == path);
        known.unwrap_or_else(|| {
            self.code.old_paths.push(path);
            self.code.old_paths.len() - 1
        }) as u32
    }

    fn has(&mut self, select: &SelectExpr) -> Result<NodeId> {
        let (mut parts, inner) = AccessSyntax::all(&select.operand);
        parts.push(AccessSyntax::Name(&select.field));
        if let Expr::Ident(name) = &inner.expr
            && self.is_old_self(name)
            && parts.iter().all(|part| part.name().is_some())
        {
            let path =
                self.old_path(parts.iter().filter_map(AccessSyntax::name).map(Box::from).collect());
            return Ok(self.add(ExprNode::HasOld(path)));
        }
        let (base, taken) = self.base(inner, &parts)?;
        let steps = self.steps(&parts[taken..])?;
        let before = Span { len: steps.len - 1, ..steps };
        let parent = match before.len {
            0 => base,
            _ => self.add(ExprNode::Path { base, steps: before }),
        };
        Ok(self.add(ExprNode::Has { base, steps, parent }))
    }
}
