// SPDX-License-Identifier: Apache-2.0
//! Every package's manifest, held against the object that its source makes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use bpf_packages::object;
use registry_schema::manifest::PackageManifest;

/// The folders that hold a manifest, by name.
fn packages() -> Vec<(String, PackageManifest)> {
    let mut found: Vec<_> = fs::read_dir(object::root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|folder| folder.join("package.toml").exists())
        .map(|folder| {
            let text = fs::read_to_string(folder.join("package.toml")).unwrap();
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            let manifest = PackageManifest::from_toml(&text)
                .unwrap_or_else(|error| panic!("{name}/package.toml: {error}"));
            (name, manifest)
        })
        .collect();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found
}

#[test]
fn every_folder_of_a_program_is_a_package() {
    let names: Vec<_> = packages().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["exec-trace", "packet-count", "ratelimiting"]);
    for (name, manifest) in packages() {
        let folder = object::root().join(&name);
        assert_eq!(manifest.package.name.to_string(), format!("netops/{name}"));
        assert_eq!(manifest.objects[0].path, format!("{name}.bpf.o"));
        assert!(
            folder.join(format!("{name}.bpf.c")).exists(),
            "{name} has its source"
        );
        assert!(folder.join("README.md").exists(), "{name} has a README");
    }
}

#[test]
fn every_manifest_agrees_with_its_object_and_nothing_stands_out() {
    for (name, manifest) in packages() {
        let profile = bpf_object::inspect(&object::compile_package(&name)).unwrap();
        let findings = bpf_object::check(&manifest, &profile);
        assert!(findings.is_empty(), "{name}: {findings:#?}");
    }
}

#[test]
fn every_readme_documents_every_parameter_and_metric() {
    for (name, manifest) in packages() {
        let readme = fs::read_to_string(object::root().join(&name).join("README.md")).unwrap();
        let parameters = manifest.parameters.iter().map(|parameter| &parameter.name);
        let metrics = manifest.metrics.iter().map(|metric| &metric.name);
        for word in parameters.chain(metrics) {
            assert!(
                readme.contains(&format!("`{word}`")),
                "{name}/README.md lacks `{word}`"
            );
        }
    }
}

#[test]
fn no_source_is_longer_than_a_reader_takes_in() {
    for (name, _) in packages() {
        let source = object::root().join(&name).join(format!("{name}.bpf.c"));
        let lines = fs::read_to_string(source).unwrap().lines().count();
        assert!(
            lines <= 250,
            "{name}.bpf.c has {lines} lines; the limit is 250"
        );
    }
}
