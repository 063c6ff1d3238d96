// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg account certificate`.

use clap::Subcommand;
use registry_schema::account::{CertificateDetail, NewCertificate};

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
};
use crate::registry::Registry;

/// Say for whom client certificates stand, as an administrator
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Let a certificate stand for an account
    Add {
        /// The account
        account: String,
        #[command(flatten)]
        name: Name,
    },
    /// List which certificates stand for whom
    List {
        #[command(flatten)]
        format: FormatArg,
    },
    /// Let a certificate stand for nobody
    Remove {
        #[command(flatten)]
        name: Name,
    },
}

/// By what a certificate is known.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Name {
    /// A URI in it, such as `spiffe://example/ns/ci`
    #[arg(long)]
    uri: Option<String>,
    /// A host name in it, in lower case
    #[arg(long)]
    dns: Option<String>,
    /// An e-mail address in it
    #[arg(long)]
    email: Option<String>,
    /// SHA-256 of its public key, in lower-case hexadecimal digits
    #[arg(long, value_name = "HASH")]
    spki: Option<String>,
}

impl Name {
    /// Kind and value; the command line has exactly one.
    fn take(self) -> (&'static str, String) {
        let names = [
            ("uri", self.uri),
            ("dns", self.dns),
            ("email", self.email),
            ("spki", self.spki),
        ];
        let mut given = names
            .into_iter()
            .filter_map(|(kind, value)| Some((kind, value?)));
        given.next().unwrap_or(("uri", String::new()))
    }
}

pub(super) async fn run(
    command: Command,
    registry: &Registry,
    session: &Session,
) -> Result<(), Failure> {
    match command {
        Command::Add { account, name } => {
            let (kind, value) = name.take();
            let new = NewCertificate {
                kind: kind.to_owned(),
                value,
                account,
            };
            let added = registry.add_certificate(&new).await?.rule;
            session.say(format!(
                "whoever shows a certificate with {} {} is {}",
                added.kind, added.value, added.account
            ));
        }
        Command::List { format } => {
            let certificates = registry.certificates().await?;
            if format.output == Format::Json {
                return Ok(output::json(&certificates)?);
            }
            let row = |certificate: &CertificateDetail| {
                vec![
                    certificate.rule.account.clone(),
                    certificate.rule.kind.clone(),
                    certificate.rule.value.clone(),
                    certificate.added_by.clone(),
                    certificate.added_at.format("%Y-%m-%d").to_string(),
                ]
            };
            let rows: Vec<_> = certificates.iter().map(row).collect();
            output::table(&["ACCOUNT", "KIND", "VALUE", "BY", "SINCE"], &rows)?;
        }
        Command::Remove { name } => {
            let (kind, value) = name.take();
            registry.remove_certificate(kind, &value).await?;
            session.say(format!(
                "a certificate with {kind} {value} stands for nobody"
            ));
        }
    }
    Ok(())
}
