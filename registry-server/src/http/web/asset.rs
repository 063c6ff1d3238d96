// SPDX-License-Identifier: Apache-2.0
//! Static files, built into the program. Their addresses hold a stamp of their content, so
//! that browsers may keep them for ever.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use sha2::{Digest, Sha256};

struct Asset {
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
    stamp: String,
}

static ASSETS: LazyLock<[Asset; 2]> = LazyLock::new(|| {
    [
        asset(
            "style.css",
            "text/css; charset=utf-8",
            include_bytes!("../../../../web/static/style.css"),
        ),
        asset(
            "mark.svg",
            "image/svg+xml",
            include_bytes!("../../../../web/static/mark.svg"),
        ),
    ]
});

fn asset(name: &'static str, media_type: &'static str, bytes: &'static [u8]) -> Asset {
    let stamp = hex::encode(&Sha256::digest(bytes)[..6]);
    Asset {
        name,
        media_type,
        bytes,
        stamp,
    }
}

/// The address of a file; that of no file at all for a name that is not built in.
pub(super) fn path(file: &str) -> String {
    let stamp = ASSETS
        .iter()
        .find(|asset| asset.name == file)
        .map_or("none", |asset| &asset.stamp);
    format!("/static/{stamp}/{file}")
}

/// `GET /static/{stamp}/{file}`
pub(super) async fn show(Path((stamp, file)): Path<(String, String)>) -> Response {
    match ASSETS
        .iter()
        .find(|asset| asset.name == file && asset.stamp == stamp)
    {
        Some(asset) => (
            [
                (header::CONTENT_TYPE, asset.media_type),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ],
            asset.bytes,
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
