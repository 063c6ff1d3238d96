// SPDX-License-Identifier: Apache-2.0
//! What a namespace holds and may hold, by the REST API.

use registry_schema::{
    Namespace,
    storage::{Expired, NamespaceStorage, StorageRules},
};
use reqwest::Method;

use crate::registry::{Registry, RegistryError};

/// Nothing to send.
const NOTHING: Option<&()> = None;

impl Registry {
    /// What a namespace holds, and its rules.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] for who does not own it, as for all calls here.
    pub async fn storage(&self, namespace: &Namespace) -> Result<NamespaceStorage, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "storage"];
        let what = format!("the storage of `{namespace}`");
        self.api(Method::GET, &path, &[], NOTHING, &what).await
    }

    /// Sets all rules of a namespace.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] also if the quota would change and the caller is no
    /// administrator; [`RegistryError::Refused`] for a number that no rule may have.
    pub async fn set_storage(
        &self,
        namespace: &Namespace,
        rules: &StorageRules,
    ) -> Result<NamespaceStorage, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "storage"];
        let what = format!("the storage rules of `{namespace}`");
        self.api(Method::PUT, &path, &[], Some(rules), &what).await
    }

    /// Removes what the rules let go, or only says what that would be.
    ///
    /// # Errors
    /// As for [`Registry::storage`].
    pub async fn expire(
        &self,
        namespace: &Namespace,
        dry_run: bool,
    ) -> Result<Expired, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "storage", "expire"];
        let query = [("dry_run", if dry_run { "true" } else { "false" })];
        let what = format!("the old content of `{namespace}`");
        self.api(Method::POST, &path, &query, NOTHING, &what).await
    }
}
