// SPDX-License-Identifier: Apache-2.0
//! What the stories need: a machine of their own, packets, and programs.
#![expect(dead_code, reason = "each test binary uses a part")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

pub(crate) mod flood;
pub(crate) mod objects;
pub(crate) mod sandbox;
