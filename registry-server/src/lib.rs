// SPDX-License-Identifier: Apache-2.0
//! The registry as a library: `bpfpkg-registry` starts it, and so do the tests of its
//! clients.
//!
//! Data flows one way: `http` → `service` → `store` | `blob` | `index`.

pub mod app;
pub mod blob;
pub mod clock;
pub mod command;
pub mod config;
pub mod config_access;
pub mod config_file;
pub mod config_log;
pub mod config_policy;
mod config_storage;
mod config_tls;
pub mod http;
pub mod index;
pub mod job;
pub mod metrics;
pub mod network;
pub mod service;
mod start;
pub mod store;
mod telemetry;

pub use config::Config;
pub use start::{Running, StartError, check, open, start, start_with};
