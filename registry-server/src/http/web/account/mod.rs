// SPDX-License-Identifier: Apache-2.0
//! Who visits the pages: the session in a cookie, and the forms that change something.
//!
//! No other surface looks at a cookie. Every form carries what only a page of ours can know
//! (see [`visit::csrf`]), and a request that says it comes from elsewhere is refused.

mod login;
mod page;
mod star;

use std::collections::HashMap;

use axum::{
    Router,
    body::Bytes,
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};

use crate::app::App;
use crate::http::{error::Failure, extract::ClientCertificate};
use crate::service::{access::Caller, visit};

/// The pages and forms of visitors.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/login", get(login::show).post(login::enter))
        .route("/login/provider", get(login::leave))
        .route("/login/callback", get(login::come_back))
        .route("/logout", post(login::end))
        .route("/account", get(page::show))
        .route("/account/password", post(page::change_password))
        .route("/account/tokens", post(page::issue))
        .route("/account/tokens/revoke", post(page::revoke))
        .route("/packages/{namespace}/{name}/star", post(star::change))
}

/// Somebody with a session.
#[derive(Debug, Clone)]
pub(in crate::http::web) struct Visitor {
    /// The account.
    pub name: String,
    /// What forms send along.
    pub csrf: String,
}

/// The session's secret, as its cookie holds it.
#[derive(Clone)]
struct Secret(String);

/// Middleware: looks at the session, so that pages show what its account may see. Such a page
/// is kept by nobody.
pub(super) async fn attach(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let secret = cookie(&app, request.headers(), Cookie::Session);
    let found = match &secret {
        Some(secret) => match visit::find(&app, secret).await {
            Ok(found) => found,
            Err(error) => return Failure::from(error).into_response(),
        },
        None => None,
    };
    let private = secret.is_some()
        || request.headers().contains_key(header::AUTHORIZATION)
        || request.extensions().get::<ClientCertificate>().is_some();
    if let (Some(session), Some(secret)) = (found, secret) {
        let visitor = Visitor {
            name: session.caller.name().to_owned(),
            csrf: session.csrf,
        };
        let extensions = request.extensions_mut();
        extensions.insert(visitor);
        extensions.insert(Secret(secret));
        extensions.insert(session.caller);
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let kept = headers.get(header::CACHE_CONTROL);
    if private && kept.is_none_or(|value| !value.as_bytes().ends_with(b"immutable")) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    // What everybody may see may be kept, and is asked for again before it is shown.
    let everybody = HeaderValue::from_static("no-cache");
    headers.entry(header::CACHE_CONTROL).or_insert(everybody);
    response
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Redirect;

    /// Whoever has no session is sent to log in.
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Redirect> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| Redirect::to("/login"))
    }
}

/// Our cookies.
#[derive(Debug, Clone, Copy)]
enum Cookie {
    /// A session.
    Session,
    /// Protects the login form, before there is a session.
    Form,
    /// A login at the provider.
    Login,
}

/// Names are such that no other host and no unencrypted page can set the cookie, where there
/// is encryption.
fn cookie_name(app: &App, which: Cookie) -> String {
    let name = match which {
        Cookie::Session => "session",
        Cookie::Form => "form",
        Cookie::Login => "login",
    };
    let prefix = if app.public_url.scheme() == "https" {
        "__Host-"
    } else {
        ""
    };
    format!("{prefix}bpfpkg-{name}")
}

fn cookie(app: &App, headers: &HeaderMap, which: Cookie) -> Option<String> {
    let name = cookie_name(app, which);
    let lines = headers.get_all(header::COOKIE).into_iter();
    let texts = lines.filter_map(|line| line.to_str().ok());
    let mut pairs = texts
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let value = pairs.find(|(found, _)| *found == name)?.1;
    (value.len() <= 128).then(|| value.to_owned())
}

/// Sets a cookie for some seconds; none removes it.
fn set_cookie(app: &App, response: &mut Response, which: Cookie, value: &str, seconds: i64) {
    let secure = if app.public_url.scheme() == "https" {
        "; Secure"
    } else {
        ""
    };
    let name = cookie_name(app, which);
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// The fields of a form.
pub(in crate::http::web) struct Fields(HashMap<String, String>);

impl Fields {
    /// Reads a form that must carry `csrf`, from a page of this registry.
    ///
    /// # Errors
    /// 403 if it does not.
    pub(in crate::http::web) fn read(
        app: &App,
        headers: &HeaderMap,
        body: &Bytes,
        csrf: &str,
    ) -> Result<Self, Failure> {
        let fields = url::form_urlencoded::parse(body).into_owned().collect();
        let fields = Self(fields);
        let origin = headers.get(header::ORIGIN);
        let foreign = origin.is_some_and(|origin| origin.as_bytes() != app.origin().as_bytes());
        if foreign || csrf.is_empty() || fields.get("csrf") != csrf {
            return Err(Failure::new(
                StatusCode::FORBIDDEN,
                "form-foreign",
                "DENIED",
                "this form was not made by this registry for this visit; load the page again and repeat",
            ));
        }
        Ok(fields)
    }

    pub(in crate::http::web) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// Begins a session and goes on to a page.
async fn begin(
    app: &App,
    headers: &HeaderMap,
    caller: &Caller,
    to: &str,
) -> Result<Response, Failure> {
    let former = cookie(app, headers, Cookie::Session);
    let secret = visit::begin(app, caller, former.as_deref()).await?;
    let mut response = Redirect::to(to).into_response();
    set_cookie(
        app,
        &mut response,
        Cookie::Session,
        &secret,
        visit::HOURS * 3600,
    );
    set_cookie(app, &mut response, Cookie::Form, "", 0);
    set_cookie(app, &mut response, Cookie::Login, "", 0);
    Ok(response)
}
