//! The worst of unclear language, so that it does not come back: openings of doc comments, and riddles.

use crate::all_sources;

/// Words with which a doc comment does not open: it opens with a noun phrase or a verb.
const OPENINGS: [&str; 3] = ["What ", "Whether ", "Who "];
/// Words for which the language section of the contributors' guide has the field's term.
const RIDDLES: [&str; 5] = ["nobody", "somebody", "such a one", "stranger", "a circle of"];
/// The room whose comments are still to be rewritten.
const UNREVISED: &str = "model";

/// The files that are held to the rules.
fn revised_sources() -> impl Iterator<Item = (String, String)> {
    let sources = all_sources().into_iter();
    sources.filter(|(file, _)| !file.split('/').any(|part| part == UNREVISED))
}

fn comments(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = source.lines().enumerate();
    lines.filter_map(|(number, line)| Some((number + 1, line.trim_start().strip_prefix("//")?)))
}

#[test]
fn doc_comments_open_with_a_noun_phrase_or_a_verb() {
    let mut found = Vec::new();
    for (file, source) in revised_sources() {
        let mut inside = false;
        let lines: Vec<&str> = source.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let doc = line.trim_start();
            let text = doc.strip_prefix("/// ").or(doc.strip_prefix("//! "));
            if let (Some(text), false) = (text, inside)
                && OPENINGS.iter().any(|opening| text.starts_with(opening))
            {
                found.push(format!("{file}:{}: {text}", number + 1));
            }
            inside = doc.starts_with("///") || doc.starts_with("//!");
        }
    }
    assert!(found.is_empty(), "{} comments:\n{}", found.len(), found.join("\n"));
}

#[test]
fn comments_name_things_instead_of_posing_riddles() {
    let mut found = Vec::new();
    for (file, source) in revised_sources() {
        for (number, text) in comments(&source) {
            let text = text.to_lowercase();
            if RIDDLES.iter().any(|riddle| text.contains(riddle)) {
                found.push(format!("{file}:{number}: {text}"));
            }
        }
    }
    assert!(found.is_empty(), "{} comments:\n{}", found.len(), found.join("\n"));
}
