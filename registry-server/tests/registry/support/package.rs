// SPDX-License-Identifier: Apache-2.0
//! Packages, as a publisher's client lays them out.

use std::{process::Command, sync::OnceLock};

use base64::{Engine, prelude::BASE64_STANDARD};
use p256::ecdsa::{DerSignature, SigningKey, signature::Signer};
use registry_schema::{
    Digest, PackageManifest, media_type,
    signature::{self, PublicKey},
};
use reqwest::Response;
use serde_json::{Value, json};

use super::{User, expect};

pub(crate) const EMPTY: &[u8] = b"{}";

/// A program that passes every packet, compiled once.
pub(crate) fn object() -> &'static [u8] {
    static OBJECT: OnceLock<Vec<u8>> = OnceLock::new();
    OBJECT.get_or_init(|| {
        const SOURCE: &str = "struct xdp_md { unsigned int data, data_end; };\n\
            __attribute__((section(\"xdp\"), used)) int pass(struct xdp_md *ctx) { return 2; }\n\
            char _license[] __attribute__((section(\"license\"), used)) = \"Dual MIT/GPL\";\n";
        let dir = tempfile::TempDir::new().expect("a directory");
        let (source, object) = (dir.path().join("pass.bpf.c"), dir.path().join("pass.bpf.o"));
        std::fs::write(&source, SOURCE).expect("a source");
        let status = Command::new("clang")
            .args(["-O2", "-g", "-target", "bpf", "-c", "-o"])
            .args([&object, &source])
            .status()
            .expect("clang is installed");
        assert!(status.success());
        std::fs::read(object).expect("an object")
    })
}

/// A package before it is pushed. Every field has a value that works.
#[derive(Clone)]
pub(crate) struct PackageBuilder {
    pub(crate) repository: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: String,
    pub(crate) function: String,
    pub(crate) object: Vec<u8>,
    pub(crate) target: String,
    pub(crate) readme: String,
}

/// A version's bytes.
pub(crate) struct Packed {
    pub(crate) repository: String,
    pub(crate) blobs: Vec<Vec<u8>>,
    pub(crate) manifest: Vec<u8>,
    pub(crate) index: Vec<u8>,
}

impl PackageBuilder {
    pub(crate) fn new(name: &str, version: &str) -> Self {
        Self {
            repository: name.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            license: "GPL-2.0-only OR MIT".to_owned(),
            function: "pass".to_owned(),
            object: object().to_vec(),
            target: "bpfel".to_owned(),
            readme: "# Passes packets\n".to_owned(),
        }
    }

    pub(crate) fn config(&self) -> Vec<u8> {
        let toml = format!(
            "[package]\nname = \"{}\"\nversion = \"{}\"\nsummary = \"Passes packets\"\nlicense = \"{}\"\n\
             [[object]]\npath = \"pass.bpf.o\"\ntarget = \"bpfel\"\n\
             [[program]]\nfunction = \"{}\"\ntype = \"xdp\"\n",
            self.name, self.version, self.license, self.function
        );
        let manifest = PackageManifest::from_toml(&toml).expect("a package manifest");
        manifest.to_json().expect("canonical JSON")
    }

    pub(crate) fn pack(&self) -> Packed {
        self.pack_with(self.config())
    }

    pub(crate) fn pack_with(&self, config: Vec<u8>) -> Packed {
        let readme = self.readme.clone().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "artifactType": media_type::PACKAGE,
            "config": descriptor(media_type::CONFIG, &config),
            "layers": [
                descriptor(media_type::OBJECT, &self.object),
                descriptor(media_type::MARKDOWN, &readme),
            ],
        });
        let manifest = manifest.to_string().into_bytes();
        let mut entry = descriptor(media_type::OCI_MANIFEST, &manifest);
        entry["annotations"] = json!({ media_type::ANNOTATION_TARGET: self.target });
        let index = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_INDEX,
            "artifactType": media_type::PACKAGE,
            "manifests": [entry],
        });
        Packed {
            repository: self.repository.clone(),
            blobs: vec![config, self.object.clone(), readme],
            manifest,
            index: index.to_string().into_bytes(),
        }
    }
}

impl Packed {
    /// Pushes everything but the tag.
    pub(crate) async fn push_content(&self, user: &User) {
        for blob in &self.blobs {
            user.push_blob(&self.repository, blob).await;
        }
        for (kind, bytes) in [
            (media_type::OCI_MANIFEST, &self.manifest),
            (media_type::OCI_INDEX, &self.index),
        ] {
            let digest = Digest::sha256(bytes).to_string();
            expect(
                user.put_manifest(&self.repository, &digest, kind, bytes)
                    .await,
                201,
            )
            .await;
        }
    }

    /// Sets the tag that makes it a version.
    pub(crate) async fn push_tag(&self, user: &User, tag: &str) -> Response {
        user.put_manifest(&self.repository, tag, media_type::OCI_INDEX, &self.index)
            .await
    }

    /// Pushes all of it.
    pub(crate) async fn push(&self, user: &User, tag: &str) -> Response {
        self.push_content(user).await;
        self.push_tag(user, tag).await
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::sha256(&self.index)
    }
}

pub(crate) fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": Digest::sha256(bytes), "size": bytes.len()})
}

/// A publisher's key pair.
pub(crate) struct KeyPair {
    secret: SigningKey,
    pub(crate) public: PublicKey,
}

impl KeyPair {
    pub(crate) fn new(seed: u8) -> Self {
        use p256::pkcs8::{EncodePublicKey, LineEnding};
        let secret = SigningKey::from_slice(&[seed; 32]).expect("a valid scalar");
        let pem = secret
            .verifying_key()
            .to_public_key_pem(LineEnding::LF)
            .expect("PEM");
        Self {
            secret,
            public: PublicKey::from_pem(&pem).expect("a public key"),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.secret.sign(message);
        signature.as_bytes().to_vec()
    }

    /// A signature as a bundle that refers to `subject`: its layer, its manifest.
    pub(crate) fn bundle(&self, subject: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let statement = signature::statement(&Digest::sha256(subject));
        let message = signature::pre_authentication_encoding(signature::IN_TOTO, &statement);
        let signed = self.sign(&message);
        let bundle = signature::bundle(&self.public.fingerprint(), &statement, &signed);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "artifactType": media_type::SIGSTORE_BUNDLE,
            "config": descriptor(media_type::OCI_EMPTY, EMPTY),
            "layers": [descriptor(media_type::SIGSTORE_BUNDLE, &bundle)],
            "subject": descriptor(media_type::OCI_INDEX, subject),
        });
        (bundle, manifest.to_string().into_bytes())
    }

    /// A statement in a signed bundle.
    pub(crate) fn attest(&self, statement: &[u8]) -> Value {
        let message = signature::pre_authentication_encoding(signature::IN_TOTO, statement);
        let signed = self.sign(&message);
        let bundle = signature::bundle(&self.public.fingerprint(), statement, &signed);
        serde_json::from_slice(&bundle).expect("JSON")
    }

    /// The same for a `.sig` tag: payload and manifest.
    pub(crate) fn simple(&self, repository: &str, subject: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let payload = signature::simple_signing(repository, &Digest::sha256(subject));
        let mut layer = descriptor(media_type::SIMPLE_SIGNING, &payload);
        let signed = BASE64_STANDARD.encode(self.sign(&payload));
        layer["annotations"] = json!({ media_type::SIMPLE_SIGNING_SIGNATURE: signed });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": descriptor(media_type::OCI_CONFIG, EMPTY),
            "layers": [layer],
        });
        (payload, manifest.to_string().into_bytes())
    }

    /// Signs an index and pushes the signature as a referrer.
    pub(crate) async fn push_bundle(
        &self,
        user: &User,
        repository: &str,
        subject: &[u8],
    ) -> Digest {
        let (bundle, manifest) = self.bundle(subject);
        user.push_blob(repository, EMPTY).await;
        user.push_blob(repository, &bundle).await;
        let digest = Digest::sha256(&manifest);
        let answer = user
            .put_manifest(
                repository,
                digest.as_str(),
                media_type::OCI_MANIFEST,
                &manifest,
            )
            .await;
        expect(answer, 201).await;
        digest
    }
}
