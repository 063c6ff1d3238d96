// SPDX-License-Identifier: Apache-2.0
//! The catalogue of a bpfpkg registry, over its REST API. What it says of a
//! signature is the registry's view; [`crate::verify`] decides.

use registry_schema::{
    Namespace, PackageName, Version,
    api::{
        NamespaceDetail, NamespaceKey, NewDeprecation, NewKey, NewNamespace, PROBLEM,
        PackageDetail, PackageList, Stars, VersionDetail, Visibility, Yank,
    },
    notice::Notice,
    signature::Fingerprint,
};
use reqwest::{Method, header::CONTENT_TYPE};
use serde::{Serialize, de::DeserializeOwned};

use crate::registry::{Registry, RegistryError, read_body};

/// Largest answer of the REST API, in bytes.
const MAX_ANSWER_BYTES: u64 = 16 << 20;

impl Registry {
    /// Searches packages by words; `offset` is where the page begins.
    ///
    /// # Errors
    /// Whatever talking to the registry reports, as for all calls here.
    pub async fn search(
        &self,
        words: &str,
        limit: u32,
        offset: u64,
    ) -> Result<PackageList, RegistryError> {
        let (limit, offset) = (limit.to_string(), offset.to_string());
        let query = [
            ("q", words),
            ("limit", limit.as_str()),
            ("offset", offset.as_str()),
        ];
        self.get_json(&["search"], &query, "the search").await
    }

    /// Reads a package with its versions.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if there is none.
    pub async fn package(&self, name: &PackageName) -> Result<PackageDetail, RegistryError> {
        let path = ["packages", name.namespace().as_str(), name.name()];
        self.get_json(&path, &[], &format!("package `{name}`"))
            .await
    }

    /// Reads a version with all that is known of it.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if there is none.
    pub async fn version(
        &self,
        name: &PackageName,
        version: &Version,
    ) -> Result<VersionDetail, RegistryError> {
        let text = version.to_string();
        let path = [
            "packages",
            name.namespace().as_str(),
            name.name(),
            "versions",
            &text,
        ];
        self.get_json(&path, &[], &format!("package `{name}:{version}`"))
            .await
    }

    /// Gives a package a star, or takes it back.
    ///
    /// # Errors
    /// [`RegistryError::LoginNeeded`] if nobody is logged in.
    pub async fn star(&self, name: &PackageName, give: bool) -> Result<Stars, RegistryError> {
        let path = ["packages", name.namespace().as_str(), name.name(), "star"];
        let method = if give { Method::PUT } else { Method::DELETE };
        self.api(
            method,
            &path,
            &[],
            None::<&()>,
            &format!("a star for `{name}`"),
        )
        .await
    }

    /// Withdraws a version, for a reason, or with none takes the withdrawal back.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] if there is no such version,
    /// [`RegistryError::Forbidden`] if this account may not.
    pub async fn yank(
        &self,
        name: &PackageName,
        version: &Version,
        reason: Option<&Notice>,
    ) -> Result<(), RegistryError> {
        let text = version.to_string();
        let (namespace, what) = (name.namespace().as_str(), format!("`{name}:{version}`"));
        let path = [
            "packages",
            namespace,
            name.name(),
            "versions",
            &text,
            "yank",
        ];
        let body = reason.cloned().map(|reason| Yank { reason });
        let method = body.as_ref().map_or(Method::DELETE, |_| Method::PUT);
        let done = self.call(method, &path, &[], body.as_ref(), &what).await;
        done.map(drop)
    }

    /// Advises against a version, or without one against all of a package; with no advice
    /// takes it back.
    ///
    /// # Errors
    /// As [`Registry::yank`].
    pub async fn deprecate(
        &self,
        name: &PackageName,
        version: Option<&Version>,
        advice: Option<&NewDeprecation>,
    ) -> Result<(), RegistryError> {
        let version = version.map(ToString::to_string);
        let mut path = vec!["packages", name.namespace().as_str(), name.name()];
        if let Some(version) = &version {
            path.extend(["versions", version]);
        }
        path.push("deprecation");
        let method = advice.map_or(Method::DELETE, |_| Method::PUT);
        let what = format!("`{name}`");
        let done = self.call(method, &path, &[], advice, &what).await;
        done.map(drop)
    }

    /// Creates a namespace.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] if it exists, [`RegistryError::Forbidden`] if this
    /// account may not.
    pub async fn create_namespace(
        &self,
        name: &Namespace,
        visibility: Visibility,
    ) -> Result<NamespaceDetail, RegistryError> {
        let body = NewNamespace {
            name: name.clone(),
            visibility,
        };
        self.api(
            Method::POST,
            &["namespaces"],
            &[],
            Some(&body),
            &format!("namespace `{name}`"),
        )
        .await
    }

    /// Lists the namespaces that this account may see.
    ///
    /// # Errors
    /// Whatever talking reports.
    pub async fn namespaces(&self) -> Result<Vec<NamespaceDetail>, RegistryError> {
        self.get_json(&["namespaces"], &[], "the list of namespaces")
            .await
    }

    /// Lists the keys that a namespace has registered.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if there is no such namespace.
    pub async fn keys(&self, namespace: &Namespace) -> Result<Vec<NamespaceKey>, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "keys"];
        self.get_json(&path, &[], &format!("namespace `{namespace}`"))
            .await
    }

    /// Registers a public key for a namespace.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] if this account does not own it,
    /// [`RegistryError::Conflict`] if the key is registered.
    pub async fn add_key(
        &self,
        namespace: &Namespace,
        pem: &str,
    ) -> Result<NamespaceKey, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "keys"];
        let body = NewKey {
            pem: pem.to_owned(),
        };
        self.api(
            Method::POST,
            &path,
            &[],
            Some(&body),
            &format!("a key for namespace `{namespace}`"),
        )
        .await
    }

    /// Takes a public key from a namespace.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] if it is not registered.
    pub async fn remove_key(
        &self,
        namespace: &Namespace,
        fingerprint: &Fingerprint,
    ) -> Result<(), RegistryError> {
        let text = fingerprint.to_string();
        let path = ["namespaces", namespace.as_str(), "keys", &text];
        let what = format!("key `{fingerprint}` of namespace `{namespace}`");
        self.call(Method::DELETE, &path, &[], None::<&()>, &what)
            .await
            .map(drop)
    }

    /// Reads what is behind a path; `what` it is, for sentences.
    pub(crate) async fn get_json<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        what: &str,
    ) -> Result<T, RegistryError> {
        self.api(Method::GET, path, query, None::<&()>, what).await
    }

    pub(crate) async fn api<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&B>,
        what: &str,
    ) -> Result<T, RegistryError> {
        let bytes = self.call(method, path, query, body, what).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| self.context(what).malformed(error.to_string()))
    }

    pub(crate) async fn call<B: Serialize>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&B>,
        what: &str,
    ) -> Result<bytes::Bytes, RegistryError> {
        let context = self.context(what);
        let mut url = url::Url::parse(&self.base_url())
            .map_err(|error| context.malformed(error.to_string()))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            // Pushing escapes `/`, which fingerprints may contain.
            segments.extend(["api", "v1"]).extend(path);
        }
        let reading = method == Method::GET;
        let mut request = self.http().request(method, url).query(query);
        if let Some(credentials) = self.credentials() {
            request =
                request.basic_auth(&credentials.username, Some(credentials.password.as_str()));
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request
            .send()
            .await
            .map_err(|error| context.transport(&error))?;
        let status = response.status();
        let kind = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let understood = kind.is_some_and(|kind| kind.starts_with(PROBLEM));
        let bytes = read_body(response, MAX_ANSWER_BYTES, &context).await?;
        match status.as_u16() {
            200..300 => Ok(bytes),
            404 | 405 if !understood => {
                Err(context.malformed("it has no catalogue: it is another kind of registry"))
            }
            404 if !reading => Err(context.unknown(&bytes)),
            status => Err(context.status(status, &bytes)),
        }
    }
}
