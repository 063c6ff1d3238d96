// SPDX-License-Identifier: Apache-2.0
//! OCI image layouts: packages as a folder or as one tar archive, for sites that no
//! network reaches and for tools that read files.
//!
//! An archive holds `oci-layout`, `index.json` and `blobs/<algorithm>/<hex>`, and
//! nothing else. `index.json` names each package in full
//! (`org.opencontainers.image.ref.name` is `namespace/name:tag`), and lists what
//! refers to it, signatures foremost, without a name.

mod archive;
mod read;
#[cfg(feature = "cli")]
mod write;

use std::{io, path::PathBuf};

use registry_schema::{Digest, canonical::CanonicalError, digest::DigestMismatch, exit};

#[cfg(feature = "cli")]
pub use self::write::write;
#[cfg(feature = "cli")]
pub(crate) use self::write::{ArchiveWriter, index_of};
pub use self::{
    archive::ArchiveError,
    read::{Layout, Root},
};
use crate::Explain;

/// The annotation of a trust root or revocation feed: the registry it is for.
pub const ANNOTATION_REGISTRY: &str = "io.bpfpkg.registry";
/// The annotation that names an entry of `index.json`.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The file that says that a folder is a layout.
const MARKER: &str = "oci-layout";
/// The list of what a layout holds.
const INDEX: &str = "index.json";
/// The one version of layouts there is.
const VERSION: &str = "1.0.0";

/// Why a layout cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum LayoutError {
    /// Something is in the way. It is not touched.
    #[error("`{path}` exists already and was not touched")]
    Exists { path: PathBuf },
    /// The system refused.
    #[error("layout `{path}` cannot be {action}: {source}")]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The archive could mean different things to different readers, or is a trap.
    #[error("archive `{path}` is refused: {source}")]
    Archive { path: PathBuf, source: ArchiveError },
    /// A document of the layout is not what it should be.
    #[error("`{document}` of layout `{path}` cannot be used: {reason}")]
    Document {
        document: String,
        path: PathBuf,
        reason: String,
    },
    /// Something is named and not there.
    #[error("{what} is not in layout `{path}`")]
    Missing { what: String, path: PathBuf },
    /// Bytes are not what their name says.
    #[error("a blob of layout `{path}` is damaged: {mismatch}")]
    Damaged {
        path: PathBuf,
        mismatch: DigestMismatch,
    },
    /// Bytes are more than were promised.
    #[error("blob `{digest}` of layout `{path}` is larger than {limit} bytes")]
    TooLarge {
        digest: Digest,
        path: PathBuf,
        limit: u64,
    },
    /// A document has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
}

impl Explain for LayoutError {
    fn code(&self) -> &'static str {
        match self {
            Self::Archive { .. } => "layout::archive",
            Self::Damaged { .. } => "layout::damaged",
            Self::Missing { .. } => "layout::missing",
            _ => "layout",
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Exists { .. } => exit::CONFLICT,
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                exit::NOT_FOUND
            }
            Self::Missing { .. } => exit::NOT_FOUND,
            Self::File { .. } | Self::Canonical(_) => exit::FAILURE,
            Self::Archive { .. }
            | Self::Document { .. }
            | Self::Damaged { .. }
            | Self::TooLarge { .. } => exit::VERIFICATION,
        }
    }

    fn help(&self) -> Option<String> {
        Some(
            match self {
                Self::Exists { .. } => "name another place, or remove this one",
                Self::File { .. } => "check the path, its owner, its mode and the free space",
                Self::Missing { .. } => {
                    "`bpfpkg import --dry-run` lists what a layout holds; export it again if something is missing"
                }
                Self::Canonical(_) => return None,
                _ => "do not use it: export the packages again",
            }
            .to_owned(),
        )
    }
}
