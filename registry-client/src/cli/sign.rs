// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg sign`.

use std::path::{Path, PathBuf};

use base64::{Engine, prelude::BASE64_STANDARD};
use clap::ValueHint;
use registry_schema::{
    Digest, Reference, media_type, name::RepositoryName, reference::ReferenceError, signature,
};
use serde_json::json;

use super::{
    clock,
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
    signing::SigningArgs,
    verify_file,
};
use crate::{
    layout::Layout,
    oci::Descriptor,
    pull::resolve,
    push,
    sign::{SignError, Signatory},
    source::Source,
};

/// Sign a version of a package, or a file
///
/// Whoever may publish a version can add a signature to it, for instance a co-maintainer.
/// A file may be anything: an eBPF object, a program for another system, the checksums of
/// a release. Its signature goes into a file beside it; `bpfpkg verify-file` checks it, and
/// so does `cosign verify-blob`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to sign: a file, or a package, `[host/]namespace/name[:version][@sha256:…]`
    #[arg(value_name = "WHAT", value_hint = ValueHint::AnyPath)]
    what: String,
    #[command(flatten)]
    signing: SigningArgs,
    /// Only write the signature, as a Sigstore bundle, into this file; `bpfpkg attach`
    /// brings it to a registry later
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output_file: Option<PathBuf>,
    /// Find the package in this archive or layout folder; no registry is asked
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, requires = "output_file")]
    from: Option<PathBuf>,
    /// Write nothing but the signature of a file in base64, into a file that ends in `.sig`
    #[arg(long, conflicts_with_all = ["output_file", "keyless", "from"])]
    raw: bool,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let path = Path::new(&args.what);
    if args.from.is_none() && path.is_file() {
        return sign_file(args, path, session).await;
    }
    if args.raw {
        return Err(Failure::usage(
            format!("`{}` is no file, and `--raw` is for files", args.what),
            "name a file",
        ));
    }
    let reference = reference(&args.what)?;
    let repository = RepositoryName::from(&reference.package);
    let signatory = args.signing.signatory()?;
    if let Some(path) = &args.from {
        let layout = Layout::open(path)?;
        let subject = describe(Source::from(&layout), &reference).await?;
        return write(args, &signatory, &subject.digest, session).await;
    }
    let registry = session.connect(&session.registry_of(&reference)?)?;
    let subject = describe(Source::from(&registry), &reference).await?;
    let digest = subject.digest.clone();
    if args.output_file.is_some() {
        return write(args, &signatory, &digest, session).await;
    }
    let signed = push::sign(&registry, &repository, subject, &signatory, clock::now()).await?;
    session.pass_on(&registry);
    let was = if signed {
        "signed"
    } else {
        "was signed already"
    };
    session.say(format!("{was} by {}", signatory.name()));
    say(
        args,
        &signatory,
        &digest,
        signed,
        &format!("{repository}@{digest}"),
    )
}

/// A package that a person names.
pub(super) fn reference(text: &str) -> Result<Reference, Failure> {
    text.parse().map_err(|error: ReferenceError| {
        Failure::usage(error.to_string(), "name a file that is there, or a package")
    })
}

/// What a reference names: the index of a version.
pub(super) async fn describe(
    source: Source<'_>,
    reference: &Reference,
) -> Result<Descriptor, Failure> {
    let reference = resolve(source, reference).await?;
    let repository = RepositoryName::from(&reference.package);
    let document = source
        .manifest(&repository, &reference.manifest_reference())
        .await?;
    let media_type = if document.media_type.is_empty() {
        media_type::OCI_INDEX
    } else {
        &document.media_type
    };
    Ok(Descriptor::of(media_type, &document.bytes))
}

async fn sign_file(args: &Args, path: &Path, session: &Session) -> Result<(), Failure> {
    let content = verify_file::read(path)?;
    let signatory = args.signing.signatory()?;
    let (bytes, beside) = if let (true, Signatory::Key(key)) = (args.raw, &signatory) {
        let signature = BASE64_STANDARD.encode(key.sign(&content)?) + "\n";
        (signature.into_bytes(), verify_file::RAW)
    } else {
        (signatory.sign_file(&content).await?, verify_file::BUNDLE)
    };
    let named = args.output_file.clone();
    let to = named.unwrap_or_else(|| verify_file::beside(path, beside));
    std::fs::write(&to, bytes).map_err(|error| verify_file::refuse(&to, &error))?;
    session.say(format!("signed by {}", signatory.name()));
    let digest = Digest::sha256(&content);
    say(args, &signatory, &digest, true, &to.display().to_string())
}

/// Writes the signature of a version into a file.
async fn write(
    args: &Args,
    signatory: &Signatory,
    digest: &Digest,
    session: &Session,
) -> Result<(), Failure> {
    let Some(to) = &args.output_file else {
        return Ok(());
    };
    let bundle: Result<_, SignError> = signatory
        .sign_statement(&signature::statement(digest))
        .await;
    std::fs::write(to, bundle?).map_err(|error| verify_file::refuse(to, &error))?;
    session.say(format!("signed by {}", signatory.name()));
    say(args, signatory, digest, true, &to.display().to_string())
}

fn say(
    args: &Args,
    signatory: &Signatory,
    digest: &Digest,
    signed: bool,
    line: &str,
) -> Result<(), Failure> {
    if args.format.output == Format::Json {
        return Ok(output::json(&json!({
            "digest": digest,
            "signed": signed,
            "signer": signatory.name(),
            "file": args.output_file,
        }))?);
    }
    Ok(output::line(line)?)
}
