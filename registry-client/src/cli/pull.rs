// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg pull`.

use std::path::PathBuf;

use clap::ValueHint;
use serde_json::json;

use super::{
    failure::Failure,
    fetching::PackageArgs,
    output::{self, Format, FormatArg},
    session::Session,
};
use crate::pull::{WriteError, fetch_readme, write_to_dir};

/// Fetch a package, verify it, and put it in a new folder
///
/// What does not verify is not written. The folder holds the object, the manifest,
/// the README, and under `evidence/` what is needed to check the signature again.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    package: PackageArgs,
    /// The new folder; `name-version` if absent
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    directory: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    if let Some(path) = args
        .directory
        .as_ref()
        .filter(|path| path.symlink_metadata().is_ok())
    {
        return Err(WriteError::Exists { path: path.clone() }.into());
    }
    let fetched = args.package.fetch_verified(session).await?;
    let verified = &fetched.verified;
    let folder = args.directory.clone().unwrap_or_else(|| {
        PathBuf::from(format!(
            "{}-{}",
            verified.package().name(),
            verified.version()
        ))
    });
    let readme = fetch_readme(fetched.origin.source(), &fetched.raw).await?;
    write_to_dir(&folder, verified, &fetched.raw, readme.as_deref())?;
    if args.format.output == Format::Json {
        return Ok(output::json(&json!({
            "package": verified.package(),
            "version": verified.version(),
            "digest": verified.digest,
            "object": verified.object_digest,
            "signer": verified.signed_by(),
            "signers": verified.signers,
            "level": verified.level,
            "directory": folder,
        }))?);
    }
    session.say(format!(
        "verified {}:{}, signed by {}",
        verified.package(),
        verified.version(),
        verified.signed_by()
    ));
    Ok(output::line(folder.display().to_string())?)
}
