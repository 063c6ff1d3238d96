// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg search`.

use registry_schema::api::{PackageSummary, SignatureState};

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
};

/// Find packages by words
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Words to look for; without any, all packages are listed
    words: Vec<String>,
    /// Most packages to list, 1 to 100
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
    /// How many to leave out first
    #[arg(long, default_value_t = 0)]
    offset: u64,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let registry = session.connect(&session.default_registry()?)?;
    let found = registry
        .search(&args.words.join(" "), args.limit, args.offset)
        .await?;
    if args.format.output == Format::Json {
        return Ok(output::json(&found)?);
    }
    if found.packages.is_empty() {
        session.say("nothing was found");
        return Ok(());
    }
    let rows: Vec<_> = found
        .packages
        .iter()
        .map(|package| {
            vec![
                package.name.to_string(),
                package.version.to_string(),
                package.program_types.join(", "),
                state(package).to_owned(),
                package.summary.clone(),
            ]
        })
        .collect();
    output::table(
        &["PACKAGE", "VERSION", "PROGRAMS", "STATE", "SUMMARY"],
        &rows,
    )?;
    if let Some(next) = found.next_offset {
        session.say(format!(
            "{} in all; more with `--offset {next}`",
            found.total
        ));
    }
    Ok(())
}

/// The word that matters most to somebody who chooses.
const fn state(package: &PackageSummary) -> &'static str {
    if package.yanked {
        "yanked"
    } else if package.deprecated.is_some() {
        "deprecated"
    } else {
        signature(package.signature)
    }
}

/// A signature's state, as the registry sees it, in a word or two.
pub(super) const fn signature(state: SignatureState) -> &'static str {
    match state {
        SignatureState::Unsigned => "unsigned",
        SignatureState::UnknownKey => "unknown key",
        SignatureState::Signed => "signed",
    }
}
