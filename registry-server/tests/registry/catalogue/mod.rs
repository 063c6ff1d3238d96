// SPDX-License-Identifier: Apache-2.0
//! The catalogue: what people and programs read about packages.

#![expect(
    clippy::unwrap_used,
    reason = "a test that unwraps in vain has failed, and says where"
)]

mod api;
mod hostile;
mod html;
mod pages;
mod style;

use std::{process::Command, sync::OnceLock};

use registry_schema::PackageManifest;

use crate::support::{
    User, expect,
    package::{PackageBuilder, Packed},
};

/// A program that counts packets and drops the long ones.
const SOURCE: &str = r#"
struct xdp_md { unsigned int data, data_end; };
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int (*name)[value]
#define __type(name, value) value *name
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
struct {
	__uint(type, 6);
	__uint(max_entries, 2);
	__type(key, unsigned int);
	__type(value, unsigned long long);
} counters SEC(".maps");
const volatile unsigned int longest = 1500;
SEC("xdp") int shorten(struct xdp_md *ctx)
{
	unsigned int key = ctx->data_end - ctx->data > longest;
	unsigned long long *count = bpf_map_lookup_elem(&counters, &key);
	if (count)
		*count += 1;
	return key ? 1 : 2;
}
char _license[] SEC("license") = "Dual MIT/GPL";
"#;

fn object() -> &'static [u8] {
    static OBJECT: OnceLock<Vec<u8>> = OnceLock::new();
    OBJECT.get_or_init(|| compile("Dual MIT/GPL"))
}

/// Compiles the program under a licence.
fn compile(license: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (source, object) = (
        dir.path().join("shorten.bpf.c"),
        dir.path().join("shorten.bpf.o"),
    );
    std::fs::write(&source, SOURCE.replace("Dual MIT/GPL", license)).unwrap();
    let mut clang = Command::new("clang");
    clang
        .args(["-O2", "-g", "-target", "bpf", "-c", "-o"])
        .args([&object, &source]);
    assert!(clang.status().expect("clang is installed").success());
    std::fs::read(object).unwrap()
}

/// The manifest of a package around [`object`].
fn manifest(name: &str, version: &str, summary: &str) -> PackageManifest {
    let toml = format!(
        r#"
[package]
name = "{name}"
version = "{version}"
summary = "{summary}"
license = "GPL-2.0-only OR MIT"
repository = "https://code.example/shorten"
keywords = ["length"]
categories = ["security"]
[[object]]
path = "shorten.bpf.o"
[kernel]
minimum = "5.15"
[[program]]
function = "shorten"
type = "xdp"
proceed_on = ["pass"]
[[parameter]]
name = "longest"
type = "u32"
unit = "bytes"
default = 1500
min = 64
global = "longest"
help = "Longest packet that passes"
[[metric]]
name = "passed_total"
kind = "counter"
help = "Packets that passed"
map = {{ name = "counters", key = 0 }}
"#
    );
    PackageManifest::from_toml(&toml).unwrap()
}

fn pack(manifest: &PackageManifest, object: &[u8], readme: &str) -> Packed {
    let package = &manifest.package;
    let builder = PackageBuilder {
        object: object.to_vec(),
        readme: readme.to_owned(),
        ..PackageBuilder::new(&package.name.to_string(), &package.version.to_string())
    };
    builder.pack_with(manifest.to_json().unwrap())
}

/// Publishes a version without a signature.
async fn publish(user: &User, name: &str, version: &str) -> Packed {
    let packed = pack(
        &manifest(name, version, "Drops packets that are too long"),
        object(),
        "# Shorten\n\nRead me.\n",
    );
    expect(packed.push(user, version).await, 201).await;
    packed
}

/// A page's text, after demanding its status and that it is a page.
async fn page(user: &User, path: &str, status: u16) -> String {
    let response = expect(user.get(path).await, status).await;
    assert_eq!(
        crate::support::header(&response, "content-type"),
        "text/html; charset=utf-8",
        "{path}"
    );
    response.text().await.unwrap()
}
