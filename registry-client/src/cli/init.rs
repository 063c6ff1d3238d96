// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg init`.

use std::{fs, io, path::PathBuf};

use clap::ValueHint;
use registry_schema::{PackageName, exit};

use super::{failure::Failure, output, session::Session};

/// What a new package consists of. It counts packets and lets them all pass, so it
/// builds, publishes and runs as it is.
const FILES: [(&str, &str); 4] = [
    ("package.toml", include_str!("init/package.toml")),
    ("{name}.bpf.c", include_str!("init/program.bpf.c")),
    ("README.md", include_str!("init/README.md")),
    ("LICENSE", include_str!("init/LICENSE")),
];

/// Start a package: a working XDP program with manifest and README
///
/// What is written belongs to you (0BSD). It builds and publishes as it is.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the package, `namespace/name`
    package: PackageName,
    /// The new folder; the package's name if absent
    #[arg(value_hint = ValueHint::DirPath)]
    folder: Option<PathBuf>,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let name = args.package.name();
    let folder = args.folder.clone().unwrap_or_else(|| PathBuf::from(name));
    let failed = |error: io::Error| {
        Failure::new(
            "init",
            format!("folder `{}` cannot be written: {error}", folder.display()),
        )
        .with_help("check the owner and mode of the folder it is to be in")
    };
    match fs::create_dir(&folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Failure::new(
                "init::exists",
                format!("`{}` exists already and was not touched", folder.display()),
            )
            .with_help("name another folder")
            .with_exit(exit::CONFLICT));
        }
        Err(error) => return Err(failed(error)),
    }
    for (file, text) in FILES {
        let fill = |text: &str| {
            text.replace("{package}", &args.package.to_string())
                .replace("{name}", name)
        };
        fs::write(folder.join(fill(file)), fill(text)).map_err(failed)?;
    }
    session.say("next: bpfpkg build, bpfpkg keygen, bpfpkg push --key bpfpkg.key");
    Ok(output::line(folder.display().to_string())?)
}
