//! Renders `commands.md` and `MODEL.HELP` from the declarations of commands and operators.

use std::fmt::Write;

use crate::command::{self, CommandSpec, Flag, usage};
use crate::error::ErrorCode;
use crate::limit;
use crate::native::{self, NativeSpec};
use crate::op::{self, Absent, OpSpec, Target};
use crate::txn::{ASSERTIONS, AssertionSpec, GUARD, STRICT};
use crate::version::VERSION;

/// The lines of `MODEL.HELP`, none wider than a terminal.
pub fn help() -> Vec<String> {
    let mut lines =
        vec![format!("{VERSION}. Commands are written MODEL.<command> key [arguments]:")];
    for spec in command::all().iter().filter(|spec| !spec.flags.contains(&Flag::Dangerous)) {
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
    lines
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
    let mut line = indent.to_owned();
    for word in text.split_inclusive(' ') {
        if line.len() + word.trim_end().len() > WIDTH {
            lines.push(line.trim_end().to_owned());
            line = format!("{indent}{:28}", "");
        }
        line.push_str(word);
    }
    lines.push(line.trim_end().to_owned());
}

/// `IF expr`.
fn assertion_syntax(spec: &AssertionSpec) -> String {
    let operands = spec.operands.iter().map(|operand| operand.name().to_owned());
    std::iter::once(spec.name.to_owned()).chain(operands).collect::<Vec<_>>().join(" ")
}

fn absent_words(absent: Absent) -> &'static str {
    match absent {
        Absent::Null => "does nothing, replies null",
        Absent::Zero => "does nothing, replies 0",
        Absent::NoPath => "`NOPATH`",
        Absent::Create => "creates the last step; missing object parents too under `MKPATH`",
        Absent::Own => "see the reply",
    }
}

fn words(codes: &[ErrorCode]) -> String {
    codes.iter().map(|code| format!("`{}`", code.word())).collect::<Vec<_>>().join(", ")
}

/// The whole of `commands.md`.
pub fn commands_md() -> String {
    let mut out = String::from(
        "# Commands\n\nGenerated from the declarations in `src/command/` and `src/op/` by `make docs`; never edited by hand.\n\n",
    );
    for spec in command::all() {
        command_section(spec, &mut out);
    }
    out.push_str(
        "# Operators\n\nStatements of `MODEL.FIELDOP`, and of each block of `MODEL.TXN`, run in order; each sees what those before it did. With a \
         non-singular path an operator\nchanges every match, creates nothing, and replies an array with one reply \
         for each match, or the total where the reply\nsays so. A match inside of another one is \
         changed first. An operator that fails undoes the whole command; a limit holds\nafter every \
         single change, whatever comes after it. The revision grows when anything was changed, even if \
         it was\nchanged back.\n\nAn operand that is JSON, a number, an integer, a string, an array, an object, a patch or a duration \
         may be\n`=expression`: it is evaluated once, before the operator, on the document as it stands there. An \
         expression that fails\nis `EXPR`, a value of another kind than the operand has to be `TYPE`.\n\n",
    );
    for spec in op::of(Target::Value) {
        operator_section(spec, &mut out);
    }
    out.push_str(
        "# Operators on locks\n\nStatements of `MODEL.FIELDOP` and `MODEL.TXN` that change no value. What they do is seen by the statements \
         behind them, and\nhappens when the command does.\n\n",
    );
    for spec in op::of(Target::Lock) {
        operator_section(spec, &mut out);
    }
    out.push_str("# Operators on the document\n\nStatements of `MODEL.FIELDOP` and `MODEL.TXN`. Statements behind them see what they did.\n\n");
    for spec in op::of(Target::Document) {
        operator_section(spec, &mut out);
    }
    out.push_str(
        "# Operators of transactions\n\nThese are statements of `MODEL.TXN` alone: they change the key of their block as a whole. Statements behind \
         them see what\nthey did. Before `CREATE` and `PUT`, `WHEN` may stand where there is no document; it then reads \
         `args` and `docs`.\n\n",
    );
    for spec in op::of(Target::Key) {
        operator_section(spec, &mut out);
    }
    natives_section(&mut out);
    assertions_section(&mut out);
    errors_section(&mut out);
    out
}

/// A page with new tables of limits between its two marks.
pub fn with_limits(page: &str) -> Option<String> {
    let (before, rest) = page.split_once(LIMITS)?;
    let (_, behind) = rest.split_once(LIMITS_END)?;
    Some(format!("{before}{LIMITS}\n\n{}{LIMITS_END}{behind}", limit::tables()))
}

/// The marks around the tables of limits in docs/operating.md.
const LIMITS: &str = "<!-- limits: written by `make docs` from src/limit.rs -->";
const LIMITS_END: &str = "<!-- end of limits -->";

fn command_section(spec: &CommandSpec, out: &mut String) {
    let _ = write!(out, "## {}\n\n```\n{}\n```\n\n{}.\n\n", spec.name, usage(spec), spec.summary);
    let _ = writeln!(out, "- Reply: {}.", spec.reply);
    if !spec.errors.is_empty() {
        let _ = writeln!(out, "- Errors, in order of precedence: {}.", words(spec.errors));
    }
    let _ = writeln!(out, "- Complexity: {}.", spec.complexity);
    let _ = writeln!(out, "- Replicated: {}.", spec.replicated);
    let _ = writeln!(out, "- Since: {}.\n", spec.since);
    for example in spec.examples.iter().filter(|example| !example.0.is_empty()) {
        out.push_str("```\n");
        for line in example.0 {
            let _ = writeln!(out, "> {}\n{}", line.command, line.reply);
        }
        out.push_str("```\n\n");
    }
}

fn operator_section(spec: &OpSpec, out: &mut String) {
    let _ = write!(out, "## {}\n\n```\n{}\n```\n\n{}.\n\n", spec.name, spec.usage(), spec.summary);
    let _ = writeln!(out, "- Works on: {}.", spec.accepts);
    let _ = writeln!(out, "- Where nothing is: {}.", absent_words(spec.absent));
    let _ = writeln!(out, "- Reply: {}.", spec.reply);
    if !spec.errors.is_empty() {
        let _ = writeln!(out, "- Errors, in order of precedence: {}.", words(spec.errors));
    }
    let _ = writeln!(out, "- Complexity: {}.", spec.complexity);
    let _ = writeln!(out, "- Since: {}.\n", spec.since);
    out.push_str("| before | statement | reply | after |\n|---|---|---|---|\n");
    for example in spec.examples {
        let cell = |text: &str| match text {
            "" => "nothing".to_owned(),
            _ => format!("`{}`", text.replace('|', "\\|")),
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} |",
            cell(example.before),
            cell(example.statement),
            cell(example.reply),
            cell(example.after)
        );
    }
    out.push('\n');
}

fn natives_section(out: &mut String) {
    out.push_str(
        "# Natives\n\nCommands of the server behind `AT key` in `MODEL.TXN`. Operands are JSON or `=expression`, evaluated at their place, \
         where\n`docs`, `args`, `native`, `now` and `key` can be read; a JSON string is written as its text, \
         everything else as JSON text. In front of\none, `WHEN expr` makes it run only where the \
         expression is true; else it replies null.\n\nAfter the last block and after models have validated \
         their documents, each native is checked as the server would find things\nafter those before it, \
         with the caller's own permissions (`NOPERM`). A key keeps its kind through the transaction, but \
         for `SET` and\n`UNLINK`. A server whose configuration renames one of these commands away refuses it with `ERR`. Then documents are \
         committed and\nthe commands run in order. Should a command filter of another module have one \
         refused all the same, its reply is that error;\n`INFO model` counts it as `natives_refused`. The set is closed to commands \
         whose refusals can be foreseen: none that takes away what it replies,\nblocks, runs a script or belongs to a module.\n\n",
    );
    native::all().iter().for_each(|spec| native_section(spec, out));
}

fn native_section(spec: &NativeSpec, out: &mut String) {
    let _ = write!(
        out,
        "## AT key {}\n\n```\n{}\n```\n\n{}.\n\n",
        spec.name,
        spec.usage(),
        spec.summary
    );
    let _ = writeln!(out, "- Works on: {}.", spec.works_on);
    let _ = writeln!(out, "- Reply: {}.", spec.reply);
    if !spec.errors.is_empty() {
        let _ = writeln!(out, "- Errors, in order of precedence: {}.", words(spec.errors));
    }
    let _ = writeln!(out, "- Complexity: {}.", spec.complexity);
    let _ = writeln!(out, "- Since: {}.\n", spec.since);
    out.push_str("| natives before | native | reply |\n|---|---|---|\n");
    for example in spec.examples {
        let before = match example.before {
            "" => "nothing".to_owned(),
            before => format!("`{before}`"),
        };
        let _ = writeln!(out, "| {before} | `{}` | `{}` |", example.statement, example.reply);
    }
    out.push('\n');
}

fn assertions_section(out: &mut String) {
    out.push_str(
        "# Assertions\n\nA statement that holds or refuses the whole command; it has no reply. In front of any operator, \
         `WHEN expr` makes\nthat operator run only where the expression is true of the document as it stands; else \
         it replies null. `STRICT`, behind that, refuses the \
         command with `NOPATH` unless the operator's path matches at least one place.\n\n| assertion | holds if | errors, in order of precedence |\n|---|---|---|\n",
    );
    for spec in &ASSERTIONS {
        let syntax = assertion_syntax(spec);
        let _ = writeln!(out, "| `{syntax}` | {} | {} |", spec.summary, words(spec.errors));
    }
    out.push('\n');
}

fn errors_section(out: &mut String) {
    out.push_str(
        "# Errors\n\nAn error is one line: a fixed word, then one JSON object with a `message` and what is known: `key`, \
         `statement` (from 0),\n`operator`, `path`. A refused command changed nothing.\n\n| word | when | can the same request succeed later |\n|---|---|---|\n",
    );
    for code in ErrorCode::ALL {
        let retry = if code.retry_can_help() { "yes" } else { "no" };
        let _ = writeln!(out, "| `{}` | {} | {retry} |", code.word(), code.meaning());
    }
}
