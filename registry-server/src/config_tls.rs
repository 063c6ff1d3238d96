// SPDX-License-Identifier: Apache-2.0
//! The part of the configuration that says how to serve by TLS.

use std::path::PathBuf;

use clap::Args;

/// How to serve by TLS.
#[derive(Debug, Clone, Args)]
pub struct TlsOptions {
    /// PEM file with the server's certificate and those between it and its root; without it
    /// the registry speaks plain HTTP. The files of TLS are read anew when they change
    #[arg(long, env = "BPFPKG_SERVER_TLS_CERTIFICATE", value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,
    /// PEM file with the certificate's private key
    #[arg(long, env = "BPFPKG_SERVER_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Oldest version of TLS that is spoken
    #[arg(
        long,
        env = "BPFPKG_SERVER_TLS_MIN_VERSION",
        value_enum,
        default_value = "1.2"
    )]
    pub tls_min_version: TlsVersion,
    /// PEM file with the authorities that sign client certificates
    #[arg(long, env = "BPFPKG_SERVER_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// PEM file with the revocation lists of these authorities
    #[arg(long, env = "BPFPKG_SERVER_TLS_CLIENT_CRL", value_name = "FILE")]
    pub tls_client_crl: Option<PathBuf>,
    /// Whether clients show a certificate
    #[arg(
        long,
        env = "BPFPKG_SERVER_TLS_CLIENT_AUTH",
        value_enum,
        default_value = "off"
    )]
    pub tls_client_auth: ClientAuth,
}

impl TlsOptions {
    /// How a URL of this registry begins.
    pub fn scheme(&self) -> &'static str {
        match self.tls_certificate {
            Some(_) => "https",
            None => "http",
        }
    }
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[value(name = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[value(name = "1.3")]
    Tls13,
}

/// Whether clients show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ClientAuth {
    /// It is not asked for.
    Off,
    /// They may; one that is not valid ends the connection.
    Optional,
    /// They must.
    Required,
}
