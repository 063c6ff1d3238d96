// SPDX-License-Identifier: Apache-2.0
//! `package.toml` as publishers write it, rightly and wrongly.

use registry_schema::PackageManifest;
use registry_schema::manifest::{MAX_MANIFEST, ManifestError, ParameterValue};

const GOOD: &str = r#"
[package]
name = "netops/ratelimiting"
version = "1.0.0"
summary = "Limits new TCP connections per second on chosen ports"
license = "GPL-2.0-only OR MIT"
keywords = ["syn-flood", "rate-limit"]

[[object]]
path = "ratelimiting.bpf.o"

[kernel]
minimum = "5.15"

[[program]]
function = "limit_syn"
type = "xdp"
proceed_on = ["pass"]

[[parameter]]
name = "ports"
type = "u16"
many = true
map = { name = "rl_ports_map", value = 1 }

[[parameter]]
name = "rate"
type = "u64"
default = 100
min = 1
map = { name = "rl_config_map", key = 0 }

[[metric]]
name = "drops_total"
kind = "counter"
help = "SYNs dropped"
map = { name = "rl_drop_count_map", key = 0 }
"#;

fn good() -> PackageManifest {
    PackageManifest::from_toml(GOOD).expect("a good manifest")
}

#[test]
fn toml_and_canonical_json_carry_the_same_manifest() {
    let manifest = good();
    let json = manifest.to_json().expect("canonical JSON");
    assert_eq!(
        PackageManifest::from_json(&json).expect("own JSON"),
        manifest
    );
    assert_eq!(
        good().to_json().expect("canonical JSON"),
        json,
        "equal manifests are equal bytes"
    );
    assert!(json.starts_with(br#"{"kernel":{"minimum":"5.15"},"metric":["#));
}

#[test]
fn parameters_become_little_endian_bytes_within_their_range() {
    let manifest = good();
    let [ports, rate] = manifest.parameters.as_slice() else {
        panic!("two parameters")
    };
    let list = ParameterValue::List(vec![
        ParameterValue::Integer(8080),
        ParameterValue::Integer(1),
    ]);
    assert_eq!(
        ports.encode(&list).expect("two ports"),
        [vec![0x90, 0x1f], vec![1, 0]]
    );
    assert_eq!(
        rate.encode(&ParameterValue::Integer(2)).expect("a rate"),
        [vec![2, 0, 0, 0, 0, 0, 0, 0]]
    );
    for (parameter, value, reason) in [
        (
            ports,
            ParameterValue::Integer(65_536),
            "out of range; 0 to 65535 is allowed",
        ),
        (
            rate,
            ParameterValue::Integer(0),
            "out of range; 1 to 18446744073709551615 is allowed",
        ),
        (rate, ParameterValue::Text("2".into()), "is no u64"),
        (rate, list.clone(), "is a list; one value is wanted"),
    ] {
        let message = parameter.encode(&value).expect_err(reason).to_string();
        assert!(
            message.contains(reason) && message.contains(&parameter.name),
            "{message}"
        );
    }
}

#[test]
fn each_fault_is_named_with_its_value_and_the_way_out() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "summary = ",
            "sumary = ",
            &["unknown field `sumary`", "did you mean `summary`?"],
        ),
        (
            "type = \"xdp\"",
            "type = \"xpd\"",
            &["unknown variant `xpd`", "did you mean `xdp`?"],
        ),
        (
            "rate\"\ntype = \"u64\"",
            "rate\"\ntype = 64",
            &["line 28", "wanted string"],
        ),
        ("\"1.0.0\"", "\"1.0\"", &["`1.0` is no version", "`1.0.0`"]),
        ("\"1.0.0\"", "\"1.0.0+x\"", &["build metadata"]),
        (
            "netops/ratelimiting",
            "RateLimiting",
            &["`RateLimiting` is no package name", "namespace/name"],
        ),
        ("netops/ratelimiting", "netops/../x", &["no package name"]),
        (
            "GPL-2.0-only OR MIT",
            "GPL",
            &["`package.license` = `GPL`", "SPDX"],
        ),
        (
            "\"ratelimiting.bpf.o\"",
            "\"../x.o\"",
            &["`object.path` = `../x.o`", "beside package.toml"],
        ),
        (
            "[\"pass\"]",
            "[\"shot\"]",
            &[
                "`shot` is no verdict of xdp",
                "aborted, drop, pass, tx, redirect",
            ],
        ),
        (
            "key = 0 }\n\n[[metric]]",
            "key = 0, value = 1 }\n\n[[metric]]",
            &["either `key`"],
        ),
        (
            "default = 100",
            "default = 0",
            &["parameter `rate`: 0 is out of range"],
        ),
        (
            "\"drops_total\"",
            "\"Drops\"",
            &["`metric.name` = `Drops`", "lower-case"],
        ),
        ("\"limit_syn\"", "\"limit syn\"", &["no symbol name"]),
        (
            "\"rate\"\n",
            "\"ports\"\n",
            &["`parameter.name` = `ports` is given twice"],
        ),
    ];
    for (from, to, wanted) in cases {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "case `{from}` replaces nothing");
        let message = PackageManifest::from_toml(&text).expect_err(to).to_string();
        for part in *wanted {
            assert!(
                message.contains(part),
                "for {to}: `{part}` is not in: {message}"
            );
        }
    }
}

#[test]
fn hostile_texts_are_refused_without_a_panic() {
    let deep = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    let huge = " ".repeat(MAX_MANIFEST + 1);
    for text in [
        "",
        "\0",
        "[package]",
        "[[package]]",
        "package = 1",
        deep.as_str(),
    ] {
        assert!(PackageManifest::from_toml(text).is_err());
        assert!(PackageManifest::from_json(text.as_bytes()).is_err());
    }
    assert!(matches!(
        PackageManifest::from_toml(&huge),
        Err(ManifestError::TooLarge { .. })
    ));
    let deep = format!("{}{}", "{\"a\":".repeat(40_000), "1");
    assert!(PackageManifest::from_json(deep.as_bytes()).is_err());
    let duplicate = r#"{"package":{"name":"a/b","name":"a/c"}}"#;
    let message = PackageManifest::from_json(duplicate.as_bytes())
        .expect_err("duplicate key")
        .to_string();
    assert!(message.contains("duplicate field `name`"), "{message}");
}

/// Editors complete `package.toml` from this file; it must follow the types.
/// `UPDATE_SCHEMA=1 cargo test -p registry-schema` writes it anew.
#[test]
fn the_json_schema_is_not_stale() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/json/package.schema.json");
    let schema = schemars::schema_for!(PackageManifest);
    let wanted = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &wanted).expect("schema/json is writable");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == wanted,
        "{path} is stale; run `UPDATE_SCHEMA=1 cargo test -p registry-schema`"
    );
}
