// SPDX-License-Identifier: Apache-2.0
//! `l3afd-lite apply`

use clap::Args;
use http::Method;
use registry_schema::Reference;
use registry_schema::hook::Hook;

use super::{CliError, Common, agent, daemon};
use crate::desired::{ChainSpec, Desired, ProgramSpec, XdpMode};

#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    /// Packages of one chain, first to last, as `[host/]namespace/name[:version][@sha256:…]`;
    /// a `#function` behind one chooses among its programs
    #[arg(value_name = "PACKAGE", requires = "interface")]
    packages: Vec<String>,
    /// The interface of the chain; without it, everything in the configuration is applied
    #[arg(long, value_name = "NAME", requires = "hook")]
    interface: Option<String>,
    /// Network namespace of the interface: a name under /run/netns or an absolute path
    #[arg(long, value_name = "NETNS", requires = "interface")]
    netns: Option<String>,
    /// Where on the interface: xdp, tc-ingress or tc-egress
    #[arg(long, requires = "interface")]
    hook: Option<Hook>,
    /// How an XDP chain attaches
    #[arg(long, requires = "interface", value_enum, default_value_t)]
    mode: XdpMode,
    /// Remove the chain
    #[arg(long, requires = "interface", conflicts_with = "packages")]
    remove: bool,
}

pub(super) async fn run(args: &ApplyArgs, common: &Common) -> Result<(), CliError> {
    let (config, file) = common.read()?;
    let chain = args.chain(config.registry.default.as_deref())?;
    if chain.is_none() && file.is_none() {
        return Err(CliError::Usage(
            "there is nothing to apply: name a chain (`--interface eth0 --hook xdp namespace/name`) or a configuration (`--config FILE`)".to_owned(),
        ));
    }
    let desired = config.desired();
    let report = match (daemon(&config), chain) {
        (Some(daemon), Some(chain)) => daemon.request(Method::PATCH, "/v1/desired", &chain).await?,
        (Some(daemon), None) => daemon.request(Method::PUT, "/v1/desired", &desired).await?,
        (None, chain) => directly(config, chain, &desired).await?,
    };
    common.conclude(&report)
}

/// Without a daemon: the programs are pinned and outlive this command.
async fn directly(
    config: crate::config::Config,
    chain: Option<ChainSpec>,
    desired: &Desired,
) -> Result<crate::agent::Report, CliError> {
    let grace = config.grace();
    let agent = agent(config)?;
    let report = match chain {
        Some(chain) => agent.apply_chain(chain).await?,
        None => agent.apply(desired).await?,
    };
    if agent.has_unfinished()? {
        tokio::time::sleep(grace).await;
        agent.settle(crate::fetch::Ask::Kept).await?;
    }
    Ok(report)
}

impl ApplyArgs {
    /// The chain that is asked for; packages without a registry are those of `registry`.
    fn chain(&self, registry: Option<&str>) -> Result<Option<ChainSpec>, CliError> {
        let (Some(interface), Some(hook)) = (&self.interface, self.hook) else {
            return Ok(None);
        };
        if self.packages.is_empty() && !self.remove {
            return Err(CliError::Usage(
                "name at least one package, or say --remove to remove the chain".to_owned(),
            ));
        }
        let programs = self
            .packages
            .iter()
            .map(|package| program(package, registry))
            .collect::<Result<_, _>>()?;
        let (interface, netns) = (interface.clone(), self.netns.clone());
        Ok(Some(ChainSpec {
            interface,
            netns,
            hook,
            mode: self.mode,
            programs,
        }))
    }
}

fn program(text: &str, registry: Option<&str>) -> Result<ProgramSpec, CliError> {
    let (package, function) = match text.split_once('#') {
        Some((package, function)) => (package, Some(function.to_owned())),
        None => (text, None),
    };
    let mut package: Reference = package
        .parse()
        .map_err(|error| CliError::Usage(format!("{error}")))?;
    package.registry = package.registry.or_else(|| registry.map(str::to_owned));
    Ok(ProgramSpec {
        package,
        function,
        proceed_on: None,
        parameters: std::collections::BTreeMap::new(),
    })
}
