// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg config`.

use clap::Subcommand;
use serde_json::json;

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::{Session, config_path, memory},
};
use crate::{auth::CredentialStore, cache::Cache};

/// Show the configuration in effect
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show each setting and where it comes from
    Show {
        #[command(flatten)]
        format: FormatArg,
    },
}

pub(super) fn run(command: &Command, session: &Session) -> Result<(), Failure> {
    let Command::Show { format } = command;
    let file = config_path().map_or_else(|| "none".to_owned(), |path| path.display().to_string());
    let registry = match (&session.global.registry, &session.config.registry) {
        (Some(host), _) => (host.clone(), "`--registry` or BPFPKG_REGISTRY".to_owned()),
        (None, Some(host)) => (host.clone(), file.clone()),
        (None, None) => ("none".to_owned(), "not set".to_owned()),
    };
    let trust = session.trust_path()?.display().to_string();
    let trust_origin = match &session.global.trust_file {
        Some(_) => "`--trust-file` or BPFPKG_TRUST",
        None => "default",
    };
    let policy = session.policy_path()?.display().to_string();
    let policy_origin = match &session.global.policy_file {
        Some(_) => "`--policy-file` or BPFPKG_POLICY",
        None => "default",
    };
    let credentials = CredentialStore::from_environment()?
        .path()
        .display()
        .to_string();
    let cache = Cache::of_user().map_or_else(
        || "none".to_owned(),
        |cache| cache.folder().display().to_string(),
    );
    let settings = [
        ("registry", registry.0, registry.1),
        (
            "registries",
            session.config.registries.join(", "),
            file.clone(),
        ),
        (
            "plain_http",
            session.config.plain_http.join(", "),
            file.clone(),
        ),
        ("trust file", trust, trust_origin.to_owned()),
        ("policy file", policy, policy_origin.to_owned()),
        (
            "what was seen",
            memory()?.folder().display().to_string(),
            "BPFPKG_STATE or default".to_owned(),
        ),
        (
            "credentials",
            credentials,
            "REGISTRY_AUTH_FILE, DOCKER_CONFIG or default".to_owned(),
        ),
        ("cache", cache, "default".to_owned()),
        ("configuration", file, "BPFPKG_CONFIG or default".to_owned()),
    ];
    if format.output == Format::Json {
        let list: Vec<_> = settings
            .iter()
            .map(|(name, value, origin)| json!({"name": name, "value": value, "origin": origin}))
            .collect();
        return Ok(output::json(&list)?);
    }
    let rows: Vec<_> = settings
        .into_iter()
        .map(|(name, value, origin)| vec![name.to_owned(), value, origin])
        .collect();
    Ok(output::table(&["SETTING", "VALUE", "FROM"], &rows)?)
}
