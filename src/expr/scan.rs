//! A look at an expression's tokens before it is parsed.
//!
//! The parser recurses as deep as an expression nests, and gives a tree that is copied and dropped
//! recursively. So the depth of that tree is bounded here, from the tokens alone and without recursion.
//! The count is never less than the depth of the tree, and about as much.

use cel::parser::pratt_parser::{Lexer, TokenKind};

use super::limits::ExprLimits;
use super::refusal::{past_limit, refusal};
use crate::error::Result;
use crate::limit;

/// Operators in a row and names behind names nest in the parser's tree, but not in ours: the parser builds
/// and drops that tree recursively, with 128 bytes of stack a level. They may be this many on top of the
/// nesting that is configured.
const CHAIN_MAX: u32 = 1000;
/// The same inside the arguments of a call, and before a call of a method: the parser copies those trees,
/// which takes most of a KiB of stack a level.
const CHAIN_IN_CALL_MAX: u32 = 192;

/// The parts of an expression that count as nesting.
pub(super) const NESTING: &str = "brackets, calls, negations and conditions in each other";
const CHAIN: &str = "operators or members in a row";
const CHAIN_IN_CALL: &str =
    "operators or members in a row, in the arguments of a call or before one";

/// One pair of brackets, or the whole expression.
#[derive(Default)]
struct Level {
    /// Flag: the brackets are those of a call, or inside of such.
    in_call: bool,
    /// Flag: the brackets are those of a call.
    is_call: bool,
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

    /// The depth of the parser's tree for this level so far.
    fn tree(&self) -> u32 {
        self.run.max(self.operand + self.unary).max(self.elements)
    }
}

/// The expression up to some token.
struct Scan<'s> {
    source: &'s str,
    limits: &'s ExprLimits,
    levels: Vec<Level>,
    /// Conditions that are open, over all levels.
    ternaries: u32,
    /// The token before, blanks aside.
    before: TokenKind,
}

/// Refuses expressions that nest too deeply, and characters that no token begins with.
pub(super) fn check(source: &str, limits: &ExprLimits) -> Result<()> {
    let mut lexer = Lexer::new(source);
    let levels = vec![Level::default()];
    let mut scan = Scan { source, limits, levels, ternaries: 0, before: TokenKind::TokComma };
    loop {
        let token = lexer.lex();
        match token.kind {
            TokenKind::TokWhitespace | TokenKind::TokComment => continue,
            TokenKind::TokEnd => return Ok(()),
            TokenKind::TokError => {
                let message = match source[token.start..].starts_with('$') {
                    true => "an expression has no '$': write self for the document",
                    false => lexer.get_error().map_or("unexpected character", |e| &e.message),
                };
                return Err(refusal(source, message, token.start));
            }
            kind => {
                if !scan.take(kind, token.start)? {
                    // The parser says what is wrong.
                    return Ok(());
                }
            }
        }
    }
}

impl Scan<'_> {
    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().expect("the whole expression is a level")
    }

    /// Counts a token; false where a bracket closes that was not opened.
    fn take(&mut self, kind: TokenKind, at: usize) -> Result<bool> {
        let after_operand = is_operand(self.before) || is_closing(self.before);
        match kind {
            TokenKind::TokExclamation => self.level().unary += 1,
            TokenKind::TokMinus if !after_operand => self.level().unary += 1,
            TokenKind::TokLogicalAnd | TokenKind::TokLogicalOr => {
                self.level().logic += 1;
                self.level().part();
            }
            // Behind a dot or where an operand begins it marks an optional.
            TokenKind::TokQuestion if !after_operand => {}
            TokenKind::TokQuestion => {
                self.level().ternaries += 1;
                self.ternaries += 1;
                self.level().part();
            }
            TokenKind::TokColon => self.level().part(),
            TokenKind::TokComma => {
                self.ternaries -= self.level().ternaries;
                self.level().element();
            }
            TokenKind::TokDot => self.level().operand += 1,
            TokenKind::TokLeftParen | TokenKind::TokLeftBracket | TokenKind::TokLeftBrace => {
                self.open(kind, at)?;
            }
            TokenKind::TokRightParen | TokenKind::TokRightBracket | TokenKind::TokRightBrace => {
                if self.levels.len() == 1 {
                    return Ok(false);
                }
                self.close(at)?;
            }
            kind if is_operand(kind) => {
                let level = self.level();
                level.operand = level.operand.max(1);
            }
            _ => self.level().operator(),
        }
        self.before = kind;
        self.bound(at)?;
        Ok(true)
    }

    fn open(&mut self, kind: TokenKind, at: usize) -> Result<()> {
        let after_name = matches!(self.before, TokenKind::TokIdent | TokenKind::TokReservedWord);
        let is_call = kind == TokenKind::TokLeftParen && after_name;
        if is_call {
            // The method is called on the operand before it.
            self.chain(self.levels[self.levels.len() - 1].operand, true, at)?;
        }
        let in_call = is_call || self.level().in_call;
        self.levels.push(Level { in_call, is_call, ..Level::default() });
        Ok(())
    }

    fn close(&mut self, at: usize) -> Result<()> {
        let mut closed = self.levels.pop().expect("there are several levels");
        self.ternaries -= closed.ternaries;
        closed.element();
        if closed.is_call {
            self.chain(closed.elements, true, at)?;
        }
        let level = self.level();
        level.operand = level.operand.max(closed.elements) + 1;
        Ok(())
    }

    fn bound(&mut self, at: usize) -> Result<()> {
        let level = self.levels.last().expect("the whole expression is a level");
        let nesting = self.levels.len() as u32 - 1 + self.ternaries + level.unary;
        if nesting > self.limits.depth {
            let limit = (limit::EXPRESSION_DEPTH, self.limits.depth);
            return Err(past_limit(limit, NESTING, self.source, Some(at)));
        }
        self.chain(level.tree(), level.in_call, at)
    }

    /// Bounds the depth of a tree of the parser's.
    fn chain(&self, tree: u32, in_call: bool, at: usize) -> Result<()> {
        let (max, what) =
            if in_call { (CHAIN_IN_CALL_MAX, CHAIN_IN_CALL) } else { (CHAIN_MAX, CHAIN) };
        if tree > self.limits.depth + max {
            return Err(past_limit((limit::EXPRESSION_CHAIN, max), what, self.source, Some(at)));
        }
        Ok(())
    }
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

/// The place of a name in the source: the first identifier spelled so that does not follow a dot.
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

    /// The depth of the deepest tree that the parser copies: the arguments of a call, and its target.
    fn copied(expr: &IdedExpr) -> u32 {
        match &expr.expr {
            Expr::Call(call) => {
                let is_operator = call.target.is_none()
                    && !call.func_name.starts_with(|c: char| c.is_ascii_alphabetic());
                let parts = || call.target.as_deref().into_iter().chain(&call.args);
                let own = if is_operator { 0 } else { parts().map(depth).max().unwrap_or(0) };
                own.max(parts().map(copied).max().unwrap_or(0))
            }
            Expr::List(list) => list.elements.iter().map(copied).max().unwrap_or(0),
            Expr::Select(select) => copied(&select.operand),
            _ => 0,
        }
    }

    /// A tree that passes has a depth that may be recursed over. In the parser's tree a macro takes up to four
    /// levels more for each of ours.
    #[test]
    fn the_depth_of_a_tree_is_never_underestimated() {
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
            ("", ".?b"),
            ("", "[?0]"),
            ("[?", "]"),
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
            let parser = PrattParser::new().max_recursion_depth(1000).enable_optional_syntax(true);
            if let Ok(parsed) = parser.parse(&source) {
                deepest = deepest.max(depth(&parsed));
                assert!(depth(&parsed) <= depth_max, "{source}");
                let copied_max = depth_max - CHAIN_MAX + CHAIN_IN_CALL_MAX;
                assert!(copied(&parsed) <= copied_max, "{source}");
                passed += 1;
            }
        }
        assert!(passed > 300 && deepest > 60, "{passed} passed, the deepest {deepest}");
    }
}
