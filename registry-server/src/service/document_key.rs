// SPDX-License-Identifier: Apache-2.0
//! Keys with which the registry signs documents of its own: one for each purpose, made at
//! the first start.

use p256::{
    ecdsa::{DerSignature, SigningKey, signature::Signer as _},
    pkcs8::{EncodePublicKey as _, LineEnding},
};
use registry_schema::{signature::PublicKey, trust::envelope::Envelope};

use super::{ServiceError, start};
use crate::{clock::Random, store::Db};

/// An ECDSA P-256 key pair of this registry.
#[derive(Clone)]
pub struct DocumentKey {
    secret: SigningKey,
    public: PublicKey,
}

impl std::fmt::Debug for DocumentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DocumentKey({})", self.public.fingerprint())
    }
}

impl DocumentKey {
    /// Opens the key called `name`, or makes it.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; [`ServiceError::Unavailable`] if what is stored is no key.
    pub async fn open(db: &Db, random: &Random, name: &str) -> Result<Self, ServiceError> {
        let unusable = |()| ServiceError::Unavailable("a key of the registry is damaged");
        let secret = start::secret(db, random, name).await?;
        let bytes = hex::decode(secret).map_err(|_| unusable(()))?;
        let secret = SigningKey::from_slice(&bytes).map_err(|_| unusable(()))?;
        let pem = secret.verifying_key().to_public_key_pem(LineEnding::LF);
        let public = PublicKey::from_pem(&pem.map_err(|_| unusable(()))?)?;
        Ok(Self { secret, public })
    }

    /// The public half.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// A DER signature over sha256 of `message`.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.secret.sign(message);
        signature.as_bytes().to_vec()
    }

    /// Adds a signature to an envelope.
    pub fn seal(&self, envelope: &mut Envelope) {
        let signature = self.sign(&envelope.signing_input());
        envelope.add(self.public.fingerprint(), signature);
    }
}
