//! The syntax of a command, from its declaration: for the documentation and for errors.

use super::{ArgKind, ArgSpec, CommandSpec};

/// `MODEL.GET key [path ...]`.
pub fn usage(spec: &CommandSpec) -> String {
    let args: Vec<_> = spec.args.iter().map(arg_syntax).collect();
    format!("{} {}", spec.name, args.join(" ")).trim_end().to_owned()
}

fn arg_syntax(arg: &ArgSpec) -> String {
    let list = |args: &[ArgSpec], separator| {
        args.iter().map(arg_syntax).collect::<Vec<_>>().join(separator)
    };
    let value = match &arg.kind {
        ArgKind::Token => String::new(),
        ArgKind::OneOf(args) if arg.optional && arg.token.is_none() => list(args, " | "),
        ArgKind::OneOf(args) => format!("<{}>", list(args, " | ")),
        ArgKind::Block(args) => list(args, " "),
        ArgKind::Key
        | ArgKind::String
        | ArgKind::Integer
        | ArgKind::UnixTime
        | ArgKind::Statement
        | ArgKind::TransactionStatement
        | ArgKind::Native => arg.name.to_owned(),
    };
    let mut written = match (arg.token, value.is_empty()) {
        (Some(token), true) => token.to_owned(),
        (Some(token), false) => format!("{token} {value}"),
        (None, _) => value,
    };
    if arg.multiple {
        written = format!("{written} [{written} ...]");
    }
    match (arg.optional, arg.multiple) {
        (true, true) if arg.token.is_none() => format!("[{} ...]", arg.name),
        (true, true) => format!("[{written}]"),
        (true, false) => format!("[{written}]"),
        (false, _) => written,
    }
}
