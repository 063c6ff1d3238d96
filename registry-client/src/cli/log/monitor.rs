// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg log monitor`.

use std::{collections::HashSet, path::PathBuf};

use clap::ValueHint;
use registry_schema::{
    Identity, Namespace, exit,
    signature::Fingerprint,
    transparency::{Change, Entry, api::LoggedEntry},
};
use serde_json::json;

use super::{KeyArg, registry};
use crate::{
    cli::{
        failure::Failure,
        output::{self, Format, FormatArg},
        session::Session,
    },
    file,
    log::{Checkpoints, replay, take},
};

/// Largest file of expected entries, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// Read what is new in a registry's publish log, and raise an alarm over what you did not do
///
/// From the entry where the last run ended. Ends with exit code 21 if there is an entry about
/// one of the namespaces that is not expected. Run it often, from a machine of your own.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The registry, `host` or `host:port`
    host: Option<String>,
    /// A namespace of yours; may be repeated; without it, all entries count
    #[arg(long, value_name = "NAME")]
    namespace: Vec<Namespace>,
    /// File of entries that are expected, one per line as they are shown: what, about what,
    /// and for a publication perhaps its digest
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    expect: Option<PathBuf>,
    /// A signer whose entries are expected: a key's fingerprint, or an identity as
    /// `oidc:https://issuer#subject`; may be repeated
    #[arg(long, value_name = "SHA256:…", value_parser = signer)]
    key: Vec<Identity>,
    /// Begin at the first entry again
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    log_key: KeyArg,
    #[command(flatten)]
    format: FormatArg,
}

fn signer(text: &str) -> Result<Identity, String> {
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        return Ok(fingerprint.into());
    }
    text.parse().map_err(|error| format!("{error}"))
}

/// What is no surprise.
struct Expected {
    lines: HashSet<String>,
    signers: Vec<Identity>,
}

impl Expected {
    fn read(args: &Args) -> Result<Self, Failure> {
        let mut lines = HashSet::new();
        if let Some(path) = &args.expect {
            let unusable = |error: &dyn std::fmt::Display| {
                Failure::usage(
                    format!("`{}` cannot be used: {error}", path.display()),
                    "write one entry per line, such as `publish demo/pass:1.0.0 sha256:…`",
                )
            };
            let bytes = file::read_bounded(path, MAX_FILE).map_err(|error| unusable(&error))?;
            let text = String::from_utf8(bytes).map_err(|error| unusable(&error))?;
            let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            lines.extend(text.lines().map(words).filter(|line| !line.is_empty()));
        }
        let signers = args.key.clone();
        Ok(Self { lines, signers })
    }

    /// Whether the entry is in the file, or signed by none but expected signers.
    fn covers(&self, change: &Change) -> bool {
        let line = format!("{} {}", change.kind(), change.subject());
        if self.lines.contains(&line) || self.lines.contains(&with_digest(change)) {
            return true;
        }
        let who = change.identities();
        !who.is_empty() && who.iter().all(|signer| self.signers.contains(signer))
    }
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let expected = Expected::read(args)?;
    let registry = registry(args.host.as_ref(), session)?;
    let kept = Checkpoints::of_user()?;
    let keys = args.log_key.find(&registry, &kept, session).await?;
    // A place of its own: what others have seen of the log was not looked at here.
    let mut names: Vec<_> = args.namespace.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    let own = kept.below(&format!("monitor {}", names.join(" ")));
    let head = keys.open(&registry.log_checkpoint().await?)?;
    let last = own.last(&keys)?;
    let from = last.filter(|_| !args.all);
    let (mut seen, mut unread) = (Vec::new(), Vec::new());
    let mut look = |index: u64, bytes: &[u8]| match Entry::parse(bytes) {
        Ok(entry) => {
            let namespace = entry.change().namespace();
            if args.namespace.is_empty() || args.namespace.contains(namespace) {
                seen.push(LoggedEntry { index, entry });
            }
        }
        Err(error) => unread.push((index, error)),
    };
    replay(&registry, &own, from.as_ref(), &head, &mut look).await?;
    let surprises: Vec<_> = seen
        .iter()
        .filter(|one| !expected.covers(one.entry.change()))
        .collect();
    let begin = from.as_ref().map_or(0, |from| from.checkpoint().size);
    if args.format.output == Format::Json {
        output::json(&json!({
            "log": head.checkpoint().origin, "from": begin, "to": head.checkpoint().size,
            "entries": seen.len(), "unexpected": surprises,
        }))?;
    } else {
        for one in &surprises {
            output::line(describe(one))?;
        }
        let (size, about) = (head.checkpoint().size, seen.len());
        session.say(format!(
            "entries {begin} to {size}: {about} of interest, {} unexpected",
            surprises.len()
        ));
    }
    for (index, error) in &unread {
        session.say(format!("entry {index} cannot be read here: {error}"));
    }
    // Told once: the next run begins behind what was shown.
    take(&registry, &keys, &own, &head).await?;
    if surprises.is_empty() {
        Ok(())
    } else {
        Err(Failure::silent(exit::POLICY))
    }
}

/// What happened, as it is shown and may be expected.
fn with_digest(change: &Change) -> String {
    let (kind, subject) = (change.kind(), change.subject());
    match change {
        Change::Publish { digest, .. } | Change::Sign { digest, .. } => {
            format!("{kind} {subject} {digest}")
        }
        _ => format!("{kind} {subject}"),
    }
}

fn describe(logged: &LoggedEntry) -> String {
    let change = logged.entry.change();
    let line = with_digest(change);
    let who: Vec<_> = change
        .identities()
        .iter()
        .map(ToString::to_string)
        .collect();
    let by = if who.is_empty() {
        String::new()
    } else {
        format!(" by {}", who.join(", "))
    };
    let time = logged.entry.time().format("%Y-%m-%d %H:%M:%S UTC");
    format!("UNEXPECTED {line}{by} (entry {}, {time})", logged.index)
}
