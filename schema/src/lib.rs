// SPDX-License-Identifier: Apache-2.0
//! The vocabulary of bpfpkg, shared by client, registry and node.
//!
//! Everything here is pure: it parses, checks and prints values, and touches no
//! file, socket, clock or database. A concept has one file, named after it.

pub mod account;
pub mod api;
pub mod audit;
pub mod canonical;
pub mod continuity;
pub mod digest;
pub mod exit;
pub mod federation;
pub mod hook;
pub mod identity;
pub mod kernel;
pub mod lookalike;
pub mod manifest;
pub mod media_type;
pub mod name;
pub mod namespace_identity;
pub mod notice;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod profile;
pub mod reference;
pub mod review;
pub mod scope;
pub mod signature;
pub mod storage;
pub mod transparency;
pub mod trust;
pub mod trust_level;
pub mod version;

pub use digest::Digest;
pub use identity::Identity;
pub use manifest::PackageManifest;
pub use name::{Namespace, PackageName};
pub use reference::Reference;
pub use trust_level::TrustLevel;
pub use version::Version;
