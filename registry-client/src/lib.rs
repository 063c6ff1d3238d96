// SPDX-License-Identifier: Apache-2.0
//! The client's half of the trust chain: connect to any OCI registry, pull, verify.
//!
//! Reading and publishing are apart. What a node needs (`registry`, `pull`,
//! `verify`, `trust`, `cache`) has no feature; building, packing, signing and the
//! command line come with the feature `cli`.

pub mod account;
pub mod auth;
pub mod cache;
pub mod catalogue;
pub mod copy;
pub mod explain;
pub mod federation;
pub mod identity;
pub mod layout;
pub mod log;
pub mod oci;
pub mod ownership;
pub mod pull;
pub mod registry;
pub mod review;
pub mod source;
pub mod storage;
pub mod trust;
pub mod verify;
#[cfg(feature = "cli")]
pub mod vouch;

mod file;
pub mod memory;
mod token;

#[cfg(feature = "cli")]
pub mod build;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod export;
#[cfg(feature = "cli")]
pub mod pack;
#[cfg(feature = "cli")]
pub mod push;
#[cfg(feature = "cli")]
pub mod sign;

pub use explain::Explain;
