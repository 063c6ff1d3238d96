// SPDX-License-Identifier: Apache-2.0
//! Options of where the content is kept, and how it is kept whole.

use std::time::Duration;

use clap::Args;
use url::Url;

use crate::blob::Place;

/// The S3 bucket that replicas share.
#[derive(Debug, Clone, Default, Args)]
pub struct Bucket {
    /// Bucket to keep blobs in instead of the data directory, as `s3://bucket/prefix`
    #[arg(long = "blobs", env = "BPFPKG_SERVER_BLOBS", value_name = "URL")]
    pub blobs: Option<Url>,
    /// S3 server, where it is not Amazon's; http only on this machine
    #[arg(
        long,
        env = "BPFPKG_SERVER_S3_ENDPOINT",
        value_name = "URL",
        requires = "blobs"
    )]
    pub s3_endpoint: Option<Url>,
    /// Region of the bucket
    #[arg(
        long,
        env = "BPFPKG_SERVER_S3_REGION",
        value_name = "NAME",
        default_value = "us-east-1"
    )]
    pub s3_region: String,
    /// Access key; without it, that of the machine's role
    #[arg(
        long,
        env = "BPFPKG_SERVER_S3_ACCESS_KEY",
        value_name = "KEY",
        requires = "s3_secret_key"
    )]
    pub s3_access_key: Option<String>,
    /// Secret of the access key
    #[arg(
        long,
        env = "BPFPKG_SERVER_S3_SECRET_KEY",
        value_name = "SECRET",
        requires = "s3_access_key",
        hide_env_values = true
    )]
    pub s3_secret_key: Option<String>,
    /// Seconds to wait for the bucket's answer, or for its next bytes, before trying again
    #[arg(
        long,
        env = "BPFPKG_SERVER_S3_TIMEOUT_SECONDS",
        value_name = "SECONDS",
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=600)
    )]
    pub s3_timeout_seconds: u32,
}

/// How the content is kept whole.
#[derive(Debug, Clone, Args)]
pub struct Upkeep {
    /// Days within which all stored bytes are read and hashed again; 0 never does
    #[arg(long, env = "BPFPKG_SERVER_SCRUB_DAYS", value_name = "DAYS", default_value_t = 7,
        value_parser = clap::value_parser!(u32).range(0..=3650))]
    pub scrub_days: u32,
    /// How many bytes a second that may read
    #[arg(long, env = "BPFPKG_SERVER_SCRUB_RATE", value_name = "BYTES", default_value_t = 20 * 1024 * 1024)]
    pub scrub_rate: u64,
    /// Registry to fetch damaged blobs from, which has the same packages for everybody to read
    #[arg(long, env = "BPFPKG_SERVER_REPAIR_FROM", value_name = "URL")]
    pub repair_from: Option<Url>,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            scrub_days: 7,
            scrub_rate: 20 * 1024 * 1024,
            repair_from: None,
        }
    }
}

impl Bucket {
    /// The bucket, if one is to be used.
    pub fn place(&self) -> Option<Place> {
        let key = self.s3_access_key.clone().zip(self.s3_secret_key.clone());
        Some(Place {
            url: self.blobs.clone()?,
            endpoint: self.s3_endpoint.clone(),
            region: self.s3_region.clone(),
            key,
            timeout: Duration::from_secs(self.s3_timeout_seconds.into()),
        })
    }
}
