// SPDX-License-Identifier: Apache-2.0
//! From the errors of services to answers. The only place that knows status codes.
//!
//! A handler returns a [`Failure`]; `shape` gives it the form that the caller of the
//! path understands: OCI errors under `/v2`, problem+json under `/api` and the other
//! machine paths, a page elsewhere.

use axum::{
    Json,
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use registry_client::Explain;
use registry_schema::{
    api::{PROBLEM, Problem},
    exit,
};
use serde_json::json;

use super::{
    error_identity::{code_of_identity, status_of_identity},
    layers::RequestId,
    web,
};
use crate::{
    app::App,
    blob::BlobError,
    service::{
        ServiceError, document::DocumentError, log::LogError, mirror::UpstreamError,
        webhook::WebhookError,
    },
    store::StoreError,
};

/// The kind of an answer to credentials that are not good.
pub(super) const WRONG_CREDENTIALS: &str = "credentials-invalid";
/// The code of an ID token that does not convince.
pub(super) const WRONG_ID_TOKEN: &str = "id-token-invalid";

/// How an error looks from outside.
#[derive(Debug, Clone)]
pub struct Failure {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable code outside `/v2`.
    pub kind: &'static str,
    /// One of the 14 codes of the OCI distribution specification.
    pub oci: &'static str,
    /// The sentence to the user.
    pub detail: String,
    /// Headers that belong to the answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The scope to ask the token endpoint for, if a token would help.
    pub scope: Option<String>,
}

impl Failure {
    /// An error that only HTTP knows of.
    pub fn new(
        status: StatusCode,
        kind: &'static str,
        oci: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        let (detail, headers) = (detail.into(), Vec::new());
        Self {
            status,
            kind,
            oci,
            detail,
            headers,
            scope: None,
        }
    }

    /// The same with one more header; a value that is no header is left out.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// The same for a request that a bearer token of this scope might be allowed to make.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// A path that leads nowhere.
    pub fn no_such_page(path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        let detail = format!("there is nothing at {path}");
        Self::new(StatusCode::NOT_FOUND, "not-found", "NAME_UNKNOWN", detail)
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        let (status, (kind, oci)) = (status(&error), codes(&error));
        let detail = if status == StatusCode::INSUFFICIENT_STORAGE {
            tracing::error!(%error, "storage is full");
            "the registry's storage is full; nothing was stored".to_owned()
        } else if status.is_server_error() {
            internal(&error)
        } else {
            error.to_string()
        };
        let failure = Self::new(status, kind, oci, detail);
        match &error {
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                failure.with_header(header::RETRY_AFTER, "5")
            }
            ServiceError::TooMany { seconds, .. } => {
                failure.with_header(header::RETRY_AFTER, &seconds.to_string())
            }
            ServiceError::Scope {
                repository,
                action: "pull",
            } => failure.with_scope(format!("repository:{repository}:pull")),
            ServiceError::Scope { repository, .. } => {
                failure.with_scope(format!("repository:{repository}:pull,push,delete"))
            }
            _ => failure,
        }
    }
}

fn status(error: &ServiceError) -> StatusCode {
    use ServiceError as E;
    match error {
        E::Store(store) if store.is_full() => StatusCode::INSUFFICIENT_STORAGE,
        E::Store(_) | E::Unavailable(_) | E::Provider(_) => StatusCode::SERVICE_UNAVAILABLE,
        E::Index(_) | E::Audit(_) => StatusCode::INTERNAL_SERVER_ERROR,
        E::Log(log) => status_of_log(log),
        E::Blob(blob) => status_of_blob(blob),
        E::Anonymous { .. } | E::BadCredentials | E::Scope { .. } | E::IdToken(_) => {
            StatusCode::UNAUTHORIZED
        }
        E::Forbidden { .. }
        | E::NotAdministrator { .. }
        | E::OwnPackage { .. }
        | E::NotReviewer(_)
        | E::OwnReview { .. }
        | E::TokenScope { .. }
        | E::RegistrationClosed
        | E::MayNotRevoke { .. }
        | E::IdentityUnknown { .. } => StatusCode::FORBIDDEN,
        E::VersionUnknown { .. }
        | E::NamespaceUnknown(_)
        | E::AccountUnknown(_)
        | E::MemberUnknown { .. }
        | E::NotQueued { .. }
        | E::TokenUnknown(_)
        | E::PublisherUnknown { .. }
        | E::CertificateUnknown(_)
        | E::KeyUnknown { .. }
        | E::RepositoryUnknown(_)
        | E::BlobUnknown { .. }
        | E::UploadUnknown(_)
        | E::ManifestUnknown { .. } => StatusCode::NOT_FOUND,
        E::NamespaceTaken(_)
        | E::NameLooksLike { .. }
        | E::NamespaceUsed(_)
        | E::AccountTaken(_)
        | E::LastAdministrator(_)
        | E::IdentityTaken(_)
        | E::LastOwner { .. }
        | E::PublisherTaken { .. }
        | E::CertificateTaken(_)
        | E::RevokedAlready(_)
        | E::StaysWithdrawn { .. }
        | E::BlobUsed { .. }
        | E::Immutable { .. }
        | E::LatestIsVirtual { .. }
        | E::Published { .. }
        | E::Waits { .. } => StatusCode::CONFLICT,
        E::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
        E::TagMoved { .. } => StatusCode::PRECONDITION_FAILED,
        E::Upstream(error) => status_of_upstream(error),
        E::Webhook(error) => match **error {
            WebhookError::Unknown { .. } => StatusCode::NOT_FOUND,
            WebhookError::TooMany(_) => StatusCode::CONFLICT,
            WebhookError::Outbound(_) | WebhookError::Event(_) => StatusCode::BAD_REQUEST,
        },
        E::Publisher(error) => status_of_identity(error),
        E::Offset { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
        E::Document(DocumentError::TooLarge) | E::Quota { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        E::Name(_)
        | E::StorageRule { .. }
        | E::AccountName(_)
        | E::Password
        | E::Role(_)
        | E::TokenRequest(_)
        | E::ScopeText(_)
        | E::IssuerUnknown { .. }
        | E::PublisherRule
        | E::CertificateRule
        | E::Root(_)
        | E::Feed(_)
        | E::Signature(_)
        | E::Identity(_)
        | E::Document(_)
        | E::Publish(_)
        | E::ManifestDigest(_)
        | E::ReferenceUnknown { .. }
        | E::ReferenceSize { .. } => StatusCode::BAD_REQUEST,
    }
}

const fn status_of_log(error: &LogError) -> StatusCode {
    match error {
        LogError::NotLogged { .. } | LogError::NotWithdrawn { .. } => StatusCode::NOT_FOUND,
        LogError::Submitted(_) | LogError::Cosignature(_) => StatusCode::BAD_REQUEST,
        LogError::Forked { .. } => StatusCode::CONFLICT,
        LogError::NoWitness => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn status_of_upstream(error: &UpstreamError) -> StatusCode {
    match error {
        UpstreamError::Copy(error) if error.exit_code() == exit::NOT_FOUND => StatusCode::NOT_FOUND,
        UpstreamError::Copy(_) => StatusCode::BAD_GATEWAY,
        UpstreamError::Outbound(_)
        | UpstreamError::TooMany { .. }
        | UpstreamError::TagSeconds { .. }
        | UpstreamError::Place { .. }
        | UpstreamError::NoVersion { .. } => StatusCode::BAD_REQUEST,
    }
}

fn status_of_blob(error: &BlobError) -> StatusCode {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    match error {
        BlobError::Unsafe | BlobError::Bucket { .. } | BlobError::Stored { .. } => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        BlobError::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded) => {
            StatusCode::INSUFFICIENT_STORAGE
        }
        BlobError::Io { .. } | BlobError::Damaged { .. } | BlobError::Place(_) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        BlobError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        BlobError::NotStaged(_) | BlobError::Missing(_) => StatusCode::NOT_FOUND,
        BlobError::Digest { .. } | BlobError::Length { .. } | BlobError::Body(_) => {
            StatusCode::BAD_REQUEST
        }
    }
}

/// The stable code outside `/v2`, and the one of the OCI specification.
fn codes(error: &ServiceError) -> (&'static str, &'static str) {
    use ServiceError as E;
    match error {
        E::Store(store) if store.is_full() => ("storage", "DENIED"),
        E::Store(_) | E::Unavailable(_) | E::Provider(_) => ("unavailable", "TOOMANYREQUESTS"),
        E::Index(_) => ("index", "UNSUPPORTED"),
        E::Audit(_) => ("audit", "UNSUPPORTED"),
        E::Log(log) => codes_of_log(log),
        E::Blob(blob) => codes_of_blob(blob),
        E::Upstream(_) => ("upstream", "UNSUPPORTED"),
        E::Webhook(_) => ("webhook", "UNSUPPORTED"),
        E::Name(_) | E::AccountName(_) => ("name-invalid", "NAME_INVALID"),
        E::Signature(_) => ("key-invalid", "UNSUPPORTED"),
        E::Identity(_) => ("identity-invalid", "UNSUPPORTED"),
        E::Publisher(error) => (code_of_identity(error), "DENIED"),
        E::BadCredentials => (WRONG_CREDENTIALS, "UNAUTHORIZED"),
        E::Anonymous { .. } | E::Scope { .. } => ("unauthorized", "UNAUTHORIZED"),
        E::TooMany { .. } => ("too-many-requests", "TOOMANYREQUESTS"),
        E::IdToken(_) => (WRONG_ID_TOKEN, "UNAUTHORIZED"),
        E::TokenScope { .. } => ("token-scope", "DENIED"),
        E::RegistrationClosed => ("registration-closed", "DENIED"),
        E::IdentityUnknown { .. } => ("identity-unknown", "DENIED"),
        E::AccountUnknown(_) => ("account-unknown", "NAME_UNKNOWN"),
        E::AccountTaken(_) => ("account-taken", "DENIED"),
        E::Password => ("password-invalid", "UNSUPPORTED"),
        E::LastAdministrator(_) => ("last-administrator", "DENIED"),
        E::IdentityTaken(_) => ("identity-taken", "DENIED"),
        E::LastOwner { .. } => ("last-owner", "DENIED"),
        E::MemberUnknown { .. } => ("member-unknown", "NAME_UNKNOWN"),
        E::Role(_) => ("role-invalid", "UNSUPPORTED"),
        E::NamespaceUsed(_) => ("namespace-used", "DENIED"),
        E::TokenRequest(_) => ("token-invalid", "UNSUPPORTED"),
        E::ScopeText(_) => ("scope-invalid", "UNSUPPORTED"),
        E::TokenUnknown(_) => ("token-unknown", "NAME_UNKNOWN"),
        E::IssuerUnknown { .. } => ("issuer-unknown", "UNSUPPORTED"),
        E::PublisherRule => ("publisher-invalid", "UNSUPPORTED"),
        E::PublisherTaken { .. } => ("publisher-taken", "DENIED"),
        E::PublisherUnknown { .. } => ("publisher-unknown", "NAME_UNKNOWN"),
        E::CertificateRule => ("certificate-invalid", "UNSUPPORTED"),
        E::CertificateTaken(_) => ("certificate-taken", "DENIED"),
        E::CertificateUnknown(_) => ("certificate-unknown", "NAME_UNKNOWN"),
        E::Forbidden { .. }
        | E::NotAdministrator { .. }
        | E::MayNotRevoke { .. }
        | E::NotReviewer(_) => ("forbidden", "DENIED"),
        E::OwnPackage { .. } => ("own-package", "DENIED"),
        E::NamespaceUnknown(_) => ("namespace-unknown", "NAME_UNKNOWN"),
        E::NamespaceTaken(_) => ("namespace-taken", "DENIED"),
        E::NameLooksLike { .. } => ("name-looks-alike", "DENIED"),
        E::KeyUnknown { .. } => ("key-unknown", "NAME_UNKNOWN"),
        E::RepositoryUnknown(_) => ("package-unknown", "NAME_UNKNOWN"),
        E::BlobUnknown { .. } => ("blob-unknown", "BLOB_UNKNOWN"),
        E::BlobUsed { .. } => ("blob-used", "DENIED"),
        E::UploadUnknown(_) => ("upload-unknown", "BLOB_UPLOAD_UNKNOWN"),
        E::Offset { .. } => ("offset", "BLOB_UPLOAD_INVALID"),
        E::Document(DocumentError::TooLarge) => ("too-large", "SIZE_INVALID"),
        E::Document(_) => ("manifest-invalid", "MANIFEST_INVALID"),
        E::Publish(_) => ("version-invalid", "MANIFEST_INVALID"),
        E::ManifestDigest(_) => ("digest-invalid", "DIGEST_INVALID"),
        E::ReferenceUnknown { .. } => ("reference-unknown", "MANIFEST_BLOB_UNKNOWN"),
        E::ReferenceSize { .. } => ("size-invalid", "SIZE_INVALID"),
        E::VersionUnknown { .. } | E::ManifestUnknown { .. } => {
            ("version-unknown", "MANIFEST_UNKNOWN")
        }
        E::Immutable { .. } => ("version-exists", "DENIED"),
        E::TagMoved { .. } => ("tag-moved", "DENIED"),
        E::LatestIsVirtual { .. } => ("latest-virtual", "DENIED"),
        E::Published { .. } => ("version-published", "DENIED"),
        E::Waits { .. } => ("version-waits", "DENIED"),
        E::NotQueued { .. } => ("review-unknown", "NAME_UNKNOWN"),
        E::OwnReview { .. } => ("own-review", "DENIED"),
        E::Quota { .. } => ("quota", "DENIED"),
        E::StorageRule { .. } => ("storage-rule", "UNSUPPORTED"),
        E::Root(_) => ("root-invalid", "UNSUPPORTED"),
        E::Feed(_) => ("revocation-invalid", "UNSUPPORTED"),
        E::RevokedAlready(_) => ("revoked-already", "DENIED"),
        E::StaysWithdrawn { .. } => ("stays-withdrawn", "DENIED"),
    }
}

const fn codes_of_log(error: &LogError) -> (&'static str, &'static str) {
    match error {
        LogError::NotLogged { .. } => ("not-logged", "MANIFEST_UNKNOWN"),
        LogError::NotWithdrawn { .. } => ("not-withdrawn", "MANIFEST_UNKNOWN"),
        LogError::Forked { .. } => ("log-forked", "DENIED"),
        LogError::NoWitness => ("witness-unknown", "DENIED"),
        _ => ("publish-log", "UNSUPPORTED"),
    }
}

const fn codes_of_blob(error: &BlobError) -> (&'static str, &'static str) {
    match error {
        BlobError::Unsafe | BlobError::Bucket { .. } | BlobError::Stored { .. } => {
            ("unavailable", "TOOMANYREQUESTS")
        }
        BlobError::Io { .. } | BlobError::Place(_) => ("storage", "DENIED"),
        BlobError::Damaged { .. } | BlobError::Missing(_) => ("storage", "BLOB_UNKNOWN"),
        BlobError::Digest { .. } => ("digest-invalid", "DIGEST_INVALID"),
        BlobError::Length { .. } => ("chunk-length", "SIZE_INVALID"),
        BlobError::TooLarge { .. } => ("too-large", "SIZE_INVALID"),
        BlobError::Body(_) => ("body", "BLOB_UPLOAD_INVALID"),
        BlobError::NotStaged(_) => ("upload-unknown", "BLOB_UPLOAD_UNKNOWN"),
    }
}

/// Logs the cause of an error that is ours; the user gets no paths and no SQL.
fn internal(error: &ServiceError) -> String {
    tracing::error!(%error, "request failed");
    match error {
        ServiceError::Blob(BlobError::Unsafe | BlobError::Damaged { .. })
        | ServiceError::Store(StoreError::Unsafe)
        | ServiceError::Unavailable(_)
        | ServiceError::Provider(_)
        | ServiceError::Upstream(_) => error.to_string(),
        ServiceError::Blob(BlobError::Bucket { .. } | BlobError::Stored { .. }) => {
            "the registry cannot use its blob store now; try again shortly".to_owned()
        }
        ServiceError::Store(_) => {
            "the registry cannot use its database now; try again shortly".to_owned()
        }
        _ => "the registry failed; its log says why, under the request's identifier".to_owned(),
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.headers_mut().extend(self.headers.iter().cloned());
        response.extensions_mut().insert(self);
        response
    }
}

/// What the form of an answer depends on.
pub(super) struct Asked {
    path: String,
    head: bool,
    id: Option<String>,
}

impl Asked {
    /// Looks at a request.
    pub(super) fn of(request: &Request) -> Self {
        let id = request.extensions().get::<RequestId>();
        Self {
            path: request.uri().path().to_owned(),
            head: request.method() == Method::HEAD,
            id: id.map(|id| id.0.clone()),
        }
    }
}

/// Gives a failed answer the form its path promises.
pub(super) async fn shape(app: &App, asked: Asked, response: Response) -> Response {
    let Asked { path, head, id } = asked;
    let (failure, response) = match failure_of(response, &path).await {
        Ok(found) => found,
        Err(response) => return response,
    };
    let mut shaped = if head {
        (failure.status, Body::empty()).into_response()
    } else if is_oci(&path) {
        let body = json!({"errors": [{"code": failure.oci, "message": failure.detail}]});
        (failure.status, Json(body)).into_response()
    } else if is_machine(&path) {
        let mut response = (failure.status, Json(problem(&failure, id))).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        response
    } else {
        web::error_page(app, &path, &problem(&failure, id))
    };
    shaped.headers_mut().extend(failure.headers.iter().cloned());
    *shaped.extensions_mut() = response.extensions().clone();
    if failure.status == StatusCode::UNAUTHORIZED {
        challenge(app, &failure, shaped.headers_mut());
    }
    shaped
}

/// The failure that a response carries, or that an extractor of the framework put into
/// plain text; the response itself if it is none.
async fn failure_of(mut response: Response, path: &str) -> Result<(Failure, Response), Response> {
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        return Ok((failure, response));
    }
    let kind = response.headers().get(header::CONTENT_TYPE);
    let plain = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !response.status().is_client_error() || !plain {
        return Err(response);
    }
    let status = response.status();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 4096).await.unwrap_or_default();
    let mut detail = String::from_utf8_lossy(&body).into_owned();
    if detail.is_empty() {
        detail = format!("{} {path}", status.canonical_reason().unwrap_or("refused"));
    }
    let mut failure = Failure::new(status, "request-invalid", "UNSUPPORTED", detail);
    if let Some(allow) = parts.headers.get(header::ALLOW) {
        failure.headers.push((header::ALLOW, allow.clone()));
    }
    Ok((failure, Response::from_parts(parts, Body::empty())))
}

fn is_oci(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/") || path == "/token"
}

fn is_machine(path: &str) -> bool {
    path.starts_with("/api/") || matches!(path, "/metrics" | "/healthz" | "/readyz")
}

fn problem(failure: &Failure, request_id: Option<String>) -> Problem {
    Problem {
        kind: failure.kind.to_owned(),
        title: failure
            .status
            .canonical_reason()
            .unwrap_or("Error")
            .to_owned(),
        status: failure.status.as_u16(),
        detail: failure.detail.clone(),
        request_id,
    }
}

/// Says how to log in. Bearer alone, although Basic is accepted too: some clients join
/// several header lines into one and take the realm of the last scheme.
fn challenge(app: &App, failure: &Failure, headers: &mut HeaderMap) {
    let (origin, service) = (app.origin(), app.host());
    let scope = failure
        .scope
        .as_ref()
        .map(|scope| format!(",scope=\"{scope}\""));
    let scope = scope.unwrap_or_default();
    let line = format!("Bearer realm=\"{origin}/token\",service=\"{service}\"{scope}");
    if let Ok(value) = HeaderValue::from_str(&line) {
        headers.insert(header::WWW_AUTHENTICATE, value);
    }
}
