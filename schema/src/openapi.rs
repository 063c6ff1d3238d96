// SPDX-License-Identifier: Apache-2.0
//! The bodies of the REST API as components of its OpenAPI document (feature `openapi`).
//!
//! Each body derives `JsonSchema` once, and that is its only description: OpenAPI 3.1
//! speaks the same dialect of JSON Schema. A body is made known to routes by a line in the
//! list at the end of this file.

use std::borrow::Cow;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Ref, RefOr, Schema},
};

macro_rules! bodies {
    ($($body:ty),+ $(,)?) => {
        $(
            impl PartialSchema for $body {
                fn schema() -> RefOr<Schema> {
                    Ref::from_schema_name(<$body>::schema_name()).into()
                }
            }

            impl ToSchema for $body {
                fn name() -> Cow<'static, str> {
                    <$body>::schema_name()
                }
            }
        )+

        /// Every body and what it refers to: name → JSON Schema, for `components.schemas`.
        pub fn schemas() -> Map<String, Value> {
            let settings = SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            });
            let mut generator = settings.into_generator();
            $(generator.subschema_for::<$body>();)+
            generator.take_definitions(true)
        }
    };
}

bodies![
    crate::account::AccountChange,
    crate::account::AccountDetail,
    crate::account::CertificateDetail,
    crate::account::Exchange,
    crate::account::Member,
    crate::account::NamespaceChange,
    crate::account::NewAccount,
    crate::account::NewCertificate,
    crate::account::NewIdentity,
    crate::account::NewMember,
    crate::account::NewToken,
    crate::account::NewTokenAnswer,
    crate::account::NewTrustedPublisher,
    crate::account::OwnAccount,
    crate::account::PasswordChange,
    crate::account::TokenDetail,
    crate::account::TrustedPublisher,
    crate::api::Deprecation,
    crate::api::NamespaceDetail,
    crate::api::NamespaceKey,
    crate::api::NewDeprecation,
    crate::api::NewKey,
    crate::api::NewNamespace,
    crate::api::PackageDetail,
    crate::api::Problem,
    crate::api::SearchResult,
    crate::api::Stars,
    crate::api::VersionDetail,
    crate::api::Yank,
    crate::audit::AuditPage,
    crate::federation::CreatedWebhook,
    crate::federation::Delivery,
    crate::federation::Foreign,
    crate::federation::NewForeign,
    crate::federation::NewUpstreams,
    crate::federation::NewWebhook,
    crate::federation::Upstream,
    crate::federation::Webhook,
    crate::namespace_identity::AcceptedContinuity,
    crate::namespace_identity::IdentityRevocation,
    crate::namespace_identity::NamespaceIdentity,
    crate::namespace_identity::NewContinuity,
    crate::namespace_identity::NewIdentityRevocation,
    crate::namespace_identity::NewNamespaceIdentity,
    crate::namespace_identity::NewProof,
    crate::namespace_identity::NewTransfer,
    crate::namespace_identity::Proof,
    crate::namespace_identity::Transfer,
    crate::review::NewReview,
    crate::review::QueuedVersion,
    crate::review::RegistryDetail,
    crate::review::Review,
    crate::storage::Expired,
    crate::storage::NamespaceStorage,
    crate::storage::StorageRules,
    crate::transparency::api::LogDetail,
    crate::transparency::api::LogPage,
    crate::trust::revocation::NewRevocation,
    crate::trust::revocation::Revoked,
];
