// SPDX-License-Identifier: Apache-2.0
//! Where a package's bytes come from: an archive, a registry, or what was kept of it here.
//! They are not believed either way; `verify` decides anew each time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use registry_client::Explain;
use registry_client::auth::CredentialStore;
use registry_client::layout::Layout;
use registry_client::log::{LogError, confirm};
use registry_client::memory::MemoryStore;
use registry_client::pull::{self, FetchedPackage, PullError, Target};
use registry_client::registry::{ConnectOptions, Registry, RegistryError};
use registry_client::trust::{Refreshed, TrustStore, refresh, refresh_from};
use registry_client::verify::Asked;
use registry_schema::{Digest, PackageName, Reference, Version, exit};

use crate::agent::lock;
use crate::clock;
use crate::config::RegistryConfig;
use crate::journal::write_whole;
use crate::verify::Request;

/// Largest kept package that is read back, in bytes.
const MAX_KEPT_BYTES: u64 = 64 << 20;
/// Longest wait for the next byte of an answer.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a registry is left alone after it used its time up.
const PAUSE: Duration = Duration::from_secs(15);

/// Fetches packages and keeps them.
#[derive(Debug, Clone)]
pub struct Fetcher {
    registry: RegistryConfig,
    kept: PathBuf,
    /// Registries that used their time up, and when.
    hung: Arc<Mutex<BTreeMap<String, Instant>>>,
}

/// Bytes, and what they were fetched for.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The bytes.
    pub package: FetchedPackage,
    /// What was asked for.
    pub asked: Asked,
    /// Where the bytes were.
    pub origin: Origin,
}

/// Where the bytes of a package were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In the registry, just now.
    Registry,
    /// In an archive or folder of this machine.
    Layout,
    /// Among what was kept; and why the registry did not give it, if it was asked.
    Kept(Option<String>),
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
    #[error("{error}{}", help(&**.error))]
    Log { error: Box<LogError> },
    /// The registry gave the package and not its log, so that a fork could be hidden.
    #[error(
        "registry `{registry}` gave {package}, but not the publish log that it is in: {error}; nothing new is installed until it does"
    )]
    NoLog {
        registry: String,
        package: PackageName,
        error: Box<RegistryError>,
    },
    /// Neither a layout nor the registry gave it, and nothing was kept.
    #[error("{error}{}", help(&**.error))]
    Pull { error: Box<PullError> },
}

fn help(error: &dyn Explain) -> String {
    error
        .help()
        .map_or_else(String::new, |help| format!("; {help}"))
}

impl From<PullError> for FetchError {
    fn from(error: PullError) -> Self {
        Self::Pull {
            error: Box::new(error),
        }
    }
}

impl FetchError {
    /// The exit code of a command that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoRegistry(_) => exit::USAGE,
            Self::Log { error } => error.exit_code(),
            Self::NoLog { error, .. } if error.exit_code() == exit::UNAVAILABLE => {
                exit::UNAVAILABLE
            }
            Self::NoLog { .. } => exit::VERIFICATION,
            Self::Pull { error } => error.exit_code(),
        }
    }

    /// A short word for the reason, for metrics and scripts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoRegistry(_) => "configuration",
            Self::Log { error } => error.code(),
            Self::NoLog { .. } => "log::silent",
            Self::Pull { error } => error.code(),
        }
    }
}

/// How much the registry is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Look into the layouts and ask the registry; take what was kept only when it cannot
    /// be reached.
    Registry,
    /// Take what was kept; look further only when nothing was.
    Kept,
}

/// Reads a package from an archive or folder.
async fn read_layout(path: &Path, reference: &Reference) -> Result<FetchedPackage, PullError> {
    let layout = tokio::task::block_in_place(|| Layout::open(path))?;
    Box::pin(pull::fetch(&layout, reference, Target::native())).await
}

impl Fetcher {
    /// Keeps packages in `kept`, a directory that is made when it is needed.
    pub fn new(registry: RegistryConfig, kept: PathBuf) -> Self {
        Self {
            registry,
            kept,
            hung: Arc::default(),
        }
    }

    /// Host and port of the registry that `reference` names, or of the default.
    ///
    /// # Errors
    /// [`FetchError::NoRegistry`].
    pub fn host(&self, reference: &Reference) -> Result<String, FetchError> {
        let named = reference.registry.as_ref();
        let host = named.or(self.registry.default.as_ref());
        host.cloned()
            .ok_or_else(|| FetchError::NoRegistry(Box::new(reference.clone())))
    }

    /// Gets what `reference` names. `last` is the digest it led to before, if known.
    ///
    /// # Errors
    /// [`FetchError::NoRegistry`]; [`FetchError::Pull`] if a layout that has it is damaged,
    /// if the registry refuses, or cannot be reached and nothing was kept.
    pub async fn fetch(
        &self,
        reference: &Reference,
        last: Option<&Digest>,
        ask: Ask,
    ) -> Result<Fetched, FetchError> {
        let host = self.host(reference)?;
        let mut asked = Asked::new(&host, reference, Target::native());
        let known = reference.digest.as_ref().or(last);
        let kept = || known.and_then(|digest| self.find(digest));
        if ask == Ask::Kept
            && let Some(package) = kept()
        {
            asked.digest = known.cloned();
            let origin = Origin::Kept(None);
            return Ok(Fetched {
                package,
                asked,
                origin,
            });
        }
        let (package, origin) = match self.read(&host, reference).await {
            Ok(read) => read,
            Err(error) => {
                let away = error.exit_code() == exit::UNAVAILABLE;
                let Some(package) = away.then(kept).flatten() else {
                    return Err(error.into());
                };
                asked.digest = known.cloned();
                let why = format!("{error}; what was kept of {reference} is used");
                (package, Origin::Kept(Some(why)))
            }
        };
        Ok(Fetched {
            package,
            asked,
            origin,
        })
    }

    /// Reads a package from the first layout that has it, else from its registry. A layout
    /// that has it damaged is not passed over: who put it there should know.
    async fn read(
        &self,
        host: &str,
        reference: &Reference,
    ) -> Result<(FetchedPackage, Origin), PullError> {
        for path in &self.registry.layouts {
            match read_layout(path, reference).await {
                Ok(package) => return Ok((package, Origin::Layout)),
                Err(error) if error.exit_code() == exit::NOT_FOUND => {
                    tracing::debug!(path = %path.display(), %error, "layout was passed over");
                }
                Err(error) => return Err(error),
            }
        }
        Ok((self.pull(host, reference).await?, Origin::Registry))
    }

    async fn pull(&self, host: &str, reference: &Reference) -> Result<FetchedPackage, PullError> {
        let registry = self.connect(host)?;
        let fetched = Box::pin(pull::fetch(&registry, reference, Target::native()));
        let package = self.within(host, fetched).await?;
        if let Err(PullError::Registry(
            RegistryError::Timeout { .. } | RegistryError::Slow { .. },
        )) = &package
        {
            self.leave_alone(host);
        }
        for warning in registry.take_warnings() {
            tracing::warn!(%reference, "{warning}");
        }
        package
    }

    /// Brings what is pinned of a registry up to date: from the layouts, and from the
    /// registry itself unless the bytes were elsewhere.
    pub async fn refresh(
        &self,
        host: &str,
        trust: &mut TrustStore,
        memory: &MemoryStore,
        origin: &Origin,
    ) -> Refreshed {
        let mut refreshed = Refreshed::default();
        for path in &self.registry.layouts {
            match tokio::task::block_in_place(|| Layout::open(path)) {
                Ok(layout) => {
                    let found = refresh_from(&layout, host, trust, memory, clock::now());
                    refreshed.root = found.root.or(refreshed.root);
                    refreshed.problems.extend(found.problems);
                }
                Err(error) => refreshed.problems.push(error.into()),
            }
        }
        if *origin != Origin::Registry {
            return refreshed;
        }
        let asked = match self.connect(host) {
            Ok(registry) => {
                let asked = Box::pin(refresh(&registry, trust, memory, clock::now()));
                self.within(host, asked).await
            }
            Err(error) => Err(error),
        };
        match asked {
            Ok(found) => {
                refreshed.root = found.root.or(refreshed.root);
                refreshed.problems.extend(found.problems);
            }
            Err(error) => refreshed.problems.push(error.into()),
        }
        refreshed
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
        let proofs = self.within(&asked.registry, proofs).await;
        fetched.withdrawals = proofs.flatten().map_err(PullError::from)?;
        Ok(())
    }

    /// Demands that the log in which a package was found is the one that was seen before, and
    /// gives how many entries it has. A registry that gives a package and not its log could
    /// hide a fork so: nothing new is taken from it. What was accepted before goes on, and it
    /// is said.
    ///
    /// # Errors
    /// [`FetchError::Log`], [`FetchError::NoLog`].
    pub async fn confirm_log(
        &self,
        request: &Request,
        memory: &MemoryStore,
    ) -> Result<Option<u64>, FetchError> {
        let (host, package) = (&request.asked.registry, &request.asked.package);
        let root = request.basis.trust.root_of(host);
        let Some(trust) = root.and_then(|root| root.signed().root().log.as_ref()) else {
            return Ok(None);
        };
        let (kept, proofs) = (memory.checkpoints(), request.fetched.proofs());
        let confirmed = match self.connect(host) {
            Ok(registry) => {
                let asked = Box::pin(confirm(&registry, trust, &kept, proofs));
                self.within(host, asked).await
            }
            Err(error) => Err(error),
        };
        match confirmed.unwrap_or_else(|error| Err(error.into())) {
            Ok(size) => Ok(size),
            Err(LogError::Registry(error)) => {
                let error = FetchError::NoLog {
                    registry: host.clone(),
                    package: package.clone(),
                    error: Box::new(error),
                };
                if request.basis.memory.installed.as_ref() != Some(&request.fetched.digest()) {
                    return Err(error);
                }
                tracing::warn!("{error}; what was accepted before goes on");
                Ok(None)
            }
            Err(error) => Err(FetchError::Log {
                error: Box::new(error),
            }),
        }
    }

    /// Waits for a registry as long as it is given. One that used its time up is left alone
    /// for a while, so that whatever else needs it fails at once.
    async fn within<T>(
        &self,
        host: &str,
        asked: impl Future<Output = T>,
    ) -> Result<T, RegistryError> {
        let limit = self.registry.timeout();
        let timeout = || RegistryError::Timeout {
            registry: host.to_owned(),
            seconds: limit.as_secs(),
        };
        let hung = |since: &Instant| since.elapsed() < PAUSE;
        if lock(&self.hung).get(host).is_some_and(hung) {
            return Err(timeout());
        }
        tokio::time::timeout(limit, asked).await.map_err(|_| {
            self.leave_alone(host);
            timeout()
        })
    }

    fn leave_alone(&self, host: &str) {
        lock(&self.hung).insert(host.to_owned(), Instant::now());
    }

    fn connect(&self, host: &str) -> Result<Registry, RegistryError> {
        let options = ConnectOptions {
            plain_http: self.registry.plain_http.iter().any(|plain| plain == host),
            // Public packages need none; private ones are as good as not there without.
            credentials: CredentialStore::from_environment()
                .and_then(|store| store.find(host))
                .unwrap_or_default(),
            timeout: self.registry.timeout().min(SILENCE),
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
