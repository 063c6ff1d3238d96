// SPDX-License-Identifier: Apache-2.0
//! The part of [`error`](super::error) that is about identities of namespaces.

use axum::http::StatusCode;

use crate::service::identity::IdentityError;

/// The status of an answer.
pub(super) const fn status_of_identity(error: &IdentityError) -> StatusCode {
    match error {
        IdentityError::Unknown { .. }
        | IdentityError::NoProof(_)
        | IdentityError::NoTransfer(_) => StatusCode::NOT_FOUND,
        IdentityError::Stranger(_)
        | IdentityError::Revoked(_)
        | IdentityError::TooMany(_)
        | IdentityError::TransferOpen(_)
        | IdentityError::Unbacked(_) => StatusCode::CONFLICT,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// The stable code outside `/v2`.
pub(super) const fn code_of_identity(error: &IdentityError) -> &'static str {
    match error {
        IdentityError::Unknown { .. } => "identity-unknown",
        IdentityError::Revoked(_) => "identity-revoked",
        IdentityError::Domain { .. } | IdentityError::NoProof(_) => "proof-invalid",
        IdentityError::TransferOpen(_) | IdentityError::NoTransfer(_) => "transfer",
        IdentityError::Continuity(_) | IdentityError::Fault(_) | IdentityError::Stranger(_) => {
            "continuity-invalid"
        }
        _ => "identity-invalid",
    }
}
