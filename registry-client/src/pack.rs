// SPDX-License-Identifier: Apache-2.0
//! From a built package to the bytes that a registry stores. The same package
//! always gives the same bytes.
//!
//! A version is an image index. Its first entries are ordinary images, one per
//! platform, so that other eBPF managers and container tools can use the same tag;
//! its last entries are the package manifests, one per target.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use flate2::{Compression, GzBuilder};
use registry_schema::{
    Digest, PackageName, Version,
    canonical::{self, CanonicalError},
    exit,
    manifest::ManifestError,
    media_type,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Explain,
    build::{BuiltObject, BuiltPackage},
    oci::{Annotations, Descriptor, Index, Manifest, Platform},
};

/// Architectures that run little-endian eBPF, in the order of the entries.
const LITTLE_ENDIAN: [&str; 4] = ["amd64", "arm64", "ppc64le", "riscv64"];
/// Architectures that run big-endian eBPF.
const BIG_ENDIAN: [&str; 1] = ["s390x"];

/// A version, ready to be stored.
#[derive(Debug, Clone)]
pub struct PackedVersion {
    /// The package.
    pub package: PackageName,
    /// The version.
    pub version: Version,
    /// Configs and layers, each once.
    pub blobs: BTreeMap<Digest, Bytes>,
    /// The manifests that the index lists, in its order.
    pub manifests: Vec<(Descriptor, Bytes)>,
    /// The index.
    pub index: Bytes,
}

impl PackedVersion {
    /// The digest of the index: the identity of the version.
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.index)
    }
}

/// Why a package cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The manifest has no canonical form.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A document has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// The archive for other eBPF managers cannot be written.
    #[error("`{name}` cannot be put in an archive: {source}")]
    Archive {
        /// The object.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The time of the source is out of range.
    #[error("SOURCE_DATE_EPOCH `{0}` is no time; write seconds since 1970")]
    Time(i64),
}

impl Explain for PackError {
    fn code(&self) -> &'static str {
        "pack"
    }

    fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}

/// Packs a built package.
///
/// # Errors
/// [`PackError`], by what has no canonical form.
pub fn pack(built: &BuiltPackage) -> Result<PackedVersion, PackError> {
    let mut packer = Packer {
        annotations: annotations(built)?,
        blobs: BTreeMap::new(),
    };
    let mut manifests = Vec::new();
    for object in &built.objects {
        manifests.extend(packer.images(built, object)?);
    }
    for object in &built.objects {
        manifests.push(packer.package_manifest(built, object)?);
    }
    let index = Index {
        schema_version: 2,
        media_type: Some(media_type::OCI_INDEX.to_owned()),
        artifact_type: Some(media_type::PACKAGE.to_owned()),
        manifests: manifests
            .iter()
            .map(|(descriptor, _)| descriptor.clone())
            .collect(),
        annotations: packer.annotations,
    };
    Ok(PackedVersion {
        package: built.manifest.package.name.clone(),
        version: built.manifest.package.version.clone(),
        blobs: packer.blobs,
        manifests,
        index: canonical::to_vec(&index)?.into(),
    })
}

struct Packer {
    annotations: Annotations,
    blobs: BTreeMap<Digest, Bytes>,
}

impl Packer {
    fn blob(&mut self, media_type: &str, bytes: impl Into<Bytes>) -> Descriptor {
        let bytes = bytes.into();
        let descriptor = Descriptor::of(media_type, &bytes);
        self.blobs.insert(descriptor.digest.clone(), bytes);
        descriptor
    }

    fn titled(&mut self, media_type: &str, title: &str, bytes: impl Into<Bytes>) -> Descriptor {
        let mut descriptor = self.blob(media_type, bytes);
        descriptor
            .annotations
            .insert(media_type::ANNOTATION_TITLE.to_owned(), title.to_owned());
        descriptor
    }

    fn manifest(
        &self,
        artifact_type: Option<&str>,
        config: Descriptor,
        layers: Vec<Descriptor>,
    ) -> Manifest {
        Manifest {
            schema_version: 2,
            media_type: Some(media_type::OCI_MANIFEST.to_owned()),
            artifact_type: artifact_type.map(str::to_owned),
            config,
            layers,
            subject: None,
            annotations: self.annotations.clone(),
        }
    }

    /// The package manifest of one object. Its entry carries neither artifact type
    /// nor platform: some copying tools rewrite an index whose entries do.
    fn package_manifest(
        &mut self,
        built: &BuiltPackage,
        object: &BuiltObject,
    ) -> Result<(Descriptor, Bytes), PackError> {
        let config = self.blob(media_type::CONFIG, built.manifest.to_json()?);
        let mut layers = vec![self.titled(media_type::OBJECT, &object.name, object.bytes.clone())];
        if let Some(readme) = &built.readme {
            layers.push(self.titled(media_type::MARKDOWN, "README.md", readme.clone()));
        }
        let (mut entry, bytes) =
            describe(&self.manifest(Some(media_type::PACKAGE), config, layers))?;
        entry.annotations.insert(
            media_type::ANNOTATION_TARGET.to_owned(),
            object.target.clone(),
        );
        Ok((entry, bytes))
    }

    /// The images for other eBPF managers: one per platform that runs the object.
    fn images(
        &mut self,
        built: &BuiltPackage,
        object: &BuiltObject,
    ) -> Result<Vec<(Descriptor, Bytes)>, PackError> {
        let architectures: &[&str] = match object.target.as_str() {
            "bpfel" => &LITTLE_ENDIAN,
            "bpfeb" => &BIG_ENDIAN,
            _ => &[],
        };
        if architectures.is_empty() {
            return Ok(Vec::new());
        }
        let archive = archive(object)
            .and_then(|tar| Ok((Digest::sha256(&tar), gzip(&tar)?)))
            .map_err(|source| PackError::Archive {
                name: object.name.clone(),
                source,
            })?;
        let layer = self.blob(media_type::OCI_LAYER, archive.1);
        let labels = labels(built, object)?;
        let mut images = Vec::new();
        for architecture in architectures {
            let mut config = json!({
                "architecture": architecture,
                "config": {"Labels": labels},
                "os": "linux",
                "rootfs": {"diff_ids": [archive.0.as_str()], "type": "layers"},
            });
            if let Some(created) = self.annotations.get("org.opencontainers.image.created") {
                config["created"] = json!(created);
            }
            let config = self.blob(media_type::OCI_CONFIG, canonical::to_vec(&config)?);
            let (mut entry, bytes) = describe(&self.manifest(None, config, vec![layer.clone()]))?;
            entry.platform = Some(Platform {
                architecture: (*architecture).to_owned(),
                os: "linux".to_owned(),
            });
            images.push((entry, bytes));
        }
        Ok(images)
    }
}

fn describe(manifest: &Manifest) -> Result<(Descriptor, Bytes), PackError> {
    let bytes = canonical::to_vec(manifest)?;
    Ok((
        Descriptor::of(media_type::OCI_MANIFEST, &bytes),
        bytes.into(),
    ))
}

/// What catalogues and other tools show of a version.
fn annotations(built: &BuiltPackage) -> Result<Annotations, PackError> {
    let package = &built.manifest.package;
    let source = built
        .manifest
        .build
        .as_ref()
        .and_then(|build| build.source.clone());
    let created = built.created.map(|seconds| {
        let time = DateTime::from_timestamp(seconds, 0).ok_or(PackError::Time(seconds))?;
        Ok::<_, PackError>(time.to_rfc3339_opts(SecondsFormat::Secs, true))
    });
    let pairs = [
        ("title", Some(package.name.to_string())),
        ("description", Some(package.summary.clone())),
        ("version", Some(package.version.to_string())),
        ("licenses", Some(package.license.clone())),
        ("source", package.repository.clone()),
        ("documentation", package.documentation.clone()),
        ("revision", source),
        ("created", created.transpose()?),
    ];
    Ok(pairs
        .into_iter()
        .filter_map(|(key, value)| Some((format!("org.opencontainers.image.{key}"), value?)))
        .collect())
}

/// The labels by which other eBPF managers find programs and maps: JSON in strings.
fn labels(built: &BuiltPackage, object: &BuiltObject) -> Result<Value, PackError> {
    let programs: BTreeMap<_, _> = built
        .manifest
        .programs
        .iter()
        .map(|program| (program.function.as_str(), program.program_type.as_str()))
        .collect();
    let maps: BTreeMap<_, _> = object
        .profile
        .iter()
        .flat_map(|profile| &profile.maps)
        // The kernel says `percpu_array`, these labels say `per_cpu_array`.
        .map(|map| (map.name.as_str(), map.map_type.replace("percpu", "per_cpu")))
        .collect();
    Ok(json!({
        media_type::LABEL_PROGRAMS: text(&programs)?,
        media_type::LABEL_MAPS: text(&maps)?,
    }))
}

fn text<T: Serialize>(value: &T) -> Result<String, PackError> {
    Ok(String::from_utf8_lossy(&canonical::to_vec(value)?).into_owned())
}

/// A tar archive with the object alone: no owner, no time.
fn archive(object: &BuiltObject) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(object.bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, &object.name, object.bytes.as_slice())?;
    builder.into_inner()
}

/// Gzip with a header that says nothing about time or machine.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}
