//! `make run`, as a newcomer meets it: it builds, starts a server, takes the tour and stops.

use std::process::Command;

#[test]
fn the_tour_shows_the_announced_replies() {
    let root = env!("CARGO_MANIFEST_DIR");
    let ran = Command::new(format!("{root}/scripts/run"))
        .env("RUN_ONCE", "1")
        .output()
        .expect("bash is there");
    let shown = String::from_utf8_lossy(&ran.stdout);
    // The tour itself compares every reply with what it has to be.
    assert!(ran.status.success(), "{shown}{}", String::from_utf8_lossy(&ran.stderr));
    for word in [
        "Hand grinder",
        "REVISION {",
        "TYPE {",
        "RULE {",
        "CONDITION {",
        "TOKEN",
        "LOCKLOST {",
        "MODEL.HELP",
    ] {
        assert!(shown.contains(word), "{word} is not in {shown}");
    }
}
