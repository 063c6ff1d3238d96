// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg weave`.

use std::path::PathBuf;

use bpf_object::{
    normalise, weave,
    weave::{Counter, Weave},
};
use clap::ValueHint;
use registry_schema::{Digest, PackageManifest, exit, hook::Hook};
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
    /// Slot of the program that follows; by default the next
    #[arg(long)]
    next: Option<u32>,
    /// Verdicts after which the chain goes on; by default the manifest's, else the hook's
    #[arg(long, value_delimiter = ',', value_name = "VERDICT")]
    proceed_on: Vec<String>,
    /// Verdict to return if the chain should go on and nothing follows
    #[arg(long, value_name = "VERDICT")]
    fallthrough: Option<String>,
    /// Name of the chain's program array
    #[arg(long, default_value = "chain", value_name = "NAME")]
    array: String,
    /// Slots of the program array
    #[arg(long, default_value_t = bpf_object::weave::CHAIN_LIMIT)]
    entries: u32,
    /// Name of the array that counts where chains end; none if absent
    #[arg(long, value_name = "NAME")]
    counter: Option<String>,
    /// Also write the woven object to a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    write: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let verified = args.package.fetch_verified(session).await?.verified;
    let place = place(args, &verified.manifest)?;
    let kind = args.hook.program_type();
    let refused = |message: String| {
        Failure::new("weave", message)
            .with_help("a node runs this program alone on its hook")
            .with_exit(exit::FINDINGS)
    };
    let named = normalise(&verified.object.0, &[(place.function.as_str(), kind)])
        .map_err(|error| refused(error.to_string()))?;
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
    let [program] = fitting.as_slice() else {
        let names: Vec<_> = fitting
            .iter()
            .map(|program| program.function.as_str())
            .collect();
        let message = if names.is_empty() {
            format!(
                "`{}` has no such program for hook `{}`",
                manifest.package.name, args.hook
            )
        } else {
            format!(
                "`{}` has several programs for hook `{}`: {}",
                manifest.package.name,
                args.hook,
                names.join(", ")
            )
        };
        return Err(Failure::usage(message, "name one with `--function`"));
    };
    let hook_default = || {
        args.hook
            .default_proceed_on()
            .iter()
            .map(|word| (*word).to_owned())
            .collect()
    };
    let words: Vec<String> = match (args.proceed_on.is_empty(), program.proceed_on.is_empty()) {
        (false, _) => args.proceed_on.clone(),
        (true, false) => program.proceed_on.clone(),
        (true, true) => hook_default(),
    };
    let proceed_on = words
        .iter()
        .map(|word| verdict(args.hook, word))
        .collect::<Result<_, _>>()?;
    Ok(Weave {
        function: program.function.clone(),
        next_index: args.next.unwrap_or(args.slot + 1),
        proceed_on,
        fallthrough: args
            .fallthrough
            .as_deref()
            .map(|word| verdict(args.hook, word))
            .transpose()?,
        array_name: args.array.clone(),
        array_entries: args.entries,
        counter: args.counter.clone().map(|name| Counter {
            name,
            slot: args.slot,
        }),
    })
}

fn verdict(hook: Hook, word: &str) -> Result<i32, Failure> {
    hook.verdict(word).ok_or_else(|| {
        let known: Vec<_> = hook.verdicts().iter().map(|(name, _)| *name).collect();
        Failure::usage(
            format!("`{word}` is no verdict of hook `{hook}`"),
            format!("use {}", known.join(", ")),
        )
    })
}
