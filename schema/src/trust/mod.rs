// SPDX-License-Identifier: Apache-2.0
//! The documents that trust rests on: the root of a registry, its feed of revocations,
//! and what a user or node demands of packages.

pub mod envelope;
pub mod policy;
pub mod revocation;
pub mod root;
