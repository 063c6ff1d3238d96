// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg root`.

use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use clap::{Subcommand, ValueHint};
use registry_schema::{
    exit,
    trust::{
        envelope::Envelope,
        root::{
            LogTrust, MAX_ROOT, ROOT_TYPE, RevocationTrust, Root, RootError, SignedRoot,
            read_unsigned,
        },
    },
};

use super::{
    clock,
    failure::Failure,
    namespace::read_public_key,
    output::{self, Format, FormatArg},
    password::PasswordArgs,
    session::Session,
    signing::load_key,
    verify_file,
};
use crate::{
    file,
    registry::Registry,
    trust::{RefreshError, TrustedRoot},
    verify::signature::MAX_ROOT_BYTES,
};

/// Make the trust root of a registry that you operate: what its users pin
///
/// Keep the keys offline, each with another person. A change needs as many of them as the
/// threshold says.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write the next version, unsigned: the published one with what you change, or the first
    New(Box<New>),
    /// Add the signature of a key; needs no network
    Sign {
        /// The root
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Private key to sign with
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        key: PathBuf,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Show what a root says, and who has signed it; needs no network
    Show {
        /// The root
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Publish a root that is signed; needs an administrator
    Publish {
        /// The root
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}

/// What the next version says; what is left out stays as it is
#[derive(Debug, clap::Args)]
pub(super) struct New {
    /// The new file
    #[arg(long, default_value = "root.json", value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,
    /// Public key that may change the root; repeat for each
    #[arg(long = "key", value_name = "FILE", value_hint = ValueHint::FilePath)]
    keys: Vec<PathBuf>,
    /// How many of the keys must sign
    #[arg(long, value_name = "COUNT")]
    threshold: Option<u32>,
    /// How long it counts, in days
    #[arg(long, default_value_t = 365, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
    /// Leave the publish log out: its proofs are then neither demanded nor believed
    #[arg(long)]
    no_log: bool,
    /// Verifier key of a witness, `name+hash+base64`; repeat for each
    #[arg(long = "witness", value_name = "KEY", conflicts_with = "no_log")]
    witnesses: Vec<String>,
    /// How many witnesses must have signed the log's checkpoint
    #[arg(long, value_name = "COUNT", conflicts_with = "no_log")]
    witness_threshold: Option<u32>,
    /// Leave the revocation feed out
    #[arg(long)]
    no_revocation: bool,
    /// Issuer whose identities may be believed; repeat for each
    #[arg(long = "issuer", value_name = "URL")]
    issuers: Vec<String>,
    /// Authorities of keyless signatures (`trusted_root.json`); repeat for each
    #[arg(long = "sigstore-root", value_name = "FILE", value_hint = ValueHint::FilePath)]
    sigstore: Vec<PathBuf>,
}

pub(super) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::New(args) => new(&args, session).await,
        Command::Sign {
            file,
            key,
            password,
        } => sign(&file, &key, &password, session),
        Command::Show { file, format } => show(&file, format.output),
        Command::Publish { file } => publish(&file, session).await,
    }
}

fn refused(error: RootError) -> Failure {
    RefreshError::Root(error).into()
}

async fn new(args: &New, session: &Session) -> Result<(), Failure> {
    let host = session.default_registry()?;
    let registry = session.connect(&host)?;
    if args.output.symlink_metadata().is_ok() {
        return Err(Failure::new(
            "root::exists",
            format!(
                "`{}` exists already and was not touched",
                args.output.display()
            ),
        )
        .with_help("name another file with `--output`")
        .with_exit(exit::CONFLICT));
    }
    let root = next(args, &host, &registry).await?;
    let envelope = root.to_envelope().map_err(refused)?;
    write(&args.output, &envelope)?;
    session.say(format!(
        "version {} for {host} is in `{}`; it needs {} signatures: `bpfpkg root sign`",
        root.version,
        args.output.display(),
        root.threshold
    ));
    Ok(())
}

/// The published root with what the arguments change.
async fn next(args: &New, host: &str, registry: &Registry) -> Result<Root, Failure> {
    let published = match registry.trust_root(None).await? {
        Some(bytes) => Some(SignedRoot::open(&bytes).map_err(refused)?),
        None => None,
    };
    let now = clock::now();
    let mut root = published.map_or_else(|| first(host, now), |signed| signed.root().clone());
    root.version += 1;
    root.issued_at = now;
    root.expires_at = now + TimeDelta::days(args.days.into());
    if !args.keys.is_empty() {
        let keys = args
            .keys
            .iter()
            .map(|path| Ok(read_public_key(path)?.to_pem()));
        root.keys = keys.collect::<Result<_, Failure>>()?;
    }
    if root.keys.is_empty() {
        return Err(Failure::usage(
            "nobody may change the root: no key is named",
            "add `--key FILE` for each key, and `--threshold`",
        ));
    }
    let most = u32::try_from(root.keys.len()).unwrap_or(u32::MAX);
    root.threshold = args.threshold.unwrap_or(root.threshold.clamp(1, most));
    root.log = if args.no_log {
        None
    } else {
        Some(log(args, registry, root.log).await?)
    };
    root.revocation = if args.no_revocation {
        None
    } else {
        Some(RevocationTrust {
            keys: vec![registry.feed_key().await?],
            threshold: 1,
        })
    };
    if !args.issuers.is_empty() {
        root.issuers.clone_from(&args.issuers);
    }
    if !args.sigstore.is_empty() {
        root.sigstore = sigstore(&args.sigstore)?;
    }
    Ok(root)
}

fn first(host: &str, now: chrono::DateTime<chrono::Utc>) -> Root {
    Root {
        format: 1,
        registry: host.to_owned(),
        version: 0,
        issued_at: now,
        expires_at: now,
        keys: Vec::new(),
        threshold: 0,
        log: None,
        revocation: None,
        issuers: Vec::new(),
        sigstore: Vec::new(),
    }
}

async fn log(
    args: &New,
    registry: &Registry,
    before: Option<LogTrust>,
) -> Result<LogTrust, Failure> {
    let detail = registry.log().await?;
    let (mut witnesses, threshold) = before.map_or_else(Default::default, |log| {
        (log.witnesses, log.witness_threshold)
    });
    if !args.witnesses.is_empty() {
        witnesses.clone_from(&args.witnesses);
    }
    Ok(LogTrust {
        origin: detail.origin,
        keys: vec![detail.key],
        witnesses,
        witness_threshold: args.witness_threshold.unwrap_or(threshold),
    })
}

fn sigstore(paths: &[PathBuf]) -> Result<Vec<serde_json::Value>, Failure> {
    let read = |path: &PathBuf| {
        let bytes = file::read_bounded(path, MAX_ROOT_BYTES as u64)
            .map_err(|error| verify_file::refuse(path, &error))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Failure::usage(
                format!("`{}` is no JSON: {error}", path.display()),
                "name a `trusted_root.json`",
            )
        })
    };
    paths.iter().map(read).collect()
}

fn open(path: &Path) -> Result<(Envelope, Root), Failure> {
    let bytes = file::read_bounded(path, MAX_ROOT as u64)
        .map_err(|error| verify_file::refuse(path, &error))?;
    let envelope =
        Envelope::parse(&bytes, ROOT_TYPE, MAX_ROOT).map_err(|error| refused(error.into()))?;
    let root = read_unsigned(&envelope).map_err(refused)?;
    Ok((envelope, root))
}

fn write(path: &Path, envelope: &Envelope) -> Result<(), Failure> {
    file::write_private(path, &envelope.to_json()).map_err(|error| {
        Failure::new(
            "root::file",
            format!("`{}` cannot be written: {error}", path.display()),
        )
        .with_help("check the folder's owner, mode and free space")
    })
}

fn sign(
    path: &Path,
    key: &Path,
    password: &PasswordArgs,
    session: &Session,
) -> Result<(), Failure> {
    let (mut envelope, root) = open(path)?;
    let key = load_key(key, password)?;
    let signature = key.sign(&envelope.signing_input())?;
    envelope.add(key.fingerprint(), signature);
    write(path, &envelope)?;
    let counted = root.keys.iter().any(|pem| *pem == key.public().to_pem());
    let note = if counted {
        ""
    } else {
        ", which is none of its own keys: it counts only if the root before names it"
    };
    session.say(format!("signed by {}{note}", key.fingerprint()));
    Ok(())
}

fn show(path: &Path, format: Format) -> Result<(), Failure> {
    let (envelope, root) = open(path)?;
    let keys: Vec<_> = root
        .keys
        .iter()
        .filter_map(|pem| registry_schema::signature::PublicKey::from_pem(pem).ok())
        .collect();
    let signers = envelope.signers(&keys);
    let digest = registry_schema::Digest::sha256(envelope.payload());
    if format == Format::Json {
        return Ok(output::json(&serde_json::json!({
            "digest": digest,
            "root": root,
            "signed_by": signers,
        }))?);
    }
    output::fields(&[
        ("registry", root.registry.clone()),
        ("version", root.version.to_string()),
        ("digest", digest.to_string()),
        ("until", root.expires_at.format("%Y-%m-%d").to_string()),
        (
            "threshold",
            format!("{} of {} keys", root.threshold, keys.len()),
        ),
        (
            "log",
            root.log
                .as_ref()
                .map_or_else(|| "none".to_owned(), |log| log.origin.clone()),
        ),
    ])?;
    for key in &keys {
        let mark = if signers.contains(&key.fingerprint()) {
            "signed"
        } else {
            "-"
        };
        output::line(format!("{}  {mark}", key.fingerprint()))?;
    }
    Ok(())
}

async fn publish(path: &Path, session: &Session) -> Result<(), Failure> {
    let (envelope, _) = open(path)?;
    let bytes = envelope.to_json();
    let signed = SignedRoot::open(&bytes).map_err(refused)?;
    // What no client could use is not published either.
    TrustedRoot::new(signed.clone(), None)?;
    let host = session.default_registry()?;
    signed.check_registry(&host).map_err(refused)?;
    session.connect(&host)?.publish_root(&bytes).await?;
    session.say(format!(
        "published: version {} of {host}; tell your users its digest, by another way than the registry:",
        signed.root().version
    ));
    Ok(output::line(signed.digest().to_string())?)
}
