// SPDX-License-Identifier: Apache-2.0
//! What a registry demands before it shows a version, and what was decided, by the REST API.

use registry_schema::{
    PackageName, Version,
    review::{NewReview, QueuedVersion, RegistryDetail, Review},
};
use reqwest::Method;

use crate::registry::{Registry, RegistryError};

impl Registry {
    /// What the registry demands of a version, and the key of its records.
    ///
    /// # Errors
    /// Whatever talking to the registry reports, as for all calls here.
    pub async fn detail(&self) -> Result<RegistryDetail, RegistryError> {
        self.get_json(&["registry"], &[], "the registry").await
    }

    /// The versions that wait for a reviewer, the longest wait first.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] for who is no reviewer.
    pub async fn review_queue(&self) -> Result<Vec<QueuedVersion>, RegistryError> {
        self.get_json(&["reviews"], &[], "the queue of reviewers")
            .await
    }

    /// Approves or refuses a version.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] for who is no reviewer, or publishes in the namespace;
    /// [`RegistryError::Unknown`] if it does not wait.
    pub async fn review(
        &self,
        package: &PackageName,
        version: &Version,
        new: &NewReview,
    ) -> Result<Review, RegistryError> {
        let text = version.to_string();
        let namespace = package.namespace().as_str();
        let path = [
            "packages",
            namespace,
            package.name(),
            "versions",
            &text,
            "review",
        ];
        let what = format!("a decision about `{package}:{version}`");
        self.api(Method::PUT, &path, &[], Some(new), &what).await
    }

    /// What was decided about a version, oldest first.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if there is no such version.
    pub async fn reviews(
        &self,
        package: &PackageName,
        version: &Version,
    ) -> Result<Vec<Review>, RegistryError> {
        let text = version.to_string();
        let namespace = package.namespace().as_str();
        let path = [
            "packages",
            namespace,
            package.name(),
            "versions",
            &text,
            "reviews",
        ];
        let what = format!("`{package}:{version}`");
        self.get_json(&path, &[], &what).await
    }
}
