// SPDX-License-Identifier: Apache-2.0
//! `/account`: the visitor's namespaces, tokens and password.

use askama::Template;
use axum::{
    body::Bytes,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode};
use registry_schema::{
    account::{Membership, NewToken, PasswordChange, TokenDetail},
    scope::Scope,
};

use super::{Fields, Visitor};
use crate::app::App;
use crate::http::error::Failure;
use crate::http::web::{Layout, format::Moment, render};
use crate::service::{ServiceError, access::Caller, account, review, token};

#[derive(Template)]
#[template(path = "pages/account.html")]
struct AccountPage {
    layout: Layout,
    visitor: Visitor,
    administrator: bool,
    /// Whether there is a queue for the visitor.
    reviews: bool,
    has_password: bool,
    memberships: Vec<Membership>,
    tokens: Vec<TokenRow>,
    longest_days: u32,
    /// A new token's secret, shown only now.
    secret: Option<String>,
    error: Option<String>,
}

struct TokenRow {
    id: String,
    label: String,
    scopes: String,
    created: Moment,
    expires: Option<Moment>,
    used: Option<Moment>,
    /// Why it is good no more.
    over: Option<&'static str>,
}

fn row(token: TokenDetail, now: DateTime<Utc>) -> TokenRow {
    let scopes = token.scopes.map_or_else(
        || "everything".to_owned(),
        |scopes| {
            scopes
                .iter()
                .map(Scope::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        },
    );
    let over = match (token.revoked_at, token.expires_at) {
        (Some(_), _) => Some("revoked"),
        (None, Some(end)) if end <= now => Some("expired"),
        _ => None,
    };
    TokenRow {
        id: token.id,
        label: token.label,
        scopes,
        created: token.created_at.into(),
        expires: token.expires_at.map(Moment::from),
        used: token.last_used_at.map(Moment::from),
        over,
    }
}

async fn page(
    app: &App,
    caller: &Caller,
    layout: Layout,
    visitor: Visitor,
    outcome: Result<Option<String>, String>,
) -> Result<Response, Failure> {
    let own = account::own(app, caller).await?;
    let now = app.clock.now();
    let mut tokens: Vec<_> = token::list(app, caller, None).await?;
    tokens.reverse();
    let status = if outcome.is_ok() {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    let (secret, error) = match outcome {
        Ok(secret) => (secret, None),
        Err(error) => (None, Some(error)),
    };
    let page = AccountPage {
        layout,
        visitor,
        administrator: own.account.administrator,
        reviews: app.config.policy.is_public() && review::may(app, caller).await?,
        has_password: own.account.password,
        memberships: own.memberships,
        tokens: tokens.into_iter().map(|token| row(token, now)).collect(),
        longest_days: app.config.access.max_token_days,
        secret,
        error,
    };
    Ok(render(status, &page))
}

/// Our own faults are pages of their own; what the visitor can mend stands above the form.
fn told<T>(done: Result<T, ServiceError>) -> Result<Result<T, String>, Failure> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(error) => {
            let failure = Failure::from(error);
            if failure.status.is_server_error() {
                Err(failure)
            } else {
                Ok(Err(failure.detail))
            }
        }
    }
}

/// `GET /account`
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    caller: Caller,
    layout: Layout,
) -> Result<Response, Failure> {
    page(&app, &caller, layout, visitor, Ok(None)).await
}

fn request(fields: &Fields) -> Result<NewToken, ServiceError> {
    let words = fields.get("scopes").split_whitespace().map(str::parse);
    let days = fields.get("days");
    let days = days.parse().map_err(|_| {
        let days: String = days.chars().take(20).collect();
        ServiceError::TokenRequest(format!("`{days}` is no number of days"))
    })?;
    Ok(NewToken {
        label: fields.get("label").trim().to_owned(),
        scopes: words.collect::<Result<_, _>>()?,
        days: Some(days),
        account: None,
    })
}

/// `POST /account/tokens`
pub(super) async fn issue(
    State(app): State<App>,
    visitor: Visitor,
    caller: Caller,
    layout: Layout,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let fields = Fields::read(&app, &headers, &body, &visitor.csrf)?;
    let issued = match request(&fields) {
        Ok(new) => token::issue(&app, &caller, &new).await,
        Err(error) => Err(error),
    };
    let outcome = told(issued)?.map(|issued| Some(issued.token));
    page(&app, &caller, layout, visitor, outcome).await
}

/// `POST /account/tokens/revoke`
pub(super) async fn revoke(
    State(app): State<App>,
    visitor: Visitor,
    caller: Caller,
    layout: Layout,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let fields = Fields::read(&app, &headers, &body, &visitor.csrf)?;
    match told(token::revoke(&app, &caller, fields.get("id")).await)? {
        Ok(()) => Ok(Redirect::to("/account").into_response()),
        Err(error) => page(&app, &caller, layout, visitor, Err(error)).await,
    }
}

/// `POST /account/password`: all sessions end, this one too.
pub(super) async fn change_password(
    State(app): State<App>,
    visitor: Visitor,
    caller: Caller,
    layout: Layout,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let fields = Fields::read(&app, &headers, &body, &visitor.csrf)?;
    let change = PasswordChange {
        old: Some(fields.get("old").to_owned()),
        new: fields.get("new").to_owned(),
    };
    match told(account::change_password(&app, &caller, &change).await)? {
        Ok(()) => Ok(Redirect::to("/login").into_response()),
        Err(error) => page(&app, &caller, layout, visitor, Err(error)).await,
    }
}
