// SPDX-License-Identifier: Apache-2.0
//! Media types, annotations and labels that packages and signatures use.

/// `artifactType` of a version's image index.
pub const PACKAGE: &str = "application/vnd.bpfpkg.package.v1";
/// The config of a package manifest: `package.toml` as canonical JSON.
pub const CONFIG: &str = "application/vnd.bpfpkg.config.v1+json";
/// A raw eBPF object.
pub const OBJECT: &str = "application/vnd.bpfpkg.object.v1+elf";
/// A README.
pub const MARKDOWN: &str = "text/markdown";

/// An OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI image configuration, used by the bpfman-compatible images.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A gzipped tar layer, used by the bpfman-compatible images.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The empty config `{}`.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// A Docker image manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A Sigstore bundle, as artifact type and as layer.
pub const SIGSTORE_BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// Annotation of a bundle's manifest: the type of the predicate in it.
pub const BUNDLE_PREDICATE: &str = "dev.sigstore.bundle.predicateType";
/// A proof that a version is in the publish log (C2SP tlog-proof), as artifact type and as layer.
pub const LOG_PROOF: &str = "application/vnd.bpfpkg.log-proof.v1";
/// The layer of a signature under a `.sig` tag.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation that holds the signature of a simple-signing layer, in base64.
pub const SIMPLE_SIGNING_SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// The annotation that holds the signer's certificate in PEM, for keyless signing.
pub const SIMPLE_SIGNING_CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
/// The annotation that holds a log's promise to include the signature, as JSON.
pub const SIMPLE_SIGNING_LOG_ENTRY: &str = "dev.sigstore.cosign/bundle";
/// The annotation that holds an RFC 3161 timestamp of the signature, as JSON.
pub const SIMPLE_SIGNING_TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

/// Annotation of an index entry: which target the package manifest is for.
pub const ANNOTATION_TARGET: &str = "io.bpfpkg.target";
/// Annotation of a layer: its file name.
pub const ANNOTATION_TITLE: &str = "org.opencontainers.image.title";
/// Label of a bpfman-compatible image: program names and types, JSON in a string.
pub const LABEL_PROGRAMS: &str = "io.ebpf.programs";
/// Label of a bpfman-compatible image: map names and types, JSON in a string.
pub const LABEL_MAPS: &str = "io.ebpf.maps";
