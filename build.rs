//! Counts the commands that `src/command/` declares, writes an entry point for each, and names the commit.
//!
//! The server calls a function of its own for each command, so that no call has to look up its name. The registry of
//! commands is collected by the linker, which is too late for a list of functions.
//!
//! Only a release build of the module names its commit, and it is the last one that changed what is compiled: another
//! commit compiles nothing again, and a build of the same sources after it has the same text in it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const COMMANDS: &str = "src/command";
const DECLARATION: &str = "distributed_slice(COMMANDS)";

/// The commit of sources that have no git folder beside them, for those who build packages and images of them.
const COMMIT: &str = "REDIS_MODEL_COMMIT";
/// The files that the module is compiled from.
const COMPILED: [&str; 4] = ["src", "build.rs", "Cargo.toml", "Cargo.lock"];

fn main() {
    println!("cargo:rerun-if-changed={COMMANDS}");
    let count = declarations_in(Path::new(COMMANDS));
    let handlers: String = (0..count).map(|nth| format!("handle::<{nth}>, ")).collect();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names a directory"));
    fs::write(out.join("entry_points.rs"), format!("[{handlers}]"))
        .expect("the directory can be written");
    println!("cargo:rustc-env=REDIS_MODEL_BUILD={}", build());
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

/// The text behind the version, in `MODEL.HELP` and in the log.
fn build() -> String {
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if !is_release || env::var_os("CARGO_FEATURE_MODULE").is_none() {
        return "development build".to_owned();
    }
    println!("cargo:rerun-if-env-changed={COMMIT}");
    COMPILED.iter().for_each(|path| println!("cargo:rerun-if-changed={path}"));
    let named = env::var(COMMIT).ok().filter(|commit| !commit.is_empty());
    match named.map(|commit| format!("commit {commit}")).or_else(commit_of_git) {
        Some(commit) => commit,
        None => "commit unknown, built without git".to_owned(),
    }
}

/// The last commit that changed what is compiled. A folder of git further up is that of something else.
fn commit_of_git() -> Option<String> {
    Path::new(".git").exists().then_some(())?;
    let about_compiled = |args: &[&str]| git(&[args, &["--"], &COMPILED].concat());
    let commit = about_compiled(&["log", "-1", "--abbrev=12", "--format=%h"])?;
    if about_compiled(&["status", "--porcelain"])?.is_empty() {
        return Some(format!("commit {commit}"));
    }
    // Committing the changes changes no source.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    if Path::new(&log).exists() {
        println!("cargo:rerun-if-changed={log}");
    }
    Some(format!("commit {commit} with changes"))
}

/// The output of git, without the line's end. None where git is missing or refuses.
fn git(args: &[&str]) -> Option<String> {
    let ran = Command::new("git").args(args).output().ok()?;
    ran.status.success().then(|| String::from_utf8_lossy(&ran.stdout).trim().to_owned())
}
