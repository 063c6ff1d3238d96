// SPDX-License-Identifier: Apache-2.0
//! The rules. Services know no HTTP and no SQL; each function takes the [`App`](crate::app::App)
//! and, where rights matter, the [`Caller`](access::Caller).

pub mod access;
pub mod account;
pub mod audit;
pub mod backup;
pub mod bearer;
pub mod blob;
pub mod cache;
pub mod catalogue;
pub mod certificate;
mod content;
pub mod document;
pub mod document_key;
pub mod error;
pub mod feed;
pub mod foreign;
pub mod fsck;
pub mod gc;
pub mod health;
pub mod lifecycle;
pub mod limit;
pub mod log;
pub mod manifest;
pub mod member;
pub mod mirror;
pub mod namespace;
pub mod oidc;
pub mod outbound;
pub mod password;
mod pending;
pub mod publish;
pub mod publisher;
pub mod pull;
mod quota;
pub mod record;
pub mod retention;
pub mod review;
pub mod revocation;
pub mod root;
pub mod scrub;
pub mod session;
pub mod signature;
pub mod start;
pub mod tag;
pub mod token;
pub mod upload;
mod visible;
pub mod visit;
pub mod webhook;

pub use error::ServiceError;
