//! Import cycles between the files of `src/`, read from the syntax tree.
//!
//! A file depends on the file that defines what it imports, not on the `mod.rs` that re-exports it. Test modules at
//! the end of a file do not count.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use syn::visit::{self, Visit};
use syn::{Item, ItemMod, ItemUse, UseTree, Visibility};

use crate::all_sources;

/// The known cycles, by their first file, with the number of files and the reason. One that grows, and a new one, fail
/// the test; one that shrinks or is gone has to be corrected here.
const KNOWN: &[(&str, usize, &str)] = &[
    ("expr/code.rs", 14, "natural: the evaluator calls functions, which evaluate their arguments"),
    (
        "lock/engine.rs",
        2,
        "natural: the engine owns its pending slices, and a slice runs the engine",
    ),
    ("lock/holders.rs", 2, "natural: a lock has holders, and a holder's mode is the lock's"),
    ("path/filter.rs", 2, "natural: a query has filters, and a filter has queries (RFC 9535)"),
    (
        "value/chunks.rs",
        6,
        "natural: a view reads packed bytes, leaves, chunks and trees, whose children are given as views",
    ),
    ("value/edit/effects.rs", 3, "natural: effects are applied by the editor, which records them"),
];

type ModulePath = Vec<String>;

/// The imports and re-exports of one file.
#[derive(Default)]
struct File {
    /// Absolute paths used in the file, re-exports apart.
    used: Vec<ModulePath>,
    /// Names that the module re-exports, and the paths they stand for.
    reexported: HashMap<String, ModulePath>,
}

struct Reader<'m> {
    module: &'m [String],
    modules: &'m BTreeMap<ModulePath, String>,
    file: File,
}

fn module_of(file: &str) -> ModulePath {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').filter(|part| *part != "lib").map(String::from).collect()
}

impl Reader<'_> {
    /// The path from the crate's root; none for a path into another crate or to a local name.
    fn absolute(&self, segments: &[String]) -> Option<ModulePath> {
        let (first, mut rest) = segments.split_first()?;
        let mut base = self.module.to_vec();
        match first.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                base.pop();
                while rest.first().is_some_and(|segment| segment == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            name => {
                base.push(name.into());
                self.modules.contains_key(&base).then_some(())?;
            }
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    fn read_use(&mut self, tree: &UseTree, before: &mut Vec<String>, public: bool) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.read_use(&path.tree, before, public);
                before.pop();
            }
            UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.read_use(item, before, public));
            }
            UseTree::Name(name) => {
                self.add_use(before, &name.ident.to_string(), &name.ident.to_string(), public);
            }
            UseTree::Rename(rename) => {
                self.add_use(before, &rename.ident.to_string(), &rename.rename.to_string(), public);
            }
            _ => {
                if let Some(path) = self.absolute(before) {
                    self.file.used.push(path);
                }
            }
        }
    }

    fn add_use(&mut self, before: &[String], name: &str, known_as: &str, public: bool) {
        let mut segments = before.to_vec();
        if name != "self" {
            segments.push(name.into());
        }
        let Some(path) = self.absolute(&segments) else { return };
        match public {
            true => drop(self.file.reexported.insert(known_as.into(), path)),
            false => self.file.used.push(path),
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let tests = item.attrs.iter().any(|attribute| attribute.path().is_ident("cfg"));
        if !tests {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let public = !matches!(item.vis, Visibility::Inherited);
        self.read_use(&item.tree, &mut Vec::new(), public);
    }

    /// `pub(in super::super)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if segments.len() > 1
            && let Some(path) = self.absolute(&segments)
        {
            self.file.used.push(path);
        }
        visit::visit_path(self, path);
    }
}

/// The file that defines what a path names, seen through re-exports.
fn definer<'m>(
    path: &[String],
    modules: &'m BTreeMap<ModulePath, String>,
    files: &BTreeMap<&str, File>,
    hops: usize,
) -> Option<&'m str> {
    let len = (0..=path.len()).rev().find(|len| modules.contains_key(&path[..*len]))?;
    let file = modules[&path[..len]].as_str();
    let name = path.get(len).filter(|_| hops > 0);
    match name.and_then(|name| files[file].reexported.get(name)) {
        Some(target) => {
            let rest = [target, &path[len + 1..]].concat();
            definer(&rest, modules, files, hops - 1)
        }
        None => Some(file),
    }
}

/// Which file imports from which.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    const HOPS_MAX: usize = 8;
    let sources = all_sources();
    let modules: BTreeMap<ModulePath, String> =
        sources.iter().map(|(file, _)| (module_of(file), file.clone())).collect();
    let mut files: BTreeMap<&str, File> = BTreeMap::new();
    for (file, source) in &sources {
        let module = module_of(file);
        let mut reader = Reader { module: &module, modules: &modules, file: File::default() };
        let tree = syn::parse_file(source).unwrap_or_else(|error| panic!("{file}: {error}"));
        let is_test = |item: &Item| matches!(item, Item::Mod(item) if item.ident == "tests");
        tree.items.iter().filter(|item| !is_test(item)).for_each(|item| reader.visit_item(item));
        files.insert(file, reader.file);
    }
    let resolve = |(file, read): (&&str, &File)| {
        let targets = read.used.iter().filter_map(|path| definer(path, &modules, &files, HOPS_MAX));
        let others = targets.filter(|target| target != file).map(String::from);
        (String::from(*file), others.collect())
    };
    files.iter().map(resolve).collect()
}

/// The files that can be reached from each.
fn reachable(imports: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&str> = imports[from].iter().map(String::as_str).collect();
    while let Some(file) = next.pop() {
        if seen.insert(file.to_string()) {
            next.extend(imports[file].iter().map(String::as_str));
        }
    }
    seen
}

#[test]
fn only_known_cycles_of_files_exist() {
    let imports = imports();
    let reached: BTreeMap<&str, BTreeSet<String>> =
        imports.keys().map(|file| (file.as_str(), reachable(&imports, file))).collect();
    let mut cycles: BTreeSet<Vec<&str>> = BTreeSet::new();
    for (file, others) in &reached {
        if others.contains(*file) {
            let back = |other: &&String| reached[other.as_str()].contains(*file);
            cycles.insert(others.iter().filter(back).map(String::as_str).collect());
        }
    }
    let found: Vec<(&str, usize)> = cycles.iter().map(|cycle| (cycle[0], cycle.len())).collect();
    let known: Vec<(&str, usize)> = KNOWN.iter().map(|(first, len, _)| (*first, *len)).collect();
    let edges = |cycle: &Vec<&str>| -> String {
        let within = |file: &&str| {
            let targets: Vec<_> =
                imports[*file].iter().filter(|to| cycle.contains(&to.as_str())).collect();
            format!("  {file} imports {targets:?}\n")
        };
        cycle.iter().map(within).collect()
    };
    let all: String = cycles.iter().map(|cycle| edges(cycle) + "\n").collect();
    assert_eq!(found, known, "the cycles of files are others than those known:\n{all}");
}

#[test]
fn the_reader_sees_imports_through_re_exports() {
    let imports = imports();
    assert!(imports["op/incr.rs"].contains("value/number.rs"), "{:?}", imports["op/incr.rs"]);
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 300);
}
