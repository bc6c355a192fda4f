//! Rooms and the direction of imports, import cycles between files, the place of `unsafe`, names of types, the language
//! of comments, the version, the image, and the list of fuzz targets.

mod cycles;
mod fuzzing;
mod image;
mod language;
mod names;
mod scripts;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms from the ground up: each imports only from those before it. `redis` comes last.
const ROOMS: [&str; 27] = [
    "version", "limit", "error", "budget", "time", "lock", "claim", "keys", "value", "argument",
    "path", "reply", "expr", "index", "model", "op", "document", "expiry", "token", "codec",
    "native", "changes", "host", "txn", "command", "docs", "testing",
];
/// `MODEL.HELP` is a command and shows what `docs` renders.
const EXCEPTIONS: [(&str, &str); 1] = [("command/help.rs", "docs")];

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

fn all_sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let name = |path: &Path| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

fn room_of(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

/// The rooms named behind `crate::` outside comments.
fn imports(source: &str) -> Vec<&str> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let behind = code.flat_map(|line| line.split("crate::").skip(1));
    behind
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
        .collect()
}

#[test]
fn imports_point_one_way() {
    let rank = |room: &str| ROOMS.iter().position(|known| *known == room);
    let mut checked = 0;
    for (file, source) in all_sources() {
        let room = room_of(&file);
        if room == "lib" || room == "redis" {
            continue;
        }
        let own = rank(room).unwrap_or_else(|| panic!("{file} stands in no known room"));
        for imported in imports(&source) {
            if EXCEPTIONS.contains(&(&file, imported)) {
                continue;
            }
            let other = rank(imported)
                .unwrap_or_else(|| panic!("{file} imports {imported}, which is no room"));
            assert!(other <= own, "{file} imports {imported}, which is above it");
            checked += 1;
        }
    }
    assert!(checked > 50, "the test sees the imports: {checked}");
}

#[test]
fn unsafe_stands_in_the_shell_alone() {
    let mut seen_in_shell = false;
    for (file, source) in all_sources() {
        let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        let has_unsafe = code.clone().any(|line| {
            line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "unsafe")
        });
        if room_of(&file) == "redis" {
            seen_in_shell |= has_unsafe;
        } else {
            assert!(!has_unsafe, "{file} has unsafe code outside the shell");
        }
    }
    assert!(seen_in_shell);
}

#[test]
fn every_extern_function_catches_panics() {
    for (file, source) in all_sources() {
        // No server calls what a unit test declares.
        let shipped = source.split("#[cfg(test)]\nmod tests").next().unwrap();
        for body in
            shipped.split("unsafe extern \"C\" fn ").skip(1).filter(|body| !body.starts_with('('))
        {
            let end = body.find("\n}").unwrap_or(body.len());
            let (name, body) = (body.split(['(', '<']).next().unwrap(), &body[..end]);
            let empty = body.trim_end().ends_with("{}");
            assert!(empty || body.contains("catch_unwind"), "{file}: {name} lets panics out");
        }
    }
}

/// The names behind a path prefix: `a` for `super::a::B`, `a` and `b` for `super::{a, b::C}`.
fn named_behind<'s>(source: &'s str, prefix: &str) -> Vec<&'s str> {
    let first = |text: &'s str| {
        text.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("")
    };
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let uses = code.flat_map(|line| line.split(prefix).skip(1));
    uses.flat_map(|rest| match rest.strip_prefix('{') {
        Some(group) => group.split(',').map(first).collect(),
        None => vec![first(rest)],
    })
    .collect()
}

/// Evaluating calls functions, and functions evaluate; everything else of the room points one way.
#[test]
fn expressions_have_one_circle_of_imports() {
    let mut imports = BTreeMap::<String, BTreeSet<String>>::new();
    for (file, source) in all_sources() {
        let Some(inside) = file.strip_prefix("expr/") else { continue };
        let own = room_of(inside).to_owned();
        let top = !inside.contains('/') || inside.ends_with("/mod.rs");
        let mut named = named_behind(&source, "crate::expr::");
        named.extend(if top { named_behind(&source, "super::") } else { Vec::new() });
        imports.entry(own).or_default().extend(named.into_iter().map(str::to_owned));
    }
    let reached = |from: &str| {
        let mut found = BTreeSet::new();
        let mut rest = vec![from.to_owned()];
        while let Some(next) = rest.pop() {
            for file in imports.get(&next).into_iter().flatten() {
                if imports.contains_key(file) && *file != next && found.insert(file.clone()) {
                    rest.push(file.clone());
                }
            }
        }
        found
    };
    let in_circle: Vec<&str> = imports
        .keys()
        .map(String::as_str)
        .filter(|file| *file != "mod" && reached(file).contains(*file))
        .collect();
    assert_eq!(in_circle, ["code", "eval", "functions"]);
}
