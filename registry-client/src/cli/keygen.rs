// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg keygen`.

use std::path::PathBuf;

use clap::{ValueEnum, ValueHint};
use registry_schema::signature::KeyType;

use super::{failure::Failure, output, password::PasswordArgs, session::Session};
use crate::sign::KeyPair;

/// Make a key pair to sign packages with
///
/// The private key is encrypted with a password, in files that cosign reads too, and
/// readable by its owner only. Whoever holds it and the password can publish in your
/// name: keep both, and keep them apart.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Kind of key
    #[arg(
        long = "type",
        value_enum,
        default_value = "ecdsa-p256",
        value_name = "TYPE"
    )]
    key_type: Type,
    /// Beginning of both file names: `.key` and `.pub` are added
    #[arg(long, default_value = "bpfpkg", value_name = "PREFIX", value_hint = ValueHint::FilePath)]
    output: PathBuf,
    #[command(flatten)]
    password: PasswordArgs,
}

/// A kind of key.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Type {
    /// ECDSA on the curve P-256: what cosign makes
    EcdsaP256,
    /// Ed25519
    Ed25519,
}

impl From<Type> for KeyType {
    fn from(key_type: Type) -> Self {
        match key_type {
            Type::EcdsaP256 => Self::EcdsaP256,
            Type::Ed25519 => Self::Ed25519,
        }
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let with = |suffix: &str| {
        let mut name = args.output.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    };
    let (private, public) = (with(".key"), with(".pub"));
    for path in [&private, &public] {
        // Said before the password is asked for.
        if path.symlink_metadata().is_ok() {
            return Err(crate::sign::SignError::Exists { path: path.clone() }.into());
        }
    }
    let password = args.password.new_password()?;
    if password.is_empty() {
        session.say("the password is empty: whoever has the file can sign in your name");
    }
    let key = KeyPair::generate(args.key_type.into())?;
    key.save(&private, &public, &password)?;
    session.say(format!("private key: {}", private.display()));
    session.say(format!("public key:  {}", public.display()));
    Ok(output::line(key.fingerprint().to_string())?)
}
