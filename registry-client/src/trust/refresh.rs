// SPDX-License-Identifier: Apache-2.0
//! Fetching what changes of a pinned registry: the next versions of its trust root, and
//! its revocation feed. What it serves is checked against what is pinned and kept; the
//! rest is left to the decision, which knows how old is too old.

use chrono::{DateTime, TimeDelta, Utc};
use registry_schema::trust::{
    revocation::{Feed, FeedError, NewRevocation, Revoked},
    root::{RootError, SignedRoot},
};
use reqwest::Method;
use serde::Deserialize;

use super::{TrustError, TrustStore, TrustedRoot};
use crate::{
    Explain,
    layout::{Layout, LayoutError},
    memory::{MemoryError, MemoryStore},
    registry::{Registry, RegistryError},
};

/// How old a feed is before another is asked for.
const FRESH: TimeDelta = TimeDelta::minutes(5);
/// Most versions that a root may have gone on by.
const MOST_STEPS: usize = 1000;
const NOTHING: Option<&()> = None;

/// Why something new was not taken over.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The registry does not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The archive cannot be read.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The next root is refused.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The next root cannot be pinned.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The feed is refused, or cannot be kept.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

impl Explain for RefreshError {
    fn code(&self) -> &'static str {
        match self {
            Self::Registry(error) => error.code(),
            Self::Layout(error) => error.code(),
            Self::Root(_) => "trust::root",
            Self::Trust(error) => error.code(),
            Self::Memory(error) => error.code(),
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Registry(error) => error.exit_code(),
            Self::Layout(error) => error.exit_code(),
            Self::Root(_) => registry_schema::exit::VERIFICATION,
            Self::Trust(error) => error.exit_code(),
            Self::Memory(error) => error.exit_code(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.help(),
            Self::Layout(error) => error.help(),
            Self::Root(_) => Some(
                "what is pinned stays; ask the operator of the registry what happened".to_owned(),
            ),
            Self::Trust(error) => error.help(),
            Self::Memory(error) => error.help(),
        }
    }
}

impl Registry {
    /// Reads the registry's trust root, the newest unless a version is named; none if there
    /// is none.
    ///
    /// # Errors
    /// Whatever talking to the registry reports.
    pub async fn trust_root(&self, version: Option<u64>) -> Result<Option<Vec<u8>>, RegistryError> {
        let version = version.map(|version| version.to_string());
        let path: Vec<&str> = ["trust", "root"]
            .into_iter()
            .chain(version.as_deref())
            .collect();
        match self
            .call(Method::GET, &path, &[], NOTHING, "its trust root")
            .await
        {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(RegistryError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the registry's signed revocation feed.
    ///
    /// # Errors
    /// Whatever talking to the registry reports.
    pub async fn revocations(&self) -> Result<Vec<u8>, RegistryError> {
        let path = ["trust", "revocations"];
        let bytes = self.call(Method::GET, &path, &[], NOTHING, "its revocation feed");
        Ok(bytes.await?.to_vec())
    }
}

/// What a registry says of its own keys, for who writes its trust root.
#[derive(Deserialize)]
struct OwnKey {
    pem: String,
}

impl Registry {
    /// Reads the key that signs the registry's revocation feed, in PEM: for who writes its
    /// trust root. A client believes the root.
    ///
    /// # Errors
    /// Whatever talking to the registry reports.
    pub async fn feed_key(&self) -> Result<String, RegistryError> {
        let path = ["trust", "revocations", "key"];
        let key: OwnKey = self.get_json(&path, &[], "its revocation key").await?;
        Ok(key.pem)
    }

    /// Publishes a trust root.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] for who is no administrator; whatever talking to the
    /// registry reports.
    pub async fn publish_root(&self, root: &[u8]) -> Result<(), RegistryError> {
        let what = "the trust root";
        let document: serde_json::Value = serde_json::from_slice(root)
            .map_err(|error| self.context(what).malformed(error.to_string()))?;
        let path = ["trust", "root"];
        self.call(Method::PUT, &path, &[], Some(&document), what)
            .await
            .map(drop)
    }

    /// Revokes something, for ever.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] for who may not, [`RegistryError::Conflict`] if it is
    /// revoked already; whatever talking to the registry reports.
    pub async fn revoke(&self, new: &NewRevocation) -> Result<Revoked, RegistryError> {
        let (path, what) = (["trust", "revocations"], new.subject.to_string());
        self.api(Method::POST, &path, &[], Some(new), &what).await
    }
}

/// What came of a refresh.
#[derive(Debug, Default)]
pub struct Refreshed {
    /// The version of the root that is pinned now, if it is another than before.
    pub root: Option<u64>,
    /// What was not taken over, and why. What is pinned and kept stays.
    pub problems: Vec<RefreshError>,
}

/// Brings the pinned root of a registry and its revocation feed up to date. Without a
/// pinned root there is nothing to do.
pub async fn refresh(
    registry: &Registry,
    trust: &mut TrustStore,
    memory: &MemoryStore,
    now: DateTime<Utc>,
) -> Refreshed {
    let mut refreshed = Refreshed::default();
    match follow(registry, trust, now).await {
        Ok(root) => refreshed.root = root,
        Err(error) => refreshed.problems.push(error),
    }
    if let Some(root) = trust.root_of(registry.host())
        && let Err(error) = update_feed(registry, root.signed(), memory, now).await
    {
        refreshed.problems.push(error);
    }
    refreshed
}

/// Brings the pinned root of `host` and its revocation feed up to date with what came along
/// in an archive.
pub fn refresh_from(
    layout: &Layout,
    host: &str,
    trust: &mut TrustStore,
    memory: &MemoryStore,
    now: DateTime<Utc>,
) -> Refreshed {
    let mut refreshed = Refreshed::default();
    match follow_in(layout, host, trust, now) {
        Ok(root) => refreshed.root = root,
        Err(error) => refreshed.problems.push(error),
    }
    let Some(root) = trust.root_of(host).map(TrustedRoot::signed) else {
        return refreshed;
    };
    match layout.revocations(host) {
        Ok(feeds) => {
            for feed in feeds {
                match memory.take_feed(root, &feed) {
                    // What is kept is newer: no fault of an archive that lay in a drawer.
                    Ok(_) | Err(MemoryError::Feed(FeedError::Rollback { .. })) => {}
                    Err(error) => refreshed.problems.push(error.into()),
                }
            }
        }
        Err(error) => refreshed.problems.push(error.into()),
    }
    refreshed
}

fn follow_in(
    layout: &Layout,
    host: &str,
    trust: &mut TrustStore,
    now: DateTime<Utc>,
) -> Result<Option<u64>, RefreshError> {
    let mut changed = None;
    for bytes in layout.trust_roots(host)? {
        let Some(pinned) = trust.root_of(host) else {
            return Ok(changed);
        };
        let next = SignedRoot::open(&bytes)?;
        if next.root().version <= pinned.signed().root().version {
            continue;
        }
        pinned.signed().check_next(&next)?;
        changed = Some(next.root().version);
        trust.pin(TrustedRoot::new(next, Some(now))?);
    }
    Ok(changed)
}

/// Goes on from the pinned root to the newest, one version at a time.
async fn follow(
    registry: &Registry,
    trust: &mut TrustStore,
    now: DateTime<Utc>,
) -> Result<Option<u64>, RefreshError> {
    let mut changed = None;
    for _ in 0..MOST_STEPS {
        let Some(pinned) = trust.root_of(registry.host()) else {
            return Ok(changed);
        };
        let next = pinned.signed().root().version.saturating_add(1);
        let Some(bytes) = registry.trust_root(Some(next)).await? else {
            return Ok(changed);
        };
        let signed = SignedRoot::open(&bytes)?;
        pinned.signed().check_next(&signed)?;
        trust.pin(TrustedRoot::new(signed, Some(now))?);
        changed = Some(next);
    }
    Ok(changed)
}

async fn update_feed(
    registry: &Registry,
    root: &SignedRoot,
    memory: &MemoryStore,
    now: DateTime<Utc>,
) -> Result<(), RefreshError> {
    let Some((keys, needed)) = root.revocation_keys() else {
        return Ok(());
    };
    let kept = memory.feed(registry.host())?;
    let kept = kept.and_then(|bytes| Feed::open(&bytes.0, keys, needed).ok());
    let fresh = |issued_at: DateTime<Utc>| now >= issued_at && now - issued_at < FRESH;
    if kept.is_some_and(|feed| fresh(feed.issued_at)) {
        return Ok(());
    }
    let bytes = registry.revocations().await?;
    memory.take_feed(root, &bytes)?;
    Ok(())
}
