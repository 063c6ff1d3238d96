// SPDX-License-Identifier: Apache-2.0
//! Proving who asks, once per repository and kind of access.

use std::time::{Duration, Instant};

use oci_client::secrets::RegistryAuth;
use reqwest::{RequestBuilder, header::WWW_AUTHENTICATE};

use super::{Registry, RegistryError, is_loopback, read::read_body};
use crate::token::{Access, Challenge, TokenAnswer, choose};

/// Largest answer of a token service, in bytes.
const MAX_TOKEN_BYTES: u64 = 64 << 10;

/// What is sent with each request, and until when.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) proof: RegistryAuth,
    until: Instant,
}

impl Registry {
    /// What to send with requests to `repository`, asking for a token if needed.
    pub(super) async fn prove(
        &self,
        repository: &str,
        access: Access,
    ) -> Result<RegistryAuth, RegistryError> {
        let key = (repository.to_owned(), access);
        let known = self
            .sessions
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get(&key)
            .cloned();
        if let Some(session) = known
            && session.until > Instant::now()
        {
            return Ok(session.proof);
        }
        let challenge = self
            .challenge
            .get_or_try_init(|| self.ask_challenge())
            .await?;
        let (proof, seconds) = match challenge {
            None => (RegistryAuth::Anonymous, 3600),
            Some(Challenge::Basic) => (self.basic(), 3600),
            Some(Challenge::Bearer { realm, service }) => {
                let scope = format!("repository:{repository}:{}", access.actions());
                let (token, seconds) = self
                    .ask_token(realm, service.as_deref(), Some(&scope))
                    .await?;
                (RegistryAuth::Bearer(token), seconds)
            }
        };
        // A token is renewed a little early, so that it does not end on the way.
        let until = Instant::now() + Duration::from_secs(seconds - seconds / 10);
        let session = Session {
            proof: proof.clone(),
            until,
        };
        self.sessions
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(key, session);
        Ok(proof)
    }

    /// Checks name and password without touching a repository.
    ///
    /// # Errors
    /// [`RegistryError::WrongPassword`] if the registry refuses them, and whatever
    /// talking to it reports.
    pub async fn check_login(&self) -> Result<(), RegistryError> {
        match self
            .challenge
            .get_or_try_init(|| self.ask_challenge())
            .await?
        {
            None => Ok(()),
            Some(Challenge::Bearer { realm, service }) => self
                .ask_token(realm, service.as_deref(), None)
                .await
                .map(drop),
            Some(Challenge::Basic) => {
                let context = self.context("the login");
                let request = apply(
                    self.http.get(format!("{}/v2/", self.base_url())),
                    &self.basic(),
                );
                let response = request
                    .send()
                    .await
                    .map_err(|error| context.transport(&error))?;
                let status = response.status();
                if status.is_success() {
                    Ok(())
                } else {
                    Err(context.status(status.as_u16(), b""))
                }
            }
        }
    }

    fn basic(&self) -> RegistryAuth {
        self.credentials()
            .map_or(RegistryAuth::Anonymous, |credentials| {
                RegistryAuth::Basic(
                    credentials.username.clone(),
                    credentials.password.to_string(),
                )
            })
    }

    async fn ask_challenge(&self) -> Result<Option<Challenge>, RegistryError> {
        let context = self.context("the question whether it is an OCI registry");
        let request = self.http.get(format!("{}/v2/", self.base_url()));
        let response = request
            .send()
            .await
            .map_err(|error| context.transport(&error))?;
        match response.status().as_u16() {
            200..300 => Ok(None),
            401 => {
                let lines = response.headers().get_all(WWW_AUTHENTICATE).iter();
                let challenge = choose(lines.filter_map(|line| line.to_str().ok()));
                challenge.map(Some).ok_or_else(|| {
                    context.malformed("it wants a login, and offers neither tokens nor passwords")
                })
            }
            404 => Err(context.malformed("there is no OCI registry at this address")),
            status => Err(context.status(status, b"")),
        }
    }

    async fn ask_token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
    ) -> Result<(String, u64), RegistryError> {
        let context = self.context("a token");
        let url = url::Url::parse(realm)
            .map_err(|error| context.malformed(format!("token address: {error}")))?;
        let host = url.host_str().unwrap_or_default();
        // A password goes in the clear only where the whole conversation does.
        let bare = !matches!(url.host(), Some(url::Host::Domain(_)));
        if self.guarded && bare && !self.same_host(host) {
            return Err(context.malformed("it wants the login at a bare address"));
        }
        if url.scheme() != "https" && !(self.plain && (is_loopback(host) || self.same_host(host))) {
            return Err(RegistryError::InsecureRealm {
                registry: self.host.clone(),
                realm: super::clean(realm),
            });
        }
        let mut query = Vec::new();
        query.extend(service.map(|service| ("service", service)));
        query.extend(scope.map(|scope| ("scope", scope)));
        let request = apply(self.http.get(url).query(&query), &self.basic());
        let response = request
            .send()
            .await
            .map_err(|error| context.transport(&error))?;
        let status = response.status();
        let bytes = read_body(response, MAX_TOKEN_BYTES, &context).await?;
        if !status.is_success() {
            // Both codes mean here that name and password are not accepted.
            let status = if status.as_u16() == 403 {
                401
            } else {
                status.as_u16()
            };
            return Err(context.status(status, &bytes));
        }
        let answer: TokenAnswer =
            serde_json::from_slice(&bytes).map_err(|error| context.malformed(error.to_string()))?;
        answer
            .token()
            .ok_or_else(|| context.malformed("the answer holds no usable token"))
    }

    fn same_host(&self, host: &str) -> bool {
        let own = self
            .host
            .rsplit_once(':')
            .map_or(self.host.as_str(), |(host, _)| host);
        own == host || self.host == host
    }
}

/// Adds the proof to a request.
pub(super) fn apply(request: RequestBuilder, proof: &RegistryAuth) -> RequestBuilder {
    match proof {
        RegistryAuth::Anonymous => request,
        RegistryAuth::Basic(username, password) => request.basic_auth(username, Some(password)),
        RegistryAuth::Bearer(token) => request.bearer_auth(token),
    }
}
