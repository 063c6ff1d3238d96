// SPDX-License-Identifier: Apache-2.0
//! Webhooks: who is told of a namespace's events, and telling them.
//!
//! Messages are made from the audit log, in whose order everything is that changes; so no
//! event is missed and none is told that did not happen. Each is signed in the form of
//! Standard Webhooks: `HMAC-SHA256(secret, "id.timestamp.payload")`.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};
use hmac::{Hmac, Mac};
use registry_schema::{
    Namespace,
    audit::AuditEntry,
    federation::{CreatedWebhook, Delivery as ShownDelivery, EVENTS, NewWebhook, Webhook as Shown},
};
use serde_json::json;
use sha2::Sha256;
use url::Url;

use super::{
    ServiceError,
    access::{self, Caller},
    audit,
    outbound::OutboundError,
};
use crate::{
    app::App,
    store::{
        self, StoreError,
        webhooks::{Attempt, Delivery, Webhook},
    },
};

/// Most webhooks of a namespace.
const MAX_WEBHOOKS: usize = 20;
/// Longest address, in bytes.
const MAX_URL: usize = 2048;
/// Failed attempts in a row after which a webhook is switched off.
const MAX_FAILURES: i64 = 20;
/// Attempts after which a message is given up.
const MAX_ATTEMPTS: i64 = 8;
/// The pause after the first failed attempt; each further one is four times as long.
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(10);
/// How long messages are remembered.
const REMEMBERED: TimeDelta = TimeDelta::days(30);
/// How long a receiver may take in all.
const WAIT: Duration = Duration::from_secs(10);
/// How many messages are sent in one go, and how many at the same time.
const BATCH: i64 = 200;
const AT_ONCE: usize = 8;
/// How many entries of the audit log are read at a time.
const PAGE: i64 = 500;
/// What the secret begins with.
const PREFIX: &str = "whsec_";
/// The event of a message that was only asked for to try it.
const TEST: &str = "webhook.test";

/// Why a webhook is refused.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum WebhookError {
    /// The address is none that this server sends to.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// There is no such event.
    #[error("`{0}` is no event; the events are {events}", events = EVENTS.join(", "))]
    Event(String),
    /// Too many.
    #[error("namespace `{0}` has {MAX_WEBHOOKS} webhooks, which is the limit; delete one")]
    TooMany(String),
    /// There is none with this identifier.
    #[error("namespace `{namespace}` has no webhook `{id}`")]
    Unknown { namespace: String, id: String },
}

/// Makes a webhook. Its secret is shown this once.
///
/// # Errors
/// Those of [`access::demand_owner`]; [`ServiceError::Webhook`].
pub async fn create(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    new: NewWebhook,
) -> Result<CreatedWebhook, ServiceError> {
    access::demand_owner(app, caller, namespace.as_str(), "make webhooks").await?;
    for event in &new.events {
        if !EVENTS.contains(&event.as_str()) {
            return Err(WebhookError::Event(event.chars().take(64).collect()).into());
        }
    }
    let form = || OutboundError::Form(new.url.chars().take(200).collect());
    let url = Url::parse(&new.url)
        .ok()
        .filter(|_| new.url.len() <= MAX_URL);
    let url = url.ok_or_else(form).map_err(refused)?;
    app.remotes.outbound.check(&url).await.map_err(refused)?;
    if store::webhooks::list(&app.db, namespace.as_str())
        .await?
        .len()
        >= MAX_WEBHOOKS
    {
        return Err(WebhookError::TooMany(namespace.to_string()).into());
    }
    let now = app.clock.now();
    let secret = format!(
        "{PREFIX}{}",
        BASE64_STANDARD.encode(app.random.bytes::<32>())
    );
    let webhook = Webhook {
        id: app.random.id(now).to_string(),
        namespace: namespace.to_string(),
        url: url.to_string(),
        secret: secret.clone(),
        events: new.events.join(" "),
        created_at: now,
        created_by: caller.name().to_owned(),
        disabled_at: None,
        failures: 0,
    };
    let detail = json!({"webhook": webhook.id, "host": url.host_str()});
    let mut tx = app.db.begin().await?;
    store::webhooks::insert(&mut tx, &webhook).await?;
    audit::append(
        app,
        &mut tx,
        caller,
        "webhook.create",
        namespace.as_str(),
        detail,
    )
    .await?;
    tx.commit().await?;
    Ok(CreatedWebhook {
        webhook: shown(webhook, namespace),
        secret,
    })
}

/// The webhooks of a namespace, without their secrets.
///
/// # Errors
/// Those of [`access::demand_owner`]; [`ServiceError::Store`].
pub async fn list(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
) -> Result<Vec<Shown>, ServiceError> {
    access::demand_owner(app, caller, namespace.as_str(), "see webhooks").await?;
    let found = store::webhooks::list(&app.db, namespace.as_str()).await?;
    Ok(found
        .into_iter()
        .map(|webhook| shown(webhook, namespace))
        .collect())
}

/// Removes a webhook with its messages.
///
/// # Errors
/// Those of [`access::demand_owner`]; [`ServiceError::Webhook`] if there is none.
pub async fn delete(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    id: &str,
) -> Result<(), ServiceError> {
    let webhook = own(app, caller, namespace, id).await?;
    let mut tx = app.db.begin().await?;
    store::webhooks::delete(&mut tx, &webhook.id).await?;
    let detail = json!({"webhook": webhook.id});
    audit::append(
        app,
        &mut tx,
        caller,
        "webhook.delete",
        namespace.as_str(),
        detail,
    )
    .await?;
    Ok(tx.commit().await?)
}

/// Switches a webhook on again and sends it a message to try it.
///
/// # Errors
/// Those of [`access::demand_owner`]; [`ServiceError::Webhook`] if there is none.
pub async fn test(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    id: &str,
) -> Result<(), ServiceError> {
    let webhook = own(app, caller, namespace, id).await?;
    let now = app.clock.now();
    let data = json!({"namespace": namespace, "actor": caller.name()});
    let mut tx = app.db.begin().await?;
    store::webhooks::reset(&mut tx, &webhook.id).await?;
    enqueue(app, &mut tx, &webhook, TEST, now, &data).await?;
    Ok(tx.commit().await?)
}

/// The newest messages to a webhook, newest first.
///
/// # Errors
/// Those of [`access::demand_owner`]; [`ServiceError::Webhook`] if there is none.
pub async fn deliveries(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    id: &str,
) -> Result<Vec<ShownDelivery>, ServiceError> {
    let webhook = own(app, caller, namespace, id).await?;
    let found = store::webhooks::deliveries(&app.db, &webhook.id, 100).await?;
    Ok(found
        .into_iter()
        .map(|one| ShownDelivery {
            id: one.id,
            event: one.event,
            created_at: one.created_at,
            attempts: u32::try_from(one.attempts).unwrap_or(0),
            delivered_at: one.delivered_at,
            next_at: one.next_at,
            status: one.status.and_then(|status| u16::try_from(status).ok()),
            failure: one.failure,
        })
        .collect())
}

async fn own(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    id: &str,
) -> Result<Webhook, ServiceError> {
    access::demand_owner(app, caller, namespace.as_str(), "use webhooks").await?;
    let found = store::webhooks::find(&app.db, id).await?;
    let own = found.filter(|webhook| webhook.namespace == namespace.as_str());
    let unknown = || WebhookError::Unknown {
        namespace: namespace.to_string(),
        id: id.chars().take(64).collect(),
    };
    Ok(own.ok_or_else(unknown)?)
}

fn shown(webhook: Webhook, namespace: &Namespace) -> Shown {
    Shown {
        id: webhook.id,
        namespace: namespace.clone(),
        url: webhook.url,
        events: webhook
            .events
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        created_at: webhook.created_at,
        created_by: webhook.created_by,
        disabled_at: webhook.disabled_at,
        failures: u32::try_from(webhook.failures).unwrap_or(0),
    }
}

/// Makes messages of what has happened, and sends those that are due.
///
/// # Errors
/// [`ServiceError::Store`]. That a receiver does not answer is no error.
pub async fn run(app: &App) -> Result<(), ServiceError> {
    collect(app).await?;
    let now = app.clock.now();
    let due = store::webhooks::due(&app.db, now, BATCH).await?;
    if due.is_empty() {
        return Ok(());
    }
    let client = app
        .remotes
        .outbound
        .straight_client(WAIT)
        .map_err(refused)?;
    let sent = due.into_iter().map(|delivery| send(app, &client, delivery));
    let mut sent = stream::iter(sent).buffer_unordered(AT_ONCE);
    while let Some(outcome) = sent.next().await {
        outcome?;
    }
    let mut tx = app.db.begin().await?;
    store::webhooks::forget(&mut tx, now - REMEMBERED).await?;
    Ok(tx.commit().await?)
}

/// Turns new entries of the audit log into messages.
async fn collect(app: &App) -> Result<(), ServiceError> {
    loop {
        let head = store::audit::head(&app.db).await?.sequence;
        let Some(done) = store::webhooks::progress(&app.db).await? else {
            // Nobody can have asked to be told of what happened before the first look.
            let mut tx = app.db.begin().await?;
            store::webhooks::advance(&mut tx, head).await?;
            return Ok(tx.commit().await?);
        };
        let done = i64::try_from(done).unwrap_or(i64::MAX);
        let entries = store::audit::after(&app.db, done, "", PAGE).await?;
        let Some(last) = entries.last().map(|entry| entry.sequence) else {
            return Ok(());
        };
        let mut messages = Vec::new();
        for entry in entries {
            for webhook in told_of(app, &entry).await? {
                messages.push((webhook, entry.clone()));
            }
        }
        let mut tx = app.db.begin().await?;
        // Another replica may have been faster.
        if !store::webhooks::advance(&mut tx, last).await? {
            return Ok(());
        }
        for (webhook, entry) in messages {
            let data = json!({
                "subject": entry.subject,
                "actor": entry.actor,
                "detail": entry.detail,
                "sequence": entry.sequence,
            });
            enqueue(app, &mut tx, &webhook, &entry.action, entry.at, &data).await?;
        }
        tx.commit().await?;
    }
}

/// The webhooks that want to be told of an entry.
async fn told_of(app: &App, entry: &AuditEntry) -> Result<Vec<Webhook>, StoreError> {
    if !EVENTS.contains(&entry.action.as_str()) {
        return Ok(Vec::new());
    }
    let namespace = entry.subject.split(['/', ':']).next().unwrap_or_default();
    let mut found = store::webhooks::list(&app.db, namespace).await?;
    found.retain(|webhook| {
        let mut events = webhook.events.split_whitespace().peekable();
        let wanted = events.peek().is_none() || events.any(|event| event == entry.action);
        webhook.disabled_at.is_none() && webhook.created_at <= entry.at && wanted
    });
    Ok(found)
}

async fn enqueue(
    app: &App,
    tx: &mut store::Tx,
    webhook: &Webhook,
    event: &str,
    at: DateTime<Utc>,
    data: &serde_json::Value,
) -> Result<(), StoreError> {
    let payload = json!({
        "type": event,
        "timestamp": at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        "data": data,
    });
    let now = app.clock.now();
    let id = format!("msg_{}", app.random.id(now).simple());
    store::webhooks::enqueue(tx, &id, &webhook.id, event, &payload.to_string(), now).await
}

/// Sends a message once, and notes what became of it.
async fn send(app: &App, client: &reqwest::Client, delivery: Delivery) -> Result<(), ServiceError> {
    let Some(webhook) = store::webhooks::find(&app.db, &delivery.webhook).await? else {
        return Ok(());
    };
    let now = app.clock.now();
    let outcome = post(app, client, &webhook, &delivery, now).await;
    let mut attempt = Attempt {
        status: outcome.as_ref().ok().map(|status| (*status).into()),
        ..Attempt::default()
    };
    let arrived = matches!(outcome, Ok(200..300));
    if arrived {
        attempt.delivered_at = Some(now);
    } else {
        attempt.next_at = next_attempt(now, delivery.attempts + 1);
        attempt.failure = Some(match &outcome {
            Ok(status) => format!("the receiver answered {status}"),
            Err(reason) => reason.clone(),
        });
    }
    let mut tx = app.db.begin().await?;
    store::webhooks::attempted(&mut tx, &delivery.id, &attempt, now).await?;
    if arrived {
        store::webhooks::reset(&mut tx, &webhook.id).await?;
    } else {
        let failures = store::webhooks::failed(&mut tx, &webhook.id).await?;
        if outcome == Ok(410) || failures >= Some(MAX_FAILURES) {
            tracing::warn!(
                webhook = webhook.id,
                "webhook is switched off: nothing arrives"
            );
            store::webhooks::disable(&mut tx, &webhook.id, now).await?;
        }
    }
    Ok(tx.commit().await?)
}

/// When a message is sent again after `attempts` of them failed.
fn next_attempt(now: DateTime<Utc>, attempts: i64) -> Option<DateTime<Utc>> {
    let doublings = u32::try_from(attempts - 1).unwrap_or(0) * 2;
    (attempts < MAX_ATTEMPTS).then(|| now + FIRST_PAUSE * 2_i32.pow(doublings))
}

/// Gives the receiver's status, or why there is none.
async fn post(
    app: &App,
    client: &reqwest::Client,
    webhook: &Webhook,
    delivery: &Delivery,
    now: DateTime<Utc>,
) -> Result<u16, String> {
    let url = Url::parse(&webhook.url).map_err(|error| error.to_string())?;
    // What the name leads to may have changed since it was registered.
    let check = app.remotes.outbound.check(&url).await;
    check.map_err(|error| error.to_string())?;
    let timestamp = now.timestamp();
    let signature = sign(&webhook.secret, &delivery.id, timestamp, &delivery.payload);
    let request = client
        .post(url)
        .timeout(WAIT)
        .header("content-type", "application/json")
        .header("webhook-id", &delivery.id)
        .header("webhook-timestamp", timestamp.to_string())
        .header("webhook-signature", signature)
        .body(delivery.payload.clone());
    // The body of the answer is not read: nobody would look at it.
    match request.send().await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => {
            let mut innermost: &dyn std::error::Error = &error;
            while let Some(source) = innermost.source() {
                innermost = source;
            }
            Err(innermost.to_string().chars().take(300).collect())
        }
    }
}

/// The signature of a message: `v1,` and base64.
fn sign(secret: &str, id: &str, timestamp: i64, payload: &str) -> String {
    let encoded = secret.strip_prefix(PREFIX).unwrap_or(secret);
    let key = BASE64_STANDARD.decode(encoded).unwrap_or_default();
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else {
        unreachable!("a key of any length fits");
    };
    mac.update(format!("{id}.{timestamp}.{payload}").as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

fn refused(error: OutboundError) -> ServiceError {
    WebhookError::from(error).into()
}

impl From<WebhookError> for ServiceError {
    fn from(error: WebhookError) -> Self {
        Self::Webhook(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_standard_webhooks() {
        // The example of the specification's reference libraries.
        let signature = sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn pauses_grow_and_end() {
        let now = DateTime::from_timestamp(0, 0).expect("a time");
        let pauses: Vec<_> = (1..=8)
            .map(|attempts| next_attempt(now, attempts).map(|at| at.timestamp()))
            .collect();
        let expected = [10, 40, 160, 640, 2560, 10240, 40960].map(Some);
        assert_eq!(pauses[..7], expected);
        assert_eq!(pauses[7], None);
    }
}
