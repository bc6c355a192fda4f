//! Generators of schemas, as people install them: every type they have is defined, stored, read back by their own library,
//! and refused at its place where it does not fit. The programs are in tests/clients.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::clients::{ROOT, check_run, clients};
use crate::harness::{Flavor, Server};

/// Runs a program on a server of its own. The flavour has no part in what a schema means, so that each program has another.
fn check_generator(nth: usize, command: impl Fn(&str) -> Command) {
    let server = Server::start(Flavor::ALL[nth % Flavor::ALL.len()], &[]);
    check_run(&mut command(&server.port.to_string()), "2");
}

/// Runs the program with the release of Pydantic that the launcher has.
fn check_pydantic(nth: usize, launcher: &str, release: &str) {
    check_generator(nth, |port| {
        let mut python = Command::new(clients().join(launcher));
        python.arg(format!("{ROOT}/tests/clients/pydantic_types.py")).args([port, release]);
        python
    });
}

fn check_javascript(nth: usize, generator: &str) {
    check_generator(nth, |port| {
        let program = format!("{ROOT}/tests/clients/schema_types.mjs");
        let mut node = Command::new(clients().join("node"));
        node.current_dir(clients().join("modules")).args(["--input-type=module", "-"]);
        node.args([port, generator]).stdin(File::open(program).expect("the program is there"));
        node
    });
}

/// Builds the programs of schemars, which are crates of their own, and runs the one with this release.
fn check_schemars(nth: usize, program: &str) {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("schemars");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--locked", "--manifest-path"]);
        cargo.arg(format!("{ROOT}/tests/clients/schemars/Cargo.toml"));
        cargo.arg("--target-dir").arg(&target);
        assert!(cargo.status().expect("cargo runs").success(), "{cargo:?}");
        target.join("debug")
    });
    check_generator(nth, |port| {
        let mut command = Command::new(folder.join(program));
        command.arg(port);
        command
    });
}

#[test]
fn every_type_of_schemars_0_8_is_kept() {
    check_schemars(2, "schemars-types-v0");
}

#[test]
fn every_type_of_schemars_1_is_kept() {
    check_schemars(3, "schemars-types-v1");
}

#[test]
fn every_type_of_pydantic_2_10_is_kept() {
    check_pydantic(0, "python-2.10", "2.10");
}

#[test]
fn every_type_of_pydantic_2_11_is_kept() {
    check_pydantic(1, "python-2.11", "2.11");
}

#[test]
fn every_type_of_pydantic_2_12_is_kept() {
    check_pydantic(2, "python-2.12", "2.12");
}

#[test]
fn every_type_of_pydantic_2_13_is_kept() {
    check_pydantic(3, "python-2.13", "2.13");
}

#[test]
fn every_type_of_the_newest_pydantic_is_kept() {
    check_pydantic(0, "python", "2.14");
}

#[test]
fn every_type_of_zod_4_is_kept() {
    check_javascript(1, "zod");
}

#[test]
fn every_type_of_zod_3_with_zod_to_json_schema_is_kept() {
    check_javascript(2, "zod-to-json-schema");
}

#[test]
fn every_type_of_typebox_is_kept() {
    check_javascript(3, "typebox");
}

#[test]
fn every_type_of_typebox_before_1_0_is_kept() {
    check_javascript(0, "sinclair-typebox");
}

#[test]
fn every_type_of_valibot_is_kept() {
    check_javascript(1, "valibot");
}
