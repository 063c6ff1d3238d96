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

/// A version that was published.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The package.
    pub package: PackageName,
    /// The version.
    pub version: Version,
    /// When.
    pub published_at: chrono::DateTime<chrono::Utc>,
    /// By whom.
    pub published_by: String,
    /// What the package is, in one sentence.
    pub summary: String,
}

/// The newest versions first.
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
    Ok(found
        .into_iter()
        .map(|entry| Entry {
            summary: summary(&entry.config),
            package: entry.package,
            version: entry.version,
            published_at: entry.published_at,
            published_by: entry.published_by,
        })
        .collect())
}
