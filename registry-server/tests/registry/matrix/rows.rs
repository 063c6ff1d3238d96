// SPDX-License-Identifier: Apache-2.0
//! The table: every route, and who may use it.

/// Who may use a route, from least to most; each includes the ones after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Needs {
    /// Nobody needs to be anybody.
    Nothing,
    /// Some account.
    Account,
    /// The right to read: everybody in a public namespace, members in a private one.
    Viewer,
    /// Membership, of any kind.
    Member,
    Publisher,
    Maintainer,
    Owner,
    Administrator,
}
use Needs::{Account, Administrator, Maintainer, Member, Nothing, Owner, Publisher, Viewer};

/// A kind of request. `NS` is the namespace, `/v2` paths are below its repository `m`. The last
/// word is what a limited token must allow; empty if no limit matters, `!` if none may be there,
/// `blind` if nobody looks at the credential.
pub(super) struct Row(
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) Needs,
    pub(super) &'static str,
);

pub(super) const ROWS: &[Row] = &[
    // The OCI surface.
    Row("GET", "/v2/", Account, ""),
    Row("HEAD", "/v2/", Account, ""),
    Row("GET", "/v2/_catalog", Nothing, ""),
    Row("GET", "/v2/NS/m/tags/list", Viewer, "pull"),
    Row("GET", "/v2/NS/m/manifests/one", Viewer, "pull"),
    Row("HEAD", "/v2/NS/m/manifests/one", Viewer, "pull"),
    Row("GET", "/v2/NS/m/manifests/MANIFEST", Viewer, "pull"),
    Row("GET", "/v2/NS/m/blobs/BLOB", Viewer, "pull"),
    Row("HEAD", "/v2/NS/m/blobs/BLOB", Viewer, "pull"),
    Row("GET", "/v2/NS/m/referrers/BLOB", Viewer, "pull"),
    Row("POST", "/v2/NS/m/blobs/uploads/", Publisher, "push"),
    Row(
        "POST",
        "/v2/NS/m/blobs/uploads/?mount=BLOB&from=NS/m",
        Publisher,
        "push",
    ),
    Row("PATCH", "/v2/NS/m/blobs/uploads/none", Publisher, "push"),
    Row(
        "PUT",
        "/v2/NS/m/blobs/uploads/none?digest=BLOB",
        Publisher,
        "push",
    ),
    Row("GET", "/v2/NS/m/blobs/uploads/none", Publisher, "push"),
    Row("HEAD", "/v2/NS/m/blobs/uploads/none", Publisher, "push"),
    Row("DELETE", "/v2/NS/m/blobs/uploads/none", Publisher, "push"),
    Row("PUT", "/v2/NS/m/manifests/two", Publisher, "push"),
    Row("DELETE", "/v2/NS/m/manifests/none", Maintainer, "delete"),
    Row("DELETE", "/v2/NS/m/manifests/ABSENT", Maintainer, "delete"),
    Row("DELETE", "/v2/NS/m/blobs/ABSENT", Maintainer, "delete"),
    // The catalogue.
    Row("GET", "/api/v1/search", Nothing, ""),
    Row("GET", "/api/v1/packages", Nothing, ""),
    Row("GET", "/api/v1/packages/{namespace}/{name}", Viewer, "pull"),
    Row(
        "GET",
        "/api/v1/packages/{namespace}/{name}/versions/{version}",
        Viewer,
        "pull",
    ),
    Row(
        "GET",
        "/api/v1/packages/{namespace}/{name}/star",
        Viewer,
        "pull",
    ),
    // Stars are an account's own; who may not read may not star.
    Row(
        "PUT",
        "/api/v1/packages/{namespace}/{name}/star",
        Account,
        "star",
    ),
    Row(
        "DELETE",
        "/api/v1/packages/{namespace}/{name}/star",
        Account,
        "star",
    ),
    // What is demanded of versions, and who decides.
    Row("GET", "/api/v1/registry", Nothing, "blind"),
    Row("GET", "/api/v1/reviews", Administrator, "admin"),
    Row(
        "PUT",
        "/api/v1/packages/{namespace}/{name}/versions/{version}/review",
        Administrator,
        "admin",
    ),
    Row(
        "GET",
        "/api/v1/packages/{namespace}/{name}/versions/{version}/reviews",
        Viewer,
        "pull",
    ),
    // The life of versions.
    Row(
        "PUT",
        "/api/v1/packages/{namespace}/{name}/versions/{version}/yank",
        Maintainer,
        "yank",
    ),
    Row(
        "DELETE",
        "/api/v1/packages/{namespace}/{name}/versions/{version}/yank",
        Maintainer,
        "yank",
    ),
    Row(
        "PUT",
        "/api/v1/packages/{namespace}/{name}/versions/{version}/deprecation",
        Maintainer,
        "yank",
    ),
    Row(
        "DELETE",
        "/api/v1/packages/{namespace}/{name}/versions/{version}/deprecation",
        Maintainer,
        "yank",
    ),
    Row(
        "PUT",
        "/api/v1/packages/{namespace}/{name}/deprecation",
        Maintainer,
        "yank",
    ),
    Row(
        "DELETE",
        "/api/v1/packages/{namespace}/{name}/deprecation",
        Maintainer,
        "yank",
    ),
    // Namespaces.
    Row("GET", "/api/v1/namespaces", Nothing, ""),
    Row("POST", "/api/v1/namespaces", Account, "manage"),
    Row("GET", "/api/v1/namespaces/{namespace}", Viewer, "pull"),
    Row("PATCH", "/api/v1/namespaces/{namespace}", Owner, "manage"),
    Row("DELETE", "/api/v1/namespaces/{namespace}", Owner, "manage"),
    Row("GET", "/api/v1/namespaces/{namespace}/keys", Viewer, "pull"),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/keys",
        Maintainer,
        "manage",
    ),
    Row(
        "DELETE",
        "/api/v1/namespaces/{namespace}/keys/{fingerprint}",
        Maintainer,
        "manage",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/identities",
        Viewer,
        "pull",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/identities",
        Maintainer,
        "manage",
    ),
    Row(
        "DELETE",
        "/api/v1/namespaces/{namespace}/identities/{identity}",
        Maintainer,
        "manage",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/revocations",
        Maintainer,
        "manage",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/continuity",
        Viewer,
        "pull",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/continuity",
        Maintainer,
        "manage",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/transfer",
        Viewer,
        "pull",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/transfer",
        Owner,
        "manage",
    ),
    Row(
        "DELETE",
        "/api/v1/namespaces/{namespace}/transfer",
        Owner,
        "manage",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/proofs",
        Viewer,
        "pull",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/proofs",
        Maintainer,
        "manage",
    ),
    Row(
        "DELETE",
        "/api/v1/namespaces/{namespace}/proofs/{kind}/{subject}",
        Maintainer,
        "manage",
    ),
    // Only whom it was offered accepts; everybody else learns nothing.
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/transfer/accept",
        Account,
        "accept",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/members",
        Member,
        "pull",
    ),
    Row(
        "PUT",
        "/api/v1/namespaces/{namespace}/members/{account}",
        Owner,
        "manage",
    ),
    Row(
        "DELETE",
        "/api/v1/namespaces/{namespace}/members/{account}",
        Owner,
        "manage",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/trusted-publishers",
        Maintainer,
        "manage",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/trusted-publishers",
        Maintainer,
        "manage",
    ),
    Row(
        "DELETE",
        "/api/v1/namespaces/{namespace}/trusted-publishers/{publisher}",
        Maintainer,
        "manage",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/storage",
        Owner,
        "manage",
    ),
    Row(
        "PUT",
        "/api/v1/namespaces/{namespace}/storage",
        Owner,
        "manage",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/storage/expire",
        Owner,
        "manage",
    ),
    Row("GET", "/api/v1/audit?namespace=NS", Owner, "manage"),
    Row("GET", "/api/v1/audit", Administrator, "admin"),
    // Other registries, and programs that want to know.
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/upstreams",
        Owner,
        "manage",
    ),
    Row(
        "PUT",
        "/api/v1/namespaces/{namespace}/upstreams",
        Administrator,
        "admin",
    ),
    Row(
        "POST",
        "/api/v1/packages/{namespace}/{name}/foreign",
        Owner,
        "manage",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/webhooks",
        Owner,
        "manage",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/webhooks",
        Owner,
        "manage",
    ),
    Row(
        "DELETE",
        "/api/v1/namespaces/{namespace}/webhooks/{id}",
        Owner,
        "manage",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/webhooks/{id}/test",
        Owner,
        "manage",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/webhooks/{id}/deliveries",
        Owner,
        "manage",
    ),
    // Accounts.
    Row("GET", "/api/v1/account", Account, ""),
    Row("PUT", "/api/v1/account/password", Account, "!"),
    Row("GET", "/api/v1/tokens", Account, "!"),
    Row("POST", "/api/v1/tokens", Account, "!"),
    Row("DELETE", "/api/v1/tokens/{id}", Account, "!"),
    Row("POST", "/api/v1/oidc/exchange", Nothing, "blind"),
    Row("GET", "/api/v1/accounts", Administrator, "admin"),
    Row("POST", "/api/v1/accounts", Administrator, "admin"),
    Row("GET", "/api/v1/accounts/{account}", Administrator, "admin"),
    Row(
        "PATCH",
        "/api/v1/accounts/{account}",
        Administrator,
        "admin",
    ),
    Row(
        "POST",
        "/api/v1/accounts/{account}/identities",
        Administrator,
        "admin",
    ),
    Row("GET", "/api/v1/certificates", Administrator, "admin"),
    Row("POST", "/api/v1/certificates", Administrator, "admin"),
    Row(
        "DELETE",
        "/api/v1/certificates/{kind}/{value}",
        Administrator,
        "admin",
    ),
    // Trust.
    Row("GET", "/api/v1/log", Nothing, "blind"),
    Row("GET", "/api/v1/log/entries", Nothing, "blind"),
    Row("POST", "/api/v1/log/cosignatures", Nothing, "blind"),
    Row(
        "GET",
        "/api/v1/packages/{namespace}/{name}/versions/{version}/proof",
        Viewer,
        "pull",
    ),
    Row("GET", "/api/v1/trust/root", Nothing, "blind"),
    Row("PUT", "/api/v1/trust/root", Administrator, "admin"),
    Row("GET", "/api/v1/trust/root/{version}", Nothing, "blind"),
    Row("GET", "/api/v1/trust/revocations", Nothing, "blind"),
    Row("GET", "/api/v1/trust/revocations/key", Nothing, "blind"),
    // Owners may revoke their own; this is nobody's.
    Row("POST", "/api/v1/trust/revocations", Administrator, "admin"),
];
