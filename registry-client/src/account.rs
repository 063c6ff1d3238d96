// SPDX-License-Identifier: Apache-2.0
//! Accounts, tokens, members and trusted publishers, by the REST API.

use registry_schema::{
    Namespace,
    account::{
        AccountChange, AccountDetail, CertificateDetail, Exchange, Member, NamespaceChange,
        NewAccount, NewCertificate, NewIdentity, NewMember, NewToken, NewTokenAnswer,
        NewTrustedPublisher, OwnAccount, PasswordChange, Role, TokenDetail, TrustedPublisher,
    },
    api::{NamespaceDetail, Visibility},
};
use reqwest::Method;

use crate::registry::{Registry, RegistryError};

/// Nothing to send.
const NOTHING: Option<&()> = None;

impl Registry {
    /// Reads the caller's own account.
    ///
    /// # Errors
    /// [`RegistryError::LoginNeeded`] if nobody is logged in; whatever talking to the registry
    /// reports, as for all calls here.
    pub async fn own_account(&self) -> Result<OwnAccount, RegistryError> {
        self.api(Method::GET, &["account"], &[], NOTHING, "your account")
            .await
    }

    /// Changes the caller's password.
    ///
    /// # Errors
    /// [`RegistryError::LoginNeeded`] if the old one is wrong.
    pub async fn change_password(&self, change: &PasswordChange) -> Result<(), RegistryError> {
        let path = ["account", "password"];
        self.call(Method::PUT, &path, &[], Some(change), "your password")
            .await
            .map(drop)
    }

    /// Lists up to 1000 accounts whose names come after `last`.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] for who is no administrator, as for all of accounts,
    /// identities and certificates.
    pub async fn accounts(&self, last: &str) -> Result<Vec<AccountDetail>, RegistryError> {
        let query = [("last", last)];
        self.api(Method::GET, &["accounts"], &query, NOTHING, "the accounts")
            .await
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] if there is one of the name.
    pub async fn create_account(&self, new: &NewAccount) -> Result<AccountDetail, RegistryError> {
        let what = format!("account `{}`", new.name);
        self.api(Method::POST, &["accounts"], &[], Some(new), &what)
            .await
    }

    /// Changes an account.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] if there is none of the name, [`RegistryError::Conflict`] if
    /// no administrator would be left.
    pub async fn change_account(
        &self,
        name: &str,
        change: &AccountChange,
    ) -> Result<AccountDetail, RegistryError> {
        let what = format!("account `{name}`");
        self.api(Method::PATCH, &["accounts", name], &[], Some(change), &what)
            .await
    }

    /// Lets an identity of the login provider be an account.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] if it is one already.
    pub async fn link_account(
        &self,
        name: &str,
        identity: &NewIdentity,
    ) -> Result<(), RegistryError> {
        let path = ["accounts", name, "identities"];
        let what = format!("identity `{}` of account `{name}`", identity.subject);
        self.call(Method::POST, &path, &[], Some(identity), &what)
            .await
            .map(drop)
    }

    /// Lists the client certificates that stand for accounts.
    ///
    /// # Errors
    /// As for [`Registry::accounts`].
    pub async fn certificates(&self) -> Result<Vec<CertificateDetail>, RegistryError> {
        let what = "the client certificates";
        self.api(Method::GET, &["certificates"], &[], NOTHING, what)
            .await
    }

    /// Lets a client certificate stand for an account.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] if it stands for one already.
    pub async fn add_certificate(
        &self,
        new: &NewCertificate,
    ) -> Result<CertificateDetail, RegistryError> {
        let what = format!("certificate {}:{}", new.kind, new.value);
        self.api(Method::POST, &["certificates"], &[], Some(new), &what)
            .await
    }

    /// Lets a client certificate stand for nobody.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] if it did not stand for anybody.
    pub async fn remove_certificate(&self, kind: &str, value: &str) -> Result<(), RegistryError> {
        let path = ["certificates", kind, value];
        let what = format!("certificate {kind}:{value}");
        self.call(Method::DELETE, &path, &[], NOTHING, &what)
            .await
            .map(drop)
    }

    /// Makes a token. Its secret is in the answer and nowhere else.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] if it would be wider than what the caller came with.
    pub async fn create_token(&self, new: &NewToken) -> Result<NewTokenAnswer, RegistryError> {
        self.api(Method::POST, &["tokens"], &[], Some(new), "a token")
            .await
    }

    /// Lists the caller's tokens, oldest first.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] if the caller's own token is limited.
    pub async fn tokens(&self) -> Result<Vec<TokenDetail>, RegistryError> {
        self.api(Method::GET, &["tokens"], &[], NOTHING, "your tokens")
            .await
    }

    /// Revokes a token, and all that were made with it.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] if the caller has none of that id.
    pub async fn revoke_token(&self, id: &str) -> Result<(), RegistryError> {
        let path = ["tokens", id];
        self.call(
            Method::DELETE,
            &path,
            &[],
            NOTHING,
            &format!("token `{id}`"),
        )
        .await
        .map(drop)
    }

    /// Exchanges the ID token of a CI job for a token that publishes for 30 minutes.
    ///
    /// # Errors
    /// [`RegistryError::LoginNeeded`] if no namespace trusts the job.
    pub async fn exchange(&self, asked: &Exchange) -> Result<NewTokenAnswer, RegistryError> {
        let path = ["oidc", "exchange"];
        self.api(Method::POST, &path, &[], Some(asked), "the ID token")
            .await
    }

    /// Changes who may read a namespace.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] if the caller does not own it.
    pub async fn set_visibility(
        &self,
        namespace: &Namespace,
        visibility: Visibility,
    ) -> Result<NamespaceDetail, RegistryError> {
        let body = NamespaceChange {
            visibility: Some(visibility),
            threshold: None,
        };
        let path = ["namespaces", namespace.as_str()];
        let what = format!("namespace `{namespace}`");
        self.api(Method::PATCH, &path, &[], Some(&body), &what)
            .await
    }

    /// Deletes a namespace that holds no repositories.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] if it holds some.
    pub async fn delete_namespace(&self, namespace: &Namespace) -> Result<(), RegistryError> {
        let path = ["namespaces", namespace.as_str()];
        let what = format!("namespace `{namespace}`");
        self.call(Method::DELETE, &path, &[], NOTHING, &what)
            .await
            .map(drop)
    }

    /// Lists the members of a namespace.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] if the caller is none.
    pub async fn members(&self, namespace: &Namespace) -> Result<Vec<Member>, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "members"];
        let what = format!("the members of `{namespace}`");
        self.api(Method::GET, &path, &[], NOTHING, &what).await
    }

    /// Gives an account a role.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] if the last owner would lose the role,
    /// [`RegistryError::Unknown`] if there is no such account.
    pub async fn set_member(
        &self,
        namespace: &Namespace,
        account: &str,
        role: Role,
    ) -> Result<Member, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "members", account];
        let what = format!("member `{account}` of `{namespace}`");
        let body = NewMember { role };
        self.api(Method::PUT, &path, &[], Some(&body), &what).await
    }

    /// Takes an account's role away.
    ///
    /// # Errors
    /// As for [`Registry::set_member`].
    pub async fn remove_member(
        &self,
        namespace: &Namespace,
        account: &str,
    ) -> Result<(), RegistryError> {
        let path = ["namespaces", namespace.as_str(), "members", account];
        let what = format!("member `{account}` of `{namespace}`");
        self.call(Method::DELETE, &path, &[], NOTHING, &what)
            .await
            .map(drop)
    }

    /// Lists the trusted publishers of a namespace.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`] if the caller does not maintain it.
    pub async fn publishers(
        &self,
        namespace: &Namespace,
    ) -> Result<Vec<TrustedPublisher>, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "trusted-publishers"];
        let what = format!("the trusted publishers of `{namespace}`");
        self.api(Method::GET, &path, &[], NOTHING, &what).await
    }

    /// Adds a trusted publisher.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] if there is one of the name.
    pub async fn add_publisher(
        &self,
        namespace: &Namespace,
        new: &NewTrustedPublisher,
    ) -> Result<TrustedPublisher, RegistryError> {
        let path = ["namespaces", namespace.as_str(), "trusted-publishers"];
        let what = format!("trusted publisher `{}` of `{namespace}`", new.name);
        self.api(Method::POST, &path, &[], Some(new), &what).await
    }

    /// Removes a trusted publisher; its tokens end at once.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] if there is none of the name.
    pub async fn remove_publisher(
        &self,
        namespace: &Namespace,
        name: &str,
    ) -> Result<(), RegistryError> {
        let path = ["namespaces", namespace.as_str(), "trusted-publishers", name];
        let what = format!("trusted publisher `{name}` of `{namespace}`");
        self.call(Method::DELETE, &path, &[], NOTHING, &what)
            .await
            .map(drop)
    }
}
