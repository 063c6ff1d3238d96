// SPDX-License-Identifier: Apache-2.0
//! The judgement of one signature: other people's cases, and our own, one fault at a time.

mod conformance;
mod faults;
#[path = "../stories/instance.rs"]
#[expect(dead_code, reason = "the stories use more of it")]
mod instance;
mod keys;
