// SPDX-License-Identifier: Apache-2.0
//! TLS: certificates from files, taken anew when the files change.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use chrono::{DateTime, Utc};
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier},
    version::TLS13,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tokio_rustls::TlsAcceptor;

use super::serve::stopped;
use crate::{
    clock::Clock,
    config::{ClientAuth, TlsOptions, TlsVersion},
    metrics::Metrics,
};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);
/// From how many days before its end a certificate is warned of.
const WARN_DAYS: i64 = 30;
/// How often a certificate that ends soon is warned of.
const WARN_EVERY: Duration = Duration::from_hours(24);

/// What is spoken where 1.2 is too old.
static NEW_VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13];

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum TlsError {
    /// One option without the other.
    #[error("--tls-certificate and --tls-key belong together; give both or neither")]
    Half,
    /// Client certificates are demanded, but nobody is trusted to sign them.
    #[error(
        "--tls-client-auth needs --tls-client-ca, the authorities that sign client certificates"
    )]
    NoClientCa,
    /// Options that only TLS has, without TLS.
    #[error("--tls-client-ca needs --tls-certificate and --tls-key")]
    NoTls,
    /// A file is not what it should be.
    #[error("{what} {} cannot be used: {source}", path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        source: pem::Error,
    },
    /// The certificate cannot be understood.
    #[error("certificate {} cannot be used: it is no X.509 certificate", path.display())]
    Certificate { path: PathBuf },
    /// Certificate, key and authorities do not make a server.
    #[error("certificate {} cannot be used: {source}", path.display())]
    Server {
        path: PathBuf,
        source: rustls::Error,
    },
    /// The client authorities or their revocation lists are wrong.
    #[error("client authorities {} cannot be used: {source}", path.display())]
    ClientCa {
        path: PathBuf,
        source: rustls::server::VerifierBuilderError,
    },
}

/// TLS with the certificate of the moment.
#[derive(Debug)]
pub struct Tls {
    files: Files,
    current: RwLock<Current>,
}

/// What was last read.
#[derive(Debug, Clone)]
struct Current {
    server: Arc<ServerConfig>,
    expiries: Vec<Expiry>,
    /// What the files held, to see when they change.
    seen: Vec<Option<Vec<u8>>>,
}

/// When a certificate ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// The file it is in.
    pub path: PathBuf,
    /// Its last moment.
    pub at: DateTime<Utc>,
}

impl Tls {
    /// Reads the files that the configuration names; none if it names none.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn open(options: &TlsOptions) -> Result<Option<Self>, TlsError> {
        let Some(files) = Files::of(options)? else {
            return Ok(None);
        };
        let current = RwLock::new(files.read()?);
        Ok(Some(Self { files, current }))
    }

    /// Makes the next connection's handshake, with the certificate of this moment.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current().server)
    }

    /// When each certificate ends.
    pub fn expiries(&self) -> Vec<Expiry> {
        self.current().expiries
    }

    /// Reads the files again and uses them from the next connection on. Gives whether they
    /// had changed.
    ///
    /// # Errors
    /// [`TlsError`]; what was in use stays in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        if self.files.contents() == self.current().seen {
            return Ok(false);
        }
        let fresh = self.files.read()?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(true)
    }

    /// Reloads when the files change or `hang_up` comes, and warns of certificates that
    /// end soon, until `stop`.
    pub(super) async fn watch(
        &self,
        clock: &Clock,
        metrics: &Metrics,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut hang_up = signal(SignalKind::hangup()).ok();
        let mut look = tokio::time::interval(LOOK);
        let mut warn = tokio::time::interval(WARN_EVERY);
        let mut refused = None;
        loop {
            tokio::select! {
                _ = look.tick() => {}
                () = hung_up(hang_up.as_mut()) => refused = None,
                _ = warn.tick() => self.warn(clock.now()),
                () = stopped(&mut stop) => break,
            }
            match self.reload() {
                Ok(false) => {}
                Ok(true) => {
                    refused = None;
                    tracing::info!("certificates were read anew");
                    self.warn(clock.now());
                }
                // Once for each state of the files, not every few seconds.
                Err(_) if refused.as_ref() == Some(&self.files.contents()) => {}
                Err(error) => {
                    metrics.reload_failures.add(1);
                    tracing::error!(%error, "certificates are kept as they were");
                    refused = Some(self.files.contents());
                }
            }
        }
    }

    fn warn(&self, now: DateTime<Utc>) {
        for Expiry { path, at } in self.expiries() {
            let days = (at - now).num_days();
            if days < WARN_DAYS {
                tracing::warn!(path = %path.display(), %at, days, "certificate ends soon");
            }
        }
    }

    fn current(&self) -> Current {
        let current = self.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn hung_up(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Which files to read, and what to make of them.
#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    client_crl: Option<PathBuf>,
    client_auth: ClientAuth,
    versions: &'static [&'static SupportedProtocolVersion],
}

impl Files {
    fn of(options: &TlsOptions) -> Result<Option<Self>, TlsError> {
        let (certificate, key) = match (&options.tls_certificate, &options.tls_key) {
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            (None, None) if options.tls_client_ca.is_some() => return Err(TlsError::NoTls),
            (None, None) => return Ok(None),
            _ => return Err(TlsError::Half),
        };
        Ok(Some(Self {
            certificate,
            key,
            client_ca: options.tls_client_ca.clone(),
            client_crl: options.tls_client_crl.clone(),
            client_auth: options.tls_client_auth,
            versions: match options.tls_min_version {
                TlsVersion::Tls12 => rustls::ALL_VERSIONS,
                TlsVersion::Tls13 => NEW_VERSIONS,
            },
        }))
    }

    fn contents(&self) -> Vec<Option<Vec<u8>>> {
        [
            Some(&self.certificate),
            Some(&self.key),
            self.client_ca.as_ref(),
            self.client_crl.as_ref(),
        ]
        .into_iter()
        .map(|path| path.and_then(|path| std::fs::read(path).ok()))
        .collect()
    }

    fn read(&self) -> Result<Current, TlsError> {
        let seen = self.contents();
        let chain: Vec<CertificateDer<'static>> = all("certificate", &self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|source| TlsError::File {
            what: "key",
            path: self.key.clone(),
            source,
        })?;
        let leaf = chain.first().map_or(&[][..], |leaf| leaf);
        let expiries = vec![expiry(&self.certificate, leaf)?];
        let server = |source| TlsError::Server {
            path: self.certificate.clone(),
            source,
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .map_err(server)?
            .with_client_cert_verifier(self.verifier()?)
            .with_single_cert(chain, key)
            .map_err(server)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Current {
            server: Arc::new(config),
            expiries,
            seen,
        })
    }

    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        if self.client_auth == ClientAuth::Off {
            return Ok(Arc::new(NoClientAuth));
        }
        let Some(path) = &self.client_ca else {
            return Err(TlsError::NoClientCa);
        };
        let mut roots = RootCertStore::empty();
        for authority in all("client authorities", path)? {
            roots.add(authority).map_err(|source| TlsError::Server {
                path: path.clone(),
                source,
            })?;
        }
        let lists: Vec<CertificateRevocationListDer<'static>> = match &self.client_crl {
            Some(path) => all("revocation lists", path)?,
            None => Vec::new(),
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .with_crls(lists)
            .allow_unknown_revocation_status();
        if self.client_auth == ClientAuth::Optional {
            builder = builder.allow_unauthenticated();
        }
        builder.build().map_err(|source| TlsError::ClientCa {
            path: path.clone(),
            source,
        })
    }
}

/// Every section of a PEM file that is of type `T`; at least one.
fn all<T: PemObject>(what: &'static str, path: &Path) -> Result<Vec<T>, TlsError> {
    let read = || {
        let found: Vec<T> = T::pem_file_iter(path)?.collect::<Result<_, _>>()?;
        if found.is_empty() {
            return Err(pem::Error::NoItemsFound);
        }
        Ok(found)
    };
    read().map_err(|source| TlsError::File {
        what,
        path: path.to_owned(),
        source,
    })
}

fn expiry(path: &Path, leaf: &[u8]) -> Result<Expiry, TlsError> {
    let at = x509_parser::parse_x509_certificate(leaf)
        .ok()
        .and_then(|(_, leaf)| DateTime::from_timestamp(leaf.validity().not_after.timestamp(), 0));
    match at {
        Some(at) => Ok(Expiry {
            path: path.to_owned(),
            at,
        }),
        None => Err(TlsError::Certificate {
            path: path.to_owned(),
        }),
    }
}
