// SPDX-License-Identifier: Apache-2.0
//! Who may sign for a namespace, and how that changes, by the REST API.

use registry_schema::{
    Namespace,
    account::NamespaceChange,
    api::NamespaceDetail,
    namespace_identity::{
        AcceptedContinuity, IdentityRevocation, NamespaceIdentity, NewContinuity,
        NewIdentityRevocation, NewNamespaceIdentity,
    },
    trust::policy::SignerPattern,
};
use reqwest::Method;

use crate::registry::{Registry, RegistryError};

/// Nothing to send.
const NOTHING: Option<&()> = None;

impl Registry {
    /// Who may sign for a namespace on an issuer's word.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] or, for changes, [`RegistryError::Unknown`] if there is no such
    /// namespace, as for all calls here.
    pub async fn identities(
        &self,
        namespace: &Namespace,
    ) -> Result<Vec<NamespaceIdentity>, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "identities"];
        let what = format!("the identities of `{namespace}`");
        self.get_json(&path, &[], &what).await
    }

    /// Lets people or jobs sign for a namespace on an issuer's word.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] for who does not maintain it,
    /// [`RegistryError::Refused`] for a pattern that is everybody.
    pub async fn add_identity(
        &self,
        namespace: &Namespace,
        identity: &SignerPattern,
    ) -> Result<NamespaceIdentity, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "identities"];
        let body = NewNamespaceIdentity {
            identity: identity.clone(),
        };
        let what = format!("binding `{identity}` to `{namespace}`");
        self.api(Method::POST, &path, &[], Some(&body), &what).await
    }

    /// Takes an identity away from a namespace.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] if it has none, or it was revoked.
    pub async fn remove_identity(
        &self,
        namespace: &Namespace,
        identity: &SignerPattern,
    ) -> Result<(), RegistryError> {
        let text = identity.to_string();
        let path = ["namespaces", namespace.as_str(), "identities", &text];
        let what = format!("taking `{identity}` from `{namespace}`");
        let done = self.call(Method::DELETE, &path, &[], NOTHING, &what).await;
        done.map(drop)
    }

    /// Revokes a key or identity of a namespace.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] if it has none, or it was revoked more strictly.
    pub async fn revoke_identity(
        &self,
        namespace: &Namespace,
        new: &NewIdentityRevocation,
    ) -> Result<IdentityRevocation, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "revocations"];
        let what = format!("revoking `{}` of `{namespace}`", new.identity);
        self.api(Method::POST, &path, &[], Some(new), &what).await
    }

    /// The continuity statements of a namespace, oldest first.
    ///
    /// # Errors
    /// As for all calls here.
    pub async fn continuity(
        &self,
        namespace: &Namespace,
    ) -> Result<Vec<AcceptedContinuity>, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "continuity"];
        let what = format!("the continuity statements of `{namespace}`");
        self.get_json(&path, &[], &what).await
    }

    /// Hands in a continuity statement.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] if it is none, or not for this namespace.
    pub async fn hand_in_continuity(
        &self,
        namespace: &Namespace,
        new: &NewContinuity,
    ) -> Result<AcceptedContinuity, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "continuity"];
        let what = format!("a continuity statement for `{namespace}`");
        self.api(Method::POST, &path, &[], Some(new), &what).await
    }

    /// Sets how many identities of a namespace must sign a version.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] for who does not own it.
    pub async fn set_threshold(
        &self,
        namespace: &Namespace,
        threshold: u64,
    ) -> Result<NamespaceDetail, RegistryError> {
        let path = ["namespaces", namespace.as_str()];
        let body = NamespaceChange {
            threshold: Some(threshold),
            ..NamespaceChange::default()
        };
        let what = format!("a threshold for `{namespace}`");
        self.api(Method::PATCH, &path, &[], Some(&body), &what)
            .await
    }
}
