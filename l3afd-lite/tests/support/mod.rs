// SPDX-License-Identifier: Apache-2.0
//! What the stories need: a machine of their own, packets, and programs.
#![expect(dead_code, reason = "each test binary uses a part")]

pub mod flood;
pub mod objects;
pub mod sandbox;
