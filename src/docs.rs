//! Renders `commands.md` and `MODEL.HELP` from the declarations of commands and operators.

mod help;

use std::fmt::Write;

pub use help::{help, help_of};

use crate::command::{self, CommandSpec, usage};
use crate::error::ErrorCode;
use crate::limit;
use crate::native::{self, NativeSpec};
use crate::op::{self, Absent, OpSpec, Target};
use crate::txn::{ASSERTIONS, AssertionSpec};

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

/// A line of a section: a label and its text, without a final stop.
type Fact = (&'static str, String);

fn command_facts(spec: &CommandSpec) -> Vec<Fact> {
    let mut facts = vec![("Reply", spec.reply.to_owned())];
    facts.extend(errors_fact(spec.errors));
    facts.push(("Complexity", spec.complexity.to_owned()));
    facts.push(("Replicated", spec.replicated.to_owned()));
    facts.push(("Since", spec.since.to_owned()));
    facts
}

fn operator_facts(spec: &OpSpec) -> Vec<Fact> {
    let mut facts = vec![
        ("Works on", spec.accepts.to_owned()),
        ("Where nothing is", absent_words(spec.absent).to_owned()),
        ("Reply", spec.reply.to_owned()),
    ];
    facts.extend(errors_fact(spec.errors));
    facts.push(("Complexity", spec.complexity.to_owned()));
    facts.push(("Since", spec.since.to_owned()));
    facts
}

fn native_facts(spec: &NativeSpec) -> Vec<Fact> {
    let mut facts = vec![("Works on", spec.works_on.to_owned()), ("Reply", spec.reply.to_owned())];
    facts.extend(errors_fact(spec.errors));
    facts.push(("Complexity", spec.complexity.to_owned()));
    facts.push(("Since", spec.since.to_owned()));
    facts
}

fn errors_fact(codes: &[ErrorCode]) -> Option<Fact> {
    (!codes.is_empty()).then(|| ("Errors, in order of precedence", words(codes)))
}

fn push_facts(facts: Vec<Fact>, out: &mut String) {
    for (label, text) in facts {
        let _ = writeln!(out, "- {label}: {text}.");
    }
    out.push('\n');
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
    push_facts(command_facts(spec), out);
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
    push_facts(operator_facts(spec), out);
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
    push_facts(native_facts(spec), out);
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
