// SPDX-License-Identifier: Apache-2.0
//! The node's side of the trust chain: pulls packages, verifies them, chains their
//! programs in the kernel, and keeps it so.
//!
//! `config` and `desired` say what is wanted; `agent` resolves it through `fetch` and
//! `verify`, compares it in `plan` with what `kernel` reports, and carries the steps
//! out through `load` and `chain`. `journal` is what a restart remembers.

pub mod agent;
pub mod api;
pub mod chain;
pub mod cli;
mod clock;
pub mod config;
pub mod desired;
pub mod fetch;
pub mod journal;
pub mod kernel;
pub mod load;
pub mod metrics;
pub mod parameter;
pub mod place;
pub mod plan;
pub mod verify;
pub mod wanted;
