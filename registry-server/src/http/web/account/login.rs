// SPDX-License-Identifier: Apache-2.0
//! `/login` and `/logout`

use askama::Template;
use axum::{
    Extension,
    body::Bytes,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use super::{Cookie, Fields, Secret, Visitor, begin, cookie, set_cookie};
use crate::app::App;
use crate::http::web::{Layout, render};
use crate::http::{error::Failure, limit::WrongLogin};
use crate::service::{ServiceError, access::Caller, oidc, password, token, visit};

/// How long a login form is good, in seconds.
const FORM_SECONDS: i64 = 3600;
/// How long the provider may take, in seconds.
const PROVIDER_SECONDS: i64 = 600;

#[derive(Template)]
#[template(path = "pages/login.html")]
struct LoginPage {
    layout: Layout,
    csrf: String,
    next: String,
    name: String,
    provider: Option<String>,
    error: Option<String>,
}

/// Where to go after the login.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    #[serde(default)]
    next: String,
}

/// A path of ours, or the account's page: nobody else's address gets in by this door.
fn safe(next: &str) -> &str {
    let path = next.strip_prefix('/').unwrap_or("/");
    let ours = !path.starts_with(['/', '\\']) && next.bytes().all(|b| b.is_ascii_graphic());
    if ours { next } else { "/account" }
}

fn page(app: &App, layout: Layout, next: &str, name: &str, failed: Option<String>) -> Response {
    let secret = visit::secret(app);
    let provider = app.config.access.login_issuer.as_deref();
    let status = if failed.is_some() {
        StatusCode::UNAUTHORIZED
    } else {
        StatusCode::OK
    };
    let page = LoginPage {
        layout,
        csrf: visit::csrf(&secret),
        next: next.to_owned(),
        name: name.to_owned(),
        provider: provider.map(|url| url.split("://").last().unwrap_or(url).to_owned()),
        error: failed,
    };
    let mut response = render(status, &page);
    set_cookie(app, &mut response, Cookie::Form, &secret, FORM_SECONDS);
    let no_store = http::HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

/// `GET /login`
pub(super) async fn show(
    State(app): State<App>,
    layout: Layout,
    Query(parameters): Query<Parameters>,
) -> Response {
    page(&app, layout, safe(&parameters.next), "", None)
}

/// `POST /login`: with a password, or with an API token that may do all its account may.
pub(super) async fn enter(
    State(app): State<App>,
    layout: Layout,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let form = cookie(&app, &headers, Cookie::Form).unwrap_or_default();
    let fields = Fields::read(&app, &headers, &body, &visit::csrf(&form))?;
    let (name, secret, next) = (
        fields.get("name"),
        fields.get("password"),
        fields.get("next"),
    );
    let found = if secret.starts_with(token::PREFIX) {
        token::recognise(&app, secret).await
    } else {
        password::recognise(&app, name, secret).await
    };
    let limited = |caller: &Caller| {
        let account = caller.account.as_ref();
        account.is_none_or(|account| account.scopes.is_some())
    };
    match found {
        Ok(caller) if !limited(&caller) => begin(&app, &headers, &caller, safe(next)).await,
        Ok(_) | Err(ServiceError::BadCredentials) => {
            let name: String = name.chars().take(64).collect();
            let wrong = "The user name or password is wrong.".to_owned();
            let mut answer = page(&app, layout, safe(next), &name, Some(wrong));
            answer.extensions_mut().insert(WrongLogin);
            Ok(answer)
        }
        Err(error) => Err(error.into()),
    }
}

/// `GET /login/provider`
pub(super) async fn leave(State(app): State<App>) -> Result<Response, Failure> {
    let begun = oidc::begin(&app).await?;
    let mut response = Redirect::to(begun.url.as_str()).into_response();
    set_cookie(
        &app,
        &mut response,
        Cookie::Login,
        &begun.state,
        PROVIDER_SECONDS,
    );
    Ok(response)
}

/// What the provider sends along.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: String,
}

/// `GET /login/callback`
pub(super) async fn come_back(
    State(app): State<App>,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> Result<Response, Failure> {
    let kept = cookie(&app, &headers, Cookie::Login);
    let caller = oidc::finish(&app, kept.as_deref(), &answer.state, &answer.code).await?;
    begin(&app, &headers, &caller, "/account").await
}

/// `POST /logout`
pub(super) async fn end(
    State(app): State<App>,
    visitor: Visitor,
    caller: Caller,
    Extension(secret): Extension<Secret>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    Fields::read(&app, &headers, &body, &visitor.csrf)?;
    visit::end(&app, &caller, &secret.0).await?;
    let mut response = Redirect::to("/").into_response();
    set_cookie(&app, &mut response, Cookie::Session, "", 0);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn a_login_leads_nowhere_else() {
        for next in ["/packages/demo/pass", "/account", "/search?q=a"] {
            assert_eq!(safe(next), next);
        }
        for next in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\nb",
            "evil",
        ] {
            assert_eq!(safe(next), "/account", "{next}");
        }
    }
}
