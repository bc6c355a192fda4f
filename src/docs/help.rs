//! The lines of `MODEL.HELP`, none wider than a terminal.

use super::{Fact, assertion_syntax, command_facts, errors_fact, native_facts, operator_facts};
use crate::argument::nearest;
use crate::command::{self, ArgKind, ArgSpec, CommandSpec, Flag, usage};
use crate::error::{Error, ErrorCode, Result};
use crate::native::{self, NativeSpec};
use crate::op::{self, OpSpec, Target};
use crate::txn::{ASSERTIONS, GUARD, STRICT};
use crate::version::VERSION;

/// The list of commands, operators, natives and assertions.
pub fn help() -> Vec<String> {
    let mut lines =
        vec![format!("{VERSION}. Commands are written MODEL.<command> key [arguments]:")];
    for spec in commands() {
        push_wrapped(&mut lines, &usage(spec), "  ");
        lines.push(format!("    {}.", spec.summary));
    }
    lines.push("Operators of MODEL.FIELDOP and MODEL.TXN are:".to_owned());
    op::of(Target::Value).iter().for_each(|spec| push_operator(&mut lines, spec));
    op::of(Target::Lock).iter().for_each(|spec| push_operator(&mut lines, spec));
    op::of(Target::Document).iter().for_each(|spec| push_operator(&mut lines, spec));
    lines.push("Operators of MODEL.TXN, besides those, are:".to_owned());
    op::of(Target::Key).iter().for_each(|spec| push_operator(&mut lines, spec));
    lines.push("Natives, behind AT key in MODEL.TXN, are:".to_owned());
    native::all().iter().for_each(|spec| push_native(&mut lines, spec));
    let assertions: Vec<_> = ASSERTIONS.iter().map(assertion_syntax).collect();
    let assertions = assertions.join(", ");
    let text = format!("Assertions: {assertions}. Before any operator: {GUARD} expr, {STRICT}.");
    push_wrapped(&mut lines, &text, "");
    lines.push(
        "Paths: $.json.path or /json/pointer. Expressions: CEL, as in self.n >= args.n.".into(),
    );
    lines.push("More about one of these, an error or an option: MODEL.HELP name.".into());
    lines
}

/// The commands that are meant for clients.
fn commands() -> impl Iterator<Item = &'static CommandSpec> {
    command::all().iter().copied().filter(|spec| !spec.flags.contains(&Flag::Dangerous))
}

/// The lines about everything of one name: commands, with or without `MODEL.`, operators, natives, assertions, errors, or else the
/// commands with an option of that name.
pub fn help_of(name: &[u8]) -> Result<Vec<String>> {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    let mut lines = Vec::new();
    for spec in commands().filter(|spec| is(spec.name) || is(short(spec))) {
        push_section(&mut lines, "", &usage(spec), spec.summary, command_facts(spec));
        for line in spec.examples.iter().flat_map(|example| example.0) {
            lines.push(format!("  > {}", line.command));
            lines.push(format!("  {}", line.reply));
        }
    }
    for spec in op::all().iter().filter(|spec| is(spec.name)) {
        let place = match spec.target() {
            Target::Key => "Operator of MODEL.TXN: ",
            Target::Value | Target::Lock | Target::Document => "Operator: ",
        };
        push_section(&mut lines, place, &spec.usage(), spec.summary, operator_facts(spec));
        for example in spec.examples {
            let [before, after] = [example.before, example.after].map(or_nothing);
            lines.push(format!("  before: {before}"));
            lines.push(format!("    {}", example.statement));
            lines.push(format!("    replies {}", example.reply));
            lines.push(format!("  after: {after}"));
        }
    }
    for spec in native::all().iter().filter(|spec| is(spec.name)) {
        push_section(
            &mut lines,
            "Native: AT key ",
            &spec.usage(),
            spec.summary,
            native_facts(spec),
        );
        for example in spec.examples {
            lines.push(format!("  behind: {}", or_nothing(example.before)));
            lines.push(format!("    {}", example.statement));
            lines.push(format!("    replies {}", example.reply));
        }
    }
    for spec in ASSERTIONS.iter().filter(|spec| is(spec.name)) {
        let facts = errors_fact(spec.errors).into_iter().collect();
        push_section(&mut lines, "Assertion: ", &assertion_syntax(spec), spec.summary, facts);
    }
    for (_, usage, summary) in PREFIXES.iter().filter(|(word, ..)| is(word)) {
        push_section(&mut lines, "Before an operator: ", usage, summary, Vec::new());
    }
    for code in ErrorCode::ALL.iter().filter(|code| is(code.word())) {
        let retry = if code.retry_can_help() { "yes" } else { "no" };
        let facts = vec![("Can the same request succeed later", retry.to_owned())];
        push_section(&mut lines, "Error: ", code.word(), code.meaning(), facts);
    }
    if lines.is_empty() {
        for spec in commands().filter(|spec| has_token(spec.args, &is)) {
            push_section(&mut lines, "A word of: ", &usage(spec), spec.summary, Vec::new());
        }
    }
    if lines.is_empty() { Err(unknown(name)) } else { Ok(lines) }
}

/// The words before operators: the syntax, and one sentence without a final stop.
const PREFIXES: [(&str, &str, &str); 2] = [
    (
        GUARD,
        "WHEN expr",
        "The operator runs only where the expression is true of the document as it stands at this point; else it replies null",
    ),
    (
        STRICT,
        "STRICT",
        "The operator's path matches at least one place; else the command is refused with `NOPATH`. It stands behind WHEN",
    ),
];

/// The name of a command without `MODEL.`.
fn short(spec: &CommandSpec) -> &'static str {
    spec.name.strip_prefix("MODEL.").unwrap_or(spec.name)
}

fn or_nothing(text: &'static str) -> &'static str {
    if text.is_empty() { "nothing" } else { text }
}

/// Flag: one of the words that are written as they are fulfils a condition.
fn has_token(args: &[ArgSpec], is: &dyn Fn(&str) -> bool) -> bool {
    args.iter().any(|arg| {
        arg.token.is_some_and(is)
            || match arg.kind {
                ArgKind::OneOf(args) | ArgKind::Block(args) => has_token(args, is),
                _ => false,
            }
    })
}

fn unknown(name: &[u8]) -> Error {
    let commands = commands().flat_map(|spec| [short(spec), spec.name]);
    let operators = op::all().iter().map(|spec| spec.name);
    let natives = native::all().iter().map(|spec| spec.name);
    let assertions = ASSERTIONS.iter().map(|spec| spec.name);
    let errors = ErrorCode::ALL.iter().map(|code| code.word());
    let names = commands.chain(operators).chain(natives).chain(assertions).chain(errors);
    let message = "no command, operator, native, assertion, error or option has this name";
    match nearest(name, names.chain([GUARD, STRICT])) {
        Some(meant) => Error::syntax(format!("{message}: is {meant} meant?")),
        None => Error::syntax(message),
    }
    .text("argument", name)
}

/// Appends what `MODEL.HELP name` says of one thing, but for the examples.
fn push_section(
    lines: &mut Vec<String>,
    kind: &str,
    written: &str,
    summary: &str,
    facts: Vec<Fact>,
) {
    push_hanging(lines, &format!("{kind}{written}"), "", 4);
    push_hanging(lines, &format!("{summary}."), "  ", 0);
    for (label, text) in facts {
        push_hanging(lines, &format!("{label}: {text}."), "  ", 2);
    }
}

fn push_operator(lines: &mut Vec<String>, spec: &OpSpec) {
    push_line(lines, &spec.usage(), spec.summary);
}

fn push_native(lines: &mut Vec<String>, spec: &NativeSpec) {
    push_line(lines, &spec.usage(), spec.summary);
}

fn push_line(lines: &mut Vec<String>, written: &str, summary: &str) {
    if written.len() < 30 {
        push_wrapped(lines, &format!("{written:<30}{summary}."), "  ");
    } else {
        lines.push(format!("  {written}"));
        push_wrapped(lines, &format!("{:<30}{summary}.", ""), "  ");
    }
}

/// The widest line of `MODEL.HELP`.
const WIDTH: usize = 100;

fn push_wrapped(lines: &mut Vec<String>, text: &str, indent: &str) {
    push_hanging(lines, text, indent, 28);
}

/// Appends a text in lines that begin with `indent`, all but the first of them with `hanging` more spaces.
fn push_hanging(lines: &mut Vec<String>, text: &str, indent: &str, hanging: usize) {
    let mut line = indent.to_owned();
    for word in text.split_inclusive(' ') {
        if line.len() + word.trim_end().len() > WIDTH {
            lines.push(line.trim_end().to_owned());
            line = format!("{indent}{:hanging$}", "");
        }
        line.push_str(word);
    }
    lines.push(line.trim_end().to_owned());
}
