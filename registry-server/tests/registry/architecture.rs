// SPDX-License-Identifier: Apache-2.0
//! The rules of the house, checked: layers, sizes, licence headers.

use std::path::{Path, PathBuf};

/// Longest file, in lines without its tests.
const MAX_LINES: usize = 500;

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    const SKIPPED: [&str; 5] = ["target", ".git", "node_modules", ".cache", "corpus"];
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if !path.is_dir() {
            files.push(path);
        } else if !SKIPPED.iter().any(|skipped| name == *skipped) {
            walk(&path, files);
        }
    }
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(folder, &mut files);
    files.sort();
    files
}

fn crate_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn workspace() -> &'static Path {
    crate_root().parent().expect("a workspace")
}

fn is(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// The lines of a source without comments and without the tests at its end.
fn code(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("a source");
    let production = text
        .split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    production
        .lines()
        .filter(|line| !is_comment(line))
        .map(str::to_owned)
        .collect()
}

#[test]
fn data_flows_one_way() {
    // A word, and the only places where it may stand.
    let rules: [(&str, &[&str]); 8] = [
        ("sqlx::", &["store/"]),
        ("axum", &["http/", "main.rs"]),
        ("tantivy", &["index/"]),
        ("std::env", &["config.rs"]),
        ("Utc::now", &["clock.rs"]),
        ("crate::http", &["http/"]),
        ("crate::service", &["http/", "service/", "job/", "command/"]),
        ("StatusCode", &["http/"]),
    ];
    let source = crate_root().join("src");
    let mut broken = Vec::new();
    for path in files_under(&source).iter().filter(|path| is(path, "rs")) {
        let name = path
            .strip_prefix(&source)
            .expect("below src")
            .display()
            .to_string();
        for (word, places) in rules {
            let outside = !places.iter().any(|place| name.starts_with(place));
            if outside && code(path).iter().any(|line| line.contains(word)) {
                broken.push(format!(
                    "`{word}` in {name}; it belongs to {}",
                    places.join(", ")
                ));
            }
        }
    }
    // The top of the crate ties the layers together.
    broken.retain(|line| {
        !["app.rs", "lib.rs", "start.rs"]
            .iter()
            .any(|top| line.contains(&format!("in {top};")))
    });
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn no_file_outgrows_a_screenful_of_screens() {
    let mut long = Vec::new();
    for path in files_under(workspace())
        .iter()
        .filter(|path| is(path, "rs"))
    {
        let tests = path.components().any(|part| part.as_os_str() == "tests");
        let text = std::fs::read_to_string(path).expect("a source");
        let lines = text
            .split("\n#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default()
            .lines()
            .count();
        if lines > MAX_LINES && !tests {
            long.push(format!("{} has {lines} lines", path.display()));
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn every_file_says_its_licence_first() {
    const KINDS: [&str; 12] = [
        "rs", "c", "h", "sql", "toml", "sh", "html", "css", "js", "ts", "py", "yml",
    ];
    let mut missing = Vec::new();
    for path in files_under(workspace()) {
        if !KINDS.iter().any(|kind| is(&path, kind)) {
            continue;
        }
        let bytes = std::fs::read(&path).expect("a file");
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned();
        // A script's first line, and a schema hint, may stand above it.
        if !head
            .lines()
            .take(3)
            .any(|line| line.contains("SPDX-License-Identifier: "))
        {
            missing.push(path.display().to_string());
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
