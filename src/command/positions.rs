//! The positions of a command's keys among its arguments, which the server asks for to route it in a cluster.

use std::ops::Range;

use super::{ArgKind, ArgSpec, CommandSpec};

/// The positions of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPositions {
    None,
    /// The first argument.
    First,
    /// Counted by the argument at this position, and right behind it.
    Counted(usize),
    /// One behind this keyword, if it is given.
    Behind(&'static str),
}

impl KeyPositions {
    pub fn are_counted(self) -> bool {
        matches!(self, KeyPositions::Counted(_))
    }

    /// Returns true if the server has to ask for them: it can find others by itself.
    pub fn are_asked(self) -> bool {
        matches!(self, KeyPositions::Counted(_) | KeyPositions::Behind(_))
    }

    /// The positions of the keys of a command with these arguments. `None` where it has no keys; where their count is
    /// invalid, which the command itself refuses.
    pub fn of(self, spec: &CommandSpec, args: &[&[u8]]) -> Option<Range<usize>> {
        let first = match self {
            KeyPositions::None => return None,
            KeyPositions::First => return Some(1..2),
            KeyPositions::Counted(at) => at + 1,
            KeyPositions::Behind(word) => return behind(word, spec, args).map(|at| at..at + 1),
        };
        let count = std::str::from_utf8(args.get(first - 1)?).ok()?.parse::<usize>().ok()?;
        (count <= args.len().saturating_sub(first)).then(|| first..first + count)
    }
}

/// The position behind a keyword. Arguments are read as the declaration says, so that the operand of another keyword is
/// not taken for this one.
fn behind(word: &str, spec: &CommandSpec, args: &[&[u8]]) -> Option<usize> {
    let fixed = spec.args.iter().take_while(|arg| !arg.optional).count();
    let mut at = 1 + fixed;
    while let Some(arg) = args.get(at) {
        let named = |spec: &&ArgSpec| spec.token.is_some_and(|token| is_word(arg, token));
        let option = spec.args[fixed..].iter().find(named)?;
        at += 1;
        if option.token == Some(word) {
            return (at < args.len()).then_some(at);
        }
        // A repeated argument takes all that follows.
        if option.multiple {
            return None;
        }
        match &option.kind {
            ArgKind::Token => {}
            ArgKind::Block(parts) => {
                for part in *parts {
                    let next = args.get(at).copied().unwrap_or_default();
                    let is_there = part.token.is_none_or(|token| is_word(next, token));
                    at += usize::from(is_there);
                }
            }
            _ => at += 1,
        }
    }
    None
}

fn is_word(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::find;

    #[test]
    fn a_key_is_behind_its_keyword_and_not_behind_an_operand() {
        let at = |command: &str| {
            let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
            let spec = find(words[0]).unwrap();
            spec.keys.of(spec, &words).map(|range| range.start)
        };
        assert_eq!(at("MODEL.FIND m"), None);
        assert_eq!(at("MODEL.FIND slot"), None);
        assert_eq!(at("MODEL.FIND m SLOT k"), Some(3));
        assert_eq!(at("model.find m scan slot k"), Some(4));
        assert_eq!(at("MODEL.FIND m SLOT"), None);
        assert_eq!(at("MODEL.FIND m WHERE slot SLOT k"), Some(5));
        assert_eq!(at("MODEL.FIND m ORDER slot SLOT k"), Some(5));
        assert_eq!(at("MODEL.FIND m ORDER slot DESC LIMIT 1 SLOT k GET a"), Some(8));
        assert_eq!(at("MODEL.FIND m ORDER desc SLOT k"), Some(5));
        assert_eq!(at("MODEL.FIND m GET SLOT k"), None);
        assert_eq!(at("MODEL.FIND m WHAT SLOT k"), None);
        assert_eq!(at("MODEL.COUNT m ARGS {} SLOT k"), Some(5));
        assert_eq!(at("MODEL.MGET 2 a b"), Some(2));
        assert_eq!(at("MODEL.MGET 3 a b"), None);
        assert_eq!(at("MODEL.GET k"), Some(1));
    }
}
