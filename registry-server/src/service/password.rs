// SPDX-License-Identifier: Apache-2.0
//! Passwords: kept as argon2id hashes, and checked in the same time whoever asks.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use registry_schema::Digest;
use tokio::sync::Semaphore;

use super::{
    ServiceError,
    access::{Account, Caller, Credential},
};
use crate::{app::App, store};

/// Shortest password, in characters.
pub const SHORTEST: usize = 12;
/// Longest password, in bytes.
pub const LONGEST: usize = 256;
/// Memory of one hash in KiB, passes, lanes: the least that OWASP recommends for argon2id.
const COST: Cost = (19_456, 2, 1);
/// Bytes of salt and of hash.
const SALT: usize = 16;
const HASH: usize = 32;

/// So many hashes at the same time: each takes 19 MiB and a core.
static SLOTS: Semaphore = Semaphore::const_new(2);

/// Hashes a new password.
///
/// # Errors
/// [`ServiceError::Password`] if it is too short or too long.
pub async fn hash(app: &App, password: &str) -> Result<String, ServiceError> {
    if password.chars().count() < SHORTEST || password.len() > LONGEST {
        return Err(ServiceError::Password);
    }
    let salt = app.random.bytes::<SALT>();
    let (memory, passes, lanes) = COST;
    let digest = derive(password.to_owned(), salt.to_vec(), COST).await?;
    let (salt, digest) = (
        BASE64_STANDARD_NO_PAD.encode(salt),
        BASE64_STANDARD_NO_PAD.encode(digest),
    );
    Ok(format!(
        "$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${digest}"
    ))
}

/// Runs argon2id away from the threads that serve requests.
async fn derive(
    password: String,
    salt: Vec<u8>,
    (memory, passes, lanes): Cost,
) -> Result<[u8; HASH], ServiceError> {
    let failed = || ServiceError::Unavailable("passwords cannot be checked");
    let _slot = SLOTS.acquire().await.map_err(|_| failed())?;
    let work = move || {
        let params = Params::new(memory, passes, lanes, Some(HASH)).ok()?;
        let mut out = [0; HASH];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password.as_bytes(), &salt, &mut out)
            .ok()?;
        Some(out)
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.ok().flatten().ok_or_else(failed)
}

/// Memory, passes, lanes.
type Cost = (u32, u32, u32);

/// A stored hash: cost, salt, digest.
fn parse(stored: &str) -> Option<(Cost, Vec<u8>, Vec<u8>)> {
    let mut fields = stored.strip_prefix("$argon2id$v=19$")?.split('$');
    let mut numbers = fields.next()?.split(',').map(|word| {
        let (_, number) = word.split_once('=')?;
        number.parse().ok()
    });
    let cost = (numbers.next()??, numbers.next()??, numbers.next()??);
    let salt = BASE64_STANDARD_NO_PAD.decode(fields.next()?).ok()?;
    let digest = BASE64_STANDARD_NO_PAD.decode(fields.next()?).ok()?;
    Some((cost, salt, digest))
}

/// Whether `password` is the one that was hashed. Without a hash it takes as long and is wrong.
async fn fits(stored: Option<&str>, password: &str) -> Result<bool, ServiceError> {
    let nobody = || (COST, vec![0; SALT], Vec::new());
    let (cost, salt, expected) = stored.and_then(parse).unwrap_or_else(nobody);
    let actual = derive(password.to_owned(), salt, cost).await?;
    // Every byte is looked at, whichever differs first.
    let differ = actual
        .iter()
        .zip(&expected)
        .fold(0, |sum, (a, b)| sum | (a ^ b));
    Ok(expected.len() == HASH && differ == 0)
}

/// What tells one password from the next without telling anything else: when it changes, what
/// was given for the old one ends.
pub(super) fn stamp(stored: &str) -> String {
    Digest::sha256(stored.as_bytes()).hex()[..16].to_owned()
}

/// Recognises a user name and password. An unknown name takes as long as a wrong password.
///
/// # Errors
/// [`ServiceError::BadCredentials`], the same for every reason; [`ServiceError::Store`].
pub async fn recognise(app: &App, name: &str, password: &str) -> Result<Caller, ServiceError> {
    if password.len() > LONGEST {
        return Err(ServiceError::BadCredentials);
    }
    let account = store::accounts::find(&app.db, name).await?;
    let stored = account.as_ref().and_then(|row| row.password.as_deref());
    let right = fits(stored, password).await?;
    match account {
        Some(row) if right && row.disabled_at.is_none() => Ok(Caller {
            account: Some(Account {
                credential: Credential::Password {
                    stamp: stamp(row.password.as_deref().unwrap_or_default()),
                },
                name: row.name,
                administrator: row.administrator,
                scopes: None,
            }),
            grants: None,
        }),
        _ => Err(ServiceError::BadCredentials),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_says_how_it_was_made() {
        // Made by the reference implementation:
        // echo -n password | argon2 somesaltsomesalt -id -t 2 -k 64 -p 1 -l 32 -e
        let salt = BASE64_STANDARD_NO_PAD.encode("somesaltsomesalt");
        let digest = derive(
            "password".to_owned(),
            b"somesaltsomesalt".to_vec(),
            (64, 2, 1),
        )
        .await
        .expect("a digest");
        let text = format!(
            "$argon2id$v=19$m=64,t=2,p=1${salt}${}",
            BASE64_STANDARD_NO_PAD.encode(digest)
        );
        assert!(fits(Some(&text), "password").await.expect("an answer"));
        assert!(!fits(Some(&text), "passwore").await.expect("an answer"));
        assert!(!fits(None, "password").await.expect("an answer"));
        for broken in [
            "",
            "$argon2i$v=19$m=64,t=2,p=1$AA$AA",
            "$argon2id$v=19$m=64$AA$AA",
        ] {
            assert!(!fits(Some(broken), "password").await.expect("an answer"));
        }
    }
}
