// SPDX-License-Identifier: Apache-2.0
//! What can be wrong with a log, each by its own name.

use std::{io, path::PathBuf};

use registry_schema::{
    Digest, exit,
    transparency::{
        CheckpointError, EntryError, Hash, MerkleError, NoteError, ProofError, TileError, TilePath,
    },
};

use crate::{Explain, registry::RegistryError};

/// Why a log, or a proof from it, is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum LogFault {
    /// The bytes are no proof.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The proof does not carry the entry that it proves.
    #[error("the log proof does not carry its entry")]
    NoEntry,
    /// The entry cannot be read.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The entry is about something else.
    #[error("the log proof is for {actual}, not for {expected}")]
    OtherEntry { expected: String, actual: String },
    /// The same version was logged with another digest.
    #[error("the log says that {version} is {logged}, but what came is {actual}")]
    OtherDigest {
        version: String,
        logged: Digest,
        actual: Digest,
    },
    /// The checkpoint is not of this log, or not signed by its key.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A witness's signature does not fit.
    #[error("log checkpoint: {0}")]
    Witness(NoteError),
    /// Too few witnesses have signed.
    #[error(
        "{actual} of the trusted witnesses have signed the log's checkpoint; {wanted} are needed"
    )]
    Witnesses { wanted: usize, actual: usize },
    /// The proof does not lead to the root, or there is no such entry.
    #[error("log: {0}")]
    Inclusion(MerkleError),
    /// Two checkpoints with good signatures contradict each other.
    #[error(
        "log `{origin}` was forked: it had {old_size} entries with root {old_root}, and now shows {new_size} entries with root {new_root}, which do not continue them; {}",
        kept(evidence.as_deref())
    )]
    Forked {
        origin: String,
        old_size: u64,
        old_root: Hash,
        new_size: u64,
        new_root: Hash,
        /// Where both are kept.
        evidence: Option<PathBuf>,
    },
    /// The log has become shorter.
    #[error(
        "log `{origin}` had {kept} entries and now shows {shown}: an old state is replayed, or entries were taken out"
    )]
    Shrunk {
        origin: String,
        kept: u64,
        shown: u64,
    },
    /// A tile is missing or has the wrong size.
    #[error("log: {0}")]
    Tile(#[from] TileError),
    /// The entries of a log do not have the root that it signed.
    #[error(
        "the {size} entries that log `{origin}` shows have root {actual}, but it signed {signed}"
    )]
    Root {
        origin: String,
        size: u64,
        actual: Hash,
        signed: Hash,
    },
    /// The tiles contradict the signed root, so that nothing can be shown by them.
    #[error(
        "the tiles of log `{origin}` do not lead to root {signed}, which it signed for {size} entries: they are damaged, or others"
    )]
    Damaged {
        origin: String,
        size: u64,
        signed: Hash,
    },
    /// A tile has other hashes than the entries.
    #[error("{0} of the log has other hashes than its entries")]
    OtherTile(TilePath),
    /// The registry names another log or key than the one that is trusted.
    #[error("the registry's log has key `{shown}`, but `{pinned}` is trusted")]
    OtherKey { pinned: String, shown: String },
}

fn kept(evidence: Option<&std::path::Path>) -> String {
    evidence.map_or_else(
        || "keep both as evidence".to_owned(),
        |path| format!("both are kept as evidence in `{}`", path.display()),
    )
}

impl Explain for LogFault {
    fn code(&self) -> &'static str {
        match self {
            Self::Forked { .. } => "log::forked",
            Self::Shrunk { .. } => "log::shrunk",
            Self::OtherEntry { .. } | Self::OtherDigest { .. } => "log::other",
            Self::Witness(_) | Self::Witnesses { .. } => "log::witness",
            Self::OtherKey { .. } => "log::key",
            _ => "log::proof",
        }
    }

    fn exit_code(&self) -> u8 {
        exit::VERIFICATION
    }

    fn help(&self) -> Option<String> {
        Some(
            match self {
                Self::Forked { .. }
                | Self::Shrunk { .. }
                | Self::Root { .. }
                | Self::Damaged { .. } => {
                    "install nothing from this registry; show what was kept to its operators and to others who use it"
                }
                Self::OtherKey { .. } => {
                    "ask the registry's operators, by another way, which key is right"
                }
                _ => "nothing was accepted; ask again, or ask the registry's operators",
            }
            .to_owned(),
        )
    }
}

/// Why a log could not be checked, or failed the check.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It failed.
    #[error(transparent)]
    Fault(#[from] LogFault),
    /// The registry did not give what is needed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The registry gave a version, and not the log that it is in, so that a fork could be
    /// hidden.
    #[error("the version is there, but not the publish log that it is in: {0}")]
    Silent(RegistryError),
    /// What is kept between runs cannot be read or written.
    #[error("`{}` cannot be used: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no folder to keep anything in.
    #[error(
        "there is no folder for what is known of logs: neither BPFPKG_STATE, XDG_STATE_HOME nor HOME is set"
    )]
    NoFolder,
}

impl Explain for LogError {
    fn code(&self) -> &'static str {
        match self {
            Self::Fault(fault) => fault.code(),
            Self::Registry(error) => error.code(),
            Self::Silent(_) => "log::silent",
            Self::File { .. } | Self::NoFolder => "log::state",
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Fault(fault) => fault.exit_code(),
            Self::Registry(error) => error.exit_code(),
            Self::Silent(error) if error.exit_code() == exit::UNAVAILABLE => exit::UNAVAILABLE,
            Self::Silent(_) => exit::VERIFICATION,
            Self::File { .. } | Self::NoFolder => exit::FAILURE,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Fault(fault) => fault.help(),
            Self::Registry(error) => error.help(),
            Self::Silent(_) => Some(
                "nothing new is taken until it answers, for a fork could be hidden so; what was accepted here before still is".to_owned(),
            ),
            Self::File { .. } => Some("check the file's owner and mode".to_owned()),
            Self::NoFolder => Some("set BPFPKG_STATE to the folder to use".to_owned()),
        }
    }
}
