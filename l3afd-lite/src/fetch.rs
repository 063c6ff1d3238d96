// SPDX-License-Identifier: Apache-2.0
//! Where a package's bytes come from: a registry, or what was kept of it here. They
//! are not believed either way; `verify` decides anew each time.

use std::fs;
use std::path::PathBuf;

use registry_client::Explain;
use registry_client::auth::CredentialStore;
use registry_client::log::{LogError, confirm};
use registry_client::memory::MemoryStore;
use registry_client::pull::{self, FetchedPackage, PullError, Target};
use registry_client::registry::{ConnectOptions, Registry, RegistryError};
use registry_client::trust::{Refreshed, TrustStore, refresh};
use registry_client::verify::Asked;
use registry_schema::{Digest, Reference, Version, exit};

use crate::clock;
use crate::config::RegistryConfig;
use crate::journal::write_whole;
use crate::verify::Request;

/// Largest kept package that is read back, in bytes.
const MAX_KEPT_BYTES: u64 = 64 << 20;

/// Fetches packages and keeps them.
#[derive(Debug, Clone)]
pub struct Fetcher {
    registry: RegistryConfig,
    kept: PathBuf,
}

/// Bytes, and what they were fetched for.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The bytes.
    pub package: FetchedPackage,
    /// What was asked for.
    pub asked: Asked,
    /// Why the registry was not asked, or did not answer; none if it did.
    pub stale: Option<String>,
}

/// Why a package cannot be had.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum FetchError {
    /// The reference names no registry, and no default is set.
    #[error(
        "`{0}` names no registry; write `host/{0}`, set `[registry] default` in the configuration, or set BPFPKG_REGISTRY"
    )]
    NoRegistry(Box<Reference>),
    /// The registry's publish log is not the one that was seen before.
    #[error("{0}")]
    Log(Box<LogError>),
    /// The registry did not give it, and nothing was kept.
    #[error("{error}{}", help(.error))]
    Pull { error: Box<PullError> },
}

fn help(error: &PullError) -> String {
    error
        .help()
        .map_or_else(String::new, |help| format!("; {help}"))
}

impl FetchError {
    /// The exit code of a command that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoRegistry(_) => exit::USAGE,
            Self::Log(error) => error.exit_code(),
            Self::Pull { error } => error.exit_code(),
        }
    }
}

/// How much the registry is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Ask the registry; take what was kept only when it cannot be reached.
    Registry,
    /// Take what was kept; ask the registry only when nothing was.
    Kept,
}

impl Fetcher {
    /// Keeps packages in `kept`, a directory that is made when it is needed.
    pub const fn new(registry: RegistryConfig, kept: PathBuf) -> Self {
        Self { registry, kept }
    }

    /// Gets what `reference` names. `last` is the digest it led to before, if known.
    ///
    /// # Errors
    /// [`FetchError::NoRegistry`]; [`FetchError::Pull`] if the registry refuses, or
    /// cannot be reached and nothing was kept.
    pub async fn fetch(
        &self,
        reference: &Reference,
        last: Option<&Digest>,
        ask: Ask,
    ) -> Result<Fetched, FetchError> {
        let host = reference
            .registry
            .clone()
            .or_else(|| self.registry.default.clone());
        let host = host.ok_or_else(|| FetchError::NoRegistry(Box::new(reference.clone())))?;
        let mut asked = Asked::new(&host, reference, Target::native());
        let known = reference.digest.as_ref().or(last);
        if ask == Ask::Kept
            && let Some(package) = known.and_then(|digest| self.find(digest))
        {
            asked.digest = known.cloned();
            return Ok(Fetched {
                package,
                asked,
                stale: None,
            });
        }
        match self.pull(&host, reference).await {
            Ok(package) => Ok(Fetched {
                package,
                asked,
                stale: None,
            }),
            Err(error) if error.exit_code() == exit::UNAVAILABLE => {
                let Some(package) = known.and_then(|digest| self.find(digest)) else {
                    return Err(FetchError::Pull {
                        error: Box::new(error),
                    });
                };
                asked.digest = known.cloned();
                let stale = format!("{error}; what was kept of {reference} is used");
                Ok(Fetched {
                    package,
                    asked,
                    stale: Some(stale),
                })
            }
            Err(error) => Err(FetchError::Pull {
                error: Box::new(error),
            }),
        }
    }

    /// Brings what is pinned of a registry up to date, as far as it can be reached.
    pub async fn refresh(
        &self,
        host: &str,
        trust: &mut TrustStore,
        memory: &MemoryStore,
    ) -> Refreshed {
        match self.connect(host) {
            Ok(registry) => refresh(&registry, trust, memory, clock::now()).await,
            Err(error) => Refreshed {
                root: None,
                problems: vec![error.into()],
            },
        }
    }

    /// Adds the proofs that the versions above `actual`, which were seen before, are withdrawn:
    /// as far as the registry has them.
    ///
    /// # Errors
    /// [`FetchError::Pull`] if it does not answer.
    pub async fn add_withdrawals(
        &self,
        request: &mut Request,
        actual: &Version,
    ) -> Result<(), FetchError> {
        let Request {
            fetched,
            asked,
            basis,
        } = request;
        let above = basis.memory.above(asked, actual);
        let proofs = async {
            let registry = self.connect(&asked.registry)?;
            registry.withdrawals(&asked.package, above).await
        };
        fetched.withdrawals = proofs.await.map_err(|error| FetchError::Pull {
            error: Box::new(error.into()),
        })?;
        Ok(())
    }

    /// Demands that the log in which a package was found is the one that was seen before, and
    /// gives how many entries it has. One that does not answer is said: what is at hand was
    /// proven by itself.
    ///
    /// # Errors
    /// [`FetchError::Log`].
    pub async fn confirm_log(
        &self,
        request: &Request,
        memory: &MemoryStore,
    ) -> Result<Option<u64>, FetchError> {
        let root = request.basis.trust.root_of(&request.asked.registry);
        let Some(trust) = root.and_then(|root| root.signed().root().log.as_ref()) else {
            return Ok(None);
        };
        let (kept, proofs) = (memory.checkpoints(), request.fetched.proofs());
        let confirmed = match self.connect(&request.asked.registry) {
            Ok(registry) => confirm(&registry, trust, &kept, proofs).await,
            Err(error) => Err(error.into()),
        };
        match confirmed {
            Err(LogError::Registry(error)) => {
                tracing::warn!(
                    registry = request.asked.registry,
                    "whether the log continues what was seen is not known: {error}"
                );
                Ok(None)
            }
            Err(error) => Err(FetchError::Log(Box::new(error))),
            Ok(size) => Ok(Some(size)),
        }
    }

    async fn pull(&self, host: &str, reference: &Reference) -> Result<FetchedPackage, PullError> {
        let registry = self.connect(host)?;
        let package = pull::fetch(&registry, reference, Target::native()).await;
        for warning in registry.take_warnings() {
            tracing::warn!(%reference, "{warning}");
        }
        package
    }

    fn connect(&self, host: &str) -> Result<Registry, RegistryError> {
        let options = ConnectOptions {
            plain_http: self.registry.plain_http.iter().any(|plain| plain == host),
            // Public packages need none; private ones are as good as not there without.
            credentials: CredentialStore::from_environment()
                .and_then(|store| store.find(host))
                .unwrap_or_default(),
            ..ConnectOptions::default()
        };
        Registry::connect(host, &options)
    }

    /// Keeps a package under the digest of its index, for when the registry is away.
    /// It is no error when that fails: the registry can be asked again.
    pub fn keep(&self, package: &FetchedPackage) {
        let path = self.path(&package.digest());
        if path.exists() {
            return;
        }
        let kept = serde_json::to_vec(package)
            .map_err(std::io::Error::other)
            .and_then(|bytes| {
                fs::create_dir_all(&self.kept).and_then(|()| write_whole(&path, &bytes))
            });
        if let Err(error) = kept {
            tracing::warn!(path = %path.display(), %error, "package was not kept");
        }
    }

    fn find(&self, digest: &Digest) -> Option<FetchedPackage> {
        let path = self.path(digest);
        let size = fs::metadata(&path).ok()?.len();
        let bytes = (size <= MAX_KEPT_BYTES)
            .then(|| fs::read(&path).ok())
            .flatten()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.kept.join(format!("{}.json", digest.hex()))
    }
}
