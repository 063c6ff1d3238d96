// SPDX-License-Identifier: Apache-2.0
//! Signer epochs: for how long the same identities, or those they named, have vouched for a
//! package. What was earned in one counts nothing in the next.
//!
//! Epochs are worked out anew from versions, signatures, continuity statements and transfers
//! whenever one of these changes. So a statement that comes late heals, and one that a stolen
//! key signed falls when the theft is known.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use registry_schema::{
    Identity, PackageName, Version,
    namespace_identity::{Epoch as Shown, EpochCause},
    transparency::Change,
};
use serde_json::json;

use super::{ServiceError, access::Caller, audit, continuity, log};
use crate::{
    app::App,
    store::{
        self, Tx,
        epochs::{Epoch, Signed},
    },
};

/// One identity's word for another.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) signer: Identity,
    pub(super) successor: Identity,
}

/// What happened to a package, as far as epochs are concerned.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// A row for each version and each signature of it that counts, in the order of
    /// publication.
    pub(super) versions: Vec<Signed>,
    /// Whose word counts for whom.
    pub(super) links: Vec<Link>,
    /// When the package's namespace was handed over, and whether a statement of the old
    /// identity came with that.
    pub(super) transfers: Vec<(DateTime<Utc>, bool)>,
    /// How many signers of an epoch must go on.
    pub(super) threshold: usize,
}

/// The identities that a version was signed by, with the time of the first signature of each.
type Signers = BTreeMap<Identity, DateTime<Utc>>;

/// A version, when it was published, and by whom it was signed.
struct Published<'a> {
    version: &'a Version,
    at: DateTime<Utc>,
    signers: Signers,
}

impl Published<'_> {
    /// Those who found an epoch: who had signed when the version was published or, where the
    /// signature comes after the tag, who signed first. Who adds a signature later joins
    /// nothing: else whoever may push could add themselves.
    fn founders(&self) -> Vec<Identity> {
        let first = self.signers.values().min().copied().unwrap_or(self.at);
        let by = first.max(self.at);
        let signed = self.signers.iter().filter(|(_, at)| **at <= by);
        signed.map(|(identity, _)| identity.clone()).collect()
    }

    /// When it was published and signed.
    fn signed_at(&self) -> DateTime<Utc> {
        self.signers
            .values()
            .min()
            .map_or(self.at, |first| self.at.max(*first))
    }
}

/// Works the epochs of a package out.
pub(super) fn work_out(past: &Past) -> Vec<Epoch> {
    let mut epochs: Vec<Epoch> = Vec::new();
    let mut transfers = past.transfers.iter().peekable();
    for version in published(&past.versions) {
        while let Some((at, _)) = transfers.next_if(|(at, _)| *at <= version.at) {
            hand_over(&mut epochs, past, *at);
        }
        let number = u32::try_from(epochs.len()).unwrap_or(u32::MAX - 1) + 1;
        let new = |cause: EpochCause| Epoch {
            number,
            cause: word(cause).to_owned(),
            signers: version.founders(),
            version: Some(version.version.clone()),
            began_at: match cause {
                EpochCause::First => version.at,
                _ => version.signed_at(),
            },
        };
        let Some(current) = epochs.last_mut() else {
            epochs.push(new(EpochCause::First));
            continue;
        };
        // Nobody vouches for what nobody signed, and nothing changes by it.
        if version.signers.is_empty() {
            continue;
        }
        if current.signers.is_empty() && current.version.is_none() {
            current.signers = version.founders();
            current.version = Some(version.version.clone());
            continue;
        }
        let allowed = reach(&current.signers, &past.links);
        let kept = version.signers.keys().filter(|one| allowed.contains(one));
        let needed = past.threshold.min(current.signers.len()).max(1);
        if kept.count() < needed {
            epochs.push(new(EpochCause::Signer));
        }
    }
    for (at, _) in transfers {
        hand_over(&mut epochs, past, *at);
    }
    epochs
}

/// Another owner begins a new epoch, unless the old identities named those who go on.
fn hand_over(epochs: &mut Vec<Epoch>, past: &Past, at: DateTime<Utc>) {
    let vouched = past
        .transfers
        .iter()
        .any(|(one, vouched)| *one == at && *vouched);
    if epochs.is_empty() || vouched {
        return;
    }
    epochs.push(Epoch {
        number: u32::try_from(epochs.len()).unwrap_or(u32::MAX - 1) + 1,
        cause: word(EpochCause::Transfer).to_owned(),
        signers: Vec::new(),
        version: None,
        began_at: at,
    });
}

/// Puts the rows of one version together.
fn published(rows: &[Signed]) -> Vec<Published<'_>> {
    let mut versions: Vec<Published<'_>> = Vec::new();
    for row in rows {
        if versions
            .last()
            .is_none_or(|last| *last.version != row.version)
        {
            versions.push(Published {
                version: &row.version,
                at: row.published_at,
                signers: Signers::new(),
            });
        }
        if let (Some(last), Some((identity, seen_at))) = (versions.last_mut(), &row.signer) {
            last.signers.entry(identity.clone()).or_insert(*seen_at);
        }
    }
    versions
}

/// The identities themselves, whom they named, whom those named, and so on.
fn reach(from: &[Identity], links: &[Link]) -> BTreeSet<Identity> {
    let mut reached: BTreeSet<Identity> = from.iter().cloned().collect();
    loop {
        let before = reached.len();
        for link in links {
            if reached.contains(&link.signer) {
                reached.insert(link.successor.clone());
            }
        }
        if reached.len() == before {
            return reached;
        }
    }
}

const fn word(cause: EpochCause) -> &'static str {
    match cause {
        EpochCause::First => "first",
        EpochCause::Signer => "signer",
        EpochCause::Transfer => "transfer",
    }
}

/// Works the epochs of a package out and keeps them, in the transaction that changed
/// something. A new one is said to the logs, and search follows.
///
/// # Errors
/// [`ServiceError::Store`]; those of the logs.
pub(super) async fn renew(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    package: &PackageName,
) -> Result<(), ServiceError> {
    let before = store::epochs::list_in(tx, package).await?;
    let namespace = package.namespace();
    let threshold = store::pending::threshold_in(tx, namespace.as_str()).await?;
    let past = Past {
        versions: store::epochs::history(tx, package).await?,
        links: continuity::links(tx, namespace).await?,
        transfers: store::transfers::done(tx, namespace.as_str()).await?,
        threshold: usize::try_from(threshold).unwrap_or(usize::MAX),
    };
    let after = work_out(&past);
    if after == before {
        return Ok(());
    }
    store::epochs::replace(tx, package, &after).await?;
    if !before.is_empty() {
        store::changes::append(tx, package, app.clock.now()).await?;
    }
    for epoch in after.iter().skip(before.len().max(1)) {
        let change = Change::Epoch {
            package: package.clone(),
            number: epoch.number,
        };
        log::say(app, tx, change).await?;
        let detail =
            json!({"number": epoch.number, "cause": epoch.cause, "signers": epoch.signers});
        audit::append(
            app,
            tx,
            caller,
            "package.epoch",
            &package.to_string(),
            detail,
        )
        .await?;
    }
    Ok(())
}

/// The epochs of a package, the first one first.
///
/// # Errors
/// [`ServiceError::Store`].
pub(super) async fn list(app: &App, package: &PackageName) -> Result<Vec<Shown>, ServiceError> {
    let epochs = store::epochs::list(&app.db, package).await?;
    Ok(epochs.into_iter().map(shown).collect())
}

fn shown(epoch: Epoch) -> Shown {
    Shown {
        number: epoch.number,
        cause: match epoch.cause.as_str() {
            "first" => EpochCause::First,
            "transfer" => EpochCause::Transfer,
            _ => EpochCause::Signer,
        },
        began_at: epoch.began_at,
        signers: epoch.signers,
        version: epoch.version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(name: &str) -> Identity {
        format!("oidc:https://issuer.example#{name}")
            .parse()
            .expect("an identity")
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("a time")
    }

    /// `1.0.0@5 a:5 b:9`: published at 5, signed by `a` at 5 and by `b` at 9.
    fn versions(lines: &[&str]) -> Vec<Signed> {
        let mut rows = Vec::new();
        for line in lines {
            let mut words = line.split(' ');
            let (version, when) = words
                .next()
                .and_then(|word| word.split_once('@'))
                .expect("V@T");
            let row = |signer| Signed {
                version: version.parse().expect("a version"),
                published_at: at(when.parse().expect("a number")),
                signer,
            };
            let signed: Vec<_> = words
                .map(|word| {
                    let (name, when) = word.split_once(':').expect("NAME:T");
                    row(Some((identity(name), at(when.parse().expect("a number")))))
                })
                .collect();
            if signed.is_empty() {
                rows.push(row(None));
            }
            rows.extend(signed);
        }
        rows
    }

    fn links(pairs: &[(&str, &str)]) -> Vec<Link> {
        let link = |(signer, successor): &(&str, &str)| Link {
            signer: identity(signer),
            successor: identity(successor),
        };
        pairs.iter().map(link).collect()
    }

    /// The epochs in short: cause, when it began, signers.
    fn epochs(
        lines: &[&str],
        pairs: &[(&str, &str)],
        transfers: &[(i64, bool)],
        threshold: usize,
    ) -> Vec<String> {
        let past = Past {
            versions: versions(lines),
            links: links(pairs),
            transfers: transfers
                .iter()
                .map(|(when, vouched)| (at(*when), *vouched))
                .collect(),
            threshold,
        };
        let short = |epoch: Epoch| {
            let names = epoch.signers.iter().map(|one| {
                let text = one.to_string();
                text.rsplit('#').next().unwrap_or_default().to_owned()
            });
            let names: Vec<_> = names.collect();
            let began = (epoch.began_at - at(0)).num_seconds();
            format!("{} {began} {}", epoch.cause, names.join(","))
        };
        work_out(&past).into_iter().map(short).collect()
    }

    #[test]
    fn the_same_signer_goes_on_and_another_begins_anew() {
        assert_eq!(
            epochs(&["1.0.0@1 a:1", "1.1.0@5 a:5"], &[], &[], 1),
            ["first 1 a"]
        );
        assert_eq!(
            epochs(&["1.0.0@1 a:1", "2.0.0@5 b:5"], &[], &[], 1),
            ["first 1 a", "signer 5 b"]
        );
        // And back again is another change.
        assert_eq!(
            epochs(&["1.0.0@1 a:1", "2.0.0@5 b:5", "3.0.0@9 a:9"], &[], &[], 1),
            ["first 1 a", "signer 5 b", "signer 9 a"]
        );
    }

    #[test]
    fn whom_the_old_one_named_goes_on() {
        let lines = ["1.0.0@1 a:1", "2.0.0@5 b:5", "3.0.0@9 c:9"];
        assert_eq!(
            epochs(&lines, &[("a", "b"), ("b", "c")], &[], 1),
            ["first 1 a"]
        );
        assert_eq!(
            epochs(&lines, &[("a", "b")], &[], 1),
            ["first 1 a", "signer 9 c"]
        );
        // Nobody vouches for themselves, and not backwards.
        assert_eq!(
            epochs(&lines[..2], &[("b", "a"), ("b", "b")], &[], 1),
            ["first 1 a", "signer 5 b"]
        );
    }

    #[test]
    fn a_signature_that_comes_later_founds_nothing() {
        // `b` signs the old version too, and then publishes alone.
        assert_eq!(
            epochs(&["1.0.0@1 a:1 b:3", "2.0.0@5 b:5"], &[], &[], 1),
            ["first 1 a", "signer 5 b"]
        );
        // Both were there from the beginning.
        assert_eq!(
            epochs(&["1.0.0@3 a:1 b:2", "2.0.0@5 b:5"], &[], &[], 1),
            ["first 3 a,b"]
        );
        // The signature comes after the tag.
        assert_eq!(
            epochs(&["1.0.0@1 a:2 b:3", "2.0.0@5 b:5"], &[], &[], 1),
            ["first 1 a", "signer 5 b"]
        );
        // The old one signs the new version after all.
        assert_eq!(
            epochs(&["1.0.0@1 a:1", "2.0.0@5 b:5 a:7"], &[], &[], 1),
            ["first 1 a"]
        );
    }

    #[test]
    fn as_many_must_go_on_as_the_namespace_demands() {
        let first = "1.0.0@3 a:1 b:2";
        assert_eq!(
            epochs(&[first, "2.0.0@5 a:5 c:5"], &[], &[], 2),
            ["first 3 a,b", "signer 5 a,c"]
        );
        assert_eq!(
            epochs(&[first, "2.0.0@5 a:5 c:5"], &[("b", "c")], &[], 2),
            ["first 3 a,b"]
        );
    }

    #[test]
    fn what_is_unsigned_changes_nothing_and_is_no_one_s() {
        assert_eq!(
            epochs(&["1.0.0@1 a:1", "2.0.0@5", "3.0.0@9 a:9"], &[], &[], 1),
            ["first 1 a"]
        );
        // Stars of an unsigned package pass to nobody who signs a later version.
        assert_eq!(
            epochs(&["1.0.0@1", "2.0.0@5 a:6"], &[], &[], 1),
            ["first 1 ", "signer 6 a"]
        );
        assert_eq!(epochs(&["1.0.0@1 a:2"], &[], &[], 1), ["first 1 a"]);
        assert_eq!(epochs(&[], &[], &[(5, false)], 1), Vec::<String>::new());
    }

    #[test]
    fn another_owner_begins_anew() {
        let lines = ["1.0.0@1 a:1", "2.0.0@9 a:9"];
        assert_eq!(
            epochs(&lines, &[], &[(5, false)], 1),
            ["first 1 a", "transfer 5 a"]
        );
        assert_eq!(epochs(&lines, &[], &[(5, true)], 1), ["first 1 a"]);
        assert_eq!(
            epochs(&lines[..1], &[], &[(5, false)], 1),
            ["first 1 a", "transfer 5 "]
        );
        // After one that was vouched for, the successor goes on.
        assert_eq!(
            epochs(
                &["1.0.0@1 a:1", "2.0.0@9 b:9"],
                &[("a", "b")],
                &[(5, true)],
                1
            ),
            ["first 1 a"]
        );
    }
}
