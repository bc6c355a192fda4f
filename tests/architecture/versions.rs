//! The version is one everywhere, and the commit in the module is that of its sources: `build.rs` is run in repositories
//! made for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use redis_model::command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap()
}

#[test]
fn the_manifest_the_locks_and_the_changelog_have_one_version() {
    let changelog = read("CHANGELOG.md");
    let newest = changelog.lines().find_map(|line| line.strip_prefix("## ")).unwrap();
    assert_eq!(newest.split(',').next(), Some(VERSION));
    for lock in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let entry = format!("name = \"redis-model\"\nversion = \"{VERSION}\"\n");
        assert!(read(lock).contains(&entry), "{lock}");
    }
    assert!(redis_model::version::VERSION.starts_with(&format!("redis-model {VERSION} (")));
}

#[test]
fn no_command_is_younger_than_the_version() {
    let parts = |version: &str| -> Vec<u32> {
        version.split('.').map(|part| part.parse().unwrap()).collect()
    };
    for spec in command::all() {
        assert!(parts(spec.since) <= parts(VERSION), "{} since {}", spec.name, spec.since);
    }
}

/// A repository with sources of a module, and the program that `build.rs` is.
struct Repository {
    folder: PathBuf,
    program: PathBuf,
}

impl Repository {
    fn new(name: &str) -> Repository {
        let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("versions-{name}"));
        let _ = fs::remove_dir_all(&work);
        let folder = work.join("sources");
        fs::create_dir_all(folder.join("src/command")).unwrap();
        let program = work.join("build");
        let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
        let source = Path::new(ROOT).join("build.rs");
        let compiled = Command::new(rustc)
            .args(["--edition", "2024", "-o"])
            .args([&program, &source])
            .status();
        assert!(compiled.expect("rustc runs").success());
        let repository = Repository { folder, program };
        for file in ["build.rs", "Cargo.toml", "Cargo.lock", "README.md"] {
            repository.write(file, "one");
        }
        repository.write("src/command/one.rs", "#[distributed_slice(COMMANDS)]");
        repository
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.join(file), text).unwrap();
    }

    fn git(&self, args: &[&str]) -> String {
        let identity =
            ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"];
        let ran = Command::new("git").current_dir(&self.folder).args(identity).args(args).output();
        let ran = ran.expect("git runs");
        assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    /// Commits everything, and returns the name of the commit.
    fn commit(&self) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "more"]);
        self.git(&["log", "-1", "--abbrev=12", "--format=%h"])
    }

    /// The text that a build has in it, and the files whose change runs `build.rs` again.
    fn build(&self, profile: &str, given: Option<&str>) -> (String, Vec<String>) {
        let mut run = Command::new(&self.program);
        run.current_dir(&self.folder).env("OUT_DIR", self.folder.parent().unwrap());
        run.env("PROFILE", profile).env("CARGO_FEATURE_MODULE", "1");
        run.env_remove("REDIS_MODEL_COMMIT").envs(given.map(|given| ("REDIS_MODEL_COMMIT", given)));
        let ran = run.output().expect("it was compiled");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let said = String::from_utf8(ran.stdout).unwrap();
        let after = |prefix| said.lines().filter_map(move |line| line.strip_prefix(prefix));
        let text = after("cargo:rustc-env=REDIS_MODEL_BUILD=").next().unwrap().to_owned();
        (text, after("cargo:rerun-if-changed=").map(str::to_owned).collect())
    }

    fn text(&self) -> String {
        self.build("release", None).0
    }
}

#[test]
fn a_release_build_names_the_last_commit_that_changed_its_sources() {
    let repository = Repository::new("commits");
    repository.git(&["init", "-q"]);
    let first = repository.commit();
    assert_eq!(repository.text(), format!("commit {first}"));

    // Another commit of pages runs nothing again, and does not change what a new build says.
    let watched = repository.build("release", None).1;
    repository.write("README.md", "two");
    let of_pages = repository.commit();
    assert_ne!(first, of_pages);
    assert_eq!(repository.text(), format!("commit {first}"));
    assert!(watched.contains(&"src".to_owned()) && watched.contains(&"Cargo.lock".to_owned()));
    assert!(!watched.iter().any(|file| file.contains("git")), "{watched:?}");

    // A change that is not committed is told, and its commit runs build.rs again.
    repository.write("src/lib.rs", "new");
    let (text, watched) = repository.build("release", None);
    assert_eq!(text, format!("commit {first} with changes"));
    let log = watched.iter().find(|file| file.contains("logs/HEAD")).expect("the log is watched");
    let log = repository.folder.join(log);
    let an_hour_ago = SystemTime::now() - Duration::from_secs(3600);
    fs::File::options().append(true).open(&log).unwrap().set_modified(an_hour_ago).unwrap();
    let second = repository.commit();
    assert!(fs::metadata(&log).unwrap().modified().unwrap() > an_hour_ago);
    assert_eq!(repository.text(), format!("commit {second}"));
}

#[test]
fn a_build_without_git_says_so_unless_it_is_told_the_commit() {
    let repository = Repository::new("archive");
    let unknown = "commit unknown, built without git";
    assert_eq!(repository.text(), unknown);
    assert_eq!(repository.build("release", Some("")).0, unknown);
    assert_eq!(repository.build("release", Some("abc1234")).0, "commit abc1234");
    // The repository around the folder is that of something else.
    let around = Repository {
        folder: repository.folder.parent().unwrap().to_owned(),
        program: repository.program.clone(),
    };
    around.git(&["init", "-q"]);
    around.commit();
    assert_eq!(repository.text(), unknown);
}

#[test]
fn a_development_build_asks_for_no_commit() {
    let repository = Repository::new("development");
    repository.git(&["init", "-q"]);
    repository.commit();
    let (text, watched) = repository.build("debug", Some("abc1234"));
    assert_eq!(text, "development build");
    assert_eq!(watched, ["src/command"], "nothing but a new command runs it again");
}
