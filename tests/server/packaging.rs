//! The archive of `make dist` and the packages of `make deb`, made of the module under test: unpacked, installed,
//! loaded, removed. Nothing is installed on this machine: `dpkg` works in a folder of its own.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Flavor, Server, module_path, on_every_flavor};
use crate::resp::Reply;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const VERSION: &str = env!("CARGO_PKG_VERSION");
const MODULES: &str = "usr/lib/redis/modules";

/// A fresh folder.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("packaging-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn output(command: &mut Command) -> String {
    let ran = command.current_dir(ROOT).output().expect("the program is there");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&ran.stderr));
    said
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain name")
}

/// Runs a script of the repository on a module.
fn script(name: &str, module: &Path, out: &Path) -> String {
    output(Command::new(format!("{ROOT}/scripts/{name}")).args([module, out]))
}

/// All files below a folder, by their paths in it.
fn files(folder: &Path) -> BTreeSet<String> {
    let listed = output(Command::new("find").args([text(folder), "-type", "f", "-printf", "%P\n"]));
    listed.lines().map(str::to_owned).collect()
}

/// A small shared library with debug information, which stands for the module where only packing is tested.
fn small_library(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("small.c"), folder.join("small.so"));
    fs::write(
        &source,
        "const char *version = \"redis-model 9.9.9 (commit abc)\"; int puts(const char *); int f(void) { return puts(version); }",
    )
    .unwrap();
    let options = ["-g", "-shared", "-fPIC", "-Wl,--build-id", "-o"];
    output(Command::new("gcc").args(options).args([&library, &source]));
    library
}

fn sections(module: &Path) -> String {
    output(Command::new("readelf").args(["-SW", text(module)]))
}

/// Uses a module on a server of every flavour.
fn is_loaded(module: &Path) {
    let load = format!("loadmodule {}", module.display());
    on_every_flavor(|flavor| {
        let server = Server::start_plain(flavor, &[&load]);
        server.must(&["MODEL.SET", "a", "any", r#"{"n":1}"#]);
        assert_eq!(
            server.must(&["MODEL.FIELDOP", "a", "INCR", "$.n", "1"]).array(),
            [Reply::bulk("2")]
        );
        let version = format!("redis-model {VERSION} (");
        assert!(server.must(&["MODEL.HELP"]).array()[0].text().starts_with(&version));
        assert!(server.log().contains(&version), "the log names the version");
    });
}

#[test]
fn a_module_is_divided_into_code_and_debug_information() {
    let folder = folder("divide");
    let whole = small_library(&folder);
    let module = folder.join("new/module.so");
    script("divide", &whole, &module);
    let debug = folder.join("new/module.so.debug");
    assert!(sections(&whole).contains(".debug_info"));
    let divided = sections(&module);
    assert!(!divided.contains(".debug_info") && !divided.contains(".symtab"), "{divided}");
    assert!(divided.contains(".gnu_debuglink"));
    let apart = sections(&debug);
    assert!(apart.contains(".debug_info") && apart.contains(".symtab"), "{apart}");
    // The debugger's own way: from the module to its lines.
    let id = |file: &Path| {
        let notes = output(Command::new("readelf").args(["-n", text(file)]));
        notes.lines().find(|line| line.contains("Build ID")).map(str::to_owned)
    };
    assert!(id(&module).is_some() && id(&module) == id(&debug));
    let modified = |file: &Path| fs::metadata(file).unwrap().modified().unwrap();
    assert_eq!(modified(&module), modified(&whole), "Cargo takes it for its own");
    // Divided again, it is what it was.
    let again = folder.join("again/module.so");
    script("divide", &module, &again);
    assert_eq!(fs::read(&again).unwrap(), fs::read(&module).unwrap());
    assert_eq!(fs::read(folder.join("again/module.so.debug")).unwrap(), fs::read(&debug).unwrap());
}

#[test]
fn make_install_puts_the_module_where_servers_load_it() {
    let folder = folder("install");
    let module = module_path();
    // The module is there: nothing is built.
    let mut make = Command::new("make");
    make.args(["--old-file=build", "install"]);
    make.args([format!("MODULE={}", module.display()), format!("DESTDIR={}", folder.display())]);
    let said = output(&mut make);
    assert!(said.contains(&format!("loadmodule /{MODULES}/libredis_model.so")), "{said}");
    is_loaded(&folder.join(MODULES).join("libredis_model.so"));
}

#[test]
fn the_release_build_is_divided() {
    let module = module_path();
    if module.parent().unwrap().ends_with("release") {
        assert!(
            !sections(&module).contains(".debug_"),
            "{} has debug information",
            module.display()
        );
        assert!(
            sections(&PathBuf::from(format!("{}.debug", module.display()))).contains(".debug_line")
        );
    }
}

#[test]
fn the_archive_holds_a_module_that_loads_and_the_sums_of_all_files() {
    let out = folder("dist");
    let said = script("dist", &module_path(), &out);
    assert!(said.contains(&format!("redis-model {VERSION} (")), "{said}");
    let name = format!("redis-model-{VERSION}-linux-{}", std::env::consts::ARCH);
    output(Command::new("tar").args([
        "-C",
        text(&out),
        "-xf",
        text(&out.join(format!("{name}.tar.gz"))),
    ]));
    let root = out.join(&name);
    output(
        Command::new("sh")
            .args(["-c", &format!("cd {} && sha256sum --quiet -c SHA256SUMS", root.display())]),
    );
    output(Command::new("sh").args([
        "-c",
        &format!("cd {} && sha256sum --quiet -c {name}.tar.gz.sha256", out.display()),
    ]));
    let sums = fs::read_to_string(root.join("SHA256SUMS")).unwrap();
    let summed: BTreeSet<String> = sums.lines().map(|line| line[66..].to_owned()).collect();
    let mut all = files(&root);
    assert!(all.remove("SHA256SUMS"));
    assert_eq!(summed, all);
    for file in [
        "libredis_model.so",
        "libredis_model.so.debug",
        "LICENSE",
        "LICENSES.txt",
        "README.md",
        "docs/operating.md",
        "tools/export",
    ] {
        assert!(all.contains(file), "{file} is not in {all:?}");
    }
    is_loaded(&root.join("libredis_model.so"));
    // The programs are whole.
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("clients/python");
    for program in ["import", "export"] {
        let help =
            output(Command::new(&python).args([root.join("tools").join(program), "--help".into()]));
        assert!(help.contains("--state"), "{help}");
    }
    assert_eq!(files(&root.join("tools")).len(), 3, "running them leaves nothing behind");
}

#[test]
fn archives_and_packages_of_one_module_are_equal() {
    let folder = folder("equal");
    let module = small_library(&folder);
    let made = |name: &str, mask: &str| {
        let out = folder.join(name);
        for script in ["dist", "deb"] {
            let command = format!(
                "umask {mask}; exec scripts/{script} {} {}",
                module.display(),
                out.display()
            );
            let said = output(Command::new("bash").args(["-c", &command]));
            assert!(said.contains("redis-model 9.9.9 (commit abc)"), "{said}");
        }
        let names = files(&out);
        assert_eq!(names.len(), 4, "{names:?}");
        names.into_iter().map(|name| (fs::read(out.join(&name)).unwrap(), name)).collect::<Vec<_>>()
    };
    let (one, other) = (made("one", "022"), made("other", "077"));
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one.1, other.1);
        assert!(one.0 == other.0, "{} differs", one.1);
    }
}

#[test]
fn everything_that_is_linked_has_the_text_of_its_licence() {
    let licences = output(&mut Command::new(format!("{ROOT}/scripts/licences")));
    // As Cargo itself lists what is linked: without what builds, and without procedural macros.
    let options =
        ["--edges=normal,no-proc-macro", "--features=module", "--prefix=none", "--format={p}"];
    let listed =
        output(Command::new(env!("CARGO")).args(["tree", "--locked", "--offline"]).args(options));
    let crates: BTreeSet<String> = listed
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("redis-model "))
        .map(|line| line.trim_end_matches(" (*)").replacen(" v", " ", 1))
        .collect();
    assert!(crates.len() > 50, "{crates:?}");
    for name in &crates {
        assert!(licences.contains(&format!("\n{name}, ")), "{name} has no licence");
    }
    for text in [
        "Permission is hereby granted",
        "Redistribution and use",
        "Apache License",
        "UNICODE LICENSE V3",
    ] {
        assert!(licences.contains(text), "{text}");
    }
}

/// `dpkg` with a root of its own, for users who are not root as well.
fn dpkg(root: &Path, args: &[&str]) -> String {
    let is_root = output(Command::new("id").arg("-u")).trim() == "0";
    let mut command = Command::new(if is_root { "dpkg" } else { "unshare" });
    if !is_root {
        command.args(["--map-root-user", "dpkg"]);
    }
    let log = format!("--log={}", root.join("log").display());
    let root = format!("--root={}", root.display());
    // Debian's own folders for administrators' programs need not be on a user's path.
    command.env("PATH", format!("/usr/sbin:/sbin:{}", std::env::var("PATH").unwrap()));
    output(command.args([&root, &log, "--force-script-chrootless"]).args(args))
}

/// A root in which the libraries are installed that the module depends on, as on this machine.
fn root_of_debian(folder: &Path) -> PathBuf {
    let root = folder.join("root");
    // A folder that is not of the package, so that removing the package leaves its parents.
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    for name in ["info", "updates", "triggers", "parts"] {
        fs::create_dir_all(root.join("var/lib/dpkg").join(name)).unwrap();
    }
    let format = "Package: ${Package}\nStatus: install ok installed\nVersion: ${Version}\nArchitecture: ${Architecture}\nMaintainer: ${Maintainer}\nDescription: a library\n\n";
    let installed =
        output(Command::new("dpkg-query").args(["-W", "-f", format, "libc6", "libgcc-s1"]));
    fs::write(root.join("var/lib/dpkg/status"), installed).unwrap();
    root
}

#[test]
fn the_package_is_installed_loaded_and_removed() {
    let out = folder("deb");
    script("deb", &module_path(), &out);
    let root = root_of_debian(&out);
    let packages: Vec<String> =
        files(&out).into_iter().filter(|file| file.ends_with(".deb")).collect();
    assert_eq!(packages.len(), 2);
    let paths: Vec<PathBuf> = packages.iter().map(|file| out.join(file)).collect();
    dpkg(
        &root,
        &[&["--install"], &paths.iter().map(|path| text(path)).collect::<Vec<_>>()[..]].concat(),
    );

    let installed = files(&root.join("usr"));
    let module = root.join(MODULES).join("libredis_model.so");
    assert_eq!(fs::metadata(&module).unwrap().permissions().mode() & 0o777, 0o755);
    assert!(!sections(&module).contains(".debug_"));
    let doc = "share/doc/redis-model";
    for file in [
        "README.Debian",
        "README.md",
        "changelog.gz",
        "commands.md",
        "copyright",
        "docs/operating.md",
    ] {
        assert!(installed.contains(&format!("{doc}/{file}")), "{file} is not in {installed:?}");
    }
    assert!(
        installed
            .iter()
            .any(|file| file.starts_with("lib/debug/.build-id/") && file.ends_with(".debug"))
    );
    // dpkg compares the files with the sums in the package.
    assert_eq!(dpkg(&root, &["--verify", "redis-model"]), "");
    is_loaded(&module);
    the_configuration_survives_a_rewrite(&root, &module);

    dpkg(&root, &["--purge", "redis-model-dbgsym", "redis-model"]);
    assert_eq!(files(&root.join("usr")), BTreeSet::new(), "nothing is left");
}

/// The advice of README.Debian: the module is loaded by the server's own file, and limits may be in one that is included.
fn the_configuration_survives_a_rewrite(root: &Path, module: &Path) {
    let readme = fs::read_to_string(root.join("usr/share/doc/redis-model/README.Debian")).unwrap();
    assert!(readme.contains(&format!("loadmodule /{MODULES}/libredis_model.so\n")));
    let limits = root.join("usr/share/redis-model/redis-model.conf");
    let with_defaults = fs::read_to_string(&limits).unwrap();
    assert!(with_defaults.lines().all(|line| line.is_empty() || line.starts_with("# ")));
    // Every limit of the file is one of the server's, with its default.
    let copy = root.join("limits.conf");
    let set: Vec<String> = with_defaults
        .lines()
        .filter_map(|line| line.strip_prefix("# model."))
        .map(|limit| format!("model.{limit}"))
        .collect();
    assert!(set.len() > 10, "{set:?}");
    let set = set.join("\n").replace("model.depth 128", "model.depth 127");
    fs::write(&copy, set).unwrap();
    let lines = [format!("loadmodule {}", module.display()), format!("include {}", copy.display())];
    let server = Server::start_plain(Flavor::Redis70, &[&lines[0], &lines[1]]);
    assert_eq!(server.must(&["CONFIG", "GET", "model.depth"]).array()[1], Reply::bulk("127"));
    server.must(&["CONFIG", "SET", "model.depth", "126"]);
    server.must(&["CONFIG", "REWRITE"]);
    server.restart();
    assert_eq!(server.must(&["CONFIG", "GET", "model.depth"]).array()[1], Reply::bulk("126"));
}
