// SPDX-License-Identifier: Apache-2.0
//! From a folder with a `package.toml` to checked objects in memory.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use bpf_object::ObjectError;
use registry_schema::{
    PackageManifest, exit,
    manifest::{MAX_MANIFEST, ManifestError, Object},
    profile::{Finding, ObjectProfile, Severity},
};

use crate::{Explain, file, pull::MAX_README_BYTES, registry::MAX_OBJECT_BYTES};

/// Name of the manifest in a package's folder.
pub const MANIFEST: &str = "package.toml";

/// A package that was built and checked.
#[derive(Debug, Clone)]
pub struct BuiltPackage {
    /// Its manifest.
    pub manifest: PackageManifest,
    /// Its objects, in the manifest's order.
    pub objects: Vec<BuiltObject>,
    /// Its README.
    pub readme: Option<Vec<u8>>,
    /// When its source was last changed, in seconds since 1970, if that is known.
    pub created: Option<i64>,
}

/// One object of a package.
#[derive(Debug, Clone)]
pub struct BuiltObject {
    /// File name.
    pub name: String,
    /// `bpfel`, `bpfeb` or `os/arch`.
    pub target: String,
    /// The ELF file.
    pub bytes: Vec<u8>,
    /// What it contains; none for an object that is no eBPF.
    pub profile: Option<ObjectProfile>,
    /// What was found when it was compared with the manifest.
    pub findings: Vec<Finding>,
}

/// Why a package cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file cannot be read.
    #[error("`{path}` cannot be read: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest is wrong.
    #[error("`{path}`: {source}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ManifestError,
    },
    /// The compiler is not there.
    #[error("compiler `{compiler}` cannot be started: {source}")]
    NoCompiler {
        /// Its name.
        compiler: String,
        /// What the system said.
        source: io::Error,
    },
    /// The compiler refuses the source.
    #[error("`{source_file}` does not compile:\n{log}")]
    Compile {
        /// The source.
        source_file: PathBuf,
        /// What the compiler said.
        log: String,
    },
    /// The object cannot be read.
    #[error("`{path}` is no eBPF object that can be used: {source}")]
    Object {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ObjectError,
    },
    /// Object and manifest contradict each other.
    #[error("`{path}` does not fit its manifest: {}", sentences(.findings))]
    Findings {
        /// The object's file.
        path: PathBuf,
        /// The findings that are errors.
        findings: Vec<Finding>,
    },
}

fn sentences(findings: &[Finding]) -> String {
    let lines: Vec<_> = findings
        .iter()
        .map(|f| format!("[{}] {}; {}", f.code, f.message, f.fix))
        .collect();
    lines.join(". ")
}

impl Explain for BuildError {
    fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "build::file",
            Self::Manifest { .. } => "build::manifest",
            Self::NoCompiler { .. } => "build::no_compiler",
            Self::Compile { .. } => "build::compile",
            Self::Object { .. } => "build::object",
            Self::Findings { .. } => "build::findings",
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                exit::NOT_FOUND
            }
            Self::File { source, .. } if source.kind() == io::ErrorKind::FileTooLarge => {
                exit::FINDINGS
            }
            Self::File { .. } | Self::NoCompiler { .. } | Self::Compile { .. } => exit::FAILURE,
            Self::Manifest { .. } => exit::USAGE,
            Self::Object { .. } | Self::Findings { .. } => exit::FINDINGS,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::File { path, source }
                if source.kind() == io::ErrorKind::NotFound && path.ends_with(MANIFEST) =>
            {
                "name the folder of a package, or start one with `bpfpkg init`".to_owned()
            }
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "put the object there, or its source `<name>.bpf.c` beside the manifest".to_owned()
            }
            Self::File { source, .. } if source.kind() == io::ErrorKind::FileTooLarge => {
                "strip it with `llvm-strip -g`, or split it".to_owned()
            }
            Self::File { .. } => "check the file's owner and mode".to_owned(),
            Self::Manifest { .. } => {
                "mend the manifest; the documentation lists every key".to_owned()
            }
            Self::NoCompiler { .. } => {
                "install clang 14 or newer, or name another in `build.compiler`".to_owned()
            }
            Self::Compile { .. } => "mend the source".to_owned(),
            Self::Object { .. } => {
                "`bpfpkg build` compiles `<name>.bpf.c` into an object that can".to_owned()
            }
            Self::Findings { .. } => "mend the manifest or the source".to_owned(),
        })
    }
}

/// Reads the manifest in `folder`, compiles each object whose source is there, and
/// checks every object against the manifest.
///
/// # Errors
/// [`BuildError`], by what is missing or wrong. An object that exists already is
/// replaced only by one that compiled.
pub fn build(folder: &Path) -> Result<BuiltPackage, BuildError> {
    let manifest = read_manifest(folder)?;
    let mut objects = Vec::new();
    for declared in &manifest.objects {
        objects.push(build_object(folder, &manifest, declared)?);
    }
    let readme = read_readme(folder, &manifest)?;
    Ok(BuiltPackage {
        objects,
        readme,
        created: source_time(folder),
        manifest,
    })
}

/// Reads and checks the manifest in `folder`.
///
/// # Errors
/// [`BuildError::File`] or [`BuildError::Manifest`].
pub fn read_manifest(folder: &Path) -> Result<PackageManifest, BuildError> {
    let path = folder.join(MANIFEST);
    let bytes = read(&path, MAX_MANIFEST as u64)?;
    let text = String::from_utf8(bytes).map_err(|_| BuildError::File {
        path: path.clone(),
        source: io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"),
    })?;
    PackageManifest::from_toml(&text).map_err(|source| BuildError::Manifest { path, source })
}

/// Reads an object of at most [`MAX_OBJECT_BYTES`]; a larger one is refused by its
/// size, before it is read.
///
/// # Errors
/// [`BuildError::File`].
pub fn read_object(path: &Path) -> Result<Vec<u8>, BuildError> {
    read(path, MAX_OBJECT_BYTES)
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, BuildError> {
    file::read_bounded(path, limit).map_err(|source| BuildError::File {
        path: path.to_owned(),
        source,
    })
}

fn build_object(
    folder: &Path,
    manifest: &PackageManifest,
    declared: &Object,
) -> Result<BuiltObject, BuildError> {
    let path = folder.join(&declared.path);
    let source = path.with_extension("c");
    if source != path && source.is_file() {
        compile(folder, manifest, &declared.target, &source, &path)?;
    }
    let bytes = read_object(&path)?;
    let mut built = BuiltObject {
        name: declared.path.clone(),
        target: declared.target.clone(),
        bytes,
        profile: None,
        findings: Vec::new(),
    };
    if !matches!(declared.target.as_str(), "bpfel" | "bpfeb") {
        return Ok(built);
    }
    let profile = bpf_object::inspect(&built.bytes).map_err(|source| BuildError::Object {
        path: path.clone(),
        source,
    })?;
    built.findings = bpf_object::check(manifest, &profile);
    let errors: Vec<_> = built
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .cloned()
        .collect();
    if !errors.is_empty() {
        return Err(BuildError::Findings {
            path,
            findings: errors,
        });
    }
    built.profile = Some(profile);
    Ok(built)
}

/// Compiles one source, the same way every time: paths of this machine do not get
/// into the object.
fn compile(
    folder: &Path,
    manifest: &PackageManifest,
    target: &str,
    source: &Path,
    object: &Path,
) -> Result<(), BuildError> {
    let settings = manifest.build.clone().unwrap_or_default();
    let compiler = settings.compiler.unwrap_or_else(|| "clang".to_owned());
    let staging = tempfile::Builder::new()
        .prefix(".bpfpkg-")
        .suffix(".o")
        .tempfile_in(file::parent(object))
        .map_err(|source| BuildError::File {
            path: object.to_owned(),
            source,
        })?;
    let here = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let name = source.file_name().unwrap_or_default();
    let output = fs::canonicalize(staging.path()).unwrap_or_else(|_| staging.path().to_owned());
    let result = Command::new(&compiler)
        .current_dir(folder)
        .args(["-O2", "-g", "-Wall", "-mcpu=v2", "-target", target])
        .arg(format!("-ffile-prefix-map={}=.", here.display()))
        .arg("-fdebug-compilation-dir=.")
        .args(settings.include.iter().flat_map(|include| ["-I", include]))
        .args(&settings.flags)
        .arg("-c")
        .arg(name)
        .arg("-o")
        .arg(output)
        .output()
        .map_err(|source| BuildError::NoCompiler {
            compiler: compiler.clone(),
            source,
        })?;
    let log = String::from_utf8_lossy(&result.stderr).trim().to_owned();
    if !result.status.success() {
        return Err(BuildError::Compile {
            source_file: source.to_owned(),
            log,
        });
    }
    if !log.is_empty() {
        tracing::warn!("{compiler}: {log}");
    }
    staging
        .persist(object)
        .map(drop)
        .map_err(|error| BuildError::File {
            path: object.to_owned(),
            source: error.error,
        })
}

fn read_readme(folder: &Path, manifest: &PackageManifest) -> Result<Option<Vec<u8>>, BuildError> {
    let path = folder.join(manifest.package.readme.as_deref().unwrap_or("README.md"));
    if manifest.package.readme.is_none() && !path.exists() {
        return Ok(None);
    }
    read(&path, MAX_README_BYTES).map(Some)
}

/// `SOURCE_DATE_EPOCH`, else the time of the folder's last commit, else none: the
/// same source always gives the same time.
fn source_time(folder: &Path) -> Option<i64> {
    if let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") {
        return text.trim().parse().ok();
    }
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["log", "-1", "--format=%ct", "--", "."])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}
