// SPDX-License-Identifier: Apache-2.0
//! How a registry can fail us.

use registry_schema::{digest::DigestMismatch, exit, reference::ReferenceError};
use serde::Deserialize;

use super::read::PIECE;
use crate::{Explain, auth::CredentialError};

/// Why a registry did not give or take what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The host is none.
    #[error(transparent)]
    Host(#[from] ReferenceError),
    /// Stored credentials cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The HTTP client cannot be set up, for instance because no CA file is usable.
    #[error("no connection can be prepared: {reason}")]
    Setup {
        /// What was missing.
        reason: String,
    },
    /// Nothing answers, or the connection breaks.
    #[error("registry `{registry}` cannot be reached: {reason}")]
    Unreachable {
        /// Host and port.
        registry: String,
        /// The innermost cause.
        reason: String,
    },
    /// No byte arrived for too long.
    #[error("registry `{registry}` did not answer for {seconds} s")]
    Timeout {
        /// Host and port.
        registry: String,
        /// The limit.
        seconds: u64,
    },
    /// The answer comes in drops.
    #[error(
        "registry `{registry}` sends {what} too slowly: less than {piece} bytes in {seconds} s"
    )]
    Slow {
        /// Host and port.
        registry: String,
        /// What was read.
        what: String,
        /// How much had to come, in bytes,
        piece: usize,
        /// and in which time.
        seconds: u64,
    },
    /// The registry wants the password sent unencrypted to another place.
    #[error(
        "registry `{registry}` asks for the login at `{realm}`, which is not encrypted; nothing was sent"
    )]
    InsecureRealm {
        /// Host and port.
        registry: String,
        /// Where it wants the login.
        realm: String,
    },
    /// Nobody is logged in, and the registry wants to know who asks.
    #[error("registry `{registry}` wants a login before {what}")]
    LoginNeeded {
        /// Host and port.
        registry: String,
        /// What was to be done.
        what: String,
    },
    /// The password or token is wrong or has ended.
    #[error("registry `{registry}` refuses the password or token of `{username}`")]
    WrongPassword {
        /// Host and port.
        registry: String,
        /// Whose.
        username: String,
    },
    /// The account may not do this.
    #[error("registry `{registry}` does not allow {what}: {message}")]
    Forbidden {
        /// Host and port.
        registry: String,
        /// What was to be done.
        what: String,
        /// The registry's words.
        message: String,
    },
    /// The thing is not there.
    #[error("{what} does not exist in registry `{registry}`")]
    NotFound {
        /// Host and port.
        registry: String,
        /// What was looked for.
        what: String,
    },
    /// What a change is about is not there.
    #[error("registry `{registry}` refuses {what}: {message}")]
    Unknown {
        /// Host and port.
        registry: String,
        /// What was to be done.
        what: String,
        /// The registry's words.
        message: String,
    },
    /// Something is there already, or changed meanwhile.
    #[error("registry `{registry}` refuses {what}: {message}")]
    Conflict {
        /// Host and port.
        registry: String,
        /// What was to be done.
        what: String,
        /// The registry's words.
        message: String,
    },
    /// More bytes than were promised, or than are ever accepted.
    #[error(
        "{what} from registry `{registry}` is larger than {limit} bytes; the rest was not read"
    )]
    TooLarge {
        /// Host and port.
        registry: String,
        /// What was read.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// Other bytes than were promised.
    #[error("{what} from registry `{registry}` is damaged: {mismatch}")]
    Damaged {
        /// Host and port.
        registry: String,
        /// What was read.
        what: String,
        /// Both digests.
        mismatch: DigestMismatch,
    },
    /// The registry is there, and cannot serve now.
    #[error("registry `{registry}` cannot serve {what} now (HTTP {status}): {message}")]
    Unavailable {
        /// Host and port.
        registry: String,
        /// What was asked.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The registry's words.
        message: String,
    },
    /// The registry refuses for a reason of its own.
    #[error("registry `{registry}` refuses {what} (HTTP {status}): {message}")]
    Refused {
        /// Host and port.
        registry: String,
        /// What was asked.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The registry's words.
        message: String,
    },
    /// The answer makes no sense.
    #[error("registry `{registry}` answered {what} with something that cannot be used: {reason}")]
    Malformed {
        /// Host and port.
        registry: String,
        /// What was asked.
        what: String,
        /// Why it cannot be used.
        reason: String,
    },
}

impl Explain for RegistryError {
    fn code(&self) -> &'static str {
        match self {
            Self::Host(_) => "registry::host",
            Self::Credentials(error) => error.code(),
            Self::Setup { .. } => "registry::setup",
            Self::Unreachable { .. } => "registry::unreachable",
            Self::Timeout { .. } => "registry::timeout",
            Self::Slow { .. } => "registry::slow",
            Self::InsecureRealm { .. } => "registry::insecure_login",
            Self::LoginNeeded { .. } => "registry::login_needed",
            Self::WrongPassword { .. } => "registry::wrong_password",
            Self::Forbidden { .. } => "registry::forbidden",
            Self::NotFound { .. } | Self::Unknown { .. } => "registry::not_found",
            Self::Conflict { .. } => "registry::conflict",
            Self::TooLarge { .. } => "registry::too_large",
            Self::Damaged { .. } => "registry::damaged",
            Self::Unavailable { .. } => "registry::unavailable",
            Self::Refused { .. } => "registry::refused",
            Self::Malformed { .. } => "registry::malformed",
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Host(_) => exit::USAGE,
            Self::Setup { .. } | Self::Refused { .. } | Self::Malformed { .. } => exit::FAILURE,
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Slow { .. }
            | Self::Unavailable { .. } => exit::UNAVAILABLE,
            Self::Credentials(_)
            | Self::InsecureRealm { .. }
            | Self::LoginNeeded { .. }
            | Self::WrongPassword { .. }
            | Self::Forbidden { .. } => exit::AUTH,
            Self::NotFound { .. } | Self::Unknown { .. } => exit::NOT_FOUND,
            Self::Conflict { .. } => exit::CONFLICT,
            Self::TooLarge { .. } | Self::Damaged { .. } => exit::VERIFICATION,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Host(_) => "write `host` or `host:port`".to_owned(),
            Self::Credentials(error) => return error.help(),
            Self::Setup { .. } => "check the system's CA certificates".to_owned(),
            Self::Unreachable { registry, .. } => format!(
                "check the address and that the registry runs; if `{registry}` speaks plain http, add `--plain-http`"
            ),
            Self::Timeout { .. } | Self::Slow { .. } | Self::Unavailable { .. } => {
                "try again later, or with a longer `--timeout`".to_owned()
            }
            Self::InsecureRealm { .. } => "tell the registry's operator".to_owned(),
            Self::LoginNeeded { registry, .. } => format!("run `bpfpkg login {registry}`"),
            Self::WrongPassword { registry, .. } => {
                format!("run `bpfpkg login {registry}` with a valid token")
            }
            Self::Forbidden { .. } => "log in with an account that may do this".to_owned(),
            Self::NotFound { .. } => {
                "check the name, and the version if there is one; `bpfpkg search` lists packages"
                    .to_owned()
            }
            Self::Unknown { .. } => {
                "check the names; what you may not see is absent for you".to_owned()
            }
            Self::Conflict { .. } => {
                "choose another name, or first undo what stands in the way; for a version that is \
                 published, raise `version`"
                    .to_owned()
            }
            Self::TooLarge { .. } | Self::Damaged { .. } => {
                "nothing was kept; pull from another mirror, or tell the registry's operator"
                    .to_owned()
            }
            Self::Refused { .. } | Self::Malformed { .. } => {
                "do what the registry says, or check that the address is an OCI registry's"
                    .to_owned()
            }
        })
    }
}

/// Where an answer came from and what it was about, for sentences.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) registry: &'a str,
    pub(crate) what: &'a str,
    /// Who is logged in, if someone is.
    pub(crate) username: Option<&'a str>,
    pub(crate) timeout_seconds: u64,
}

impl Context<'_> {
    /// The error for an HTTP status that is no success.
    pub(crate) fn status(&self, status: u16, body: &[u8]) -> RegistryError {
        let (registry, what) = (self.registry.to_owned(), self.what.to_owned());
        let message = message_of(body);
        match (status, self.username) {
            (401, _) if is_id_token_problem(body) => RegistryError::Forbidden {
                registry,
                what,
                message,
            },
            (401, None) => RegistryError::LoginNeeded { registry, what },
            (401, Some(username)) => RegistryError::WrongPassword {
                registry,
                username: username.to_owned(),
            },
            (403, _) => RegistryError::Forbidden {
                registry,
                what,
                message,
            },
            (404, _) => RegistryError::NotFound { registry, what },
            (409 | 412, _) => RegistryError::Conflict {
                registry,
                what,
                message,
            },
            (429 | 500.., _) => RegistryError::Unavailable {
                registry,
                what,
                status,
                message,
            },
            _ => RegistryError::Refused {
                registry,
                what,
                status,
                message,
            },
        }
    }

    /// The error for a change of what is not there: the registry says what that is.
    pub(crate) fn unknown(&self, body: &[u8]) -> RegistryError {
        RegistryError::Unknown {
            registry: self.registry.to_owned(),
            what: self.what.to_owned(),
            message: message_of(body),
        }
    }

    /// The error for a request that got no answer.
    pub(crate) fn transport(&self, error: &reqwest::Error) -> RegistryError {
        let registry = self.registry.to_owned();
        if error.is_timeout() {
            return RegistryError::Timeout {
                registry,
                seconds: self.timeout_seconds,
            };
        }
        let mut innermost: &dyn std::error::Error = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        RegistryError::Unreachable {
            registry,
            reason: clean(&innermost.to_string()),
        }
    }

    pub(crate) fn slow(&self) -> RegistryError {
        RegistryError::Slow {
            registry: self.registry.to_owned(),
            what: self.what.to_owned(),
            piece: PIECE,
            seconds: self.timeout_seconds.max(1),
        }
    }

    pub(crate) fn malformed(&self, reason: impl Into<String>) -> RegistryError {
        RegistryError::Malformed {
            registry: self.registry.to_owned(),
            what: self.what.to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn too_large(&self, limit: u64) -> RegistryError {
        RegistryError::TooLarge {
            registry: self.registry.to_owned(),
            what: self.what.to_owned(),
            limit,
        }
    }

    /// The error for an upload that `oci-client` carried out.
    pub(crate) fn upload(&self, error: oci_client::errors::OciDistributionError) -> RegistryError {
        use oci_client::errors::OciDistributionError as Oci;
        match error {
            Oci::ServerError { code, message, .. } => self.status(code, message.as_bytes()),
            Oci::UnauthorizedError { .. } | Oci::AuthenticationFailure(_) => self.status(401, b""),
            Oci::RequestError(error) => self.transport(&error),
            other => self.malformed(clean(&other.to_string())),
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    errors: Vec<EnvelopeError>,
}

#[derive(Deserialize)]
struct EnvelopeError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: Option<String>,
    title: Option<String>,
    detail: Option<String>,
}

/// Whether it is about the ID token that was sent, and not about who asks.
fn is_id_token_problem(body: &[u8]) -> bool {
    let problem: Option<Problem> = serde_json::from_slice(body).ok();
    let kind = problem.and_then(|problem| problem.kind);
    kind.is_some_and(|kind| kind.ends_with("id-token-invalid"))
}

/// The registry's own words, from an OCI error list or a problem document.
fn message_of(body: &[u8]) -> String {
    if let Ok(Envelope { errors }) = serde_json::from_slice(body)
        && let Some(first) = errors.first()
    {
        let text = if first.message.is_empty() {
            &first.code
        } else {
            &first.message
        };
        return clean(text);
    }
    if let Ok(Problem { title, detail, .. }) = serde_json::from_slice(body)
        && let Some(text) = detail.or(title)
    {
        return clean(&text);
    }
    let text = clean(&String::from_utf8_lossy(body));
    if text.is_empty() {
        "it gave no reason".to_owned()
    } else {
        text
    }
}

/// Makes text from outside fit for a terminal: one line, no control characters (a
/// registry could otherwise repaint the screen), 300 characters.
pub(crate) fn clean(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_exit_code_and_words() {
        let context = Context {
            registry: "h",
            what: "tag `a`",
            username: None,
            timeout_seconds: 1,
        };
        for (status, code) in [
            (401, 4),
            (403, 4),
            (404, 3),
            (409, 5),
            (429, 6),
            (500, 6),
            (503, 6),
            (400, 1),
            (418, 1),
        ] {
            assert_eq!(context.status(status, b"").exit_code(), code, "{status}");
        }
        let body =
            br#"{"errors":[{"code":"DENIED","message":"no \u001b[31mred\u001b[0m\nsecond"}]}"#;
        assert_eq!(message_of(body), "no [31mred[0m");
        assert_eq!(
            message_of(br#"{"title":"Bad","detail":"The name is taken."}"#),
            "The name is taken."
        );
        assert_eq!(message_of(b""), "it gave no reason");
        assert!(message_of(&[b'x'; 10_000]).len() <= 300);
    }
}
