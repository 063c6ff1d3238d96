// SPDX-License-Identifier: Apache-2.0
//! Manifests and indexes as documents: strict reading of what clients push.

use std::{collections::BTreeMap, fmt};

use registry_schema::{Digest, media_type};
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor},
};

/// Largest manifest or index, in bytes.
pub const MAX_MANIFEST: usize = 4 * 1024 * 1024;
/// Deepest nesting of a manifest's JSON.
const MAX_DEPTH: usize = 64;

/// Why bytes are no manifest.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum DocumentError {
    /// The manifest is larger than the limit.
    #[error("the manifest is larger than {MAX_MANIFEST} bytes, which is the limit")]
    TooLarge,
    /// The media type is none that this registry understands.
    #[error(
        "`{0}` is no manifest media type; OCI manifests and indexes, Docker manifests (v2) and lists are accepted"
    )]
    MediaType(String),
    /// The body says another media type than the request.
    #[error("the manifest says `{inside}`, but was sent as `{sent}`")]
    OtherMediaType { inside: String, sent: String },
    /// The body is no JSON of that shape.
    #[error("the manifest is malformed: {0}")]
    Json(#[from] serde_json::Error),
    /// The body is a manifest and an index at the same time, or neither.
    #[error("the manifest must have either `config` and `layers`, or `manifests`")]
    Ambiguous,
    /// The version of the schema is not 2.
    #[error("the manifest has schemaVersion {0}; only 2 is accepted")]
    SchemaVersion(u64),
}

/// A reference to content by digest.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    pub media_type: String,
    /// Which content.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What it is for.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// Whether a registry need not hold the content.
    pub fn is_foreign(&self) -> bool {
        self.media_type.contains(".nondistributable.") || self.media_type.contains(".foreign.")
    }
}

/// A manifest or index that was read.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its media type.
    pub media_type: String,
    /// Its artifact type, else its config's media type.
    pub artifact_type: Option<String>,
    /// What it refers to.
    pub subject: Option<Digest>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// The config; an index has none.
    pub config: Option<Descriptor>,
    /// The layers; an index has none.
    pub layers: Vec<Descriptor>,
    /// The entries of an index.
    pub manifests: Vec<Descriptor>,
    /// Whether it is an index.
    pub is_index: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: u64,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Document {
    /// Reads the bytes of a manifest that was sent as `sent`, or says by itself what it is
    /// if the request did not.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn parse(bytes: &[u8], sent: Option<&str>) -> Result<Self, DocumentError> {
        if bytes.len() > MAX_MANIFEST {
            return Err(DocumentError::TooLarge);
        }
        let mut json = serde_json::Deserializer::from_slice(bytes);
        Strict { depth: 0 }.deserialize(&mut json)?;
        json.end()?;
        let raw: Raw = serde_json::from_slice(bytes)?;
        if raw.schema_version != 2 {
            return Err(DocumentError::SchemaVersion(raw.schema_version));
        }
        // Two readers that disagree on what it is would see two different contents.
        let is_index = match (&raw.manifests, &raw.config, &raw.layers) {
            (Some(_), None, None) => true,
            (None, Some(_), _) => false,
            _ => return Err(DocumentError::Ambiguous),
        };
        let guess = if is_index {
            media_type::OCI_INDEX
        } else {
            media_type::OCI_MANIFEST
        };
        let name = sent
            .or(raw.media_type.as_deref())
            .unwrap_or(guess)
            .to_owned();
        let known = match name.as_str() {
            media_type::OCI_INDEX | media_type::DOCKER_LIST => is_index,
            media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST => !is_index,
            _ => return Err(DocumentError::MediaType(name.chars().take(200).collect())),
        };
        if !known {
            return Err(DocumentError::Ambiguous);
        }
        if let Some(inside) = raw.media_type.filter(|inside| *inside != name) {
            return Err(DocumentError::OtherMediaType { inside, sent: name });
        }
        let of_config = raw.config.as_ref().map(|config| config.media_type.clone());
        Ok(Self {
            media_type: name,
            artifact_type: raw
                .artifact_type
                .filter(|kind| !kind.is_empty())
                .or(of_config),
            subject: raw.subject.map(|subject| subject.digest),
            annotations: raw.annotations.unwrap_or_default(),
            config: raw.config,
            layers: raw.layers.unwrap_or_default(),
            manifests: raw.manifests.unwrap_or_default(),
            is_index,
        })
    }

    /// The annotations as a JSON object, if there are any.
    pub fn annotations_json(&self) -> Option<String> {
        (!self.annotations.is_empty())
            .then(|| serde_json::to_string(&self.annotations).unwrap_or_default())
    }
}

/// Reads any JSON and refuses what two readers might understand differently: a key that
/// comes twice, and nesting that exhausts a reader's stack.
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: Error>(&self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!("more than {MAX_DEPTH} levels deep")));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self.deeper()?)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut keys = std::collections::BTreeSet::new();
        while let Some(key) = members.next_key::<String>()? {
            members.next_value_seed(self.deeper()?)?;
            if let Some(twice) = keys.replace(key) {
                let shown: String = twice.chars().take(100).collect();
                return Err(A::Error::custom(format_args!("key `{shown}` comes twice")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn manifest(extra: &str) -> String {
        let config = format!(
            "{{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":\"{EMPTY}\",\"size\":2}}"
        );
        format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[]{extra}}}")
    }

    #[test]
    fn what_it_is_comes_from_the_request_or_from_itself() {
        let plain = Document::parse(manifest("").as_bytes(), None).expect("manifest");
        assert_eq!(plain.media_type, media_type::OCI_MANIFEST);
        assert_eq!(plain.artifact_type.as_deref(), Some(media_type::OCI_EMPTY));
        let index =
            Document::parse(b"{\"schemaVersion\":2,\"manifests\":[]}", None).expect("index");
        assert!(index.is_index && index.artifact_type.is_none());
        let typed = manifest(",\"artifactType\":\"a/b\",\"unknown\":{\"x\":[1.5,null,true]}");
        let typed =
            Document::parse(typed.as_bytes(), Some(media_type::DOCKER_MANIFEST)).expect("typed");
        assert_eq!(typed.artifact_type.as_deref(), Some("a/b"));
    }

    #[test]
    fn what_two_readers_could_understand_differently_is_refused() {
        let deep = manifest(&format!(",\"x\":{}{}", "[".repeat(100), "]".repeat(100)));
        let deeper = format!("{}1", "[".repeat(100_000));
        for body in [
            manifest(",\"layers\":[]"),
            manifest(",\"x\":{\"a\":1,\"a\":2}"),
            manifest(",\"manifests\":[]"),
            manifest(",\"mediaType\":\"application/vnd.oci.image.index.v1+json\""),
            manifest("").replace("\"size\":2", "\"size\":-2"),
            manifest("").replace("\"size\":2", "\"size\":1e99"),
            manifest("").replace("sha256:44", "sha256:ZZ"),
            manifest("").replace("schemaVersion\":2", "schemaVersion\":1"),
            format!("{} x", manifest("")),
            "{\"schemaVersion\":2}".to_owned(),
            "[]".to_owned(),
            "nul".to_owned(),
            String::new(),
            deep,
            deeper,
        ] {
            assert!(
                Document::parse(body.as_bytes(), None).is_err(),
                "{}",
                &body[..body.len().min(200)]
            );
        }
        assert!(Document::parse(manifest("").as_bytes(), Some(media_type::OCI_INDEX)).is_err());
        assert!(Document::parse(manifest("").as_bytes(), Some("text/html")).is_err());
    }
}
