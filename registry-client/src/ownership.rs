// SPDX-License-Identifier: Apache-2.0
//! Whose a namespace is: handing it over, and what shows who stands behind it, by the REST
//! API.

use registry_schema::{
    Namespace,
    namespace_identity::{NewProof, NewTransfer, Proof, ProofKind, Transfer},
};
use reqwest::Method;

use crate::registry::{Registry, RegistryError};

/// Nothing to send.
const NOTHING: Option<&()> = None;

impl Registry {
    /// To whom a namespace is being handed over, if to anybody.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] or, for changes, [`RegistryError::Unknown`] if there is no such
    /// namespace, as for all calls here.
    pub async fn transfer(&self, namespace: &Namespace) -> Result<Option<Transfer>, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "transfer"];
        self.get_json(&path, &[], &format!("namespace `{namespace}`"))
            .await
    }

    /// Offers a namespace to another account.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] for who does not own it, [`RegistryError::Conflict`] if it
    /// is offered already.
    pub async fn offer_transfer(
        &self,
        namespace: &Namespace,
        to: &str,
    ) -> Result<Transfer, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "transfer"];
        let body = NewTransfer { to: to.to_owned() };
        let what = format!("handing `{namespace}` over to `{to}`");
        self.api(Method::POST, &path, &[], Some(&body), &what).await
    }

    /// Accepts a namespace that was offered to this account.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] if it was not.
    pub async fn accept_transfer(&self, namespace: &Namespace) -> Result<Transfer, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "transfer", "accept"];
        let what = format!("taking `{namespace}` over");
        self.api(Method::POST, &path, &[], NOTHING, &what).await
    }

    /// Calls a transfer off.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] if there is none.
    pub async fn cancel_transfer(&self, namespace: &Namespace) -> Result<(), RegistryError> {
        let path = ["namespaces", namespace.as_str(), "transfer"];
        let what = format!("calling the transfer of `{namespace}` off");
        let done = self.call(Method::DELETE, &path, &[], NOTHING, &what).await;
        done.map(drop)
    }

    /// What shows who stands behind a namespace.
    ///
    /// # Errors
    /// As for all calls here.
    pub async fn proofs(&self, namespace: &Namespace) -> Result<Vec<Proof>, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "proofs"];
        self.get_json(&path, &[], &format!("namespace `{namespace}`"))
            .await
    }

    /// Adds a domain or account that stands behind a namespace, or has it looked at again.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] for what is none, or is not asked by the registry.
    pub async fn add_proof(
        &self,
        namespace: &Namespace,
        new: &NewProof,
    ) -> Result<Proof, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "proofs"];
        let what = format!("a proof for `{namespace}`");
        self.api(Method::POST, &path, &[], Some(new), &what).await
    }

    /// Takes a domain or account back.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] if there is none.
    pub async fn remove_proof(
        &self,
        namespace: &Namespace,
        kind: ProofKind,
        subject: &str,
    ) -> Result<(), RegistryError> {
        let path = [
            "namespaces",
            namespace.as_str(),
            "proofs",
            kind.as_str(),
            subject,
        ];
        let what = format!("taking `{subject}` from `{namespace}`");
        let done = self.call(Method::DELETE, &path, &[], NOTHING, &what).await;
        done.map(drop)
    }
}
