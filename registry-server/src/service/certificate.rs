// SPDX-License-Identifier: Apache-2.0
//! Client certificates as identities: by a subject alternative name, or by the public key.
//!
//! The TLS layer has checked chain, dates and revocation before anything comes here.

use registry_schema::{
    Digest,
    account::{CertificateDetail, NewCertificate},
};
use serde_json::json;
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

use super::{
    ServiceError,
    access::{self, Account, Caller, Credential},
    audit,
};
use crate::{
    app::App,
    store::{self, certificates::Certificate},
};

/// Longest name that is mapped, in bytes.
const MAX_VALUE: usize = 512;

/// What a certificate can be known by, the most exact first: key, then names. Names that hold
/// anything but visible ASCII count as none: a NUL or an odd character is how one name is made
/// to look like another.
fn names(der: &[u8]) -> Option<Vec<(&'static str, String)>> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let key = Digest::sha256(certificate.public_key().raw);
    let mut found = vec![("spki", key.hex().to_owned())];
    let alternative = certificate.subject_alternative_name().ok()?;
    for name in alternative
        .iter()
        .flat_map(|names| &names.value.general_names)
    {
        let (kind, value) = match name {
            GeneralName::URI(value) => ("uri", (*value).to_owned()),
            GeneralName::DNSName(value) => ("dns", value.to_ascii_lowercase()),
            GeneralName::RFC822Name(value) => ("email", (*value).to_owned()),
            _ => continue,
        };
        if value.bytes().all(|b| b.is_ascii_graphic()) {
            found.push((kind, value));
        }
    }
    found.sort_by_key(|(kind, _)| {
        ["spki", "uri", "email", "dns"]
            .iter()
            .position(|k| k == kind)
    });
    Some(found)
}

/// Recognises a client certificate. One that is mapped to nobody is an anonymous caller: it
/// may be there for another reason.
///
/// # Errors
/// [`ServiceError::BadCredentials`] if it is no certificate; [`ServiceError::Store`].
pub async fn recognise(app: &App, der: &[u8]) -> Result<Caller, ServiceError> {
    for (kind, value) in names(der).ok_or(ServiceError::BadCredentials)? {
        if let Some(account) = account(app, kind, &value).await? {
            return Ok(Caller {
                account: Some(account),
                grants: None,
            });
        }
    }
    Ok(Caller::default())
}

/// The account that a name or key stands for.
pub(super) async fn account(
    app: &App,
    kind: &str,
    value: &str,
) -> Result<Option<Account>, ServiceError> {
    let Some(name) = store::certificates::find(&app.db, kind, value).await? else {
        return Ok(None);
    };
    let row = store::accounts::find(&app.db, &name).await?;
    let row = row.filter(|row| row.disabled_at.is_none());
    let row = row.ok_or(ServiceError::BadCredentials)?;
    Ok(Some(Account {
        name: row.name,
        administrator: row.administrator,
        credential: Credential::Certificate {
            kind: kind.to_owned(),
            value: value.to_owned(),
        },
        scopes: None,
    }))
}

/// Lets a certificate stand for an account.
///
/// # Errors
/// Those of [`access::demand_administrator`]; [`ServiceError::CertificateRule`];
/// [`ServiceError::AccountUnknown`]; [`ServiceError::CertificateTaken`].
pub async fn add(
    app: &App,
    caller: &Caller,
    new: NewCertificate,
) -> Result<CertificateDetail, ServiceError> {
    access::demand_administrator(app, caller, "map certificates")?;
    let visible = new.value.bytes().all(|b| b.is_ascii_graphic());
    let fits = match new.kind.as_str() {
        "spki" => {
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            new.value.len() == 64 && new.value.bytes().all(hex)
        }
        "dns" => visible && new.value == new.value.to_ascii_lowercase(),
        "uri" | "email" => visible,
        _ => false,
    };
    if !fits || new.value.is_empty() || new.value.len() > MAX_VALUE {
        return Err(ServiceError::CertificateRule);
    }
    let row = Certificate {
        kind: new.kind.clone(),
        value: new.value.clone(),
        account: new.account.clone(),
        added_at: app.clock.now(),
        added_by: caller.name().to_owned(),
    };
    let mut tx = app.db.begin().await?;
    let found = store::accounts::find_in(&mut tx, &row.account).await?;
    if found.is_none_or(|row| row.robot) {
        return Err(ServiceError::AccountUnknown(
            row.account.chars().take(100).collect(),
        ));
    }
    if !store::certificates::insert(&mut tx, &row).await? {
        return Err(ServiceError::CertificateTaken(row.value));
    }
    let detail = json!({ "account": row.account });
    let subject = format!("certificate:{}:{}", row.kind, row.value);
    audit::append(app, &mut tx, caller, "certificate.add", &subject, detail).await?;
    tx.commit().await?;
    Ok(CertificateDetail {
        rule: new,
        added_by: row.added_by,
        added_at: row.added_at,
    })
}

/// All mappings.
///
/// # Errors
/// Those of [`access::demand_administrator`].
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<CertificateDetail>, ServiceError> {
    access::demand_administrator(app, caller, "list certificates")?;
    let rows = store::certificates::list(&app.db).await?;
    let describe = |row: Certificate| CertificateDetail {
        rule: NewCertificate {
            kind: row.kind,
            value: row.value,
            account: row.account,
        },
        added_by: row.added_by,
        added_at: row.added_at,
    };
    Ok(rows.into_iter().map(describe).collect())
}

/// Takes a mapping back.
///
/// # Errors
/// Those of [`access::demand_administrator`]; [`ServiceError::CertificateUnknown`].
pub async fn remove(
    app: &App,
    caller: &Caller,
    kind: &str,
    value: &str,
) -> Result<(), ServiceError> {
    access::demand_administrator(app, caller, "map certificates")?;
    let mut tx = app.db.begin().await?;
    if !store::certificates::delete(&mut tx, kind, value).await? {
        return Err(ServiceError::CertificateUnknown(
            value.chars().take(100).collect(),
        ));
    }
    let subject = format!("certificate:{kind}:{value}");
    audit::append(
        app,
        &mut tx,
        caller,
        "certificate.remove",
        &subject,
        json!({}),
    )
    .await?;
    Ok(tx.commit().await?)
}
