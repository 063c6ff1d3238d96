// SPDX-License-Identifier: Apache-2.0
//! From a configuration to a running registry, and back to a closed one.

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use registry_client::verify::signature::Roots;
use tokio::{
    net::TcpListener,
    sync::{Mutex, watch},
    task::JoinHandle,
};
use url::Url;

use crate::{
    app::{App, Parts},
    blob::{BlobError, Blobs, S3},
    clock::{Clock, Random},
    config::Config,
    http::{
        self,
        limit::Limits,
        tls::{Tls, TlsError},
    },
    index::Index,
    job,
    metrics::Metrics,
    service::{
        ServiceError,
        cache::Reads,
        catalogue,
        document_key::DocumentKey,
        log::{self, Log},
        mirror::Remotes,
        names,
        oidc::Providers,
        outbound::{Outbound, SystemLookup},
        session::Sessions,
        start as first,
        token::BearerKey,
    },
    store::{self, Db, StoreError},
};

/// Why the registry did not start.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum StartError {
    /// The data directory cannot be used.
    #[error("data directory {} cannot be used: {source}; give one that you may write with --data", path.display())]
    Data {
        path: PathBuf,
        source: std::io::Error,
    },
    /// Another server has the data directory.
    #[error("data directory {} belongs to a registry that is running; stop it, or give another directory with --data", path.display())]
    InUse { path: PathBuf },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; give another address with --listen")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    /// The public URL cannot stand before a path.
    #[error("public URL `{url}` must be http or https with a host and nothing behind it")]
    PublicUrl { url: Url },
    /// A Sigstore root cannot be used.
    #[error("Sigstore root {} cannot be used: {reason}", path.display())]
    SigstoreRoot { path: PathBuf, reason: String },
    /// TLS cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob directory cannot be opened.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A first step failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// A running registry.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Where it answers probes besides that.
    pub probe_addr: Option<SocketAddr>,
    /// Where clients reach it, as in `http://127.0.0.1:5000`.
    pub origin: String,
    /// The administrator's token, if this was the first start on this data.
    pub admin_token: Option<String>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    /// Takes no more connections, lets running requests end, closes the database.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the server did not end well");
        }
    }
}

/// Starts a registry with the machine's clock and randomness.
///
/// # Errors
/// [`StartError`]; nothing is left running.
pub async fn start(config: Config) -> Result<Running, StartError> {
    start_with(config, Clock::system(), Random::system()).await
}

/// Starts a registry with the clock and randomness of a test.
///
/// # Errors
/// [`StartError`]; nothing is left running.
pub async fn start_with(
    config: Config,
    clock: Clock,
    random: Random,
) -> Result<Running, StartError> {
    let lock = lock(&config)?;
    let (listener, addr) = listen(config.listen).await?;
    let probes = match config.probe_listen {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let probe_addr = probes.as_ref().map(|(_, addr)| *addr);
    let (app, admin_token) = Box::pin(open(config, addr, clock, random)).await?;
    let (stop, stopped) = watch::channel(false);
    let origin = app.origin().to_owned();
    let task = tokio::spawn(async move {
        let jobs = tokio::spawn(job::run(app.clone(), stopped.clone()));
        let probes = http::serve_probes(probes.map(|(listener, _)| listener), app.clone());
        let serve = http::serve(listener, http::router(app.clone()), app.clone(), stopped);
        // Probes are answered until the last request has ended.
        tokio::select! {
            () = serve => {}
            () = probes => {}
        }
        if let Err(error) = jobs.await {
            tracing::error!(%error, "background work did not end well");
        }
        app.db.close().await;
        // In this order: who gets the lock next finds nothing of ours open.
        drop(app);
        drop(lock);
    });
    Ok(Running {
        addr,
        probe_addr,
        origin,
        admin_token,
        stop,
        task,
    })
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}

/// Checks what can be checked of a configuration without opening or making anything.
///
/// # Errors
/// [`StartError`], as [`start`] would give it.
pub fn check(config: &Config) -> Result<(), StartError> {
    public_url(config, config.listen)?;
    Tls::open(&config.tls)?;
    sigstore_roots(&config.access.sigstore_roots)?;
    Ok(())
}

/// Reads the Sigstore roots, once.
fn sigstore_roots(files: &[PathBuf]) -> Result<Roots, StartError> {
    let failed = |path: &Path, reason: &dyn std::fmt::Display| StartError::SigstoreRoot {
        path: path.to_owned(),
        reason: reason.to_string(),
    };
    let mut documents = Vec::new();
    for path in files {
        let document = std::fs::read(path).map_err(|error| failed(path, &error))?;
        // One at a time, to say which it is.
        Roots::parse([&document]).map_err(|error| failed(path, &error))?;
        documents.push(document);
    }
    Roots::parse(documents).map_err(|error| failed(Path::new(""), &error))
}

/// Opens database and blobs, and makes the administrator at the first start. Gives the
/// application without a listener; `addr` is where clients will reach it.
///
/// # Errors
/// [`StartError`].
pub async fn open(
    config: Config,
    addr: SocketAddr,
    clock: Clock,
    random: Random,
) -> Result<(App, Option<String>), StartError> {
    let index = Index::open(&config.data.join("index")).map_err(ServiceError::from)?;
    let app = assemble(config, addr, clock, random, index).await?;
    catalogue::reconcile(&app).await?;
    names::write_down(&app).await?;
    // What a crash kept from being logged.
    log::settle(&app).await;
    let admin_token = first_token(&app).await?;
    Ok((app, admin_token))
}

/// Opens database and blobs for a command that works beside a running registry, or without
/// one. Its search index is empty and not kept.
///
/// # Errors
/// [`StartError`].
pub(crate) async fn open_beside(config: Config) -> Result<App, StartError> {
    let index = Index::in_memory().map_err(ServiceError::from)?;
    let (clock, random) = (Clock::system(), Random::system());
    let addr = config.listen;
    assemble(config, addr, clock, random, index).await
}

async fn assemble(
    config: Config,
    addr: SocketAddr,
    clock: Clock,
    random: Random,
    index: Index,
) -> Result<App, StartError> {
    let public_url = public_url(&config, addr)?;
    let tls = Tls::open(&config.tls)?;
    let limits = Limits::new(&config.limits);
    let sigstore_roots = sigstore_roots(&config.access.sigstore_roots)?;
    let blobs = match config.bucket.place() {
        Some(place) => Blobs::S3(S3::open(&place, random.clone())?),
        None => Blobs::open(&config.data)?,
    };
    let db = match &config.database {
        Some(url) => Db::postgres(url).await?,
        None => Db::sqlite(&config.data.join("registry.db")).await?,
    };
    let secret = first::secret(&db, &random, "bearer-key").await?;
    let records = DocumentKey::open(&db, &random, "record-key").await?;
    let pull_salt = first::secret(&db, &random, "pull-salt").await?;
    let feed_key = DocumentKey::open(&db, &random, "feed-key").await?;
    let host = &public_url[url::Position::BeforeHost..url::Position::AfterPort];
    let log = Log::open(&db, &random, &config.publish_log, host).await?;
    let outbound = Outbound::new(&config.allow_private, Arc::new(SystemLookup));
    let remotes = Remotes::new(outbound, config.upstream_logins.clone());
    Ok(Parts {
        config,
        public_url,
        db,
        blobs,
        index,
        indexing: Mutex::default(),
        clock,
        random,
        reads: Reads::default(),
        metrics: Metrics::default(),
        feed_key,
        log,
        bearer: BearerKey::new(secret.as_bytes()),
        records,
        providers: Providers::new()?,
        sigstore_roots,
        pull_salt,
        sessions: Sessions::default(),
        limits,
        tls,
        stopping: AtomicBool::default(),
        remotes,
    }
    .into())
}

/// Makes the administrator and its token, once: of several replicas that start on an empty
/// database, one.
async fn first_token(app: &App) -> Result<Option<String>, ServiceError> {
    while store::accounts::count(&app.db).await? == 0 {
        if let Some(claim) = job::Claim::take(app, "first-start").await? {
            let token = first::first_token(app).await;
            claim.release(Duration::ZERO, &token).await?;
            return token;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(None)
}

fn public_url(config: &Config, addr: SocketAddr) -> Result<Url, StartError> {
    let url = match &config.public_url {
        Some(url) => url.clone(),
        None => format!("{}://{addr}", config.tls.scheme())
            .parse()
            .map_err(|_| StartError::Listen {
                address: addr,
                source: std::io::Error::other("the address makes no URL"),
            })?,
    };
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let fits = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && bare
        && url.username().is_empty()
        && url.password().is_none();
    if fits {
        Ok(url)
    } else {
        Err(StartError::PublicUrl { url })
    }
}

/// Makes the data directory, and keeps every other server out of it while the file is open.
pub(crate) fn lock(config: &Config) -> Result<File, StartError> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let path = &config.data;
    let data = |source| StartError::Data {
        path: path.clone(),
        source,
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(data)?;
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path.join("lock"))
        .map_err(data)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StartError::InUse { path: path.clone() }),
        Err(error) => Err(data(error.into())),
    }
}
