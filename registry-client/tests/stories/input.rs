// SPDX-License-Identifier: Apache-2.0
//! Wrong input: one paragraph with the value, the reason and the next step, the
//! documented exit code, and nothing left half done.

use std::process::Stdio;

use crate::home::{Home, edit};

#[test]
fn a_wrong_manifest_is_explained() {
    let home = Home::new();
    let folder = home.package("counter");
    let manifest = folder.join("package.toml");
    let good = std::fs::read_to_string(&manifest).expect("the manifest");
    for (from, to, code, words) in [
        (
            "summary =",
            "sumary =",
            2,
            &["sumary", "did you mean `summary`"][..],
        ),
        (
            "version = \"0.1.0\"",
            "version = 1",
            2,
            &["version", "line 4"],
        ),
        (
            "version = \"0.1.0\"",
            "version = \"1\"",
            2,
            &["`1`", "three numbers"],
        ),
        ("demo/counter\"", "Demo\"", 2, &["Demo"]),
        (
            "count_packets",
            "count_nothing",
            22,
            &["count_nothing", "counter.bpf.o"],
        ),
        (
            "name = \"counters\", key = 0",
            "name = \"counter\", key = 0",
            22,
            &["counter"],
        ),
        (
            "license = \"0BSD\"",
            "license = \"GPL-2.0-only\"",
            22,
            &["GPL-2.0-only", "0BSD"],
        ),
        ("counter.bpf.o", "absent.bpf.o", 3, &["absent.bpf.o"]),
        (
            "counter.bpf.o",
            "../counter.bpf.o",
            2,
            &["../counter.bpf.o"],
        ),
        (
            "type = \"xdp\"",
            "type = \"xpd\"",
            2,
            &["xpd", "did you mean `xdp`"],
        ),
    ] {
        edit(&manifest, from, to);
        home.run(&["build", "counter"]).exits(code).says(words);
        std::fs::write(&manifest, &good).expect("restored");
    }
    home.run(&["build", "nowhere"])
        .exits(3)
        .says(&["nowhere/package.toml", "bpfpkg init"]);
}

#[test]
fn a_source_that_does_not_compile_leaves_the_object_alone() {
    let home = Home::new();
    let folder = home.package("counter");
    let object = std::fs::read(folder.join("counter.bpf.o")).expect("the object");
    edit(
        &folder.join("counter.bpf.c"),
        "return XDP_PASS;",
        "return XDP_PAS;",
    );
    home.run(&["build", "counter"])
        .exits(1)
        .says(&["counter.bpf.c", "XDP_PAS"]);
    assert_eq!(
        std::fs::read(folder.join("counter.bpf.o")).expect("the object"),
        object
    );
    let left = std::fs::read_dir(&folder)
        .expect("a folder")
        .flatten()
        .count();
    assert_eq!(left, 5, "sources, object, nothing temporary");
    edit(
        &folder.join("package.toml"),
        "[kernel]",
        "[build]\ncompiler = \"no-such-clang\"\n\n[kernel]",
    );
    home.run(&["build", "counter"])
        .exits(1)
        .says(&["no-such-clang", "install clang"]);
}

#[test]
fn what_is_no_object_is_refused() {
    let home = Home::new();
    let folder = home.package("counter");
    let object = std::fs::read(folder.join("counter.bpf.o")).expect("the object");
    std::fs::write(home.path("half.o"), &object[..object.len() / 2]).expect("written");
    std::fs::write(home.path("empty.o"), "").expect("written");
    std::fs::write(home.path("text.o"), "hello").expect("written");
    let huge = std::fs::File::create(home.path("huge.o")).expect("created");
    huge.set_len(1 << 30).expect("a sparse file");
    for (file, word) in [
        ("half.o", "truncated"),
        ("empty.o", "ELF magic"),
        ("text.o", "ELF magic"),
        ("/bin/ls", "an eBPF object is 247"),
        ("huge.o", "1073741824 bytes; the limit is 16777216"),
    ] {
        home.run(&["inspect", file]).exits(22).says(&[file, word]);
    }
    home.run(&["inspect", "./absent"])
        .exits(3)
        .says(&["./absent"]);
    home.run(&["inspect", "counter/counter.bpf.o"]).exits(0);
    std::fs::remove_file(folder.join("counter.bpf.c")).expect("removed");
    huge.set_len(1 << 30).expect("a sparse file");
    std::fs::rename(home.path("huge.o"), folder.join("counter.bpf.o")).expect("moved");
    home.run(&["push", "--no-sign", "--registry", "127.0.0.1:1", "counter"])
        .exits(22)
        .says(&["1073741824"]);
}

#[test]
fn registries_that_are_not_there_or_not_named() {
    let home = Home::new();
    home.run(&["search", "x"])
        .exits(2)
        .says(&["no registry is named", "BPFPKG_REGISTRY"]);
    home.run(&["search", "x", "--registry", "127.0.0.1:1"])
        .exits(6)
        .says(&["127.0.0.1:1", "cannot be reached"]);
    home.run(&["search", "x", "--registry", "http://h"])
        .exits(2)
        .says(&["http://h"]);
    home.run(&["verify", "nowhere.invalid/a/b:1.0.0"])
        .exits(6)
        .says(&["nowhere.invalid", "--plain-http"]);
    for wrong in ["a", "a/b/c/d", "A/b", "a/b:1:2", "a/b@sha256:00"] {
        let ended = home.run(&["verify", wrong]).exits(2);
        assert!(ended.stderr.contains(wrong), "{}", ended.stderr);
    }
}

#[test]
fn files_of_the_user_that_are_damaged() {
    let home = Home::new();
    let write = |name: &str, text: &str| {
        let path = home.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        std::fs::write(path, text).expect("written");
    };
    write(".config/bpfpkg/trust.toml", "[[key]]\nregistry = \"h\"\n");
    home.run(&["trust", "list"])
        .exits(2)
        .says(&["trust.toml", "namespace"]);
    home.run(&["verify", "h.invalid/a/b"])
        .exits(2)
        .says(&["trust.toml"]);
    write(".docker/config.json", "{");
    home.run(&["search", "x", "--registry", "127.0.0.1:1"])
        .exits(4)
        .says(&["config.json"]);
    write(".config/bpfpkg/config.toml", "regsitry = \"h\"\n");
    home.run(&["config", "show"])
        .exits(2)
        .says(&["config.toml", "regsitry"]);
}

#[test]
fn init_starts_once() {
    let home = Home::new();
    home.run(&["init", "demo/counter"]).exits(0);
    home.run(&["init", "demo/counter"])
        .exits(5)
        .says(&["counter", "exists already"]);
    assert_eq!(home.run(&["init", "counter"]).code, 2);
    home.run(&["init", "demo/counter", "no/such/folder"])
        .exits(1)
        .says(&["no/such/folder"]);
}

#[test]
fn output_is_for_pipes_as_well_as_for_eyes() {
    let home = Home::new();
    // The reader is gone before the first byte is written.
    let mut child = home.command(&["man"]).spawn().expect("starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));

    let plain = home.run(&["search", "x"]).exits(2);
    assert!(!plain.stderr.contains('\u{1b}'), "no colour for files");
    let forced = home.run(&["search", "x", "--color", "always"]).exits(2);
    assert!(forced.stderr.contains('\u{1b}'));
    let none = home
        .run_with(
            &["search", "x"],
            "",
            &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")],
        )
        .exits(2);
    assert!(!none.stderr.contains('\u{1b}'));

    for shell in ["bash", "zsh", "fish"] {
        assert!(
            home.run(&["completions", shell])
                .exits(0)
                .stdout
                .contains("bpfpkg")
        );
    }
    home.run(&["man", "pages"]).exits(0);
    assert!(home.path("pages/bpfpkg-trust-add.1").is_file());
}

#[test]
fn an_interrupt_leaves_nothing() {
    let home = Home::new();
    home.keygen("alice");
    // It waits for an answer that does not come.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let reference = format!(
        "{}/demo/counter:1.0.0",
        silent.local_addr().expect("an address")
    );
    let child = home
        .command(&["pull", &reference, "--key", "alice.pub"])
        .stdin(Stdio::null())
        .spawn()
        .expect("starts");
    let (_held, _) = silent.accept().expect("it connects");
    let killed = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.expect("kill runs").success());
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(130));
    let left: Vec<_> = std::fs::read_dir(home.path("."))
        .expect("home")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}
