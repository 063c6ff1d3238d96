// SPDX-License-Identifier: Apache-2.0
//! The registry as a library: `bpfpkg-registry` starts it, and so do the tests of its
//! clients.
//!
//! Data flows one way: `http` → `service` → `store` | `blob` | `index`.

pub mod app;
pub mod blob;
pub mod clock;
pub mod config;
pub mod http;
pub mod index;
pub mod job;
pub mod metrics;
pub mod service;
mod start;
pub mod store;

pub use config::Config;
pub use start::{Running, StartError, open, start, start_with};
