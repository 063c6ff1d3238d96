// SPDX-License-Identifier: Apache-2.0
//! An OIDC provider on the loopback interface, with real keys.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::{Form, State},
    routing::{get, post},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use registry_schema::Digest;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// A provider with an RSA and an elliptic key.
pub(crate) struct Provider {
    pub(crate) url: String,
    pub(crate) rsa: EncodingKey,
    pub(crate) ec: EncodingKey,
    /// How often its keys were fetched.
    pub(crate) fetched: AtomicUsize,
    /// ID tokens by the code that they are given for, with the challenge of PKCE.
    pub(crate) codes: Mutex<HashMap<String, (String, String)>>,
}

/// The one provider of all tests, in a thread of its own: each test has its own runtime.
pub(crate) fn provider() -> &'static Provider {
    static PROVIDER: OnceLock<Provider> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(serve(listener));
        });
        let rsa =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
        // The private key itself begins behind the header of PKCS #8.
        let rsa = EncodingKey::from_rsa_der(&rsa.expect("a key").serialize_der()[26..]);
        let ec = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        Provider {
            url: format!("http://{address}"),
            rsa,
            ec: EncodingKey::from_ec_der(&ec.serialize_der()),
            fetched: AtomicUsize::new(0),
            codes: Mutex::default(),
        }
    })
}

async fn serve(listener: std::net::TcpListener) {
    listener.set_nonblocking(true).expect("a listener");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/keys", get(async || Json(provider().keys())))
        .route("/token", post(redeem))
        // A provider that lies about its name, and one that does not end.
        .route("/liar/.well-known/openid-configuration", get(discovery))
        .route(
            "/endless/.well-known/openid-configuration",
            get(async || " ".repeat(1 << 20)),
        )
        .with_state(address);
    axum::serve(listener, router).await.expect("it serves");
}

async fn discovery(State(address): State<SocketAddr>) -> Json<Value> {
    Json(json!({
        "issuer": format!("http://{address}"),
        "jwks_uri": format!("http://{address}/keys"),
        "authorization_endpoint": format!("http://{address}/authorize"),
        "token_endpoint": format!("http://{address}/token"),
    }))
}

/// The token endpoint of the provider: a code is good once, for who knows the verifier.
async fn redeem(Form(form): Form<HashMap<String, String>>) -> Result<Json<Value>, StatusCode> {
    let mut codes = provider().codes.lock().expect("no panic");
    let found = codes.remove(&form["code"]);
    let (challenge, token) = found.ok_or(StatusCode::BAD_REQUEST)?;
    let verifier = Digest::sha256(form["code_verifier"].as_bytes());
    if hex::decode(verifier.hex()).expect("hex") != base64url(&challenge) {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(Json(
        json!({"token_type": "Bearer", "access_token": "x", "id_token": token}),
    ))
}

fn base64url(text: &str) -> Vec<u8> {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64")
}

impl Provider {
    fn keys(&self) -> Value {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        let key = |key, algorithm, id: &str| {
            let mut key = Jwk::from_encoding_key(key, algorithm).expect("a key");
            key.common.key_id = Some(id.to_owned());
            key
        };
        json!({"keys": [
            key(&self.rsa, Algorithm::RS256, "rsa"),
            key(&self.ec, Algorithm::ES256, "ec"),
        ]})
    }

    /// Signs claims with one of the keys.
    pub(crate) fn sign(&self, algorithm: Algorithm, claims: &Value) -> String {
        let (key, id) = match algorithm {
            Algorithm::RS256 => (&self.rsa, "rsa"),
            _ => (&self.ec, "ec"),
        };
        let mut header = Header::new(algorithm);
        header.kid = Some(id.to_owned());
        jsonwebtoken::encode(&header, claims, key).expect("a token")
    }
}
