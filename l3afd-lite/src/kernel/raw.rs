// SPDX-License-Identifier: Apache-2.0
//! The bpf(2) commands that aya does not offer: maps whose key and value sizes are
//! known only at run time, and what a link is attached to. The only unsafe code of
//! the daemon.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const MAP_LOOKUP_ELEM: libc::c_long = 1;
const MAP_UPDATE_ELEM: libc::c_long = 2;
const MAP_DELETE_ELEM: libc::c_long = 3;
const MAP_GET_NEXT_KEY: libc::c_long = 4;
const OBJ_GET: libc::c_long = 7;
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;

#[repr(C)]
struct MapElement {
    map_fd: u32,
    _pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct Object {
    path: u64,
    fd: u32,
    file_flags: u32,
}

#[repr(C)]
struct InfoByFd {
    fd: u32,
    length: u32,
    info: u64,
}

fn bpf<T>(command: libc::c_long, attribute: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: the attribute is a plain structure of the size given, and every address
    // in it points to memory of the caller that is as large as the kernel expects.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attribute),
            size_of::<T>(),
        )
    };
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    u32::try_from(fd.as_raw_fd()).unwrap_or(u32::MAX)
}

fn address(bytes: &[u8]) -> u64 {
    bytes.as_ptr() as u64
}

/// Opens a pin of a bpffs.
pub(crate) fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attribute = Object {
        path: path.as_ptr() as u64,
        fd: 0,
        file_flags: 0,
    };
    let fd = bpf(OBJ_GET, &mut attribute)?;
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What the kernel says about a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkInfo {
    /// The program that runs.
    pub(crate) program_id: u32,
    /// The interface of an XDP or TCX link; 0 when it is gone or the link was detached.
    pub(crate) ifindex: u32,
}

/// Asks what a link is attached to.
pub(crate) fn link_info(fd: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    // type, id, program id, padding; then, for XDP and TCX, the interface's index.
    let mut info = [0_u32; 64];
    let mut attribute = InfoByFd {
        fd: number(fd),
        length: u32::try_from(size_of_val(&info)).unwrap_or(0),
        info: info.as_mut_ptr() as u64,
    };
    bpf(OBJ_GET_INFO_BY_FD, &mut attribute)?;
    Ok(LinkInfo {
        program_id: info[2],
        ifindex: info[4],
    })
}

/// A map's descriptor with the sizes that every access must respect.
pub(crate) struct RawMap<'a> {
    fd: BorrowedFd<'a>,
    key_size: usize,
    /// Size of the value as the kernel copies it: for per-CPU maps that of all CPUs.
    value_size: usize,
}

impl<'a> RawMap<'a> {
    /// Takes a descriptor and the sizes of its map. `cpus` is the number of possible
    /// CPUs for a per-CPU map, else none.
    pub(crate) fn new(
        fd: &'a impl AsFd,
        key_size: u32,
        value_size: u32,
        cpus: Option<usize>,
    ) -> Self {
        let value_size = value_size as usize;
        let value_size = cpus.map_or(value_size, |cpus| value_size.next_multiple_of(8) * cpus);
        Self {
            fd: fd.as_fd(),
            key_size: key_size as usize,
            value_size,
        }
    }

    fn element(&self, key: &[u8], value: &[u8], flags: u64) -> io::Result<MapElement> {
        if key.len() != self.key_size || !(value.is_empty() || value.len() == self.value_size) {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        Ok(MapElement {
            map_fd: number(self.fd),
            _pad: 0,
            key: address(key),
            value: address(value),
            flags,
        })
    }

    /// The value at `key`; none when there is none.
    pub(crate) fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let mut value = vec![0_u8; self.value_size];
        let mut attribute = self.element(key, &[], 0)?;
        attribute.value = value.as_mut_ptr() as u64;
        match bpf(MAP_LOOKUP_ELEM, &mut attribute) {
            Ok(_) => Ok(Some(value)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the value at `key`.
    pub(crate) fn set(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        if value.len() != self.value_size {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        bpf(MAP_UPDATE_ELEM, &mut self.element(key, value, 0)?).map(|_| ())
    }

    /// Removes `key`; it is no error when it was not there.
    pub(crate) fn remove(&self, key: &[u8]) -> io::Result<()> {
        match bpf(MAP_DELETE_ELEM, &mut self.element(key, &[], 0)?) {
            Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
            _ => Ok(()),
        }
    }

    /// All keys, as far as `limit`; a map that changes meanwhile may repeat or skip some.
    pub(crate) fn keys(&self, limit: usize) -> io::Result<Vec<Vec<u8>>> {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        while keys.len() < limit {
            let mut next = vec![0_u8; self.key_size];
            let mut attribute = MapElement {
                map_fd: number(self.fd),
                _pad: 0,
                key: keys.last().map_or(0, |key| address(key)),
                value: next.as_mut_ptr() as u64,
                flags: 0,
            };
            match bpf(MAP_GET_NEXT_KEY, &mut attribute) {
                Ok(_) => keys.push(next),
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(keys)
    }
}
