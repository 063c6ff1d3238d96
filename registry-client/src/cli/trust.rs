// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg trust`.

use std::{
    io::{self, BufRead, IsTerminal},
    path::PathBuf,
    str::FromStr,
};

use clap::{Subcommand, ValueHint};
use registry_schema::{
    Namespace,
    api::NamespaceKey,
    exit,
    reference::{ReferenceError, check_host},
    signature::Fingerprint,
};

use super::{
    clock,
    failure::Failure,
    namespace::read_public_key,
    output::{self, Format, FormatArg},
    session::Session,
};
use crate::trust::{TrustStore, TrustedKey};

/// Say whose signatures you believe; at first, nobody's
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Trust the keys of a namespace, after showing them and asking
    Add {
        /// The namespace, `[host/]namespace`
        whom: Whom,
        /// Trust this public key instead of those the registry names
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        key: Option<PathBuf>,
        /// Only the key with this fingerprint, which you have from the publisher
        #[arg(long, value_name = "SHA256:…")]
        fingerprint: Option<Fingerprint>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// List the trusted keys
    List {
        #[command(flatten)]
        format: FormatArg,
    },
    /// Trust the keys of a namespace no longer
    Remove {
        /// The namespace, `[host/]namespace`
        whom: Whom,
        /// Only the key with this fingerprint
        #[arg(long, value_name = "SHA256:…")]
        fingerprint: Option<Fingerprint>,
    },
}

/// A namespace and perhaps its registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whom {
    registry: Option<String>,
    namespace: Namespace,
}

impl FromStr for Whom {
    type Err = ReferenceError;

    /// Reads `[host/]namespace[/name…]`: what follows the namespace is left out, so
    /// that a package's name will do.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let mut parts = text.split('/');
        let first = parts.next().unwrap_or_default();
        // As container tools do: only a host has a dot, a colon, or is localhost.
        let host = first.contains(['.', ':']) || first == "localhost";
        if !host {
            return Ok(Self {
                registry: None,
                namespace: first.parse()?,
            });
        }
        check_host(first)?;
        let namespace = parts
            .next()
            .ok_or_else(|| ReferenceError::Form(text.chars().take(100).collect()))?;
        Ok(Self {
            registry: Some(first.to_owned()),
            namespace: namespace.parse()?,
        })
    }
}

pub(super) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Add {
            whom,
            key,
            fingerprint,
            yes,
        } => add(&whom, key, fingerprint, yes, session).await,
        Command::List { format } => list(format.output, session),
        Command::Remove { whom, fingerprint } => remove(&whom, fingerprint.as_ref(), session),
    }
}

async fn add(
    whom: &Whom,
    file: Option<PathBuf>,
    fingerprint: Option<Fingerprint>,
    yes: bool,
    session: &Session,
) -> Result<(), Failure> {
    let host = host_of(whom, session)?;
    let mut store = session.trust()?;
    let now = clock::now();
    let mut keys = Vec::new();
    if let Some(path) = file {
        let pem = read_public_key(&path)?.to_pem();
        session.say(format!("namespace {} of {host}:", whom.namespace));
        let key = TrustedKey::new(&host, whom.namespace.clone(), &pem, Some(now))?;
        session.say(format!(
            "  {}\n      from file {}",
            key.fingerprint(),
            path.display()
        ));
        keys.push(key);
    } else {
        let registered = session.connect(&host)?.keys(&whom.namespace).await?;
        session.say(format!("namespace {} of {host}:", whom.namespace));
        for entry in &registered {
            let key = TrustedKey::new(&host, whom.namespace.clone(), &entry.pem, Some(now))?;
            // The fingerprint is that of the key, whatever the registry says it is.
            session.say(format!(
                "  {}\n      {}",
                key.fingerprint(),
                evidence(entry)
            ));
            keys.push(key);
        }
    }
    if let Some(wanted) = fingerprint {
        keys.retain(|key| key.fingerprint() == wanted);
    }
    if keys.is_empty() {
        let message = match fingerprint {
            Some(wanted) => format!(
                "namespace `{}` of `{host}` has no key {wanted}",
                whom.namespace
            ),
            None => format!(
                "namespace `{}` of `{host}` has registered no key",
                whom.namespace
            ),
        };
        return Err(Failure::new("trust::no_key", message)
            .with_help("ask the publisher for the public key, and add it with `--key FILE`")
            .with_exit(exit::NOT_FOUND));
    }
    if !yes {
        confirm(&format!(
            "Trust what {} signs in namespace {}?",
            these(keys.len()),
            whom.namespace
        ))?;
    }
    for key in keys {
        let fingerprint = key.fingerprint();
        if store.add(key) {
            session.say(format!("trusted: {fingerprint}"));
        } else {
            session.say(format!("was trusted already: {fingerprint}"));
        }
    }
    Ok(store.save(&session.trust_path()?)?)
}

/// What speaks for a key.
fn evidence(key: &NamespaceKey) -> String {
    let unit = if key.versions_signed == 1 {
        "version"
    } else {
        "versions"
    };
    let who: String = key
        .registered_by
        .chars()
        .filter(|c| !c.is_control())
        .take(64)
        .collect();
    format!(
        "registered {} by {who}; signed {} {unit}",
        key.registered_at.format("%Y-%m-%d"),
        key.versions_signed
    )
}

fn these(count: usize) -> String {
    if count == 1 {
        "this key".to_owned()
    } else {
        format!("these {count} keys")
    }
}

fn confirm(question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "this needs your consent, and there is no terminal to ask at",
            "compare the fingerprint with the publisher's, then add `--yes`",
        ));
    }
    output::say(format!(
        "{question} Compare the fingerprint with the publisher's. [y/N]"
    ));
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
        return Ok(output::json(&store.keys())?);
    }
    if store.keys().is_empty() {
        session.say("nobody is trusted; `bpfpkg trust add` changes that");
        return Ok(());
    }
    let rows: Vec<_> = store
        .keys()
        .iter()
        .map(|key| {
            let since = key.added_at().map_or_else(
                || "-".to_owned(),
                |time| time.format("%Y-%m-%d").to_string(),
            );
            vec![
                key.registry().to_owned(),
                key.namespace().to_string(),
                key.fingerprint().to_string(),
                since,
            ]
        })
        .collect();
    Ok(output::table(
        &["REGISTRY", "NAMESPACE", "KEY", "SINCE"],
        &rows,
    )?)
}

fn remove(
    whom: &Whom,
    fingerprint: Option<&Fingerprint>,
    session: &Session,
) -> Result<(), Failure> {
    let host = host_of(whom, session)?;
    let path = session.trust_path()?;
    let mut store = TrustStore::load(&path)?;
    let removed = store.remove(&host, &whom.namespace, fingerprint);
    if removed == 0 {
        let message = format!(
            "no such key is trusted for namespace `{}` of `{host}`",
            whom.namespace
        );
        return Err(Failure::new("trust::unknown", message)
            .with_help("`bpfpkg trust list` shows which are")
            .with_exit(exit::NOT_FOUND));
    }
    store.save(&path)?;
    let unit = if removed == 1 { "key is" } else { "keys are" };
    session.say(format!(
        "{removed} {unit} trusted no longer for namespace {} of {host}",
        whom.namespace
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
            assert_eq!(whom.namespace.as_str(), "netops", "{text}");
        }
        for text in [
            "",
            "/",
            "localhost",
            "example.org",
            "Net",
            "http://h/netops",
            "h:x/netops",
        ] {
            assert!(text.parse::<Whom>().is_err(), "{text}");
        }
    }
}
