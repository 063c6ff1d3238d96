// SPDX-License-Identifier: Apache-2.0
//! JSON bodies of requests.

use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::http::error::Failure;

/// Reads a JSON body, whatever content type it was sent with.
///
/// # Errors
/// 400 with the place where the body stops making sense.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        let detail = format!("the body is not the JSON that this address takes: {error}");
        Failure::new(
            StatusCode::BAD_REQUEST,
            "body-invalid",
            "UNSUPPORTED",
            detail,
        )
    })
}
