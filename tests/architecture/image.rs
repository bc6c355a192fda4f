//! The Dockerfile fits the sources, as far as that can be seen without Docker: files, stages, folders, versions; and
//! Cargo accepts the files that the image is built from.

use std::fs;
use std::path::Path;
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap()
}

/// The instructions: the first word, and the rest.
fn instructions() -> Vec<(String, Vec<String>)> {
    let words = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        words.next().map(|first| (first, words.collect()))
    };
    read("Dockerfile").lines().filter(|line| !line.starts_with('#')).filter_map(words).collect()
}

#[test]
fn every_file_that_the_image_copies_exists() {
    let ignored = read(".dockerignore");
    let mut stages = Vec::new();
    let mut copied = 0;
    for (word, rest) in instructions() {
        match word.as_str() {
            "FROM" => stages.push(rest.last().unwrap().clone()),
            "COPY" => match rest[0].strip_prefix("--from=") {
                Some(stage) => {
                    assert!(stages.iter().any(|known| known == stage), "no stage {stage}");
                    assert_eq!(rest[1], "/source/target/release/libredis_model.so");
                }
                None => {
                    for file in &rest[..rest.len() - 1] {
                        assert!(Path::new(ROOT).join(file).exists(), "{file} does not exist");
                        assert!(!ignored.lines().any(|line| line == file), "{file} is ignored");
                        copied += 1;
                    }
                }
            },
            _ => {}
        }
    }
    assert_eq!(stages, ["build", "redis", "valkey"]);
    assert!(copied > 5);
}

#[test]
fn servers_of_the_image_load_the_module_from_where_it_was_copied() {
    let makefile = read("Makefile");
    let folder = makefile.lines().find_map(|line| line.strip_prefix("MODULE_DIR := ")).unwrap();
    let module = format!("{folder}/libredis_model.so");
    let mut copied = false;
    let mut loading = 0;
    for (word, rest) in instructions() {
        match word.as_str() {
            "FROM" => copied = false,
            "COPY" if rest[0].starts_with("--from=") => copied = rest[2] == module,
            "CMD" => {
                assert!(
                    copied && rest.join(" ").contains(&format!("\"--loadmodule\", \"{module}\""))
                );
                loading += 1;
            }
            _ => {}
        }
    }
    assert_eq!(loading, 2);
}

#[test]
fn the_images_build_has_all_that_cargo_asks_for() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("image");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("scripts")).unwrap();
    for (word, rest) in instructions() {
        if word == "FROM" && rest.last().unwrap() != "build" {
            break;
        }
        if word != "COPY" {
            continue;
        }
        let target = folder.join(rest.last().unwrap());
        for file in &rest[..rest.len() - 1] {
            let copy = ["-rT", "-r"][usize::from(rest.last().unwrap() == "./")];
            let mut copying = Command::new("cp");
            copying.arg(copy).arg(Path::new(ROOT).join(file)).arg(&target);
            assert!(copying.status().unwrap().success(), "{file}");
        }
    }
    let run: Vec<String> = instructions()
        .into_iter()
        .filter(|(word, _)| word == "RUN")
        .map(|(_, rest)| rest.join(" "))
        .collect();
    assert_eq!(run, ["scripts/setup", "REDIS_MODEL_COMMIT=${COMMIT} scripts/build --locked"]);
    for program in ["scripts/setup", "scripts/build", "scripts/divide"] {
        assert!(folder.join(program).exists(), "{program}");
    }
    let metadata = Command::new(env!("CARGO"))
        .current_dir(&folder)
        .args(["metadata", "--format-version=1", "--no-deps", "--locked", "--offline"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&metadata.stderr);
    assert!(metadata.status.success(), "{said}");
    let known = String::from_utf8_lossy(&metadata.stdout).into_owned();
    assert!(known.contains("\"cdylib\"") && known.contains("\"module\":"), "{known}");
}
