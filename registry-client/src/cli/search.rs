// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg search`.

use registry_schema::api::{PackageSummary, SignatureState};
use serde::Serialize;

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
};

/// Find packages by words
///
/// Searches the default registry and those that `registries` in config.toml lists, or the
/// one that `--registry` names. What each finds is as it says: trust is judged when a
/// package is pulled, by registry and namespace.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Words to look for; without any, all packages are listed
    words: Vec<String>,
    /// Most packages to list of each registry, 1 to 100
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
    /// How many of each registry to leave out first
    #[arg(long, default_value_t = 0)]
    offset: u64,
    #[command(flatten)]
    format: FormatArg,
}

/// What was found everywhere.
#[derive(Debug, Default, Serialize)]
struct Found {
    /// How many in all registries together.
    total: u64,
    packages: Vec<Hit>,
    /// The `--offset` of what comes next in any of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u64>,
}

/// A package, and where it is.
#[derive(Debug, Serialize)]
struct Hit {
    registry: String,
    #[serde(flatten)]
    package: PackageSummary,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let hosts = session.searched()?;
    let found = everywhere(args, session, &hosts).await?;
    if args.format.output == Format::Json {
        return Ok(output::json(&found)?);
    }
    if found.packages.is_empty() {
        session.say("nothing was found");
        return Ok(());
    }
    let several = hosts.len() > 1;
    let rows: Vec<_> = found.packages.iter().map(|hit| row(hit, several)).collect();
    let heads = [
        "REGISTRY", "PACKAGE", "VERSION", "PROGRAMS", "STATE", "SUMMARY",
    ];
    output::table(&heads[usize::from(!several)..], &rows)?;
    if let Some(next) = found.next_offset {
        session.say(format!(
            "{} in all; more with `--offset {next}`",
            found.total
        ));
    }
    Ok(())
}

/// Asks all registries at the same time. One that does not answer is told of, and only if
/// none does it is a failure.
async fn everywhere(args: &Args, session: &Session, hosts: &[String]) -> Result<Found, Failure> {
    let words = args.words.join(" ");
    let asked = hosts.iter().map(async |host| {
        let registry = session.connect(host)?;
        Ok::<_, Failure>(registry.search(&words, args.limit, args.offset).await?)
    });
    let answers = futures::future::join_all(asked).await;
    let mut found = Found::default();
    let (mut pages, mut failures) = (Vec::new(), Vec::new());
    for (host, answer) in hosts.iter().zip(answers) {
        match answer {
            Ok(page) => {
                found.total += page.total;
                found.next_offset = found.next_offset.max(page.next_offset);
                pages.push((host, page.packages.into_iter()));
            }
            Err(failure) => failures.push(failure),
        }
    }
    if pages.is_empty()
        && let Some(first) = failures.pop()
    {
        return Err(first);
    }
    for failure in failures {
        session.say(format!("warning: {}", failure.message()));
    }
    // Each registry orders by its own measure: the best of each first, then the second.
    loop {
        let before = found.packages.len();
        for (host, page) in &mut pages {
            found.packages.extend(page.next().map(|package| Hit {
                registry: (*host).clone(),
                package,
            }));
        }
        if found.packages.len() == before {
            return Ok(found);
        }
    }
}

fn row(Hit { registry, package }: &Hit, several: bool) -> Vec<String> {
    let mut cells = vec![
        package.name.to_string(),
        package.version.to_string(),
        package.program_types.join(", "),
        state(package).to_owned(),
        package.summary.clone(),
    ];
    if several {
        cells.insert(0, registry.clone());
    }
    cells
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
        SignatureState::Revoked => "revoked",
        SignatureState::Signed => "signed",
    }
}
