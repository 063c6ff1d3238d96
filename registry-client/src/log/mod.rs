// SPDX-License-Identifier: Apache-2.0
//! The publish log of a registry, from outside: nothing it says is believed without a proof.
//!
//! [`check_inclusion`] needs no network: a proof, and the keys of the log. That the log did
//! not fork is another question: [`Checkpoints`] keeps the last checkpoint that was accepted,
//! and every later one must continue it ([`advance`], [`check_earlier`]).

mod checkpoints;
mod confirm;
mod fault;
mod fetch;
mod inclusion;
mod keys;
mod replay;

pub use self::{
    checkpoints::Checkpoints,
    confirm::confirm,
    fault::{LogError, LogFault},
    fetch::{advance, check_earlier, take},
    inclusion::{Asked, Included, check_inclusion, check_withdrawal},
    keys::LogKeys,
    replay::{Visit, replay, same_tiles},
};
