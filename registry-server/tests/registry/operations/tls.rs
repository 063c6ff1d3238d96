// SPDX-License-Identifier: Apache-2.0
//! TLS: who gets in with which certificate, and certificates that change while it serves.

use std::{path::Path, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use registry_server::config::{ClientAuth, TlsVersion};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    version::{TLS12, TLS13},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::support::TestRegistry;

/// Somebody who signs certificates.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pub(super) pem: String,
}

/// A certificate with its key.
pub(super) struct Identity {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) pem: String,
    pub(super) key: KeyPair,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(super) fn issue(
        &self,
        name: &str,
        serial: u64,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.serial_number = Some(SerialNumber::from(serial));
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            key,
        }
    }

    /// A list that revokes one serial number.
    pub(super) fn revoke(&self, serial: u64) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2025, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("a list");
        list.pem().expect("PEM")
    }
}

impl Identity {
    pub(super) fn write(&self, dir: &Path) {
        std::fs::write(dir.join("tls.crt"), &self.pem).expect("a file");
        std::fs::write(dir.join("tls.key"), self.key.serialize_pem()).expect("a file");
    }
}

/// A registry with TLS, with the files of `dir`.
pub(super) async fn serve(dir: &Path, auth: ClientAuth, min: TlsVersion) -> TestRegistry {
    TestRegistry::start_with(|mut config| {
        config.tls.tls_certificate = Some(dir.join("tls.crt"));
        config.tls.tls_key = Some(dir.join("tls.key"));
        config.tls.tls_client_auth = auth;
        config.tls.tls_min_version = min;
        let present = |name: &str| Some(dir.join(name)).filter(|path| path.exists());
        config.tls.tls_client_ca = present("clients.crt");
        config.tls.tls_client_crl = present("clients.crl");
        config
    })
    .await
}

pub(super) struct Client<'a> {
    trusts: &'a Authority,
    shows: Option<&'a Identity>,
    versions: &'static [&'static SupportedProtocolVersion],
    name: &'static str,
}

static OLD: &[&SupportedProtocolVersion] = &[&TLS12];
static NEW: &[&SupportedProtocolVersion] = &[&TLS13];

impl<'a> Client<'a> {
    pub(super) fn new(trusts: &'a Authority) -> Self {
        Self {
            trusts,
            shows: None,
            versions: NEW,
            name: "localhost",
        }
    }

    /// Asks for `/healthz`; the answer, or why there was none. Also gives the certificate
    /// that the server showed.
    async fn ask(
        &self,
        registry: &TestRegistry,
    ) -> Result<(String, CertificateDer<'static>), String> {
        self.ask_at(registry.app.host()).await
    }

    pub(super) async fn ask_at(
        &self,
        host: &str,
    ) -> Result<(String, CertificateDer<'static>), String> {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.trusts.certificate.clone())
            .expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .expect("versions")
            .with_root_certificates(roots);
        let config = match self.shows {
            None => config.with_no_client_auth(),
            Some(identity) => {
                let key = PrivateKeyDer::try_from(identity.key.serialize_der()).expect("a key");
                config
                    .with_client_auth_cert(vec![identity.certificate.clone()], key)
                    .expect("an identity")
            }
        };
        let stream = TcpStream::connect(host).await.expect("a connection");
        let name = ServerName::try_from(self.name).expect("a name");
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await;
        let mut stream = stream.map_err(|error| error.to_string())?;
        let shown = stream
            .get_ref()
            .1
            .peer_certificates()
            .expect("a certificate")[0]
            .clone();
        let ask = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let mut answer = Vec::new();
        let asked = async {
            stream.write_all(ask).await?;
            stream.read_to_end(&mut answer).await
        };
        asked.await.map_err(|error| error.to_string())?;
        Ok((
            String::from_utf8_lossy(&answer).into_owned(),
            shown.into_owned(),
        ))
    }
}

/// Which client gets in under which demand (R21).
#[tokio::test]
async fn only_a_valid_certificate_of_the_right_authority_gets_in() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let dir = TempDir::new().expect("a directory");
    ours.issue("localhost", 1, |_| {}).write(dir.path());
    std::fs::write(dir.path().join("clients.crt"), &ours.pem).expect("a file");
    std::fs::write(dir.path().join("clients.crl"), ours.revoke(13)).expect("a file");
    let valid = ours.issue("alice", 10, |_| {});
    let expired = ours.issue("alice", 11, |params| {
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    let early = ours.issue("alice", 12, |params| {
        params.not_before = date_time_ymd(4000, 1, 1);
    });
    let revoked = ours.issue("alice", 13, |_| {});
    let server_only = ours.issue("alice", 14, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let stranger = theirs.issue("alice", 10, |_| {});
    // Who, and whether they get in when a certificate is not asked for, optional, required.
    let matrix: [(&str, Option<&Identity>, [bool; 3]); 7] = [
        ("nobody", None, [true, true, false]),
        ("valid", Some(&valid), [true, true, true]),
        ("expired", Some(&expired), [true, false, false]),
        ("not yet valid", Some(&early), [true, false, false]),
        ("revoked", Some(&revoked), [true, false, false]),
        ("for servers only", Some(&server_only), [true, false, false]),
        (
            "of another authority",
            Some(&stranger),
            [true, false, false],
        ),
    ];
    for (at, auth) in [ClientAuth::Off, ClientAuth::Optional, ClientAuth::Required]
        .into_iter()
        .enumerate()
    {
        let registry = serve(dir.path(), auth, TlsVersion::Tls12).await;
        for (who, shows, gets_in) in &matrix {
            for versions in [OLD, NEW] {
                let client = Client {
                    shows: *shows,
                    versions,
                    ..Client::new(&ours)
                };
                let answer = client.ask(&registry).await;
                let inside = answer
                    .as_ref()
                    .is_ok_and(|(answer, _)| answer.starts_with("HTTP/1.1 200"));
                assert_eq!(
                    inside, gets_in[at],
                    "{who}, {auth:?}, {versions:?}: {answer:?}"
                );
            }
        }
        let failures = registry.app.metrics.handshake_failures.get();
        let refused = matrix.iter().filter(|(_, _, gets_in)| !gets_in[at]).count() * 2;
        assert_eq!(failures, refused as u64, "{auth:?}");
    }
}

#[tokio::test]
async fn old_versions_and_wrong_names_are_refused() {
    let ours = Authority::new();
    let dir = TempDir::new().expect("a directory");
    ours.issue("localhost", 1, |_| {}).write(dir.path());
    let registry = serve(dir.path(), ClientAuth::Off, TlsVersion::Tls13).await;
    let client = Client::new(&ours);
    assert!(client.ask(&registry).await.is_ok());
    let old = Client {
        versions: OLD,
        ..Client::new(&ours)
    };
    assert!(old.ask(&registry).await.is_err());
    let other_name = Client {
        name: "registry.example",
        ..Client::new(&ours)
    };
    assert!(other_name.ask(&registry).await.is_err());
    let stranger = Authority::new();
    assert!(Client::new(&stranger).ask(&registry).await.is_err());

    // A hello of TLS 1.1 with nothing newer in it is answered by an alert.
    let registry = serve(dir.path(), ClientAuth::Off, TlsVersion::Tls12).await;
    let mut hello = vec![22, 3, 1, 0, 47, 1, 0, 0, 43, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0xc0, 0x13, 0, 0x2f, 1, 0]);
    let mut stream = TcpStream::connect(registry.app.host())
        .await
        .expect("a connection");
    stream.write_all(&hello).await.expect("it is sent");
    let mut alert = Vec::new();
    stream.read_to_end(&mut alert).await.expect("an alert");
    // Fatal: no version, or no cipher suite of it, in common.
    assert!(
        matches!(alert[..], [21, 3, _, 0, 2, 2, 40 | 70]),
        "{alert:?}"
    );
    // Plain HTTP on the port of TLS is no request.
    let mut stream = TcpStream::connect(registry.app.host())
        .await
        .expect("a connection");
    stream
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .expect("it is sent");
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test]
async fn a_new_certificate_is_used_at_once_and_a_broken_one_never() {
    let ours = Authority::new();
    let dir = TempDir::new().expect("a directory");
    let first = ours.issue("localhost", 1, |_| {});
    first.write(dir.path());
    let registry = serve(dir.path(), ClientAuth::Off, TlsVersion::Tls12).await;
    let client = Client::new(&ours);
    let shown = async || client.ask(&registry).await.expect("an answer").1;
    let tls = registry.app.tls.as_ref().expect("TLS");
    assert_eq!(shown().await, first.certificate);
    assert!(!tls.reload().expect("nothing is wrong"), "nothing changed");

    let second = ours.issue("localhost", 2, |_| {});
    // The certificate alone, whose key is still another: in the middle of an update.
    std::fs::write(dir.path().join("tls.crt"), &second.pem).expect("a file");
    assert!(tls.reload().is_err());
    assert_eq!(shown().await, first.certificate);
    second.write(dir.path());
    assert!(tls.reload().expect("it fits"));
    assert_eq!(shown().await, second.certificate);

    for broken in [
        "",
        "nonsense",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(dir.path().join("tls.crt"), broken).expect("a file");
        assert!(tls.reload().is_err(), "{broken}");
    }
    std::fs::remove_file(dir.path().join("tls.crt")).expect("it is removed");
    assert!(tls.reload().is_err());
    assert_eq!(shown().await, second.certificate);
}

#[tokio::test]
async fn the_seconds_to_its_end_are_shown() {
    let ours = Authority::new();
    let dir = TempDir::new().expect("a directory");
    // The clock of these tests begins on 2027-01-15 at 08:00.
    let soon = ours.issue("localhost", 1, |params| {
        params.not_after = date_time_ymd(2027, 1, 16);
    });
    soon.write(dir.path());
    let registry = serve(dir.path(), ClientAuth::Off, TlsVersion::Tls12).await;
    let text = registry_server::http::health::metrics(axum::extract::State(registry.app.clone()));
    let text =
        axum::response::IntoResponse::into_response(text.await.map_err(|_| ()).expect("metrics"));
    let text = axum::body::to_bytes(text.into_body(), 1 << 20)
        .await
        .expect("text");
    let text = String::from_utf8_lossy(&text).into_owned();
    let path = dir.path().join("tls.crt");
    let line = format!(
        "bpfpkg_certificate_expiry_seconds{{file=\"{}\"}} 57600",
        path.display()
    );
    assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
}
