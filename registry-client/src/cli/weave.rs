// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg weave`.

use std::path::PathBuf;

use bpf_object::{
    normalise, weave,
    weave::{CHAIN_LIMIT, Weave},
};
use clap::ValueHint;
use registry_schema::{Digest, PackageManifest, exit, hook::Hook, manifest::Program};
use serde_json::json;

use super::{
    failure::Failure,
    fetching::PackageArgs,
    output::{self, Format, FormatArg},
    session::Session,
};

/// Reproduce what a node loads for one place in a chain
///
/// A node rewrites a verified program so that it continues the chain, and reports
/// the digest of the result. The same package and place give the same digest here,
/// so that what runs can be traced to what was signed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    package: PackageArgs,
    /// Hook of the chain: `xdp`, `tc-ingress` or `tc-egress`
    #[arg(long)]
    hook: Hook,
    /// The program; needed if the package has several for the hook
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Place in the chain, 0 for the first
    #[arg(long, default_value_t = 0)]
    slot: u32,
    /// How many programs the chain has
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(CHAIN_LIMIT)))]
    length: u32,
    /// Verdicts after which the chain goes on; by default the manifest's, else the hook's
    #[arg(long, value_delimiter = ',', value_name = "VERDICT")]
    proceed_on: Vec<String>,
    /// Also write the woven object to a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    write: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let verified = args.package.fetch_verified(session).await?.verified;
    let place = place(args, &verified.manifest)?;
    let types: Vec<_> = verified
        .manifest
        .programs
        .iter()
        .map(|program| (program.function.as_str(), program.program_type))
        .collect();
    let refused = |message: String| {
        Failure::new("weave", message)
            .with_help("a node runs this program alone on its hook")
            .with_exit(exit::FINDINGS)
    };
    let named =
        normalise(&verified.object.0, &types).map_err(|error| refused(error.to_string()))?;
    let woven = weave(&named, &place).map_err(|error| refused(error.to_string()))?;
    if let Some(path) = &args.write {
        std::fs::write(path, &woven.bytes).map_err(|error| {
            Failure::new(
                "weave",
                format!("`{}` cannot be written: {error}", path.display()),
            )
        })?;
    }
    let original = Digest::sha256(&verified.object.0);
    if args.format.output == Format::Json {
        return Ok(output::json(&json!({
            "package": verified.package(),
            "version": verified.version(),
            "function": place.function,
            "original": original,
            "woven": woven.digest,
            "weaver": woven.weaver,
            "size": woven.bytes.len(),
            "notes": woven.notes,
        }))?);
    }
    for note in &woven.notes {
        session.say(note);
    }
    Ok(output::fields(&[
        (
            "program",
            format!(
                "{} of {}:{}",
                place.function,
                verified.package(),
                verified.version()
            ),
        ),
        ("original", original.to_string()),
        (
            "woven",
            format!("{} (weaver {})", woven.digest, woven.weaver),
        ),
    ])?)
}

/// The place in the chain that the arguments describe.
fn place(args: &Args, manifest: &PackageManifest) -> Result<Weave, Failure> {
    if args.slot >= args.length {
        return Err(Failure::usage(
            format!("a chain of {} has no slot {}", args.length, args.slot),
            "slots count from 0; say how many programs there are with `--length`",
        ));
    }
    let program = program(args, manifest)?;
    let words: Vec<&str> = if !args.proceed_on.is_empty() {
        args.proceed_on.iter().map(String::as_str).collect()
    } else if !program.proceed_on.is_empty() {
        program.proceed_on.iter().map(String::as_str).collect()
    } else {
        args.hook.default_proceed_on().to_vec()
    };
    if let Some(word) = words.iter().find(|word| args.hook.verdict(word).is_none()) {
        let known: Vec<_> = args.hook.verdicts().iter().map(|(name, _)| *name).collect();
        let message = format!("`{word}` is no verdict of hook `{}`", args.hook);
        return Err(Failure::usage(message, format!("use {}", known.join(", "))));
    }
    Ok(Weave::in_chain(
        &program.function,
        args.hook,
        args.slot,
        args.length,
        words,
    ))
}

/// The program that is meant.
fn program<'a>(args: &Args, manifest: &'a PackageManifest) -> Result<&'a Program, Failure> {
    let fitting: Vec<_> = manifest
        .programs
        .iter()
        .filter(|program| program.hooks().contains(&args.hook))
        .filter(|program| {
            args.function
                .as_ref()
                .is_none_or(|wanted| *wanted == program.function)
        })
        .collect();
    if let [program] = fitting.as_slice() {
        return Ok(program);
    }
    let (package, hook) = (&manifest.package.name, args.hook);
    let names: Vec<_> = fitting
        .iter()
        .map(|program| program.function.as_str())
        .collect();
    let message = if names.is_empty() {
        format!("`{package}` has no such program for hook `{hook}`")
    } else {
        format!(
            "`{package}` has several programs for hook `{hook}`: {}",
            names.join(", ")
        )
    };
    Err(Failure::usage(message, "name one with `--function`"))
}
