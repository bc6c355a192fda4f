//! Operators and calls of functions.

use cel::common::ast::{CallExpr, Expr, IdedExpr, operators};

use super::Compiler;
use crate::error::Result;
use crate::expr::code::{ExprNode, NodeId, RegexSearch, Span};
use crate::expr::datum::Constant;
use crate::expr::functions;
use crate::expr::native::NATIVE_METHODS;
use crate::expr::pattern::{self, Pattern};
use crate::expr::refusal::refusal;
use crate::expr::syntax::{comparison, literal_str, operator};

impl Compiler<'_> {
    pub(super) fn call(&mut self, expr: &IdedExpr, call: &CallExpr) -> Result<NodeId> {
        if call.target.is_some() {
            return self.function(call);
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, _) => self.path(expr),
            (operators::LOGICAL_AND | operators::LOGICAL_OR, _) => self.logic(expr, call),
            (operators::CONDITIONAL, [test, then, other]) => {
                let (test, then) = (self.expression(test)?, self.expression(then)?);
                let other = self.expression(other)?;
                Ok(self.add(ExprNode::Choose { test, then, other }))
            }
            (operators::LOGICAL_NOT, [operand]) => {
                let operand = self.expression(operand)?;
                Ok(self.folded(ExprNode::Not(operand), &[operand]))
            }
            (operators::NEGATE, [operand]) => {
                let operand = self.expression(operand)?;
                Ok(self.folded(ExprNode::Negate(operand), &[operand]))
            }
            (operators::IN, [item, container]) => {
                let (item, container) = (self.expression(item)?, self.expression(container)?);
                Ok(self.add(ExprNode::In { item, container }))
            }
            (name, [left, right]) if comparison(name).is_some() => {
                let (left, right) = (self.expression(left)?, self.expression(right)?);
                let comparison = comparison(name).expect("it was looked at");
                Ok(self.add(ExprNode::Compare { comparison, left, right }))
            }
            (name, [_, _]) if operator(name).is_some() => self.chain(expr),
            _ => self.function(call),
        }
    }

    /// A chain of `&&` or of `||`, however it is bracketed: the outcome is the same, and none of it
    /// is nesting.
    fn logic(&mut self, expr: &IdedExpr, call: &CallExpr) -> Result<NodeId> {
        let mut parts = Vec::new();
        let mut rest = vec![expr];
        while let Some(part) = rest.pop() {
            match &part.expr {
                Expr::Call(inner)
                    if inner.func_name == call.func_name && inner.target.is_none() =>
                {
                    rest.extend(inner.args.iter().rev());
                }
                _ => parts.push(self.expression(part)?),
            }
        }
        let parts = self.links(&parts);
        let and = call.func_name == operators::LOGICAL_AND;
        Ok(self.add(if and { ExprNode::And(parts) } else { ExprNode::Or(parts) }))
    }

    /// Operators in a row that bind to the left are no nesting either.
    fn chain(&mut self, expr: &IdedExpr) -> Result<NodeId> {
        let mut behind = Vec::new();
        let mut inner = expr;
        while let Expr::Call(call) = &inner.expr
            && let (None, Some(operator), [left, right]) =
                (&call.target, operator(&call.func_name), call.args.as_slice())
        {
            behind.push((operator, right));
            inner = left;
        }
        let first = self.expression(inner)?;
        let mut terms = Vec::with_capacity(behind.len());
        for (operator, operand) in behind.into_iter().rev() {
            terms.push((operator, self.expression(operand)?));
        }
        let parts: Vec<NodeId> =
            std::iter::once(first).chain(terms.iter().map(|(_, operand)| *operand)).collect();
        let start = self.code.terms.len() as u32;
        self.code.terms.extend_from_slice(&terms);
        let terms = Span { start, len: terms.len() as u32 };
        Ok(self.folded(ExprNode::Chain { first, terms }, &parts))
    }

    fn function(&mut self, call: &CallExpr) -> Result<NodeId> {
        if let Some(id) = self.native(call)? {
            return Ok(id);
        }
        let namespace = call.target.as_deref().and_then(|target| match &target.expr {
            Expr::Ident(name) if self.variable(name).is_none() && functions::is_namespace(name) => {
                Some(name.as_str())
            }
            _ => None,
        });
        let full_name = match namespace {
            Some(namespace) => format!("{namespace}.{}", call.func_name),
            None => call.func_name.trim_start_matches('.').to_owned(),
        };
        let target = call.target.as_deref().filter(|_| namespace.is_none());
        if let Some(id) = self.form(&full_name, target, &call.args)? {
            return Ok(id);
        }
        let count = call.args.len() + usize::from(target.is_some());
        let function = match functions::find(&full_name, target.is_some(), count) {
            Ok(function) => function,
            Err(message) => return Err(self.refuse_name(&message, &full_name)),
        };
        let mut arguments = Vec::with_capacity(count);
        for argument in target.into_iter().chain(&call.args) {
            arguments.push(self.expression(argument)?);
        }
        let node = ExprNode::Call { function, arguments: self.links(&arguments) };
        Ok(self.folded(node, &arguments))
    }

    /// `native[key].method(operand)` or `native.role.method(operand)`, where documents of other keys may be read.
    fn native(&mut self, call: &CallExpr) -> Result<Option<NodeId>> {
        let Some(target) = call.target.as_deref() else { return Ok(None) };
        let (base, key) = match &target.expr {
            Expr::Call(index) => match (index.func_name.as_str(), index.args.as_slice()) {
                (operators::INDEX, [base, key]) => (base, Ok(key)),
                _ => return Ok(None),
            },
            Expr::Select(select) if !select.test => (&*select.operand, Err(&*select.field)),
            _ => return Ok(None),
        };
        let is_native = matches!(&base.expr, Expr::Ident(name)
            if name == "native" && self.names.docs && self.variable(name).is_none());
        if !is_native {
            return Ok(None);
        }
        let known =
            |(name, count): &(&str, usize)| *name == call.func_name && *count == call.args.len();
        let Some(method) = NATIVE_METHODS.iter().position(known) else {
            return Err(self.refuse_name(
                "a structure has has(m), score(m), rank(m), field(f), size(), text() and last(), not",
                &call.func_name,
            ));
        };
        let written = key.map_or_else(Some, literal_str);
        self.reads.keys.extend(written.map(Box::from));
        let key = match key {
            Ok(key) => self.expression(key)?,
            Err(name) => self.constant(Constant::Str(name.into())),
        };
        let operand = call.args.first().map(|operand| self.expression(operand)).transpose()?;
        self.reads.anything_else = true;
        self.reads.native = true;
        Ok(Some(self.add(ExprNode::Native { method: method as u8, key, operand })))
    }

    /// A call that has a node of its own: a macro, a pattern that is written out, an operand that is
    /// evaluated only if it is needed.
    fn form(
        &mut self,
        name: &str,
        target: Option<&IdedExpr>,
        args: &[IdedExpr],
    ) -> Result<Option<NodeId>> {
        let search = match (name, target, args) {
            ("matches", Some(text), [pattern]) | ("matches", None, [text, pattern]) => {
                Some((RegexSearch::Matches, text, pattern, None))
            }
            ("find", Some(text), [pattern]) => Some((RegexSearch::Find, text, pattern, None)),
            ("findAll", Some(text), [pattern]) => Some((RegexSearch::FindAll, text, pattern, None)),
            ("findAll", Some(text), [pattern, limit]) => {
                Some((RegexSearch::FindAll, text, pattern, Some(limit)))
            }
            _ => None,
        };
        if let Some((search, text, pattern, limit)) = search
            && let Some(pattern) = literal_str(pattern)
        {
            return self.search(search, text, pattern, limit).map(Some);
        }
        match (name, target, args) {
            ("or" | "orValue", Some(optional), [other]) => {
                let (optional, other) = (self.expression(optional)?, self.expression(other)?);
                let unwrap = name == "orValue";
                Ok(Some(self.add(ExprNode::OrElse { optional, other, unwrap })))
            }
            _ => self.macro_call(name, target, args),
        }
    }

    /// A pattern that is written out is compiled once.
    fn search(
        &mut self,
        search: RegexSearch,
        text: &IdedExpr,
        pattern: &str,
        limit: Option<&IdedExpr>,
    ) -> Result<NodeId> {
        let text = self.expression(text)?;
        let limit = limit.map(|limit| self.expression(limit)).transpose()?;
        let pattern = self.pattern(pattern)?;
        Ok(self.add(ExprNode::Search { search, text, pattern, limit }))
    }

    fn pattern(&mut self, pattern: &str) -> Result<u32> {
        if let Some(known) = self.code.patterns.iter().position(|own| own.is(pattern)) {
            return Ok(known as u32);
        }
        let compiled = Pattern::compile(pattern).map_err(|why| {
            let at = self.source.find(pattern).unwrap_or(0);
            refusal(self.source, &why, at)
        })?;
        self.code.patterns.push(compiled);
        let patterns = &self.code.patterns;
        if patterns.iter().map(Pattern::kib).sum::<usize>() > pattern::TOTAL_KIB_MAX
            || patterns.iter().map(Pattern::reading_steps).sum::<u64>() > pattern::TOTAL_READING_MAX
        {
            return Err(self.refuse("the regular expressions are too large together"));
        }
        Ok(self.code.patterns.len() as u32 - 1)
    }
}
