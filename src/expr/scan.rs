//! A look at an expression's tokens before it is parsed.
//!
//! The parser recurses as deep as an expression nests, and what it gives is a tree that is copied and
//! dropped recursively. So the depth of that tree is bounded here, from the tokens alone and without
//! recursion. What is counted is never less than what the parser will build, and about as much.

use cel::parser::pratt_parser::{Lexer, TokenKind};

use super::ExprLimits;
use crate::error::{Error, Result};

/// Operators in a row and names behind names nest in the parser's tree, but not in ours. They may be
/// this many on top of the nesting that is configured.
const CHAIN_MAX: u32 = 192;

/// One pair of brackets, or the whole expression.
#[derive(Default)]
struct Level {
    /// The deepest of the elements before the last comma.
    elements: u32,
    /// The deepest of the operands of `&&`, `||` and `?:` in this element so far.
    parts: u32,
    /// Operators in a row that bind to the left.
    run: u32,
    operand: u32,
    unary: u32,
    ternaries: u32,
    logic: u32,
}

impl Level {
    fn operator(&mut self) {
        self.run = self.run.max(self.operand + self.unary) + 1;
        (self.operand, self.unary) = (0, 0);
    }

    fn part(&mut self) {
        self.operator();
        self.parts = self.parts.max(self.run);
        self.run = 0;
    }

    fn element(&mut self) {
        self.part();
        // The parser balances chains of `&&` and `||`, each on its own.
        let balanced = 2 * (self.logic + 1).ilog2();
        self.elements = self.elements.max(self.parts + self.ternaries + balanced);
        (self.parts, self.ternaries, self.logic) = (0, 0, 0);
    }
}

/// Refuses what nests too deeply, and characters that no token begins with.
pub(super) fn check(source: &str, limits: &ExprLimits) -> Result<()> {
    let too_deep = || Error::limit("model.expression-depth", limits.depth.into());
    let mut lexer = Lexer::new(source);
    let mut levels = vec![Level::default()];
    let mut ternaries = 0;
    let mut after_operand = false;
    loop {
        let token = lexer.lex();
        let level = levels.last_mut().expect("the whole expression is a level");
        match token.kind {
            TokenKind::TokWhitespace | TokenKind::TokComment => continue,
            TokenKind::TokEnd => break,
            TokenKind::TokError => {
                let message = lexer.get_error().map_or("unexpected character", |e| &e.message);
                return Err(super::compile::refusal(source, message, token.start));
            }
            TokenKind::TokExclamation => level.unary += 1,
            TokenKind::TokMinus if !after_operand => level.unary += 1,
            TokenKind::TokLogicalAnd | TokenKind::TokLogicalOr => {
                level.logic += 1;
                level.part();
            }
            TokenKind::TokQuestion => {
                level.ternaries += 1;
                ternaries += 1;
                level.part();
            }
            TokenKind::TokColon => level.part(),
            TokenKind::TokComma => {
                ternaries -= level.ternaries;
                level.element();
            }
            TokenKind::TokDot => level.operand += 1,
            TokenKind::TokLeftParen | TokenKind::TokLeftBracket | TokenKind::TokLeftBrace => {
                levels.push(Level::default());
            }
            TokenKind::TokRightParen | TokenKind::TokRightBracket | TokenKind::TokRightBrace => {
                let Some(mut closed) = (levels.len() > 1).then(|| levels.pop()).flatten() else {
                    // The parser says what is wrong.
                    return Ok(());
                };
                ternaries -= closed.ternaries;
                closed.element();
                let level = levels.last_mut().expect("the whole expression is a level");
                level.operand = level.operand.max(closed.elements) + 1;
            }
            kind if is_operand(kind) => level.operand = level.operand.max(1),
            _ => level.operator(),
        }
        let level = levels.last().expect("the whole expression is a level");
        after_operand = is_operand(token.kind) || is_closing(token.kind);
        let nesting = levels.len() as u32 - 1 + ternaries + level.unary;
        let tree = level.run.max(level.operand + level.unary).max(level.elements);
        if nesting > limits.depth || tree > limits.depth + CHAIN_MAX {
            return Err(too_deep());
        }
    }
    Ok(())
}

fn is_operand(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::TokIdent
            | TokenKind::TokReservedWord
            | TokenKind::TokInt
            | TokenKind::TokUint
            | TokenKind::TokFloat
            | TokenKind::TokString
            | TokenKind::TokBytes
            | TokenKind::TokNull
            | TokenKind::TokTrue
            | TokenKind::TokFalse
    )
}

fn is_closing(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::TokRightParen | TokenKind::TokRightBracket | TokenKind::TokRightBrace)
}

/// Where a name stands in the source: the first identifier spelled so that does not follow a dot.
pub(super) fn position_of(source: &str, name: &str) -> Option<usize> {
    let mut lexer = Lexer::new(source);
    let mut after_dot = false;
    let mut as_member = None;
    loop {
        let token = lexer.lex();
        match token.kind {
            TokenKind::TokEnd | TokenKind::TokError => return as_member,
            TokenKind::TokWhitespace | TokenKind::TokComment => {}
            TokenKind::TokIdent if source.get(token.start..token.end) == Some(name) => {
                if !after_dot {
                    return Some(token.start);
                }
                as_member.get_or_insert(token.start);
                after_dot = false;
            }
            kind => after_dot = kind == TokenKind::TokDot,
        }
    }
}

#[cfg(test)]
mod tests {
    use cel::common::ast::{EntryExpr, Expr, IdedExpr};
    use cel::parser::PrattParser;

    use super::*;

    fn depth(expr: &IdedExpr) -> u32 {
        let entry = |entry: &EntryExpr| match entry {
            EntryExpr::StructField(field) => depth(&field.value),
            EntryExpr::MapEntry(entry) => depth(&entry.key).max(depth(&entry.value)),
        };
        let inner = match &expr.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => 0,
            Expr::Call(call) => {
                let parts = call.target.as_deref().into_iter().chain(&call.args);
                parts.map(depth).max().unwrap_or(0)
            }
            Expr::Comprehension(inner) => {
                [&inner.iter_range, &inner.loop_step].into_iter().map(depth).max().unwrap_or(0)
            }
            Expr::List(list) => list.elements.iter().map(depth).max().unwrap_or(0),
            Expr::Map(map) => map.entries.iter().map(|e| entry(&e.expr)).max().unwrap_or(0),
            Expr::Select(select) => depth(&select.operand),
            Expr::Struct(made) => made.entries.iter().map(|e| entry(&e.expr)).max().unwrap_or(0),
        };
        1 + inner
    }

    /// What passes is a tree of a depth that may be recursed over. A macro takes up to four levels
    /// more for each of ours, which is what the parser makes of it.
    #[test]
    fn what_passes_is_no_deeper_than_it_was_taken_for() {
        let limits = ExprLimits::DEFAULT;
        let depth_max = limits.depth + CHAIN_MAX + 4 * limits.depth + 24;
        let pieces = [
            ("(", ")"),
            ("[", "]"),
            ("f(", ")"),
            ("{1:", "}"),
            ("-(", ")"),
            ("!", ""),
            ("-a+", ""),
            ("a?b:", ""),
            ("a?", ":c"),
            ("a&&", ""),
            ("a||(", ")"),
            ("", ".b"),
            ("", "[0]"),
            ("", ".f(a)"),
            ("", "+b*c"),
            ("", " in b"),
            ("", ".map(x,x)"),
            ("[a].all(x,", ")"),
            ("[a].exists_one(x,", ")"),
        ];
        let (mut passed, mut deepest) = (0, 0);
        let mut state = 1u32;
        for round in 0..3000 {
            let mut source = String::from("a");
            for _ in 0..round / 40 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let (before, behind) = pieces[(state >> 16) as usize % pieces.len()];
                let times = 1 + (state >> 8) as usize % 9;
                source = before.repeat(times) + &source + &behind.repeat(times);
            }
            if check(&source, &limits).is_err() {
                continue;
            }
            if let Ok(parsed) = PrattParser::new().max_recursion_depth(1000).parse(&source) {
                deepest = deepest.max(depth(&parsed));
                assert!(depth(&parsed) <= depth_max, "{source}");
                passed += 1;
            }
        }
        assert!(passed > 300 && deepest > 60, "{passed} passed, the deepest {deepest}");
    }
}
