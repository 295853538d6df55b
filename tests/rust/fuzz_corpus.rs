//! The fuzz targets over the inputs kept in `tests/data/fuzz/<target>/`, and over every prefix of each.

#![allow(clippy::unwrap_used, clippy::expect_used)] // this is how a test fails

use std::fs;
use std::path::Path;

mod fuzz_targets;

fn run(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz").join(name);
    let mut count = 0;
    for file in fs::read_dir(&folder).unwrap() {
        let input = fs::read(file.unwrap().path()).unwrap();
        for length in 0..=input.len() {
            target(&input[..length]);
        }
        count += 1;
    }
    assert!(count >= 3, "{} inputs in {}", count, folder.display());
}

#[test]
fn frame() {
    run("frame", fuzz_targets::frame);
}

#[test]
fn batch() {
    run("batch", fuzz_targets::batch);
}

#[test]
fn compression() {
    run("compression", fuzz_targets::compression);
}

#[test]
fn message_id() {
    run("message_id", fuzz_targets::message_id);
}

#[test]
fn topic() {
    run("topic", fuzz_targets::topic);
}

#[test]
fn session() {
    run("session", fuzz_targets::session);
}

#[test]
fn admin() {
    run("admin", fuzz_targets::admin);
}
