//! The worst of unclear language, so that it does not come back: openings of comments, and riddles. Rust sources of
//! the module, its tests, benchmarks, examples and fuzz targets are held to it, and client programs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::all_sources;

/// Words with which a comment does not open: it opens with a noun phrase or a verb.
const OPENINGS: [&str; 3] = ["What ", "Whether ", "Who "];
/// Words for which the language section of the contributors' guide has the field's term.
const RIDDLES: [&str; 5] = ["nobody", "somebody", "such a one", "stranger", "a circle of"];

/// The marks of comments, the longest first.
const RUST: [&str; 3] = ["///", "//!", "//"];
const SCRIPT: [&str; 3] = ["\"\"\"", "#", "//"];

/// The files that are held to the rules, each with the marks of its comments.
fn commented_sources() -> Vec<(String, String, [&'static str; 3])> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all: Vec<_> = all_sources()
        .into_iter()
        .map(|(file, source)| (format!("src/{file}"), source, RUST))
        .collect();
    for folder in ["tests", "benches", "examples", "fuzz/targets"] {
        let mut paths = Vec::new();
        files_in(&root.join(folder), &mut paths);
        for path in paths {
            let marks = match path.extension().and_then(|extension| extension.to_str()) {
                Some("rs") => RUST,
                Some("py" | "mjs" | "go") => SCRIPT,
                _ => continue,
            };
            let source = fs::read_to_string(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            // This file names the words.
            if !name.ends_with("architecture/language.rs") {
                all.push((name, source, marks));
            }
        }
    }
    all
}

fn files_in(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_in(&path, out);
        } else {
            out.push(path);
        }
    }
}

/// The comments of a source: the number of each line, and its text behind the mark, empty between comments.
fn comments(source: &str, marks: [&str; 3]) -> Vec<(usize, String)> {
    let text = |line: &str| {
        let line = line.trim_start();
        let text = marks.iter().find_map(|mark| line.strip_prefix(mark));
        text.map_or(String::new(), |text| text.trim_start().to_owned())
    };
    source.lines().enumerate().map(|(number, line)| (number + 1, text(line))).collect()
}

#[test]
fn comments_open_with_a_noun_phrase_or_a_verb() {
    let mut found = Vec::new();
    let mut files = 0;
    for (file, source, marks) in commented_sources() {
        files += 1;
        let mut before = String::new();
        for (number, text) in comments(&source, marks) {
            if before.is_empty() && OPENINGS.iter().any(|opening| text.starts_with(opening)) {
                found.push(format!("{file}:{number}: {text}"));
            }
            before = text;
        }
    }
    assert!(files > 300, "the test sees the files: {files}");
    assert!(found.is_empty(), "{} comments:\n{}", found.len(), found.join("\n"));
}

#[test]
fn comments_name_things_instead_of_posing_riddles() {
    let mut found = Vec::new();
    for (file, source, marks) in commented_sources() {
        for (number, text) in comments(&source, marks) {
            if RIDDLES.iter().any(|riddle| text.to_lowercase().contains(riddle)) {
                found.push(format!("{file}:{number}: {text}"));
            }
        }
    }
    assert!(found.is_empty(), "{} comments:\n{}", found.len(), found.join("\n"));
}
