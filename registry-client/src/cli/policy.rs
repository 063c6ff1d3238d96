// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg policy`.

use std::path::PathBuf;

use clap::{Subcommand, ValueHint};
use registry_schema::{
    Reference,
    trust::policy::{Demand, Mode, Need, Policy, PolicyError, Scope},
};

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
};
use crate::trust::{TrustError, load_policy};

/// Show what is demanded of packages before they are used
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check a policy file; says where it is wrong
    Check {
        /// The file; by default the one that is in use
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Show what is demanded of a package, and which rule says so
    Show {
        /// The package, `[host/]namespace/name`
        reference: Reference,
        #[command(flatten)]
        format: FormatArg,
    },
}

pub(super) fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Check { file } => check(file, session),
        Command::Show { reference, format } => show(&reference, format.output, session),
    }
}

fn check(file: Option<PathBuf>, session: &Session) -> Result<(), Failure> {
    let policy = match file {
        None => session.policy()?,
        Some(path) => load_policy(&path)?.ok_or_else(|| TrustError::Policy {
            path,
            reason: PolicyError::Malformed("there is no such file".to_owned()),
        })?,
    };
    let scopes: Vec<_> = policy.rules().map(|(scope, _)| scope.to_string()).collect();
    session.say(match scopes.len() {
        0 => "no rules: everything must be signed by somebody in the trust file".to_owned(),
        1 => format!("1 rule, for {}", scopes.join(", ")),
        count => format!("{count} rules, for {}", scopes.join(", ")),
    });
    Ok(())
}

fn show(reference: &Reference, format: Format, session: &Session) -> Result<(), Failure> {
    let policy: Policy = session.policy()?;
    let host = session.registry_of(reference)?;
    let demands = policy.demands(&host, &reference.package);
    if format == Format::Json {
        return Ok(output::json(&demands)?);
    }
    let need = |demand: &Demand<Option<Need>>, what: &str| match demand.value {
        Some(Need::Required) => "required".to_owned(),
        Some(Need::Optional) => "optional".to_owned(),
        None => format!("required if the registry's trust root names {what}"),
    };
    let mode = match demands.mode.value {
        Mode::Trusted => "trusted",
        Mode::Normal => "normal: unsigned packages pass, flagged",
    };
    let signers = demands.signers.value.as_ref().map_or_else(
        || "those in the trust file".to_owned(),
        |signers| {
            let names: Vec<_> = signers.iter().map(ToString::to_string).collect();
            names.join(", ")
        },
    );
    let witnesses = demands.witnesses.value.map_or_else(
        || "as many as the trust root says".to_owned(),
        |count| count.to_string(),
    );
    let age = demands
        .revocation_max_age
        .value
        .map_or_else(|| "until it expires".to_owned(), |age| age.to_string());
    let downgrade = format!("{:?}", demands.downgrade.value).to_lowercase();
    let rows = [
        ("mode", mode.to_owned(), &demands.mode.rule),
        ("signers", signers, &demands.signers.rule),
        (
            "threshold",
            demands.threshold.value.to_string(),
            &demands.threshold.rule,
        ),
        (
            "level",
            demands.level.value.to_string(),
            &demands.level.rule,
        ),
        ("log", need(&demands.log, "a log"), &demands.log.rule),
        ("witnesses", witnesses, &demands.witnesses.rule),
        (
            "revocation",
            need(&demands.revocation, "who may revoke"),
            &demands.revocation.rule,
        ),
        ("revocation-max-age", age, &demands.revocation_max_age.rule),
        ("downgrade", downgrade, &demands.downgrade.rule),
    ];
    let from = |rule: &Option<Scope>| {
        rule.as_ref().map_or_else(
            || "by default".to_owned(),
            |scope| format!("rule for {scope}"),
        )
    };
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(name, value, rule)| vec![name.to_owned(), value, from(rule)])
        .collect();
    Ok(output::table(&["DEMAND", "VALUE", "FROM"], &rows)?)
}
