// SPDX-License-Identifier: Apache-2.0
//! Entries: what the log says happened. The bytes of an entry are its canonical JSON, and
//! there is no other way to write the same entry.

use chrono::{DateTime, SubsecRound as _, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    account::Role,
    canonical,
    digest::{Digest, shorten},
    identity::Identity,
    name::{Namespace, PackageName},
    version::Version,
};

/// Version of the format.
pub const FORMAT: u8 = 1;
/// Largest entry, in bytes.
pub const MAX_ENTRY: usize = 32 * 1024;

/// Why bytes are no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum EntryError {
    /// The bytes are more than the limit.
    #[error("log entry is {actual} bytes; the limit is {MAX_ENTRY}")]
    TooLarge { actual: usize },
    /// The format is a later one.
    #[error("log entry has format {0}; this version reads format {FORMAT}")]
    Format(u64),
    /// The bytes say nothing that is known here.
    #[error("log entry cannot be read: {0}")]
    Malformed(String),
    /// The bytes say something in another way than the one that counts.
    #[error("log entry is not in its canonical form: sorted keys, no white space, none unknown")]
    NotCanonical,
}

/// One entry: something that changed what anybody may fetch, or whom it is signed by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Version of the format.
    v: u8,
    /// When, to the second.
    #[serde(with = "seconds")]
    #[schemars(with = "DateTime<Utc>")]
    time: DateTime<Utc>,
    /// What.
    #[serde(flatten)]
    change: Change,
}

/// A signature that counted when the entry was made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct LoggedSignature {
    /// Who signed.
    pub signer: Identity,
    /// Digest of the bundle, or of the payload that was signed.
    pub bundle: Digest,
}

/// What happened. No entry names an account, and none is about a namespace that not
/// everybody may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
pub enum Change {
    /// A version can be fetched from now on.
    #[serde(rename = "publish")]
    Publish {
        /// The package.
        package: PackageName,
        /// The version.
        version: Version,
        /// Digest of its index.
        digest: Digest,
        /// The signatures that were there.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        signatures: Vec<LoggedSignature>,
    },
    /// A signature of a published version arrived.
    #[serde(rename = "sign")]
    Sign {
        /// The package.
        package: PackageName,
        /// The version.
        version: Version,
        /// Digest of its index.
        digest: Digest,
        /// The signature.
        signature: LoggedSignature,
    },
    /// A version was withdrawn.
    #[serde(rename = "yank")]
    Yank {
        /// The package.
        package: PackageName,
        /// The version.
        version: Version,
    },
    /// The withdrawal was taken back.
    #[serde(rename = "unyank")]
    Unyank {
        /// The package.
        package: PackageName,
        /// The version.
        version: Version,
    },
    /// A version, or all of a package, was advised against.
    #[serde(rename = "deprecate")]
    Deprecate {
        /// The package.
        package: PackageName,
        /// The version; none for all of the package.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<Version>,
    },
    /// The advice was taken back.
    #[serde(rename = "restore")]
    Restore {
        /// The package.
        package: PackageName,
        /// The version; none for all of the package.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<Version>,
    },
    /// Signatures of an identity count for a namespace from now on.
    #[serde(rename = "identity.add")]
    IdentityAdd {
        /// The namespace.
        namespace: Namespace,
        /// The identity: a key, or an issuer and a pattern for its subjects.
        identity: Identity,
        /// Digest of the statement by which an earlier identity vouches for this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        continuity: Option<Digest>,
    },
    /// New signatures of an identity no longer count.
    #[serde(rename = "identity.remove")]
    IdentityRemove {
        /// The namespace.
        namespace: Namespace,
        /// The identity.
        identity: Identity,
    },
    /// Signatures of an identity are not to be believed, from a time on.
    #[serde(rename = "identity.revoke")]
    IdentityRevoke {
        /// The namespace.
        namespace: Namespace,
        /// The identity.
        identity: Identity,
        /// From when on, to the second.
        #[serde(with = "seconds")]
        #[schemars(with = "DateTime<Utc>")]
        since: DateTime<Utc>,
    },
    /// Somebody may publish into a namespace, or own it.
    #[serde(rename = "member.set")]
    MemberSet {
        /// The namespace.
        namespace: Namespace,
        /// As what.
        role: Role,
    },
    /// Somebody no longer may.
    #[serde(rename = "member.remove")]
    MemberRemove {
        /// The namespace.
        namespace: Namespace,
        /// As what.
        role: Role,
    },
    /// A namespace has another owner.
    #[serde(rename = "owner.transfer")]
    OwnerTransfer {
        /// The namespace.
        namespace: Namespace,
    },
    /// A package is signed by others than before, who were not vouched for by those.
    #[serde(rename = "epoch")]
    Epoch {
        /// The package.
        package: PackageName,
        /// Which of its signer epochs begins, from 1.
        number: u32,
    },
}

impl Entry {
    /// An entry about what happened at `time`.
    pub fn new(time: DateTime<Utc>, change: Change) -> Self {
        Self {
            v: FORMAT,
            time: time.trunc_subsecs(0),
            change,
        }
    }

    /// When, to the second.
    pub const fn time(&self) -> DateTime<Utc> {
        self.time
    }

    /// What.
    pub const fn change(&self) -> &Change {
        &self.change
    }

    /// The bytes that the log keeps and hashes.
    ///
    /// # Errors
    /// [`EntryError::TooLarge`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, EntryError> {
        let bytes = canonical::to_vec(self);
        let bytes = bytes.map_err(|error| EntryError::Malformed(error.to_string()))?;
        match bytes.len() {
            actual if actual > MAX_ENTRY => Err(EntryError::TooLarge { actual }),
            _ => Ok(bytes),
        }
    }

    /// Reads the bytes of an entry.
    ///
    /// # Errors
    /// [`EntryError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        /// What every format begins with.
        #[derive(Deserialize)]
        struct Any {
            v: u64,
        }
        let actual = bytes.len();
        if actual > MAX_ENTRY {
            return Err(EntryError::TooLarge { actual });
        }
        let entry: Self = match serde_json::from_slice(bytes) {
            Ok(entry) => entry,
            Err(error) => {
                return Err(match serde_json::from_slice::<Any>(bytes) {
                    Ok(Any { v }) if v != u64::from(FORMAT) => EntryError::Format(v),
                    _ => EntryError::Malformed(shorten(&error.to_string())),
                });
            }
        };
        if entry.v != FORMAT {
            return Err(EntryError::Format(entry.v.into()));
        }
        if entry.to_bytes()? == bytes {
            Ok(entry)
        } else {
            Err(EntryError::NotCanonical)
        }
    }
}

impl Change {
    /// The word for it in the entry.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Publish { .. } => "publish",
            Self::Sign { .. } => "sign",
            Self::Yank { .. } => "yank",
            Self::Unyank { .. } => "unyank",
            Self::Deprecate { .. } => "deprecate",
            Self::Restore { .. } => "restore",
            Self::IdentityAdd { .. } => "identity.add",
            Self::IdentityRemove { .. } => "identity.remove",
            Self::IdentityRevoke { .. } => "identity.revoke",
            Self::MemberSet { .. } => "member.set",
            Self::MemberRemove { .. } => "member.remove",
            Self::OwnerTransfer { .. } => "owner.transfer",
            Self::Epoch { .. } => "epoch",
        }
    }

    /// The namespace it is about.
    pub const fn namespace(&self) -> &Namespace {
        match self {
            Self::Publish { package, .. }
            | Self::Sign { package, .. }
            | Self::Yank { package, .. }
            | Self::Unyank { package, .. }
            | Self::Deprecate { package, .. }
            | Self::Restore { package, .. }
            | Self::Epoch { package, .. } => package.namespace(),
            Self::IdentityAdd { namespace, .. }
            | Self::IdentityRemove { namespace, .. }
            | Self::IdentityRevoke { namespace, .. }
            | Self::MemberSet { namespace, .. }
            | Self::MemberRemove { namespace, .. }
            | Self::OwnerTransfer { namespace } => namespace,
        }
    }

    /// The package it is about, if it is not about all of a namespace.
    pub const fn package(&self) -> Option<&PackageName> {
        match self {
            Self::Publish { package, .. }
            | Self::Sign { package, .. }
            | Self::Yank { package, .. }
            | Self::Unyank { package, .. }
            | Self::Deprecate { package, .. }
            | Self::Restore { package, .. }
            | Self::Epoch { package, .. } => Some(package),
            _ => None,
        }
    }

    /// The version it is about, if it is about one.
    pub const fn version(&self) -> Option<&Version> {
        match self {
            Self::Publish { version, .. }
            | Self::Sign { version, .. }
            | Self::Yank { version, .. }
            | Self::Unyank { version, .. } => Some(version),
            Self::Deprecate { version, .. } | Self::Restore { version, .. } => version.as_ref(),
            _ => None,
        }
    }

    /// The identities that it names: those who signed, or whose signatures count or not.
    pub fn identities(&self) -> Vec<&Identity> {
        match self {
            Self::Publish { signatures, .. } => signatures.iter().map(|one| &one.signer).collect(),
            Self::Sign { signature, .. } => vec![&signature.signer],
            Self::IdentityAdd { identity, .. }
            | Self::IdentityRemove { identity, .. }
            | Self::IdentityRevoke { identity, .. } => vec![identity],
            _ => Vec::new(),
        }
    }

    /// What it is about, in one word: `demo`, `demo/pass` or `demo/pass:1.0.0`.
    pub fn subject(&self) -> String {
        match (self.package(), self.version()) {
            (Some(package), Some(version)) => format!("{package}:{version}"),
            (Some(package), None) => package.to_string(),
            (None, _) => self.namespace().to_string(),
        }
    }
}

/// Times in entries: `2026-11-21T12:00:00Z`.
mod seconds {
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &DateTime<Utc>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Secs, true))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DateTime<Utc>, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PUBLISH: &str = r#"{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","kind":"publish","package":"demo/pass","signatures":[{"bundle":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","signer":"oidc:https://issuer.example#jane@example.org"}],"time":"2026-11-21T12:00:00Z","v":1,"version":"1.0.0"}"#;

    fn entry(change: Change) -> Entry {
        Entry::new("2026-11-21T12:00:00.75Z".parse().expect("time"), change)
    }

    fn changes() -> Vec<Change> {
        let (package, version): (PackageName, Version) = (
            "demo/pass".parse().expect("name"),
            "1.0.0".parse().expect("version"),
        );
        let (namespace, digest) = (package.namespace().clone(), Digest::sha256(b"{}"));
        let identity: Identity = "oidc:https://issuer.example#jane@example.org"
            .parse()
            .expect("identity");
        let signature = LoggedSignature {
            signer: identity.clone(),
            bundle: digest.clone(),
        };
        let since = "2026-01-01T00:00:00Z".parse().expect("time");
        vec![
            Change::Publish {
                package: package.clone(),
                version: version.clone(),
                digest: digest.clone(),
                signatures: vec![signature.clone()],
            },
            Change::Sign {
                package: package.clone(),
                version: version.clone(),
                digest: digest.clone(),
                signature,
            },
            Change::Yank {
                package: package.clone(),
                version: version.clone(),
            },
            Change::Unyank {
                package: package.clone(),
                version: version.clone(),
            },
            Change::Deprecate {
                package: package.clone(),
                version: None,
            },
            Change::Restore {
                package: package.clone(),
                version: Some(version),
            },
            Change::IdentityAdd {
                namespace: namespace.clone(),
                identity: identity.clone(),
                continuity: Some(digest),
            },
            Change::IdentityRemove {
                namespace: namespace.clone(),
                identity: identity.clone(),
            },
            Change::IdentityRevoke {
                namespace: namespace.clone(),
                identity,
                since,
            },
            Change::MemberSet {
                namespace: namespace.clone(),
                role: Role::Owner,
            },
            Change::MemberRemove {
                namespace: namespace.clone(),
                role: Role::Publisher,
            },
            Change::OwnerTransfer { namespace },
            Change::Epoch { package, number: 2 },
        ]
    }

    #[test]
    fn every_kind_reads_as_it_is_written() {
        for change in changes() {
            let entry = entry(change);
            let bytes = entry.to_bytes().expect("small");
            let text = String::from_utf8(bytes.clone()).expect("UTF-8");
            assert!(
                text.contains(&format!(r#""kind":"{}""#, entry.change().kind())),
                "{text}"
            );
            assert!(entry.change().subject().starts_with("demo"));
            assert_eq!(Entry::parse(&bytes).expect(&text), entry);
            if entry.change().kind() == "publish" {
                assert_eq!(text, PUBLISH);
            }
        }
    }

    #[test]
    fn hostile_entries_are_refused() {
        let large = format!("{PUBLISH}{}", " ".repeat(MAX_ENTRY));
        let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(10_000));
        let texts = [
            String::new(),
            "null".into(),
            "[]".into(),
            "{}".into(),
            deep,
            large,
            format!(" {PUBLISH}"),
            format!("{PUBLISH}\n"),
            format!("{PUBLISH}{PUBLISH}"),
            PUBLISH.replace(r#""v":1,"#, ""),
            PUBLISH.replace(r#""v":1,"#, r#""v":1,"v":1,"#),
            PUBLISH.replace(r#""v":1"#, r#""v":1.0"#),
            PUBLISH.replace(r#""v":1"#, r#""v":257"#),
            PUBLISH.replace(r#""v":1"#, r#""v":"1""#),
            PUBLISH.replace(r#""kind":"publish""#, r#""kind":"unheard-of""#),
            PUBLISH.replace(r#""kind":"publish""#, r#""kind":"yank""#),
            PUBLISH.replace(r#""v":1"#, r#""v":1,"vv":1"#),
            PUBLISH.replace("demo/pass", "demo"),
            PUBLISH.replace("demo/pass", "demo/../pass"),
            PUBLISH.replace("demo/pass", r"demo/p\u0061ss"),
            PUBLISH.replace("1.0.0", "01.0.0"),
            PUBLISH.replace("12:00:00Z", "12:00:00.5Z"),
            PUBLISH.replace("12:00:00Z", "13:00:00+01:00"),
            PUBLISH.replace("sha256:44", "sha256:GG"),
        ];
        for text in texts {
            let error = Entry::parse(text.as_bytes()).expect_err(&text).to_string();
            assert!(error.len() < 600, "{error}");
        }
        let later = PUBLISH.replace(r#""v":1"#, r#""v":2"#);
        assert_eq!(Entry::parse(later.as_bytes()), Err(EntryError::Format(2)));
    }

    proptest! {
        #[test]
        fn a_changed_entry_is_refused_or_is_another(at in 0..PUBLISH.len(), bit in 0..8) {
            let mut bytes = PUBLISH.as_bytes().to_vec();
            bytes[at] ^= 1_u8 << bit;
            if let Ok(entry) = Entry::parse(&bytes) {
                prop_assert_eq!(entry.to_bytes().expect("small"), bytes);
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Entry::parse(&bytes);
        }
    }
}
