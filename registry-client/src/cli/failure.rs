// SPDX-License-Identifier: Apache-2.0
//! How a command ends badly: one paragraph, a code, the next step, an exit code.

use std::{fmt, io, process::ExitCode};

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, NarratableReportHandler, ReportHandler,
};
use registry_schema::exit;

use super::{
    output,
    session::{Color, Global},
};
use crate::Explain;

/// The end of a command that did not do what was asked.
pub(super) struct Failure(Box<Kind>);

enum Kind {
    Told(Told),
    /// Nobody reads stdout any more: nothing is left to do, and nothing is wrong.
    Closed,
    Interrupted,
    /// The answer was given, and it is "no".
    Silent(u8),
}

#[derive(Debug)]
struct Told {
    code: &'static str,
    message: String,
    help: Option<String>,
    exit: u8,
}

impl Failure {
    /// A failure with exit code 1.
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        let message = output::printable(&message.into()).into_owned();
        Self(Box::new(Kind::Told(Told {
            code,
            message,
            help: None,
            exit: exit::FAILURE,
        })))
    }

    /// A command line or configuration that cannot be meant.
    pub(super) fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new("usage", message)
            .with_help(help)
            .with_exit(exit::USAGE)
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        if let Kind::Told(told) = &mut *self.0 {
            told.help = Some(help.into());
        }
        self
    }

    pub(super) fn with_exit(mut self, exit: u8) -> Self {
        if let Kind::Told(told) = &mut *self.0 {
            told.exit = exit;
        }
        self
    }

    /// An exit code for an answer that was printed already.
    pub(super) fn silent(exit: u8) -> Self {
        Self(Box::new(Kind::Silent(exit)))
    }

    /// What happened, in a sentence.
    pub(super) fn message(&self) -> &str {
        match &*self.0 {
            Kind::Told(told) => &told.message,
            _ => "it was broken off",
        }
    }

    /// Ended from the keyboard.
    pub(super) fn interrupted() -> Self {
        Self(Box::new(Kind::Interrupted))
    }

    /// Writes the failure to stderr, and gives the exit code.
    pub(super) fn report(self) -> ExitCode {
        match *self.0 {
            Kind::Closed => ExitCode::from(exit::OK),
            Kind::Silent(code) => ExitCode::from(code),
            Kind::Interrupted => {
                eprintln!("interrupted");
                ExitCode::from(exit::INTERRUPTED)
            }
            Kind::Told(told) => {
                let code = told.exit;
                eprintln!("{:?}", miette::Report::new(told));
                ExitCode::from(code)
            }
        }
    }
}

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut failure = Self::new(error.code(), error.to_string()).with_exit(error.exit_code());
        if let Some(help) = error.help() {
            failure = failure.with_help(help);
        }
        failure
    }
}

impl From<OutputError> for Failure {
    fn from(OutputError(error): OutputError) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self(Box::new(Kind::Closed));
        }
        Self::new("output", format!("the output cannot be written: {error}"))
    }
}

/// Why something could not be written to stdout.
pub(super) struct OutputError(pub(super) io::Error);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Told {}

impl Diagnostic for Told {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }
}

/// Chooses how failures look and what the log shows.
pub(super) fn set_up(global: &Global) {
    let color = global.color.on_stderr();
    let width = if color { None } else { Some(usize::MAX / 2) };
    // A second call finds the first hook in place, which is the same one.
    let _ = miette::set_hook(Box::new(move |_| handler(color, width)));
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, 2) => "debug",
        (false, _) => "trace",
    };
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(color)
        .with_target(false)
        .without_time()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .init();
}

/// Boxes and arrows for eyes on a terminal, plain sentences for everything else.
fn handler(color: bool, width: Option<usize>) -> Box<dyn ReportHandler> {
    if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return Box::new(NarratableReportHandler::new());
    }
    let theme = if color {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme);
    Box::new(match width {
        Some(width) => handler.with_width(width),
        None => handler,
    })
}

impl Color {
    /// Whether stderr is to be coloured.
    pub(super) fn on_stderr(self) -> bool {
        use io::IsTerminal;
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if set("NO_COLOR") => false,
            Self::Auto if std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0") => {
                true
            }
            Self::Auto => {
                io::stderr().is_terminal()
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}
