//! One name, one meaning: no type of `src/` has the name of another.

use std::collections::BTreeMap;

use syn::visit::{self, Visit};

use crate::all_sources;

/// Names that several files define, the number of definitions, and the reason. A name that is no longer defined so
/// often has to be corrected here.
const SHARED: &[(&str, usize, &str)] = &[];

/// Finds the definitions of types, those inside of functions as well. Associated types are not definitions: a trait
/// of another crate names them.
#[derive(Default)]
struct Definitions {
    names: Vec<String>,
}

impl<'ast> Visit<'ast> for Definitions {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let name = match item {
            syn::Item::Struct(item) => Some(&item.ident),
            syn::Item::Enum(item) => Some(&item.ident),
            syn::Item::Union(item) => Some(&item.ident),
            syn::Item::Trait(item) => Some(&item.ident),
            syn::Item::Type(item) => Some(&item.ident),
            _ => None,
        };
        self.names.extend(name.map(ToString::to_string));
        visit::visit_item(self, item);
    }
}

fn definitions_in(source: &str) -> Vec<String> {
    let mut found = Definitions::default();
    found.visit_file(&syn::parse_file(source).expect("the source compiles"));
    found.names
}

#[test]
fn every_type_has_a_name_of_its_own() {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, source) in all_sources() {
        for name in definitions_in(&source) {
            files.entry(name).or_default().push(file.clone());
        }
    }
    assert!(files.len() > 300, "the test sees the definitions: {}", files.len());
    files.retain(|_, files| files.len() > 1);
    let found: Vec<(&str, usize)> =
        files.iter().map(|(name, files)| (name.as_str(), files.len())).collect();
    let shared: Vec<(&str, usize)> =
        SHARED.iter().map(|(name, count, _)| (*name, *count)).collect();
    assert_eq!(found, shared, "names with several definitions: {files:#?}");
}

#[test]
fn definitions_are_seen_wherever_they_are() {
    let source =
        "mod a { struct B; fn c() { enum D {} } } impl T for B { type E = B; } trait T { type E; }";
    assert_eq!(definitions_in(source), ["B", "D", "T"]);
}
