// SPDX-License-Identifier: Apache-2.0
//! The table of contents of an archive, read so that no two readers can understand
//! it differently. Nothing is ever unpacked: bytes are read in place, by digest.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

use flate2::read::MultiGzDecoder;
use registry_schema::Digest;
use tar::{Archive, EntryType, Header, PaxExtensions};

use super::{INDEX, MARKER};

/// Most entries of an archive.
const MAX_ENTRIES: usize = 65_536;
/// Largest extended header, in bytes.
const MAX_EXTENSION: u64 = 64 << 10;
/// Most bytes that a compressed archive may unpack to: 16 GiB.
const MAX_UNPACKED: u64 = 16 << 30;
/// How many times its own size a compressed archive may unpack to.
const MAX_RATIO: u64 = 200;
/// What any compressed archive may unpack to, however small it is: 1 MiB.
const RATIO_FREE: u64 = 1 << 20;
/// Zeros that programs write behind the last entry, at most.
const MAX_TRAILER: u64 = 1 << 20;
const BLOCK: u64 = 512;

/// Why an archive is refused, whole.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ArchiveError {
    /// The system or the form.
    #[error("it is no tar archive: {0}")]
    Malformed(#[from] io::Error),
    /// A name that no layout has.
    #[error("entry `{0}` is neither `oci-layout`, nor `index.json`, nor `blobs/<algorithm>/<hex>`")]
    Name(String),
    /// A link, a device, or something that only some programs know.
    #[error("entry `{name}` is a {kind}; only plain files and folders are read")]
    Kind { name: String, kind: String },
    /// Two entries of one name.
    #[error("entry `{0}` is there twice")]
    Twice(String),
    /// More entries than any layout has.
    #[error("it has more than {MAX_ENTRIES} entries")]
    Entries,
    /// Headers that contradict each other.
    #[error("entry `{name}` has {header} bytes by one header and {extension} by another")]
    Sizes {
        name: String,
        header: u64,
        extension: String,
    },
    /// An extension that changes what an entry is.
    #[error("an extended header has `{0}`, which is not read")]
    Extension(String),
    /// The file ends before the entry does.
    #[error("entry `{0}` ends beyond the end of the archive")]
    Cut(String),
    /// A second archive behind the first, or anything else.
    #[error("something stands behind its end")]
    Behind,
    /// A folder with content.
    #[error("folder `{0}` has bytes of its own")]
    Folder(String),
    /// A bomb.
    #[error(
        "it unpacks to more than {MAX_RATIO} times its size, or to more than {MAX_UNPACKED} bytes"
    )]
    Bomb,
    /// A compression that is not read.
    #[error("it is compressed with {0}; unpack it first, or use gzip")]
    Compression(&'static str),
}

/// Where an entry's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// The archive in `file` without compression: the file itself, or a temporary one that
/// nothing else can reach.
pub(super) fn uncompressed(mut file: File) -> Result<File, ArchiveError> {
    let mut magic = [0; 4];
    let length = file.metadata()?.len();
    let known = read_up_to(&mut file, &mut magic)?;
    file.rewind()?;
    match &magic[..known] {
        [0x1f, 0x8b, ..] => inflate(&mut file, length),
        [0x28, 0xb5, 0x2f, 0xfd] => Err(ArchiveError::Compression("zstd")),
        [0xfd, b'7', b'z', b'X'] => Err(ArchiveError::Compression("xz")),
        [b'B', b'Z', b'h', _] => Err(ArchiveError::Compression("bzip2")),
        _ => Ok(file),
    }
}

fn inflate(file: &mut File, length: u64) -> Result<File, ArchiveError> {
    let limit = length
        .saturating_mul(MAX_RATIO)
        .clamp(RATIO_FREE, MAX_UNPACKED);
    let mut unpacked = tempfile::tempfile()?;
    let copied = io::copy(
        &mut MultiGzDecoder::new(file).take(limit + 1),
        &mut unpacked,
    )?;
    if copied > limit {
        return Err(ArchiveError::Bomb);
    }
    unpacked.flush()?;
    unpacked.rewind()?;
    Ok(unpacked)
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Reads all headers of a tar archive.
///
/// # Errors
/// [`ArchiveError`] for anything but one plain entry of each name that layouts have.
pub(super) fn scan(file: &mut File) -> Result<BTreeMap<String, Span>, ArchiveError> {
    let length = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    let mut archive = Archive::new(&mut *file);
    let (mut found, mut folders) = (BTreeMap::new(), BTreeSet::new());
    let mut extension = None::<Extension>;
    let mut end = 0;
    // Raw: whatever an extended header says is read here, and only here.
    for (number, entry) in archive.entries_with_seek()?.raw(true).enumerate() {
        if number >= MAX_ENTRIES {
            return Err(ArchiveError::Entries);
        }
        let mut entry = entry?;
        let (offset, size) = (entry.raw_file_position(), entry.header().entry_size()?);
        let shown = shown(&entry.header().path_bytes());
        if offset.checked_add(size).is_none_or(|end| end > length) {
            return Err(ArchiveError::Cut(shown));
        }
        end = offset + size + padding(size);
        match entry.header().entry_type() {
            EntryType::XHeader => {
                if extension
                    .replace(Extension::read(&mut entry, size)?)
                    .is_some()
                {
                    return Err(ArchiveError::Twice("extended header".to_owned()));
                }
            }
            // Values for all entries that follow: only harmless ones, so none is kept.
            EntryType::XGlobalHeader => {
                let global = Extension::read(&mut entry, size)?;
                if global.path.is_some() || global.size.is_some() {
                    return Err(ArchiveError::Extension("path or size for all".to_owned()));
                }
            }
            kind => {
                let header = entry.header().clone();
                let name = extension
                    .take()
                    .unwrap_or_default()
                    .name_of(&header, size)?;
                place(&mut found, &mut folders, &name, kind, Span { offset, size })?;
            }
        }
    }
    check_end(file, end, length)?;
    Ok(found)
}

/// Demands that nothing but a few zeros stands behind the last entry: some programs
/// would read on.
fn check_end(file: &mut File, end: u64, length: u64) -> Result<(), ArchiveError> {
    let rest = length.saturating_sub(end);
    if rest > MAX_TRAILER {
        return Err(ArchiveError::Behind);
    }
    file.seek(SeekFrom::Start(end))?;
    let mut trailer = Vec::new();
    file.take(rest).read_to_end(&mut trailer)?;
    if trailer.iter().any(|byte| *byte != 0) {
        return Err(ArchiveError::Behind);
    }
    Ok(())
}

fn place(
    found: &mut BTreeMap<String, Span>,
    folders: &mut BTreeSet<String>,
    name: &str,
    kind: EntryType,
    span: Span,
) -> Result<(), ArchiveError> {
    // Archives of a whole folder begin each name so.
    let name = name.strip_prefix("./").unwrap_or(name);
    match kind {
        EntryType::Directory => {
            let bare = name.strip_suffix('/').unwrap_or(name).to_owned();
            if !matches!(
                bare.as_str(),
                "" | "." | "blobs" | "blobs/sha256" | "blobs/sha512"
            ) {
                return Err(ArchiveError::Name(shown(name.as_bytes())));
            }
            if span.size != 0 {
                return Err(ArchiveError::Folder(bare));
            }
            if !folders.insert(bare.clone()) {
                return Err(ArchiveError::Twice(bare));
            }
        }
        EntryType::Regular => {
            if name != MARKER && name != INDEX && digest_of(name).is_none() {
                return Err(ArchiveError::Name(shown(name.as_bytes())));
            }
            if found.insert(name.to_owned(), span).is_some() {
                return Err(ArchiveError::Twice(name.to_owned()));
            }
        }
        kind => {
            let kind = format!("{kind:?}").to_lowercase();
            let name = shown(name.as_bytes());
            return Err(ArchiveError::Kind { name, kind });
        }
    }
    Ok(())
}

/// The digest that an entry's name promises.
fn digest_of(name: &str) -> Option<Digest> {
    let (algorithm, hex) = name.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{hex}").parse().ok()
}

/// What an extended header says of the entry behind it.
#[derive(Default)]
struct Extension {
    path: Option<String>,
    size: Option<String>,
}

impl Extension {
    fn read(entry: &mut impl Read, size: u64) -> Result<Self, ArchiveError> {
        if size > MAX_EXTENSION {
            return Err(ArchiveError::Extension(format!("{size} bytes")));
        }
        let mut bytes = Vec::new();
        entry.take(MAX_EXTENSION).read_to_end(&mut bytes)?;
        // An empty line ends the list for one reader and not for another.
        if bytes.starts_with(b"\n") || bytes.windows(2).any(|pair| pair == b"\n\n") {
            return Err(ArchiveError::Extension("an empty line".to_owned()));
        }
        let mut extension = Self::default();
        for record in PaxExtensions::new(&bytes) {
            let record = record?;
            let text = |bytes: &[u8]| {
                String::from_utf8(bytes.to_vec()).map_err(|_| ArchiveError::Extension(shown(bytes)))
            };
            let key = text(record.key_bytes())?;
            let slot = match key.as_str() {
                "path" => &mut extension.path,
                "size" => &mut extension.size,
                // Times and owners mean nothing here.
                "mtime" | "atime" | "ctime" | "uid" | "gid" | "uname" | "gname" | "comment" => {
                    continue;
                }
                key if key.starts_with("SCHILY.xattr.") || key.starts_with("LIBARCHIVE.") => {
                    continue;
                }
                _ => return Err(ArchiveError::Extension(shown(key.as_bytes()))),
            };
            if slot.replace(text(record.value_bytes())?).is_some() {
                return Err(ArchiveError::Twice(key));
            }
        }
        Ok(extension)
    }

    /// The name of the entry that these headers describe.
    fn name_of(self, header: &Header, size: u64) -> Result<String, ArchiveError> {
        let own = header.path_bytes();
        // Text behind the NUL that ends a name is there for one reader and not for another.
        let field = &header.as_old().name;
        let ends = field.iter().position(|byte| *byte == 0);
        if ends.is_some_and(|at| field[at..].iter().any(|byte| *byte != 0)) {
            return Err(ArchiveError::Name(shown(field)));
        }
        let name = match self.path {
            Some(path) => path,
            None => String::from_utf8(own.to_vec()).map_err(|_| ArchiveError::Name(shown(&own)))?,
        };
        match self.size {
            Some(extension) if extension != size.to_string() => Err(ArchiveError::Sizes {
                name: shown(name.as_bytes()),
                header: size,
                extension: shown(extension.as_bytes()),
            }),
            _ => Ok(name),
        }
    }
}

/// A name for a sentence.
fn shown(name: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(name).chars().take(120).collect();
    text.escape_debug().to_string()
}

/// The bytes between an entry's end and the next header.
pub(super) const fn padding(size: u64) -> u64 {
    (BLOCK - size % BLOCK) % BLOCK
}
