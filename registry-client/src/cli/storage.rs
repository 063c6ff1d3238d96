// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg namespace storage`.

use std::str::FromStr;

use clap::Subcommand;
use registry_schema::{
    Namespace,
    storage::{ExpiredContent, NamespaceStorage, StorageRules},
};

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
};
use crate::registry::Registry;

/// Say how much a namespace may hold, and what of it may go
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show how much a namespace holds, and its rules
    Show {
        /// The namespace
        namespace: Namespace,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Change rules; what is not named stays
    Set(SetArgs),
    /// Remove now what the rules let go; the registry does it every hour by itself
    Expire {
        /// The namespace
        namespace: Namespace,
        /// Only say what would go
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        format: FormatArg,
    },
}

/// Change rules; what is not named stays
///
/// Published versions never go, whatever the rules say.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("rule").args(["quota", "untagged_days", "keep_tags"]).required(true).multiple(true)))]
pub(super) struct SetArgs {
    /// The namespace
    namespace: Namespace,
    /// How much it may hold, such as `500MB`, `10GiB` or `none`; for administrators
    #[arg(long, value_name = "SIZE")]
    quota: Option<Rule<Bytes>>,
    /// After how many days a manifest goes that no tag, index or subject keeps, or `none`
    #[arg(long, value_name = "DAYS")]
    untagged_days: Option<Rule<u64>>,
    /// How many tags of a repository that are no versions stay, the newest, or `none`
    #[arg(long, value_name = "NUMBER")]
    keep_tags: Option<Rule<u64>>,
    #[command(flatten)]
    format: FormatArg,
}

/// The value of a rule; none takes the rule away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule<T>(Option<T>);

impl<T: FromStr> FromStr for Rule<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        match text {
            "none" => Ok(Self(None)),
            text => text.parse().map(Some).map(Self),
        }
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bytes(u64);

/// The units, largest last.
const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start();
        let factor = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, factor)) => Some(*factor),
            None if unit.is_empty() => Some(1),
            None => None,
        };
        let number = number.parse::<u64>().ok();
        let bytes = number
            .zip(factor)
            .and_then(|(n, factor)| n.checked_mul(factor));
        // What a signed 64-bit column holds.
        let bytes = bytes.filter(|bytes| i64::try_from(*bytes).is_ok());
        bytes.map(Self).ok_or_else(|| {
            "write a whole number and one of B, kB, KiB, MB, MiB, GB, GiB, TB, TiB; or `none`"
                .to_owned()
        })
    }
}

pub(super) async fn run(
    command: Command,
    registry: &Registry,
    session: &Session,
) -> Result<(), Failure> {
    match command {
        Command::Show { namespace, format } => {
            show(&registry.storage(&namespace).await?, format.output)
        }
        Command::Set(args) => {
            let old = registry.storage(&args.namespace).await?.rules;
            let rules = StorageRules {
                quota_bytes: match args.quota {
                    Some(Rule(quota)) => quota.map(|Bytes(bytes)| bytes),
                    None => old.quota_bytes,
                },
                untagged_days: args.untagged_days.map_or(old.untagged_days, |rule| rule.0),
                keep_tags: args.keep_tags.map_or(old.keep_tags, |rule| rule.0),
            };
            let set = registry.set_storage(&args.namespace, &rules).await?;
            show(&set, args.format.output)
        }
        Command::Expire {
            namespace,
            dry_run,
            format,
        } => {
            let expired = registry.expire(&namespace, dry_run).await?;
            if format.output == Format::Json {
                return Ok(output::json(&expired)?);
            }
            let rows: Vec<_> = expired.contents.iter().map(row).collect();
            output::table(&["REPOSITORY", "TAG", "DIGEST"], &rows)?;
            let (number, what) = (rows.len(), if dry_run { "would go" } else { "are gone" });
            session.say(format!("{number} tags and manifests {what}"));
            Ok(())
        }
    }
}

fn row(content: &ExpiredContent) -> Vec<String> {
    vec![
        content.repository.clone(),
        content.tag.clone().unwrap_or_else(|| "-".to_owned()),
        content.digest.to_string(),
    ]
}

fn show(storage: &NamespaceStorage, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return Ok(output::json(storage)?);
    }
    let rules = storage.rules;
    let none = || "none".to_owned();
    Ok(output::fields(&[
        ("holds", size(storage.used_bytes)),
        ("quota", rules.quota_bytes.map_or_else(none, size)),
        (
            "untagged manifests go",
            rules
                .untagged_days
                .map_or_else(|| "never".to_owned(), |days| format!("after {days} days")),
        ),
        (
            "other tags that stay",
            rules
                .keep_tags
                .map_or_else(|| "all".to_owned(), |tags| format!("the {tags} newest")),
        ),
    ])?)
}

/// Bytes with the largest unit that gives a whole number, or else as they are.
fn size(bytes: u64) -> String {
    let whole = |unit: &&(&str, u64)| bytes >= unit.1 && bytes.is_multiple_of(unit.1);
    let (name, factor) = UNITS.iter().rev().find(whole).unwrap_or(&UNITS[0]);
    format!("{} {name}", bytes / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_and_written() {
        for (text, bytes, written) in [
            ("0", 0, "0 B"),
            ("1500", 1500, "1500 B"),
            ("2000", 2000, "2 kB"),
            ("500MB", 500_000_000, "500 MB"),
            ("10 GiB", 10 << 30, "10 GiB"),
            ("1TiB", 1 << 40, "1 TiB"),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
            assert_eq!(size(bytes), written);
        }
        for wrong in [
            "",
            "GB",
            "-1",
            "1.5GB",
            "1gb",
            "1 PB",
            "99999999999999999999",
            "9000000000 TB",
            "none ",
        ] {
            assert!(wrong.parse::<Rule<Bytes>>().is_err(), "{wrong}");
        }
        assert_eq!("none".parse(), Ok(Rule::<Bytes>(None)));
    }
}
