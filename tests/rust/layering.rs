//! Who may know whom in `src/`: every path that a file names, by `crate::` or by `super::`, is read and judged.
//!
//! `bindings` may use `client` and `broker`; those two never meet; both may use `protocol`, which uses nothing of ours;
//! everyone may use `error`; only `bindings` names pyo3.

#![allow(clippy::expect_used)] // a test that cannot read the sources must fail

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROOMS: &[(&str, &[&str])] = &[
    ("bindings", &["bindings", "client", "broker", "protocol", "clock", "error"]),
    ("client", &["client", "protocol", "vectored", "clock", "error"]),
    ("broker", &["broker", "protocol", "vectored", "clock", "error"]),
    ("protocol", &["protocol", "error"]),
    ("vectored", &["vectored"]),
    ("clock", &["clock"]),
    ("error", &["error"]),
];
const BORDER: &[&str] = &["pyo3", "pythonize"];

#[test]
fn each_room_knows_only_what_it_may() {
    let files = rust_files(&source());
    assert!(files.len() > 10, "only {} files found", files.len());
    let broken: Vec<String> = files.iter().flat_map(|file| violations(file)).collect();
    assert!(broken.is_empty(), "forbidden paths:\n{}", broken.join("\n"));
}

#[test]
fn a_forbidden_path_is_found() {
    assert_eq!(judge("client", &["client", "pool"], "use crate::bindings::Mailbox;"), ["bindings"]);
    assert_eq!(
        judge("client", &["client", "pool"], "use crate::{error::Error, broker::Config};"),
        ["broker"]
    );
    assert_eq!(
        judge("protocol", &["protocol", "frame"], "let x = super::super::client::VERSION;"),
        ["client"]
    );
    assert_eq!(judge("client", &["client"], "use pyo3::prelude::*;"), ["pyo3"]);
    assert!(
        judge("client", &["client", "pool"], "use super::{lookup, tls}; use crate::protocol::frame;")
            .is_empty()
    );
    assert!(judge("client", &["client"], "// crate::bindings does this").is_empty());
}

fn violations(file: &Path) -> Vec<String> {
    let relative = file.strip_prefix(source()).expect("under src");
    let mut module: Vec<String> =
        relative.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib") {
        module.pop();
    }
    let Some(room) = module.first().cloned() else {
        return Vec::new(); // lib.rs is the map: it declares the rooms
    };
    let module: Vec<&str> = module.iter().map(String::as_str).collect();
    let text = fs::read_to_string(file).expect("a readable source file");
    judge(&room, &module, &text)
        .into_iter()
        .map(|target| format!("{}: `{room}` may not use `{target}`", relative.display()))
        .collect()
}

/// The rooms and crates that `text`, a file of `module` in `room`, names and may not.
fn judge(room: &str, module: &[&str], text: &str) -> Vec<String> {
    let allowed = ROOMS.iter().find(|(name, _)| *name == room).map_or(&[][..], |(_, allowed)| allowed);
    let mut forbidden = BTreeSet::new();
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n");
    for target in crate_paths(&code).into_iter().chain(super_paths(&code, module)) {
        if ROOMS.iter().any(|(name, _)| *name == target) && !allowed.contains(&target.as_str()) {
            forbidden.insert(target);
        }
    }
    for name in BORDER {
        if room != "bindings" && words(&code).any(|word| word == *name) {
            forbidden.insert((*name).to_owned());
        }
    }
    forbidden.into_iter().collect()
}

/// The first names after `crate::`, those of a braced group included.
fn crate_paths(code: &str) -> Vec<String> {
    code.match_indices("crate::").flat_map(|(at, found)| heads(&code[at + found.len()..])).collect()
}

/// The first names after a run of `super::` that climbs to the crate's root.
fn super_paths(code: &str, module: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("super::") {
        rest = &rest[at..];
        let mut climbed = 0;
        while let Some(next) = rest.strip_prefix("super::") {
            climbed += 1;
            rest = next;
        }
        if climbed >= module.len() {
            found.extend(heads(rest));
        }
    }
    found
}

/// `a::b` gives a; `{a::b, c::{d, e}}` gives a and c.
fn heads(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        return words(rest)
            .next()
            .filter(|word| rest.starts_with(*word))
            .map(str::to_owned)
            .into_iter()
            .collect();
    };
    let (mut depth, mut start, mut found) = (1, 0, Vec::new());
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && letter == ',') {
            found.extend(words(&group[start..at]).next().map(str::to_owned));
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}
