// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg-registry health`

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use registry_schema::exit;

use crate::config::Health;

/// How long the registry may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Asks the registry on this machine whether it can do its work.
pub(super) async fn run(health: &Health) -> anyhow::Result<u8> {
    let (scheme, address) = match (health.probe_listen, &health.tls_certificate) {
        (Some(address), _) => ("http", address),
        (None, Some(_)) => ("https", health.listen),
        (None, None) => ("http", health.listen),
    };
    let url = format!("{scheme}://{}/readyz", here(address));
    // The name of the certificate is not that of the loopback interface, and who is on it
    // is this machine.
    let client = reqwest::Client::builder()
        .timeout(ANSWER)
        .tls_danger_accept_invalid_certs(true)
        .no_proxy()
        .build()?;
    let answer = match client.get(&url).send().await {
        Ok(answer) => answer,
        Err(error) => {
            eprintln!("error: {url} does not answer: {}", error.without_url());
            return Ok(exit::UNAVAILABLE);
        }
    };
    if answer.status().is_success() {
        return Ok(exit::OK);
    }
    eprintln!("error: {url} answers {}", answer.status());
    Ok(exit::UNAVAILABLE)
}

/// The address to reach a listener of this machine under.
fn here(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
