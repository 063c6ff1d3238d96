// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg trust`.

mod identity;
mod key;
mod root;

use std::{
    io::{self, BufRead, IsTerminal},
    path::PathBuf,
    str::FromStr,
};

use clap::{Subcommand, ValueHint};
use registry_schema::{
    Digest, Namespace, exit,
    reference::{ReferenceError, check_host},
    signature::Fingerprint,
    trust::policy::SignerPattern,
};

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
};
use crate::trust::TrustStore;

/// Say whose signatures you believe; at first, nobody's
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Trust the keys of a namespace, or the trust root of a registry, after showing them
    /// and asking
    Add {
        /// The namespace, `[host/]namespace`; or a registry, `host`
        whom: Whom,
        /// Trust this public key instead of those the registry names
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        key: Option<PathBuf>,
        /// Only the key with this fingerprint, which you have from the publisher
        #[arg(long, value_name = "SHA256:…")]
        fingerprint: Option<Fingerprint>,
        /// Trust an identity that signs keyless, `oidc:issuer#subject`; `*` in the subject
        /// stands for any characters but `/`, `**` for any
        #[arg(long, value_name = "oidc:…", conflicts_with_all = ["key", "fingerprint"])]
        identity: Option<SignerPattern>,
        /// The authorities that vouch for the identity (`trusted_root.json`), unless the
        /// registry's trust root names them
        #[arg(long, value_name = "FILE", requires = "identity", value_hint = ValueHint::FilePath)]
        sigstore_root: Option<PathBuf>,
        /// Read the registry's trust root from this file or archive instead of the registry
        #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
        from: Option<PathBuf>,
        /// Only the trust root with this digest, which you have from the registry's operator
        #[arg(long, value_name = "sha256:…")]
        digest: Option<Digest>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Go on to the newest trust root of a registry, as the pinned one allows
    Rotate {
        /// The registry; every one with a pinned root if none is named
        registry: Option<String>,
    },
    /// List the trusted keys
    List {
        #[command(flatten)]
        format: FormatArg,
    },
    /// Trust the keys of a namespace, or a registry's trust root, no longer
    Remove {
        /// The namespace, `[host/]namespace`; or a registry, `host`
        whom: Whom,
        /// Only the key with this fingerprint
        #[arg(long, value_name = "SHA256:…")]
        fingerprint: Option<Fingerprint>,
        /// Only this identity, as `bpfpkg trust list` shows it
        #[arg(long, value_name = "oidc:…", conflicts_with = "fingerprint")]
        identity: Option<SignerPattern>,
    },
}

/// A namespace and perhaps its registry, or a registry alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whom {
    registry: Option<String>,
    namespace: Option<Namespace>,
}

impl FromStr for Whom {
    type Err = ReferenceError;

    /// Reads `[host/]namespace[/name…]` or `host`: what follows the namespace is left out, so
    /// that a package's name will do.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let mut parts = text.split('/');
        let first = parts.next().unwrap_or_default();
        // As container tools do: only a host has a dot, a colon, or is localhost.
        let host = first.contains(['.', ':']) || first == "localhost";
        if !host {
            return Ok(Self {
                registry: None,
                namespace: Some(first.parse()?),
            });
        }
        check_host(first)?;
        let namespace = parts.next().map(str::parse).transpose()?;
        Ok(Self {
            registry: Some(first.to_owned()),
            namespace,
        })
    }
}

pub(super) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Add {
            whom,
            key,
            fingerprint,
            identity,
            sigstore_root,
            from,
            digest,
            yes,
        } => {
            let host = host_of(&whom, session)?;
            match (whom.namespace, identity) {
                (None, None) if key.is_none() && fingerprint.is_none() => {
                    root::add(&host, from.as_deref(), digest.as_ref(), yes, session).await
                }
                (None, _) => Err(Failure::usage(
                    format!(
                        "`{host}` names a registry, and keys and identities belong to a namespace"
                    ),
                    format!("write `{host}/NAMESPACE`"),
                )),
                (Some(_), _) if from.is_some() || digest.is_some() => Err(Failure::usage(
                    "`--from` and `--digest` are for the trust root of a registry",
                    format!("write `{host}` alone"),
                )),
                (Some(namespace), Some(signer)) => identity::add(
                    &host,
                    namespace,
                    &signer,
                    sigstore_root.as_deref(),
                    yes,
                    session,
                ),
                (Some(namespace), None) => {
                    key::add(&host, &namespace, key.as_deref(), fingerprint, yes, session).await
                }
            }
        }
        Command::Rotate { registry } => root::rotate(registry, session).await,
        Command::List { format } => list(format.output, session),
        Command::Remove {
            whom,
            fingerprint,
            identity,
        } => remove(&whom, fingerprint.as_ref(), identity.as_ref(), session),
    }
}

/// Asks whether to go on, where there is somebody to ask.
fn confirm(question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "this needs your consent, and there is no terminal to ask at",
            "compare what is shown with what you have from its owner, then add `--yes`",
        ));
    }
    output::say(format!("{question} [y/N]"));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Failure::new("trust::declined", "nothing was trusted"))
    }
}

fn list(format: Format, session: &Session) -> Result<(), Failure> {
    let store = session.trust()?;
    if format == Format::Json {
        return Ok(output::json(&store)?);
    }
    let since = |time: Option<chrono::DateTime<chrono::Utc>>| {
        time.map_or_else(
            || "-".to_owned(),
            |time| time.format("%Y-%m-%d").to_string(),
        )
    };
    let roots = store.roots().iter().map(|root| {
        let signed = root.signed();
        let version = format!("version {}, {}", signed.root().version, signed.digest());
        let registry = root.registry().to_owned();
        vec![
            registry,
            "(root)".to_owned(),
            version,
            since(root.added_at()),
        ]
    });
    let keys = store.keys().iter().map(|key| {
        vec![
            key.registry().to_owned(),
            key.namespace().to_string(),
            key.fingerprint().to_string(),
            since(key.added_at()),
        ]
    });
    let identities = store.identities().iter().map(|one| {
        vec![
            one.registry().to_owned(),
            one.namespace().to_string(),
            one.signer().to_string(),
            since(one.added_at()),
        ]
    });
    let rows: Vec<_> = roots.chain(keys).chain(identities).collect();
    if rows.is_empty() {
        session.say("nobody is trusted; `bpfpkg trust add` changes that");
        return Ok(());
    }
    Ok(output::table(
        &["REGISTRY", "NAMESPACE", "TRUSTED", "SINCE"],
        &rows,
    )?)
}

fn remove(
    whom: &Whom,
    fingerprint: Option<&Fingerprint>,
    identity: Option<&SignerPattern>,
    session: &Session,
) -> Result<(), Failure> {
    let host = host_of(whom, session)?;
    let path = session.trust_path()?;
    let mut store = TrustStore::load(&path)?;
    let unknown = |what: String| {
        Failure::new("trust::unknown", format!("{what} is not trusted"))
            .with_help("`bpfpkg trust list` shows who is")
            .with_exit(exit::NOT_FOUND)
    };
    let Some(namespace) = &whom.namespace else {
        if !store.unpin(&host) {
            return Err(unknown(format!("a trust root of `{host}`")));
        }
        store.save(&path)?;
        session.say(format!("the trust root of {host} is trusted no longer"));
        return Ok(());
    };
    let identities = match (identity, fingerprint) {
        (Some(one), _) => vec![one.to_string()],
        (None, Some(_)) => Vec::new(),
        (None, None) => store
            .identities_for(&host, namespace)
            .map(|one| one.signer().to_string())
            .collect(),
    };
    let mut removed = match identity {
        Some(_) => 0,
        None => store.remove(&host, namespace, fingerprint),
    };
    for signer in identities {
        removed += usize::from(store.remove_identity(&host, namespace, &signer));
    }
    if removed == 0 {
        return Err(unknown(format!(
            "no such signer of namespace `{namespace}` of `{host}`"
        )));
    }
    store.save(&path)?;
    let unit = if removed == 1 {
        "signer is"
    } else {
        "signers are"
    };
    session.say(format!(
        "{removed} {unit} trusted no longer for namespace {namespace} of {host}"
    ));
    Ok(())
}

fn host_of(whom: &Whom, session: &Session) -> Result<String, Failure> {
    whom.registry
        .clone()
        .map_or_else(|| session.default_registry(), Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_may_come_with_host_and_package() {
        for (text, host) in [
            ("netops", None),
            ("netops/ratelimiting", None),
            ("localhost/netops", Some("localhost")),
            ("127.0.0.1:5000/netops/ratelimiting", Some("127.0.0.1:5000")),
            ("[::1]:5000/netops", Some("[::1]:5000")),
            ("example.org/netops", Some("example.org")),
        ] {
            let whom: Whom = text.parse().expect(text);
            assert_eq!(whom.registry.as_deref(), host, "{text}");
            let namespace = whom.namespace.expect("a namespace");
            assert_eq!(namespace.as_str(), "netops", "{text}");
        }
        for host in ["localhost", "example.org", "127.0.0.1:5000"] {
            let whom: Whom = host.parse().expect(host);
            assert_eq!(
                (whom.registry.as_deref(), whom.namespace),
                (Some(host), None)
            );
        }
        for text in ["", "/", "Net", "http://h/netops", "h:x/netops"] {
            assert!(text.parse::<Whom>().is_err(), "{text}");
        }
    }
}
