// SPDX-License-Identifier: Apache-2.0
//! The command `bpfpkg`: one file per verb.
//!
//! Data goes to stdout, everything else to stderr. The doc comments of the
//! arguments are the help and the reference.

mod account;
mod administration;
mod attach;
mod attest;
mod attestations;
mod believing;
mod build;
mod certificate;
mod clock;
mod completions;
mod config;
mod copy;
mod copying;
mod deprecate;
mod export;
mod failure;
mod federation;
mod fetching;
mod identity;
mod import;
mod info;
mod init;
mod inspect;
mod keygen;
mod log;
mod login;
mod logout;
mod man;
mod member;
mod namespace;
mod output;
mod ownership;
mod password;
mod policy;
mod progress;
mod publisher;
mod pull;
mod push;
mod review;
mod revoke;
mod root;
mod search;
mod session;
mod sign;
mod signing;
mod star;
mod storage;
mod token;
mod trust;
mod unyank;
mod verify;
mod verify_file;
mod weave;
mod yank;

use std::process::ExitCode;

use clap::{ColorChoice, Parser, Subcommand, error::ErrorKind};
use registry_schema::exit;

use self::{failure::Failure, session::Session};

/// Publish, find, verify and fetch signed eBPF packages
///
/// A package is an eBPF object with a manifest, stored in an OCI registry and
/// signed by its publisher. Nobody is trusted until `bpfpkg trust add` says so.
#[derive(Debug, Parser)]
#[command(name = "bpfpkg", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    global: session::Global,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done · 1 failure · 2 usage · 3 not found · 4 login · \
5 exists already · 6 registry unavailable · 20 verification failed · 21 policy · \
22 findings · 130 interrupted";

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Build(build::Args),
    Inspect(inspect::Args),
    Keygen(keygen::Args),
    Login(login::Args),
    Logout(logout::Args),
    #[command(subcommand)]
    Namespace(namespace::Command),
    #[command(subcommand)]
    Account(account::Command),
    #[command(subcommand)]
    Token(token::Command),
    Push(push::Args),
    Pull(pull::Args),
    Verify(verify::Args),
    Sign(sign::Args),
    Attach(attach::Args),
    Attest(attest::Args),
    Attestations(attestations::Args),
    VerifyFile(verify_file::Args),
    Copy(copy::Args),
    Export(export::Args),
    Import(import::Args),
    #[command(subcommand)]
    Trust(trust::Command),
    #[command(subcommand)]
    Policy(policy::Command),
    Revoke(revoke::Args),
    #[command(subcommand)]
    Root(root::Command),
    #[command(subcommand)]
    Review(review::Command),
    Search(search::Args),
    Info(info::Args),
    Star(star::Args),
    #[command(subcommand)]
    Log(log::Command),
    Yank(yank::Args),
    Unyank(unyank::Args),
    Deprecate(deprecate::Args),
    Weave(weave::Args),
    #[command(subcommand)]
    Config(config::Command),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Init(args) => init::run(&args, session),
            Self::Build(args) => build::run(&args, session),
            Self::Inspect(args) => inspect::run(&args, session).await,
            Self::Keygen(args) => keygen::run(&args, session),
            Self::Login(args) => login::run(&args, session).await,
            Self::Logout(args) => logout::run(&args, session),
            Self::Namespace(command) => namespace::run(command, session).await,
            Self::Account(command) => account::run(command, session).await,
            Self::Token(command) => token::run(command, session).await,
            Self::Push(args) => push::run(&args, session).await,
            Self::Pull(args) => pull::run(&args, session).await,
            Self::Verify(args) => verify::run(&args, session).await,
            Self::Sign(args) => sign::run(&args, session).await,
            Self::Attach(args) => attach::run(&args, session).await,
            Self::Attest(args) => attest::run(&args, session).await,
            Self::Attestations(args) => attestations::run(&args, session).await,
            Self::VerifyFile(args) => verify_file::run(&args, session),
            Self::Copy(args) => copy::run(&args, session).await,
            Self::Export(args) => export::run(&args, session).await,
            Self::Import(args) => import::run(&args, session).await,
            Self::Policy(command) => policy::run(command, session),
            Self::Revoke(args) => revoke::run(&args, session).await,
            Self::Root(command) => root::run(command, session).await,
            Self::Trust(command) => trust::run(command, session).await,
            Self::Review(command) => review::run(command, session).await,
            Self::Search(args) => search::run(&args, session).await,
            Self::Info(args) => info::run(&args, session).await,
            Self::Star(args) => star::run(&args, session).await,
            Self::Log(command) => log::run(command, session).await,
            Self::Yank(args) => yank::run(&args, session).await,
            Self::Unyank(args) => unyank::run(&args, session).await,
            Self::Deprecate(args) => deprecate::run(&args, session).await,
            Self::Weave(args) => weave::run(&args, session).await,
            Self::Config(command) => config::run(&command, session),
            Self::Completions(args) => completions::run(&args),
            Self::Man(args) => man::run(&args),
        }
    }
}

/// Runs the command with this process's arguments.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors. Writing may fail only
            // because nobody reads.
            let _ = error.print();
            let asked = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            return ExitCode::from(if asked { exit::OK } else { exit::USAGE });
        }
    };
    failure::set_up(&cli.global);
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("runtime", format!("no threads can be started: {error}")))?;
    let session = Session::new(cli.global)?;
    let done = runtime.block_on(async {
        tokio::select! {
            // First, so that nothing is begun before it is listened for.
            biased;
            // Leaving drops what was begun: temporary folders go with it.
            _ = tokio::signal::ctrl_c() => Err(Failure::interrupted()),
            done = cli.command.run(&session) => done,
        }
    });
    // A prompt may still wait for a key in a thread of its own.
    runtime.shutdown_background();
    done
}

/// The command line, for completions and man pages.
fn command() -> clap::Command {
    use clap::CommandFactory;
    Cli::command().color(ColorChoice::Never)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
