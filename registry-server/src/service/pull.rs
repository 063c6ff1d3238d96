// SPDX-License-Identifier: Apache-2.0
//! Counting pulls: once per version, day and puller.

use std::net::IpAddr;

use registry_schema::{Digest, PackageName, Version};

use super::{ServiceError, access::Caller};
use crate::{app::App, store};

const SECONDS_PER_DAY: i64 = 86_400;

/// Counts that a version's index was fetched. Logged-in pullers count by account, others
/// by network (/24, /48); what is stored is a keyed hash that changes every day.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn count(
    app: &App,
    caller: &Caller,
    peer: IpAddr,
    package: &PackageName,
    version: &Version,
) -> Result<(), ServiceError> {
    let day = app.clock.now().timestamp().div_euclid(SECONDS_PER_DAY);
    let who = match &caller.account {
        Some(account) => format!("account {}", account.name),
        None => format!("network {}", network(peer)),
    };
    let salted = format!("{} {day} {who}", app.pull_salt);
    let hash = Digest::sha256(salted.as_bytes());
    let puller = &hash.hex()[..32];
    let (commits, pull) = (app.db.commits(), format!("{puller} {package} {version}"));
    if app.reads.counted.get(&pull, commits).is_some() {
        return Ok(());
    }
    // The read keeps a loop of pulls from becoming a loop of synced commits.
    if !store::packages::pulled(&app.db, package, version, day, puller).await? {
        let mut tx = app.db.begin_relaxed().await?;
        store::packages::insert_pull(&mut tx, package, version, day, puller).await?;
        tx.commit().await?;
    }
    app.reads.counted.keep(pull, &(), commits);
    Ok(())
}

fn network(peer: IpAddr) -> String {
    match peer.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}")
        }
    }
}
