// SPDX-License-Identifier: Apache-2.0
//! What a registry of ours knows of others: where it fetches from, what it lists without
//! having it, whom it tells.

use registry_schema::{
    Namespace, PackageName,
    federation::{
        CreatedWebhook, Delivery, Foreign, NewForeign, NewUpstreams, NewWebhook, Upstream, Webhook,
    },
};
use reqwest::Method;

use crate::registry::{Registry, RegistryError};

impl Registry {
    /// The registries that a namespace's content comes from.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] for who does not own the namespace, as for all calls
    /// here.
    pub async fn upstreams(&self, namespace: &Namespace) -> Result<Vec<Upstream>, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "upstreams"];
        self.get_json(&path, &[], &format!("the upstreams of `{namespace}`"))
            .await
    }

    /// Sets the registries that a namespace's content is fetched from.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] for who is no administrator,
    /// [`RegistryError::Refused`] for an address that the server does not connect to.
    pub async fn set_upstreams(
        &self,
        namespace: &Namespace,
        new: &NewUpstreams,
    ) -> Result<Vec<Upstream>, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "upstreams"];
        let what = format!("the upstreams of `{namespace}`");
        self.api(Method::PUT, &path, &[], Some(new), &what).await
    }

    /// Lists a version whose bytes stay in another registry.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] if it is no version of that package.
    pub async fn list_foreign(
        &self,
        package: &PackageName,
        new: &NewForeign,
    ) -> Result<Foreign, RegistryError> {
        let path = [
            "packages",
            package.namespace().as_str(),
            package.name(),
            "foreign",
        ];
        let what = format!("listing `{}` as `{package}`", new.source);
        self.api(Method::POST, &path, &[], Some(new), &what).await
    }

    /// The webhooks of a namespace.
    ///
    /// # Errors
    /// As [`Registry::upstreams`].
    pub async fn webhooks(&self, namespace: &Namespace) -> Result<Vec<Webhook>, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "webhooks"];
        self.get_json(&path, &[], &format!("the webhooks of `{namespace}`"))
            .await
    }

    /// Makes a webhook; the answer is the only one with its secret.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] for an address that the server does not send to.
    pub async fn create_webhook(
        &self,
        namespace: &Namespace,
        new: &NewWebhook,
    ) -> Result<CreatedWebhook, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "webhooks"];
        let what = format!("a webhook for `{namespace}`");
        self.api(Method::POST, &path, &[], Some(new), &what).await
    }

    /// Removes a webhook.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] if there is none.
    pub async fn delete_webhook(
        &self,
        namespace: &Namespace,
        id: &str,
    ) -> Result<(), RegistryError> {
        let path = ["namespaces", namespace.as_str(), "webhooks", id];
        let what = format!("webhook `{id}` of `{namespace}`");
        self.call(Method::DELETE, &path, &[], None::<&()>, &what)
            .await
            .map(drop)
    }

    /// Has a message sent to a webhook to try it, and switches it on again.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] if there is none.
    pub async fn test_webhook(&self, namespace: &Namespace, id: &str) -> Result<(), RegistryError> {
        let path = ["namespaces", namespace.as_str(), "webhooks", id, "test"];
        let what = format!("webhook `{id}` of `{namespace}`");
        self.call(Method::POST, &path, &[], None::<&()>, &what)
            .await
            .map(drop)
    }

    /// The newest messages to a webhook.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if there is none.
    pub async fn deliveries(
        &self,
        namespace: &Namespace,
        id: &str,
    ) -> Result<Vec<Delivery>, RegistryError> {
        let path = [
            "namespaces",
            namespace.as_str(),
            "webhooks",
            id,
            "deliveries",
        ];
        self.get_json(&path, &[], &format!("webhook `{id}` of `{namespace}`"))
            .await
    }
}
