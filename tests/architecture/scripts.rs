//! The scripts of the repository can be run as the Makefile runs them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn every_script_with_an_interpreter_is_executable_and_no_other_is() {
    let mut programs = 0;
    for file in fs::read_dir(Path::new(ROOT).join("scripts")).unwrap() {
        let path = file.unwrap().path();
        if !path.is_file() {
            continue;
        }
        let is_program = fs::read(&path).unwrap().starts_with(b"#!");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o111 != 0, is_program, "{} has the mode {mode:o}", path.display());
        programs += usize::from(is_program);
    }
    assert!(programs > 10);
}

/// `"$(command)"` as an argument hides that the command failed: the shell goes on without its output.
#[test]
fn no_recipe_goes_on_after_a_command_that_failed() {
    let makefile = fs::read_to_string(Path::new(ROOT).join("Makefile")).unwrap();
    let recipes = makefile.lines().filter(|line| line.starts_with('\t'));
    let as_argument = |line: &&str| {
        line.match_indices("$$(").any(|(at, _)| !line[..at].trim_end_matches('"').ends_with('='))
    };
    let hidden: Vec<_> = recipes.filter(as_argument).collect();
    assert!(hidden.is_empty(), "{hidden:?}");
}
