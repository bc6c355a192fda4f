//! Macros: those the parser expands, recognised again, and those it leaves as calls.

use cel::common::ast::{ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};

use super::Compiler;
use crate::error::Result;
use crate::expr::code::{ExprNode, Loop, MacroKind, NodeId};
use crate::expr::refusal::refusal;
use crate::expr::syntax::appended;

impl Compiler<'_> {
    /// A macro, from the parser's expansion of it. The names the parser gives its own variables
    /// cannot be written by a user.
    pub(super) fn comprehension(&mut self, macro_: &ComprehensionExpr) -> Result<NodeId> {
        let unknown = || refusal(self.source, "unknown macro", 0);
        let Expr::Call(step) = &macro_.loop_step.expr else { return Err(unknown()) };
        let (kind, test, item) = match (&macro_.accu_init.expr, step.func_name.as_str()) {
            (Expr::Literal(LiteralValue::Boolean(_)), operators::LOGICAL_AND) => {
                (MacroKind::All, step.args.get(1), None)
            }
            (Expr::Literal(LiteralValue::Boolean(_)), operators::LOGICAL_OR) => {
                (MacroKind::Exists, step.args.get(1), None)
            }
            (Expr::Literal(LiteralValue::Int(_)), operators::CONDITIONAL) => {
                (MacroKind::ExistsOne, step.args.first(), None)
            }
            (Expr::List(_), operators::CONDITIONAL) => {
                let added = step.args.get(1).and_then(appended).ok_or_else(unknown)?;
                (MacroKind::List, step.args.first(), Some(added))
            }
            (Expr::List(_), operators::ADD) => {
                let added = appended(&macro_.loop_step).ok_or_else(unknown)?;
                (MacroKind::List, None, Some(added))
            }
            _ => return Err(unknown()),
        };
        let range = self.expression(&macro_.iter_range)?;
        self.looped(kind, range, &[&macro_.iter_var], test, item)
    }

    /// A macro that the parser knows nothing of, when the call is one.
    pub(super) fn macro_call(
        &mut self,
        name: &str,
        target: Option<&IdedExpr>,
        args: &[IdedExpr],
    ) -> Result<Option<NodeId>> {
        let made = match (name, target, args) {
            ("cel.bind", None, [variable, value, body]) => self.bind(variable, value, body)?,
            ("optMap" | "optFlatMap", Some(optional), [variable, body]) => {
                self.optional_map(optional, variable, body, name == "optFlatMap")?
            }
            ("sortBy", Some(range), [variable, key]) => {
                self.over(MacroKind::SortBy, range, &[variable], None, Some(key))?
            }
            ("reduce", Some(range), [total, variable, start, step]) => {
                self.reduce(range, total, variable, start, step)?
            }
            ("all", Some(range), [first, second, test]) => {
                self.over(MacroKind::All, range, &[first, second], Some(test), None)?
            }
            ("exists", Some(range), [first, second, test]) => {
                self.over(MacroKind::Exists, range, &[first, second], Some(test), None)?
            }
            ("exists_one" | "existsOne", Some(range), [first, second, test]) => {
                self.over(MacroKind::ExistsOne, range, &[first, second], Some(test), None)?
            }
            (_, Some(range), [first, second, rest @ .., item]) if rest.len() < 2 => {
                let kind = match name {
                    "transformList" => MacroKind::List,
                    "transformMap" => MacroKind::Map,
                    "transformMapEntry" => MacroKind::Entries,
                    _ => return Ok(None),
                };
                self.over(kind, range, &[first, second], rest.first(), Some(item))?
            }
            _ => return Ok(None),
        };
        Ok(Some(made))
    }

    fn variable_name<'e>(&self, expr: &'e IdedExpr) -> Result<&'e str> {
        match &expr.expr {
            Expr::Ident(name) if !name.starts_with('.') => Ok(name),
            _ => Err(self.refuse("a variable of a macro is a name")),
        }
    }

    fn over(
        &mut self,
        kind: MacroKind,
        range: &IdedExpr,
        variables: &[&IdedExpr],
        test: Option<&IdedExpr>,
        item: Option<&IdedExpr>,
    ) -> Result<NodeId> {
        let mut names = Vec::with_capacity(variables.len());
        for variable in variables {
            let name = self.variable_name(variable)?;
            if names.contains(&name) {
                return Err(self.refuse("the two variables of a macro have the same name"));
            }
            names.push(name);
        }
        let range = self.expression(range)?;
        self.looped(kind, range, &names, test, item)
    }

    fn looped(
        &mut self,
        kind: MacroKind,
        range: NodeId,
        variables: &[&str],
        test: Option<&IdedExpr>,
        item: Option<&IdedExpr>,
    ) -> Result<NodeId> {
        let (variable, (test, item)) = self.with_variables(variables, |own| {
            let test = test.map(|test| own.expression(test)).transpose()?;
            let item = item.map(|item| own.expression(item)).transpose()?;
            Ok((test, item))
        })?;
        let two = variables.len() == 2;
        Ok(self.add_loop(Loop { kind, range, variable, two, test, item, start: None }))
    }

    fn add_loop(&mut self, made: Loop) -> NodeId {
        self.code.loops.push(made);
        self.add(ExprNode::Loop(self.code.loops.len() as u32 - 1))
    }

    fn reduce(
        &mut self,
        range: &IdedExpr,
        total: &IdedExpr,
        variable: &IdedExpr,
        start: &IdedExpr,
        step: &IdedExpr,
    ) -> Result<NodeId> {
        let names = [self.variable_name(total)?, self.variable_name(variable)?];
        if names[0] == names[1] {
            return Err(self.refuse("the two variables of a macro have the same name"));
        }
        let (range, start) = (self.expression(range)?, self.expression(start)?);
        let (number, item) = self.with_variables(&names, |own| own.expression(step))?;
        Ok(self.add_loop(Loop {
            kind: MacroKind::Reduce,
            range,
            variable: number + 1,
            two: false,
            test: None,
            item: Some(item),
            start: Some(start),
        }))
    }

    fn bind(&mut self, variable: &IdedExpr, value: &IdedExpr, body: &IdedExpr) -> Result<NodeId> {
        let name = self.variable_name(variable)?;
        let value = self.expression(value)?;
        let (variable, body) = self.with_variables(&[name], |own| own.expression(body))?;
        Ok(self.add(ExprNode::Bind { variable, value, body }))
    }

    fn optional_map(
        &mut self,
        optional: &IdedExpr,
        variable: &IdedExpr,
        body: &IdedExpr,
        flat: bool,
    ) -> Result<NodeId> {
        let name = self.variable_name(variable)?;
        let optional = self.expression(optional)?;
        let (variable, body) = self.with_variables(&[name], |own| own.expression(body))?;
        Ok(self.add(ExprNode::OptionalMap { optional, variable, body, flat }))
    }

    /// Compiles with more variables, which have consecutive numbers; gives the first one.
    fn with_variables<T>(
        &mut self,
        names: &[&str],
        body: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(u32, T)> {
        let number = self.variables.len();
        self.variables.extend(names.iter().map(|name| (*name).to_owned()));
        self.code.variables = self.code.variables.max(self.variables.len() as u32);
        let made = body(self)?;
        self.variables.truncate(number);
        Ok((number as u32, made))
    }
}
