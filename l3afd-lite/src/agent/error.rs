// SPDX-License-Identifier: Apache-2.0
//! Why something that was asked for is not done, and the exit code for it.

use registry_client::Explain;
use registry_client::memory::MemoryError;
use registry_schema::{PackageName, exit};
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::desired::DesiredError;
use crate::fetch::FetchError;
use crate::journal::JournalError;
use crate::kernel::KernelError;
use crate::parameter::ParameterError;
use crate::place::Place;
use crate::verify::VerifyError;

/// Why something is not done. Each message is complete for the operator.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum AgentError {
    /// The wishes contradict themselves.
    #[error(transparent)]
    Desired(#[from] DesiredError),
    /// Settings or the trust file cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What was seen before cannot be read or noted.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The package cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The package does not hold.
    #[error("{error}{}", help(.error))]
    Verify { error: Box<VerifyError> },
    /// A parameter is wrong.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The package has no program for the hook.
    #[error("{package} has no program for {place}; it has {known}")]
    NoProgram {
        package: PackageName,
        place: Place,
        known: String,
    },
    /// The package has several programs for the hook.
    #[error("{package} has several programs for {hook}: {known}; name one with `function`")]
    SeveralPrograms {
        package: PackageName,
        hook: String,
        known: String,
    },
    /// The program is for another hook.
    #[error("`{function}` of {package} is of type {actual}; it cannot run at {hook}")]
    WrongHook {
        package: PackageName,
        function: String,
        actual: String,
        hook: String,
    },
    /// A probe does not say where it attaches.
    #[error(
        "`{function}` of {package} does not declare what it attaches to; the publisher should add `attach` to its [[program]]"
    )]
    NoAttachPoint {
        package: PackageName,
        function: String,
    },
    /// The kernel does not do it.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The state cannot be kept.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

fn help(error: &VerifyError) -> String {
    let VerifyError::Signature(error) = error else {
        return String::new();
    };
    error
        .help()
        .map_or_else(String::new, |help| format!("; {help}"))
}

impl From<VerifyError> for AgentError {
    fn from(error: VerifyError) -> Self {
        Self::Verify {
            error: Box::new(error),
        }
    }
}

impl AgentError {
    /// The exit code of a command that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Desired(_)
            | Self::Config(_)
            | Self::Parameter(_)
            | Self::SeveralPrograms { .. }
            | Self::WrongHook { .. }
            | Self::NoAttachPoint { .. } => exit::USAGE,
            Self::NoProgram { .. } => exit::NOT_FOUND,
            Self::Memory(error) => error.exit_code(),
            Self::Fetch(error) => error.exit_code(),
            Self::Verify { error } => match &**error {
                VerifyError::Signature(error) => error.exit_code(),
                VerifyError::Finding { .. } => exit::FINDINGS,
                VerifyError::NoProgram { .. } => exit::NOT_FOUND,
                VerifyError::Alone { .. } => exit::POLICY,
                VerifyError::Object { .. }
                | VerifyError::Normalise { .. }
                | VerifyError::Weave { .. } => exit::VERIFICATION,
            },
            Self::Kernel(error) => match error {
                KernelError::NoInterface { .. } => exit::NOT_FOUND,
                KernelError::Foreign { .. } | KernelError::Map { .. } => exit::CONFLICT,
                KernelError::Hash { .. } => exit::VERIFICATION,
                KernelError::NotBpffs { .. } => exit::FAILURE,
                _ => exit::KERNEL,
            },
            Self::Journal(JournalError::Busy(_)) => exit::CONFLICT,
            Self::Journal(JournalError::Io { .. }) => exit::FAILURE,
        }
    }

    /// A short word for the reason, for metrics and scripts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Memory(_) => "memory",
            Self::Fetch(error) => error.reason(),
            Self::Verify { error } => match &**error {
                VerifyError::Signature(error) => error.code(),
                VerifyError::Finding { .. } => "verify::finding",
                VerifyError::Weave { .. } | VerifyError::Alone { .. } => "verify::weave",
                _ => "verify::object",
            },
            Self::Kernel(KernelError::Foreign { .. }) => "kernel::foreign",
            Self::Kernel(KernelError::NoInterface { .. }) => "kernel::no_interface",
            Self::Kernel(_) => "kernel",
            Self::Journal(_) => "journal",
            _ => "configuration",
        }
    }
}

/// An error as it is sent and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// One paragraph for the operator.
    pub message: String,
    /// A short word for the reason.
    pub reason: String,
    /// The exit code of a command that ends with it.
    pub exit_code: u8,
}

impl From<&AgentError> for Problem {
    fn from(error: &AgentError) -> Self {
        Self {
            message: error.to_string(),
            reason: error.reason().to_owned(),
            exit_code: error.exit_code(),
        }
    }
}
