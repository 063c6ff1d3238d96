// SPDX-License-Identifier: Apache-2.0
//! The command line. Each command is in the file of its name.

mod apply;
mod chain;
mod plan;
mod run;
mod status;
mod unload;

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use registry_schema::exit;

use crate::agent::{Agent, AgentError, OutcomeState, Problem, Report};
use crate::api::{Client, ClientError, ListenError};
use crate::chain::Engine;
use crate::config::{Config, ConfigError, DEFAULT_FILE};

/// Runs signed eBPF packages on this machine: pulls, verifies, chains, measures
///
/// Exit codes: 0 done; 1 failed; 2 wrong command line or configuration; 3 package, version or
/// interface does not exist; 4 not allowed by the registry; 5 conflict (another owner's program,
/// another daemon); 6 registry or daemon cannot be reached; 7 the kernel refuses; 20 verification
/// failed; 21 forbidden by policy (for instance unsigned); 22 the object was found wanting; 130
/// interrupted.
///
/// A running daemon shows measurements in OpenMetrics form under `/metrics`, on its socket and on
/// the address of `[metrics] listen`: `l3afd_lite_program_runs_total` and others of its own, and
/// `<namespace>_<package>_<metric>` for what packages declare.
#[derive(Debug, Parser)]
#[command(name = "l3afd-lite", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// Configuration file [default: /etc/l3afd-lite/config.toml if it exists, else every key's
    /// own default]
    #[arg(long, global = true, value_name = "FILE", env = "L3AFD_LITE_CONFIG")]
    config: Option<PathBuf>,
    /// How to print what is asked for
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    #[default]
    Text,
    /// For programs: the same documents as the daemon's API
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: bring this machine to what the configuration asks for, and keep it there
    Run(run::RunArgs),
    /// Bring this machine to what is asked for, now: through the running daemon, else directly
    Apply(apply::ApplyArgs),
    /// Show what would be done, and do nothing
    Plan(plan::PlanArgs),
    /// Show what is asked for, what is true, and why they differ
    Status(status::StatusArgs),
    /// Look at chains
    #[command(subcommand)]
    Chain(chain::ChainCommand),
    /// Detach and remove every program of this daemon
    #[command(visible_alias = "stop")]
    Unload(unload::UnloadArgs),
}

/// Why a command ends.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A chain or probe was refused; the message is complete.
    #[error("{}", .0.message)]
    Refused(Problem),
    /// The command line asks for nothing that can be done.
    #[error("{0}")]
    Usage(String),
    #[error("writing to standard output: {0}")]
    Output(std::io::Error),
}

impl CliError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Usage(_) => exit::USAGE,
            Self::Agent(error) => error.exit_code(),
            Self::Client(error) => error.exit_code(),
            Self::Listen(ListenError::Busy(_)) => exit::CONFLICT,
            Self::Listen(_) | Self::Output(_) => exit::FAILURE,
            Self::Refused(problem) => problem.exit_code,
        }
    }
}

impl Cli {
    /// What is logged unless `L3AFD_LITE_LOG` says otherwise. A command tells its user
    /// what was refused; the daemon has only its log.
    pub const fn default_log(&self) -> &'static str {
        match self.command {
            Command::Run(_) => "l3afd_lite=info,refused=info",
            _ => "l3afd_lite=warn",
        }
    }
}

/// Runs the command; gives the exit code.
pub async fn run(cli: Cli) -> u8 {
    let common = &cli.common;
    let ended = match &cli.command {
        Command::Run(args) => run::run(args, common).await,
        Command::Apply(args) => apply::run(args, common).await,
        Command::Plan(args) => plan::run(args, common).await,
        Command::Status(args) => status::run(args, common).await,
        Command::Chain(command) => chain::run(command, common).await,
        Command::Unload(args) => unload::run(args, common).await,
    };
    match ended {
        Ok(()) => exit::OK,
        // Whoever reads us has read enough.
        Err(CliError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => exit::OK,
        Err(error) => {
            eprintln!("l3afd-lite: {error}");
            error.exit_code()
        }
    }
}

impl Common {
    /// The configuration, and the file it came from.
    fn read(&self) -> Result<(Config, Option<(PathBuf, registry_schema::Digest)>), CliError> {
        let path = match &self.config {
            Some(path) => path.clone(),
            None if Path::new(DEFAULT_FILE).exists() => DEFAULT_FILE.into(),
            None => return Ok((with_environment(Config::default()), None)),
        };
        let (config, digest) = Config::read(&path)?;
        Ok((with_environment(config), Some((path, digest))))
    }

    fn print(
        &self,
        value: &impl serde::Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), CliError> {
        use std::io::Write as _;
        let text = match self.output {
            Output::Text => text(),
            Output::Json => serde_json::to_string_pretty(value).unwrap_or_default() + "\n",
        };
        std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(CliError::Output)
    }

    /// Prints what became of wishes; the worst problem ends the command.
    fn conclude(&self, report: &Report) -> Result<(), CliError> {
        self.print(report, || describe(report))?;
        report
            .worst()
            .map_or(Ok(()), |problem| Err(CliError::Refused(problem.clone())))
    }
}

fn with_environment(mut config: Config) -> Config {
    if config.registry.default.is_none() {
        config.registry.default = std::env::var("BPFPKG_REGISTRY")
            .ok()
            .filter(|host| !host.is_empty());
    }
    config
}

fn describe(report: &Report) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for outcome in &report.outcomes {
        let state = match outcome.state {
            OutcomeState::Applied => "applied",
            OutcomeState::Unchanged => "unchanged",
            OutcomeState::Waiting => "waiting for the interface",
            OutcomeState::Refused => "refused",
        };
        let _ = writeln!(text, "{}: {state}", outcome.subject);
        for step in &outcome.steps {
            let _ = writeln!(text, "  {step}");
        }
        // The worst problem is printed last, as the reason why the command ends.
        if let Some(problem) = outcome
            .problem
            .as_ref()
            .filter(|problem| Some(*problem) != report.worst())
        {
            let _ = writeln!(text, "  {}", problem.message);
        }
    }
    if report.outcomes.is_empty() {
        text.push_str("nothing is asked for, and nothing runs\n");
    }
    text
}

/// An agent for one command, when no daemon runs.
fn agent(config: Config) -> Result<Agent<Engine>, CliError> {
    let engine = Engine::new(&config.bpffs);
    Ok(Agent::new(engine, config)?)
}

/// An agent that only looks.
fn looking(config: Config) -> Result<Agent<Engine>, CliError> {
    let engine = Engine::new(&config.bpffs);
    Ok(Agent::look(engine, config)?)
}

/// The daemon, if one runs.
fn daemon(config: &Config) -> Option<Client> {
    let client = Client::new(&config.api.socket);
    client.answers().then_some(client)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
