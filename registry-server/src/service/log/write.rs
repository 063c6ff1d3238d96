// SPDX-License-Identifier: Apache-2.0
//! What services say to the log, each in the transaction that makes it true.

use registry_schema::{
    Digest, Namespace, PackageName, Version,
    account::Role,
    transparency::{Change, Entry, EntryError, LoggedSignature},
};

use super::append;
use crate::{
    app::App,
    service::ServiceError,
    store::{self, Tx},
};

/// Says what happens now.
///
/// # Errors
/// Those of [`append`].
pub async fn say(app: &App, tx: &mut Tx, change: Change) -> Result<(), ServiceError> {
    append(app, tx, &Entry::new(app.clock.now(), change)).await
}

/// Says that a version was published, with the signatures that count by now: as many of them
/// as an entry has room for.
///
/// # Errors
/// Those of [`append`].
pub async fn published(
    app: &App,
    tx: &mut Tx,
    package: &PackageName,
    version: &Version,
    digest: &Digest,
) -> Result<(), ServiceError> {
    let mut signatures = store::log::signatures(tx, package, digest).await?;
    loop {
        let change = Change::Publish {
            package: package.clone(),
            version: version.clone(),
            digest: digest.clone(),
            signatures: signatures.clone(),
        };
        let entry = Entry::new(app.clock.now(), change);
        let fits = !matches!(entry.to_bytes(), Err(EntryError::TooLarge { .. }));
        if fits || signatures.pop().is_none() {
            return append(app, tx, &entry).await;
        }
    }
}

/// Says that a signature of a digest counts, if that is the index of a published version.
///
/// # Errors
/// Those of [`append`].
pub async fn signed(
    app: &App,
    tx: &mut Tx,
    package: &PackageName,
    digest: &Digest,
    signature: LoggedSignature,
) -> Result<(), ServiceError> {
    let Some(version) = store::log::version_of(tx, package, digest).await? else {
        return Ok(());
    };
    let change = Change::Sign {
        package: package.clone(),
        version,
        digest: digest.clone(),
        signature,
    };
    say(app, tx, change).await
}

/// Says that somebody's role in a namespace changed, where one of them lets publish.
///
/// # Errors
/// Those of [`append`].
pub async fn role(
    app: &App,
    tx: &mut Tx,
    namespace: &Namespace,
    before: Option<Role>,
    after: Option<Role>,
) -> Result<(), ServiceError> {
    let publishes = |role: &Role| *role >= Role::Publisher;
    let (before, after) = (before.filter(publishes), after.filter(publishes));
    let namespace = namespace.clone();
    let change = match (before, after) {
        (before, after) if before == after => return Ok(()),
        (_, Some(role)) => Change::MemberSet { namespace, role },
        (Some(role), None) => Change::MemberRemove { namespace, role },
        (None, None) => return Ok(()),
    };
    say(app, tx, change).await
}
