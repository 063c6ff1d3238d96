// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg namespace`.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum, ValueHint};
use registry_schema::{
    Namespace,
    api::{NamespaceKey, Visibility},
    signature::{Fingerprint, PublicKey},
};

use super::{
    failure::Failure,
    federation, identity, member,
    output::{self, Format, FormatArg},
    ownership, publisher,
    session::Session,
    storage,
};
use crate::{build::BuildError, file, registry::Registry};

/// Create namespaces; say who belongs to them, and whose keys may sign
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a namespace, which you then own
    Create {
        /// Its name
        name: Namespace,
        /// Who may read it
        #[arg(long, value_enum, default_value_t)]
        visibility: Readers,
    },
    /// List the namespaces that you may see
    List {
        #[command(flatten)]
        format: FormatArg,
    },
    /// Register, list and take back public keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Let people and jobs sign on an issuer's word
    #[command(subcommand)]
    Identity(identity::IdentityCommand),
    /// Hand a namespace over to another account
    #[command(subcommand)]
    Transfer(ownership::TransferCommand),
    /// Show who stands behind a namespace
    #[command(subcommand)]
    Proof(ownership::ProofCommand),
    /// Set how many identities must sign a version of a public registry
    Threshold {
        /// The namespace
        name: Namespace,
        /// 1 to 16
        number: u64,
    },
    Mirror(federation::MirrorArgs),
    Foreign(federation::ForeignArgs),
    #[command(subcommand)]
    Webhook(federation::WebhookCommand),
    /// Give, list and take away roles
    #[command(subcommand)]
    Member(member::Command),
    /// Let CI jobs publish without a kept secret
    #[command(subcommand)]
    Publisher(publisher::Command),
    #[command(subcommand)]
    Storage(storage::Command),
    /// Change who may read a namespace
    Visibility {
        /// The namespace
        name: Namespace,
        /// Who may read it
        #[arg(value_enum)]
        visibility: Readers,
    },
    /// Delete a namespace that holds nothing; its name is never given again
    Delete {
        /// The namespace
        name: Namespace,
    },
}

/// Register, list and take back public keys
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Register a public key, so that users see who signs
    Add {
        /// The namespace
        namespace: Namespace,
        /// File with the public key
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// List the keys of a namespace
    List {
        /// The namespace
        namespace: Namespace,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Take a key back
    Remove {
        /// The namespace
        namespace: Namespace,
        /// The key, `SHA256:…`
        fingerprint: Fingerprint,
    },
    Rotate(identity::RotateArgs),
    Revoke(identity::RevokeArgs),
}

/// Who may read a namespace
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum Readers {
    /// Everyone
    #[default]
    Public,
    /// Only those who hold a token for it
    Private,
}

impl From<Readers> for Visibility {
    fn from(readers: Readers) -> Self {
        match readers {
            Readers::Public => Self::Public,
            Readers::Private => Self::Private,
        }
    }
}

pub(super) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let registry = session.connect(&session.default_registry()?)?;
    match command {
        Command::Create { name, visibility } => {
            let created = registry.create_namespace(&name, visibility.into()).await?;
            session.say(format!(
                "namespace {} is yours in {}",
                created.name,
                registry.host()
            ));
        }
        Command::List { format } => {
            let namespaces = registry.namespaces().await?;
            if format.output == Format::Json {
                return Ok(output::json(&namespaces)?);
            }
            let rows: Vec<_> = namespaces
                .iter()
                .map(|namespace| {
                    let visibility = match namespace.visibility {
                        Visibility::Public => "public",
                        Visibility::Private => "private",
                    };
                    vec![
                        namespace.name.to_string(),
                        visibility.to_owned(),
                        namespace.packages.to_string(),
                    ]
                })
                .collect();
            output::table(&["NAMESPACE", "VISIBILITY", "PACKAGES"], &rows)?;
        }
        Command::Identity(command) => return identity::run(command, &registry, session).await,
        Command::Transfer(command) => {
            return ownership::transfer(command, &registry, session).await;
        }
        Command::Proof(command) => return ownership::proof(command, &registry, session).await,
        Command::Threshold { name, number } => {
            let changed = registry.set_threshold(&name, number).await?;
            let number = changed.threshold;
            session.say(format!("{number} must sign a version of namespace {name}"));
        }
        Command::Key(command) => return key(command, &registry, session).await,
        Command::Mirror(args) => federation::mirror(&args, &registry).await?,
        Command::Foreign(args) => federation::foreign(&args, session, &registry).await?,
        Command::Webhook(command) => federation::webhook(&command, session, &registry).await?,
        Command::Member(command) => return member::run(command, &registry, session).await,
        Command::Publisher(command) => return publisher::run(command, &registry, session).await,
        Command::Storage(command) => return storage::run(command, &registry, session).await,
        Command::Visibility { name, visibility } => {
            registry.set_visibility(&name, visibility.into()).await?;
            session.say(format!("namespace {name} has changed"));
        }
        Command::Delete { name } => {
            registry.delete_namespace(&name).await?;
            session.say(format!("namespace {name} is gone, and its name with it"));
        }
    }
    Ok(())
}

async fn key(command: KeyCommand, registry: &Registry, session: &Session) -> Result<(), Failure> {
    match command {
        KeyCommand::Rotate(args) => return identity::rotate(args, registry, session).await,
        KeyCommand::Revoke(args) => return identity::revoke(args, registry, session).await,
        KeyCommand::Add { namespace, file } => {
            let added = registry
                .add_key(&namespace, &read_public_key(&file)?.to_pem())
                .await?;
            session.say(format!(
                "key {} may sign for namespace {namespace}",
                added.fingerprint
            ));
        }
        KeyCommand::List { namespace, format } => {
            let keys = registry.keys(&namespace).await?;
            if format.output == Format::Json {
                return Ok(output::json(&keys)?);
            }
            output::table(
                &["FINGERPRINT", "SINCE", "BY", "VERSIONS SIGNED", "STATE"],
                &rows(&keys),
            )?;
        }
        KeyCommand::Remove {
            namespace,
            fingerprint,
        } => {
            registry.remove_key(&namespace, &fingerprint).await?;
            session.say(format!(
                "key {fingerprint} signs no more for namespace {namespace}"
            ));
        }
    }
    Ok(())
}

/// Keys as rows of a table.
fn rows(keys: &[NamespaceKey]) -> Vec<Vec<String>> {
    keys.iter()
        .map(|key| {
            vec![
                key.fingerprint.to_string(),
                key.registered_at.format("%Y-%m-%d").to_string(),
                key.registered_by.clone(),
                key.versions_signed.to_string(),
                key.revoked
                    .as_ref()
                    .map(identity::state)
                    .unwrap_or_default(),
            ]
        })
        .collect()
}

/// Reads a public key from a file.
pub(super) fn read_public_key(path: &Path) -> Result<PublicKey, Failure> {
    let bytes = file::read_bounded(path, 64 << 10)
        .map_err(|source| BuildError::File {
            path: path.to_owned(),
            source,
        })
        .map_err(|error| {
            Failure::from(error).with_help("name the `.pub` file that `bpfpkg keygen` wrote")
        })?;
    PublicKey::from_pem(&String::from_utf8_lossy(&bytes)).map_err(|error| {
        Failure::usage(
            format!("`{}` is no public key: {error}", path.display()),
            "name the `.pub` file that `bpfpkg keygen` wrote",
        )
    })
}
