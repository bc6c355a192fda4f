//! The fuzz targets: `scripts/fuzz` runs those of the manifest, each of which has seeds.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: fs::DirEntry| entry.path().file_stem().unwrap().to_str().unwrap().to_owned();
    entries.map(|entry| name(entry.unwrap())).collect()
}

#[test]
fn every_fuzz_target_is_in_the_manifest_and_has_seeds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let targets = names(&folder.join("targets"));
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    for name in &targets {
        let bin = format!("name = \"{name}\"\npath = \"targets/{name}.rs\"\n");
        assert!(manifest.contains(&bin), "{name} is not run");
        let seeds = names(&folder.join("seeds").join(name));
        assert!(!seeds.is_empty(), "{name} has no seed");
    }
    assert_eq!(manifest.lines().filter(|line| *line == "[[bin]]").count(), targets.len());
    assert_eq!(names(&folder.join("seeds")), targets);
}
