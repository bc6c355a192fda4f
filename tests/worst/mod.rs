//! The worst commands: short requests that ask for as much work as they can. The core's tests count their
//! steps, the server's tests send them, and the benchmark measures how long each holds the server.

use std::collections::HashSet;

/// A command, and the commands that prepare its documents. Some are the server's own, which the host in memory does not know.
pub struct Worst {
    pub name: &'static str,
    /// Commands run before it; none of them may be refused.
    pub setup: Vec<Vec<String>>,
    pub command: Vec<String>,
}

/// The list while it is gone through: each command is made when its turn comes, so that the memory and the
/// time of all others are not in a measurement.
struct List<'r> {
    /// Sizes are those that default limits allow, divided by this.
    scale: usize,
    /// Only commands with one of these texts in their names are made; `|` stands between two.
    only: &'r str,
    run: &'r mut dyn FnMut(Worst),
    names: HashSet<&'static str>,
}

impl List<'_> {
    fn worst(
        &mut self,
        name: &'static str,
        setup: impl FnOnce() -> Vec<Vec<String>>,
        command: impl FnOnce() -> Vec<String>,
    ) {
        assert!(self.names.insert(name), "two commands are called {name}");
        if self.only.split('|').any(|text| name.contains(text)) {
            (self.run)(Worst { name, setup: setup(), command: command() });
        }
    }
}

/// Calls `run` with each command that has `only` in its name, one after the other.
pub fn each(scale: usize, only: &str, run: &mut dyn FnMut(Worst)) {
    let all = &mut List { scale, only, run, names: HashSet::new() };
    changes::add(all);
    computed::add(all);
    texts::add(all);
    queries::add(all);
    expressions::add(all);
    models::add(all);
    schemas::add(all);
    keys::add(all);
    natives::add(all);
    finding::add(all);
}

mod changes;
mod computed;
mod expressions;
mod finding;
mod keys;
mod models;
mod natives;
mod queries;
mod schemas;
mod texts;

/// The number of statements and of paths one command may have.
const MANY: usize = 1024;

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn list(item: &str, count: usize) -> String {
    format!("[{}]", vec![item; count].join(","))
}

fn set(key: &str, json: String) -> Vec<String> {
    vec!["MODEL.SET".into(), key.into(), "any".into(), json]
}

fn define(name: &str, schema: &str, rules: &[&str]) -> Vec<String> {
    let mut command = words(&format!("MODEL.DEFINE {name}"));
    command.push(schema.into());
    for (nth, rule) in rules.iter().enumerate() {
        command.extend(["RULE".into(), format!("r{nth}"), (*rule).into()]);
    }
    command
}

/// `MODEL.FIELDOP` with one statement many times.
fn repeated(statement: &[&str], count: usize) -> Vec<String> {
    let mut command = words("MODEL.FIELDOP k");
    (0..count).for_each(|_| command.extend(statement.iter().map(|word| (*word).into())));
    command
}

/// `MODEL.GET` with one path many times.
fn read(path: &str, count: usize) -> Vec<String> {
    let mut command = words("MODEL.GET k");
    command.extend(std::iter::repeat_n(path.to_owned(), count));
    command
}

/// `MODEL.TXN` with one statement for each of many keys.
fn transaction(keys: usize, statement: &[&str]) -> Vec<String> {
    let mut command = words(&format!("MODEL.TXN {keys}"));
    command.extend((0..keys).map(|nth| format!("k{nth}")));
    for nth in 0..keys {
        command.extend(["ON".into(), format!("k{nth}")]);
        command.extend(statement.iter().map(|word| (*word).into()));
    }
    command
}

/// An array inside an array, so many levels deep, with one number at the bottom.
fn nested(depth: usize) -> String {
    "[".repeat(depth) + "1" + &"]".repeat(depth)
}

/// An object of so many members, all of one value.
fn members(count: usize, value: &str) -> String {
    let members: Vec<String> = (0..count).map(|nth| format!("\"m{nth}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// An array of the numbers below this.
fn ascending(count: usize) -> String {
    let numbers: Vec<String> = (0..count).map(|nth| nth.to_string()).collect();
    format!("[{}]", numbers.join(","))
}
