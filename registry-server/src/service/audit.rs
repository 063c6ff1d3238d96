// SPDX-License-Identifier: Apache-2.0
//! The audit log: who changed what, in a chain of hashes that shows any tampering.

use registry_schema::{
    Namespace,
    audit::{AuditBreak, AuditEntry, AuditPage, GENESIS},
};
use serde_json::Value;

use super::{
    ServiceError,
    access::{self, Caller},
};
use crate::{
    app::App,
    store::{self, Db, Tx},
};

/// Entries on a page unless asked otherwise.
pub const PAGE: i64 = 100;
/// Most entries on a page, and how many [`verify`] reads at a time.
pub const LARGEST_PAGE: i64 = 1000;

/// Adds an entry in the transaction that changes what it records: both happen or neither.
///
/// `action` is `noun.verb`. `subject` is a namespace, or begins with one and a slash
/// (`demo/pass`, `demo/pass:1.0.0`, `demo/pass@sha256:…`): that namespace's owners can read the
/// entry. What belongs to no namespace is `kind:name` (`account:alice`, `registry:gc`).
/// `detail` holds no secrets and no fractions.
///
/// Every writer waits here for the one before it, until that one's transaction ends. So append
/// last, right before the commit, and after [`store::changes::append`]: always in this order,
/// or two transactions wait for each other.
///
/// # Errors
/// [`ServiceError::Store`]; [`ServiceError::Audit`] if `detail` has no canonical form.
pub async fn append(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    action: &'static str,
    subject: &str,
    detail: Value,
) -> Result<(), ServiceError> {
    let credential = caller
        .account
        .as_ref()
        .map_or_else(String::new, |account| account.credential.to_string());
    let taken = store::audit::take(tx).await?;
    let mut entry = AuditEntry {
        sequence: taken.sequence,
        at: app.clock.now(),
        actor: caller.name().to_owned(),
        credential,
        action: action.to_owned(),
        subject: subject.to_owned(),
        detail,
        previous: taken.hash,
        hash: String::new(),
    };
    entry.hash = entry.digest()?;
    store::audit::insert(tx, &entry, namespace_of(subject)).await?;
    tracing::info!(
        action,
        subject,
        account = entry.actor,
        sequence = entry.sequence,
        "changed"
    );
    Ok(())
}

/// The namespace that a subject belongs to.
fn namespace_of(subject: &str) -> Option<&str> {
    let end = subject.find(['/', ':']).unwrap_or(subject.len());
    (!subject[end..].starts_with(':')).then_some(&subject[..end])
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the newest entry.
    End,
    /// Before this number, going back.
    Before(i64),
    /// After this number, going forward.
    After(i64),
}

/// Up to `limit` entries, of one namespace or of all.
///
/// # Errors
/// [`ServiceError::Anonymous`]; for the log of a namespace those of [`access::demand_owner`],
/// for the whole log [`ServiceError::NotAdministrator`].
pub async fn page(
    app: &App,
    caller: &Caller,
    namespace: Option<&Namespace>,
    from: From,
    limit: i64,
) -> Result<AuditPage, ServiceError> {
    match namespace {
        Some(name) => {
            access::demand_owner(app, caller, name.as_str(), "read the audit log").await?;
        }
        None => access::demand_administrator(app, caller, "read the whole audit log")?,
    }
    let name = namespace.map_or("", |name| name.as_str());
    let limit = limit.clamp(1, LARGEST_PAGE);
    let mut entries = match from {
        From::End => store::audit::before(&app.db, i64::MAX, name, limit + 1).await?,
        From::Before(at) => store::audit::before(&app.db, at, name, limit + 1).await?,
        From::After(at) => store::audit::after(&app.db, at, name, limit + 1).await?,
    };
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = entries.len() > wanted;
    entries.truncate(wanted);
    let next = entries.last().filter(|_| more).map(|last| last.sequence);
    Ok(AuditPage { entries, next })
}

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every entry is as it was written.
    Whole {
        /// How many there are.
        entries: i64,
        /// The hash of the last: whoever notes both can check later that the log only grew.
        hash: String,
    },
    /// It was tampered with.
    Broken(AuditBreak),
}

/// Checks the whole chain: numbers, hashes, the noted end, and that the entries in `noted`
/// (number and hash, written down earlier) are still what they were.
///
/// # Errors
/// [`ServiceError::Store`] if the database cannot be read.
pub async fn verify(db: &Db, noted: &[(i64, String)]) -> Result<Verdict, ServiceError> {
    // The head first: what is added meanwhile lies behind it.
    let head = store::audit::head(db).await?;
    let (mut sequence, mut previous) = (0, GENESIS.to_owned());
    loop {
        let page = match store::audit::after(db, sequence, "", LARGEST_PAGE).await {
            Ok(page) => page,
            // Not even JSON any more: one by one, to name the first such entry.
            Err(store::StoreError::Corrupt { .. }) => {
                match store::audit::after(db, sequence, "", 1).await {
                    Ok(page) => page,
                    Err(store::StoreError::Corrupt { .. }) => {
                        return Ok(Verdict::Broken(AuditBreak::Content(sequence + 1)));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        };
        if page.is_empty() {
            break;
        }
        for entry in page {
            if let Err(broken) = check(&entry, sequence, &previous, &head, noted) {
                return Ok(Verdict::Broken(broken));
            }
            (sequence, previous) = (entry.sequence, entry.hash);
        }
    }
    let last_noted = noted.iter().map(|(at, _)| *at).max().unwrap_or(0);
    let expected = head.sequence.max(last_noted);
    if sequence < expected {
        let found = sequence;
        return Ok(Verdict::Broken(AuditBreak::Cut { expected, found }));
    }
    Ok(Verdict::Whole {
        entries: sequence,
        hash: previous,
    })
}

fn check(
    entry: &AuditEntry,
    sequence: i64,
    previous: &str,
    head: &store::audit::Head,
    noted: &[(i64, String)],
) -> Result<(), AuditBreak> {
    entry.follows(sequence, previous)?;
    let at_head = entry.sequence == head.sequence && entry.hash != head.hash;
    let differs = |(at, hash): &(i64, String)| *at == entry.sequence && *hash != entry.hash;
    if at_head || noted.iter().any(differs) {
        return Err(AuditBreak::Rewritten(entry.sequence));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::namespace_of;

    #[test]
    fn a_subject_says_whose_it_is() {
        for (subject, namespace) in [
            ("demo", Some("demo")),
            ("demo/pass", Some("demo")),
            ("demo/pass:1.0.0", Some("demo")),
            ("demo/pass@sha256:00", Some("demo")),
            ("account:alice", None),
            ("registry:gc", None),
            ("account:a/b", None),
        ] {
            assert_eq!(namespace_of(subject), namespace, "{subject}");
        }
    }
}
