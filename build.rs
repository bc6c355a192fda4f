//! Counts the commands that `src/command/` declares, and writes an entry point for each.
//!
//! The server calls a function of its own for each command, so that no call has to look up its name. The registry of
//! commands is collected by the linker, which is too late for a list of functions.

use std::path::{Path, PathBuf};
use std::{env, fs};

const COMMANDS: &str = "src/command";
const DECLARATION: &str = "distributed_slice(COMMANDS)";

fn main() {
    println!("cargo:rerun-if-changed={COMMANDS}");
    let count = declarations_in(Path::new(COMMANDS));
    let handlers: String = (0..count).map(|nth| format!("handle::<{nth}>, ")).collect();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names a directory"));
    fs::write(out.join("entry_points.rs"), format!("[{handlers}]"))
        .expect("the directory can be written");
}

fn declarations_in(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("the folder of commands exists");
    let paths = entries.map(|entry| entry.expect("a folder can be read").path());
    paths
        .map(|path| match path.is_dir() {
            true => declarations_in(&path),
            false => fs::read_to_string(path).map_or(0, |text| text.matches(DECLARATION).count()),
        })
        .sum()
}
