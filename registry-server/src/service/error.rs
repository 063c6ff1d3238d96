// SPDX-License-Identifier: Apache-2.0
//! Why a service did not do what was asked. Each variant is a sentence to the user.

use registry_schema::{
    Digest, PackageName, Version,
    account::RoleError,
    canonical::CanonicalError,
    digest::DigestMismatch,
    name::{NameError, RepositoryName, Tag},
    scope::ScopeError,
    signature::{Fingerprint, SignatureError},
    trust::{revocation::FeedError, root::RootError},
};

use super::{
    document::DocumentError,
    identity::IdentityError,
    log::LogError,
    mirror::UpstreamError,
    password::{LONGEST, SHORTEST},
    publish::PublishError,
    webhook::WebhookError,
};
use crate::{blob::BlobError, index::IndexError, store::StoreError};

/// The one error of the service layer; `http/error.rs` gives it a status code.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ServiceError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The content store failed, or refused a body.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The publish log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The search index failed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The package has no such version.
    #[error(
        "package {package} has no version {version}; see its versions with `bpfpkg info {package}`"
    )]
    VersionUnknown {
        package: PackageName,
        version: Version,
    },
    /// A star for one's own package.
    #[error("`{account}` belongs to the namespace of {package}; stars come from others")]
    OwnPackage {
        account: String,
        package: PackageName,
    },
    /// A name is malformed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A key or signature is malformed.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// An identity of a namespace is not changed as asked.
    #[error(transparent)]
    Publisher(Box<IdentityError>),
    /// A signer is malformed.
    #[error(transparent)]
    Identity(#[from] registry_schema::identity::IdentityError),
    /// The namespace has no such key.
    #[error("namespace `{namespace}` has no key {fingerprint}")]
    KeyUnknown {
        namespace: String,
        fingerprint: Fingerprint,
    },
    /// Nobody is logged in, and this needs somebody.
    #[error("log in first: `bpfpkg login {host} --user NAME --password-stdin`")]
    Anonymous { host: String },
    /// A password or token is wrong, expired or revoked.
    #[error("the user name or token is wrong, expired or revoked; log in again with a valid token")]
    BadCredentials,
    /// The bearer token does not cover the request; a client asks for another one.
    #[error(
        "the bearer token does not allow `{action}` on {repository}; ask the token endpoint for that scope"
    )]
    Scope {
        repository: RepositoryName,
        action: &'static str,
    },
    /// A known account may see this, but not change it.
    #[error("`{account}` may not {action} in namespace `{namespace}`; ask one of its owners")]
    Forbidden {
        account: String,
        action: &'static str,
        namespace: String,
    },
    /// Only administrators may do this.
    #[error("`{account}` is no administrator; only administrators may {action}")]
    NotAdministrator {
        account: String,
        action: &'static str,
    },
    /// The namespace does not exist, or the caller may not know that it does.
    #[error(
        "namespace `{0}` does not exist here, or is not yours; make it with `bpfpkg namespace create {0}`"
    )]
    NamespaceUnknown(String),
    /// The namespace exists already.
    #[error("namespace `{0}` exists already; choose another name")]
    NamespaceTaken(String),
    /// A name cannot be told from one that was given.
    #[error(
        "`{name}` cannot be told from {}; choose another name",
        given.as_ref().map_or_else(|| "a name that was given already".to_owned(), |given| format!("`{given}`"))
    )]
    NameLooksLike { name: String, given: Option<String> },
    /// Nothing was ever pushed there.
    #[error("repository {0} is not known here")]
    RepositoryUnknown(RepositoryName),
    /// The repository has no such blob.
    #[error("blob {digest} is not in {repository}")]
    BlobUnknown {
        repository: RepositoryName,
        digest: Digest,
    },
    /// A blob cannot be deleted while a manifest points at it.
    #[error("blob {digest} is used by manifest {user}; delete that first")]
    BlobUsed { digest: Digest, user: Digest },
    /// There is no such upload, or it is another account's.
    #[error("upload `{0}` is not known; begin a new one")]
    UploadUnknown(String),
    /// A chunk does not begin where the upload ends.
    #[error("the chunk begins at {given}, but {offset} bytes have arrived; continue there")]
    Offset { id: String, given: u64, offset: u64 },
    /// The body is no manifest.
    #[error(transparent)]
    Document(DocumentError),
    /// A manifest was pushed under another digest than its own.
    #[error("the manifest {0}")]
    ManifestDigest(DigestMismatch),
    /// A manifest points at what is not there.
    #[error(
        "{what} {digest}, which the manifest points at, is not in the repository; push it first"
    )]
    ReferenceUnknown { what: &'static str, digest: Digest },
    /// A manifest says another size of what it points at.
    #[error("the manifest says that {digest} has {given} bytes, but it has {actual}")]
    ReferenceSize {
        digest: Digest,
        given: u64,
        actual: u64,
    },
    /// The repository has no such manifest.
    #[error("{repository} has no manifest `{name}`")]
    ManifestUnknown {
        repository: RepositoryName,
        name: String,
    },
    /// Another registry is refused, or refuses.
    #[error(transparent)]
    Upstream(Box<UpstreamError>),
    /// A webhook is refused.
    #[error(transparent)]
    Webhook(Box<WebhookError>),
    /// The index is no version of the package.
    #[error(transparent)]
    Publish(PublishError),
    /// A version is published for ever.
    #[error(
        "{package} {version} is published as {published} and never changes; publish a higher version"
    )]
    Immutable {
        package: PackageName,
        version: Version,
        published: Digest,
    },
    /// A tag is not what the writer read.
    #[error(
        "tag `{tag}` {}, which is not what `If-Match` or `If-None-Match` demands; read it again", named(.current.as_ref())
    )]
    TagMoved { tag: Tag, current: Option<Digest> },
    /// `latest` is computed.
    #[error(
        "`latest` of {package} means its highest stable version and cannot be set; push a version tag only"
    )]
    LatestIsVirtual { package: PackageName },
    /// A version waits, and needs what was to be changed or deleted.
    #[error(
        "{package} {version} waits with other content, or needs this; delete its tag first, and it waits no more"
    )]
    Waits {
        package: PackageName,
        version: Version,
    },
    /// Only reviewers may do this.
    #[error("`{0}` is no reviewer; only reviewers and administrators decide about versions")]
    NotReviewer(String),
    /// Nothing is to be decided.
    #[error(
        "{package} {version} does not wait for review, or not with that digest; see `bpfpkg review list`"
    )]
    NotQueued {
        package: PackageName,
        version: Version,
    },
    /// Nobody approves their own work.
    #[error("`{account}` publishes in the namespace of {package}; somebody else must approve it")]
    OwnReview {
        account: String,
        package: PackageName,
    },
    /// A version needs what was to be deleted.
    #[error("{package} {version} is published and cannot be deleted; yank it instead")]
    Published {
        package: PackageName,
        version: Version,
    },
    /// The namespace may hold no more.
    #[error(
        "namespace `{namespace}` may hold {quota} bytes and holds {used}; remove something, or ask an administrator for more"
    )]
    Quota {
        namespace: String,
        quota: u64,
        used: u64,
    },
    /// A storage rule has a number that makes no sense.
    #[error("storage rule `{rule}` is {value}; it must be {least} to {most}, or absent")]
    StorageRule {
        rule: &'static str,
        value: u64,
        least: u64,
        most: u64,
    },
    /// The registry is stopping or overloaded.
    #[error("the registry cannot do this now ({0}); try again shortly")]
    Unavailable(&'static str),
    /// It happened too often.
    #[error("this account may publish {limit} {what}; try again in {seconds} s")]
    TooMany {
        what: &'static str,
        limit: u32,
        seconds: u64,
    },
    /// What happened cannot be written down; that is a fault of this program.
    #[error("the audit log cannot take this entry: {0}")]
    Audit(#[from] CanonicalError),
    /// An account name is malformed.
    #[error("`{0}` is no account name; use 1 to 64 lower-case letters, digits, `.`, `_` or `-`")]
    AccountName(String),
    /// There is no such account.
    #[error("there is no account `{0}`")]
    AccountUnknown(String),
    /// The account exists already.
    #[error("account `{0}` exists already; choose another name")]
    AccountTaken(String),
    /// Nobody may make an account for itself.
    #[error("this registry makes no accounts on request; ask one of its administrators")]
    RegistrationClosed,
    /// A password is too short or too long.
    #[error("a password has at least {SHORTEST} characters and at most {LONGEST} bytes")]
    Password,
    /// Without an administrator nothing could be administered.
    #[error("`{0}` is the last administrator; make another one first")]
    LastAdministrator(String),
    /// Another account has the identity.
    #[error("identity `{0}` belongs to an account already")]
    IdentityTaken(String),
    /// The identity belongs to no account.
    #[error("`{subject}` of {issuer} is no account here; ask an administrator to link it to yours")]
    IdentityUnknown { issuer: String, subject: String },
    /// Without an owner nobody could change a namespace.
    #[error("`{account}` is the last owner of `{namespace}`; make another one first")]
    LastOwner { namespace: String, account: String },
    /// The account has no role in the namespace.
    #[error("`{account}` is no member of namespace `{namespace}`")]
    MemberUnknown { namespace: String, account: String },
    /// A text is no role.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// Only an empty namespace can be deleted.
    #[error("namespace `{0}` holds repositories and cannot be deleted")]
    NamespaceUsed(String),
    /// A token with these properties is not made.
    #[error("{0}")]
    TokenRequest(String),
    /// A text is no scope.
    #[error(transparent)]
    ScopeText(#[from] ScopeError),
    /// The API token allows less.
    #[error("this token does not allow that; use one with {needed}")]
    TokenScope { needed: String },
    /// There is no such token, or it is another account's.
    #[error("there is no token `{0}` that is still good")]
    TokenUnknown(String),
    /// An ID token does not convince.
    #[error("the ID token is not accepted: {0}")]
    IdToken(&'static str),
    /// An OIDC provider does not do its part.
    #[error("the identity provider cannot be used: {0}")]
    Provider(&'static str),
    /// Nobody may be trusted on the word of this issuer.
    #[error("this registry does not believe `{issuer}`; it believes: {believed}")]
    IssuerUnknown { issuer: String, believed: String },
    /// A trusted publisher would be anybody.
    #[error(
        "a trusted publisher needs a subject or claim that is more than `*`, at most 16 claims and 512 bytes each"
    )]
    PublisherRule,
    /// The name is taken.
    #[error("namespace `{namespace}` has a trusted publisher `{name}` already; remove it first")]
    PublisherTaken { namespace: String, name: String },
    /// There is no such trusted publisher.
    #[error("namespace `{namespace}` has no trusted publisher `{name}`")]
    PublisherUnknown { namespace: String, name: String },
    /// A certificate cannot be known by this.
    #[error(
        "write `uri`, `dns` (lower case) or `email` with a name, or `spki` with the lower-case hexadecimal SHA-256 of the public key"
    )]
    CertificateRule,
    /// The name or key stands for an account.
    #[error("`{0}` stands for an account already; remove that first")]
    CertificateTaken(String),
    /// Nothing is known by this.
    #[error("no certificate is known by `{0}`")]
    CertificateUnknown(String),
    /// A trust root is refused.
    #[error(transparent)]
    Root(#[from] RootError),
    /// A revocation is refused.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// It is revoked, and that cannot be changed.
    #[error("{0} is revoked already")]
    RevokedAlready(String),
    /// It is revoked, so that it cannot be offered again.
    #[error("{package} {version} is revoked, which cannot be taken back: it stays withdrawn")]
    StaysWithdrawn {
        package: PackageName,
        version: Version,
    },
    /// It is somebody else's.
    #[error(
        "`{account}` may not revoke {subject}; owners revoke versions they published and keys that signed them, administrators anything"
    )]
    MayNotRevoke { account: String, subject: String },
}

fn named(current: Option<&Digest>) -> String {
    current.map_or_else(
        || "does not exist".to_owned(),
        |digest| format!("names {digest}"),
    )
}
