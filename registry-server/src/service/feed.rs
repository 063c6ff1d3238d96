// SPDX-License-Identifier: Apache-2.0
//! What was published last, for those who follow along.

use registry_schema::{Namespace, PackageManifest, PackageName, Version};

use super::{
    ServiceError,
    access::{self, Caller, Right},
};
use crate::{app::App, store};

/// Entries of a feed.
const ENTRIES: i64 = 50;

/// Whose publishes are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// Everybody's, as far as everybody may see it.
    Everything,
    /// One namespace's.
    Namespace(Namespace),
    /// One package's.
    Package(PackageName),
}

/// A version that was published, or a new signer epoch.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The package.
    pub package: PackageName,
    /// The version; none for an epoch.
    pub version: Option<Version>,
    /// The number of the epoch, for one.
    pub epoch: Option<u32>,
    /// When.
    pub published_at: chrono::DateTime<chrono::Utc>,
    /// By whom.
    pub published_by: String,
    /// What the package is, in one sentence.
    pub summary: String,
}

/// The newest first.
///
/// # Errors
/// [`ServiceError::NamespaceUnknown`] for who may not read the namespace, as if it did not
/// exist; [`ServiceError::Store`].
pub async fn latest(
    app: &App,
    caller: &Caller,
    followed: &Followed,
) -> Result<Vec<Entry>, ServiceError> {
    let (namespace, package) = match followed {
        Followed::Everything => (String::new(), String::new()),
        Followed::Namespace(namespace) => (namespace.to_string(), String::new()),
        Followed::Package(package) => (package.namespace().to_string(), package.to_string()),
    };
    if !namespace.is_empty() && access::right(app, caller, &namespace).await? < Right::Read {
        return Err(ServiceError::NamespaceUnknown(namespace));
    }
    let found = store::feed::latest(&app.db, &namespace, &package, ENTRIES).await?;
    let summary = |config: &str| {
        PackageManifest::from_json(config.as_bytes())
            .map_or_else(|_| String::new(), |manifest| manifest.package.summary)
    };
    let versions = found.into_iter().map(|entry| Entry {
        summary: summary(&entry.config),
        package: entry.package,
        version: Some(entry.version),
        epoch: None,
        published_at: entry.published_at,
        published_by: entry.published_by,
    });
    let epochs = store::feed::epochs(&app.db, &namespace, &package, ENTRIES).await?;
    let epochs = epochs.into_iter().map(|epoch| Entry {
        summary: match epoch.cause.as_str() {
            "transfer" => "Its namespace was handed over; nothing that was earned before counts.",
            _ => "Others sign it than before, whom those had not named; nothing that was earned before counts.",
        }
        .to_owned(),
        package: epoch.package,
        version: None,
        epoch: Some(epoch.number),
        published_at: epoch.began_at,
        published_by: String::new(),
    });
    let mut entries: Vec<Entry> = versions.chain(epochs).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.published_at));
    entries.truncate(usize::try_from(ENTRIES).unwrap_or(usize::MAX));
    Ok(entries)
}
