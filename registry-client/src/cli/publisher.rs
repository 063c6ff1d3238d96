// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg namespace publisher`.

use clap::Subcommand;
use registry_schema::{Namespace, account::NewTrustedPublisher};

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
};
use crate::registry::Registry;

/// Let CI jobs publish without a kept secret, on the word of their OIDC provider
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Trust a job
    Add {
        /// The namespace
        namespace: Namespace,
        /// What you call the job
        name: String,
        /// The provider, as in the `iss` claim
        #[arg(long, value_name = "URL")]
        issuer: String,
        /// The `sub` claim; `*` stands for any characters
        #[arg(long)]
        subject: String,
        /// Another claim that must be there; `*` stands for any characters; may be repeated
        #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
        claims: Vec<(String, String)>,
        /// Which packages: a name, or its beginning and `*`
        #[arg(long, default_value = "*", value_name = "PATTERN")]
        packages: String,
    },
    /// Trust a job no more; its tokens end at once
    Remove {
        /// The namespace
        namespace: Namespace,
        /// What you call the job
        name: String,
    },
    /// List whom a namespace trusts
    List {
        /// The namespace
        namespace: Namespace,
        #[command(flatten)]
        format: FormatArg,
    },
}

fn claim(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or_else(|| format!("`{text}` is no `NAME=VALUE`"))?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) async fn run(
    command: Command,
    registry: &Registry,
    session: &Session,
) -> Result<(), Failure> {
    match command {
        Command::Add {
            namespace,
            name,
            issuer,
            subject,
            claims,
            packages,
        } => {
            let new = NewTrustedPublisher {
                name,
                issuer,
                subject,
                claims: claims.into_iter().collect(),
                packages,
            };
            let added = registry.add_publisher(&namespace, &new).await?;
            session.say(format!("{} may publish as {}", new.name, added.account));
        }
        Command::Remove { namespace, name } => {
            registry.remove_publisher(&namespace, &name).await?;
            session.say(format!("{name} publishes no more in namespace {namespace}"));
        }
        Command::List { namespace, format } => {
            let publishers = registry.publishers(&namespace).await?;
            if format.output == Format::Json {
                return Ok(output::json(&publishers)?);
            }
            let row = |publisher: &registry_schema::account::TrustedPublisher| {
                let rule = &publisher.rule;
                vec![
                    rule.name.clone(),
                    rule.packages.clone(),
                    rule.subject.clone(),
                    rule.issuer.clone(),
                ]
            };
            let rows: Vec<_> = publishers.iter().map(row).collect();
            output::table(&["NAME", "PACKAGES", "SUBJECT", "ISSUER"], &rows)?;
        }
    }
    Ok(())
}
