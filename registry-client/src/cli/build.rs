// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg build`.

use std::path::PathBuf;

use clap::ValueHint;
use serde_json::json;

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
};
use crate::{
    build::{BuiltPackage, build},
    layout,
    pack::pack,
};

/// Compile a package's objects, check them, and say what its digest will be
///
/// The same sources, compiler and time always give the same digest. The time is
/// SOURCE_DATE_EPOCH, else that of the last commit, else none.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder with `package.toml`
    #[arg(default_value = ".", value_hint = ValueHint::DirPath)]
    folder: PathBuf,
    /// Also write the version as an OCI image layout, into a new folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    layout: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let built = build(&args.folder)?;
    remarks(&built, session);
    let packed = pack(&built)?;
    if let Some(folder) = &args.layout {
        layout::write(folder, &packed)?;
    }
    let name = format!("{}:{}", packed.package, packed.version);
    if args.format.output == Format::Json {
        let objects: Vec<_> = built
            .objects
            .iter()
            .map(|object| {
                json!({
                    "name": object.name,
                    "target": object.target,
                    "size": object.bytes.len(),
                    "digest": registry_schema::Digest::sha256(&object.bytes),
                    "findings": object.findings,
                })
            })
            .collect();
        return Ok(output::json(&json!({
            "package": packed.package,
            "version": packed.version,
            "digest": packed.digest(),
            "objects": objects,
        }))?);
    }
    for object in &built.objects {
        session.say(format!(
            "{}: {} bytes, {}",
            object.name,
            object.bytes.len(),
            object.target
        ));
    }
    Ok(output::line(format!("{name}@{}", packed.digest()))?)
}

/// Tells what was found and is no error.
pub(super) fn remarks(built: &BuiltPackage, session: &Session) {
    for object in &built.objects {
        for finding in &object.findings {
            session.say(format!(
                "{}: [{}] {}; {}",
                object.name, finding.code, finding.message, finding.fix
            ));
        }
    }
}
