// SPDX-License-Identifier: Apache-2.0
//! The publish log: what its entries say, and how anyone can check that it only grew.
//!
//! The log is a Merkle tree over SHA-256 as RFC 6962 has it, in the form of C2SP
//! `tlog-tiles`. Its head is a `tlog-checkpoint`, signed as a `signed-note` with Ed25519 and
//! perhaps cosigned by witnesses (`tlog-cosignature`, cosignature/v1). What proves to somebody
//! without a network that an entry is in the log is a `tlog-proof`. All of these are texts
//! that others read and write too: <https://c2sp.org>.
//!
//! Everything here is pure. Who fetches tiles gives them to [`Tiles`]; who keeps them grows an
//! [`Edge`].

pub mod api;
pub mod checkpoint;
pub mod entry;
pub mod merkle;
pub mod note;
pub mod proof;
pub mod tile;

pub use checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
pub use entry::{Change, Entry, EntryError, LoggedSignature};
pub use merkle::{Hash, MerkleError};
pub use note::{Note, NoteError, SigningKey, VerifierKey};
pub use proof::{Proof, ProofError};
pub use tile::{Content, Edge, TileError, TilePath, Tiles};

/// Reads a decimal number as C2SP writes them: digits only, no leading zeroes.
fn decimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    if digits && !padded {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_have_one_form() {
        assert_eq!(super::decimal("0"), Some(0));
        assert_eq!(super::decimal("18446744073709551615"), Some(u64::MAX));
        for text in [
            "",
            "00",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1e3",
            "18446744073709551616",
            "١",
        ] {
            assert_eq!(super::decimal(text), None, "{text}");
        }
    }
}
