// SPDX-License-Identifier: Apache-2.0
//! Stories of publishers and users, told through the real command.

mod accounts;
mod archive;
mod ci;
mod copying;
mod frozen;
mod gate;
mod home;
mod input;
mod instance;
mod keyless;
mod keys;
mod liar;
mod lies;
mod log;
mod mirror;
mod oci_client;
mod ownership;
mod packing;
mod proofs;
mod publish;
mod released;
mod review;
mod rotation;
mod several;
mod signing;
mod slow;
mod stage;
mod trust;
