// SPDX-License-Identifier: Apache-2.0
//! Packets, as many as one core can send.

use std::fs::File;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use nix::sched::{CloneFlags, setns};

/// Frames per system call.
const BATCH: usize = 64;

/// A socket that puts frames on `v0` of namespace `near`, past all queues.
pub(crate) struct Sender {
    socket: OwnedFd,
}

impl Sender {
    /// Makes the socket on a thread of its own that enters the namespace.
    pub(crate) fn new() -> Self {
        std::thread::spawn(|| {
            setns(
                File::open("/run/netns/near").unwrap(),
                CloneFlags::CLONE_NEWNET,
            )
            .unwrap();
            Self::open().unwrap()
        })
        .join()
        .unwrap()
    }

    fn open() -> io::Result<Self> {
        // SAFETY: plain system calls on values that live through them.
        unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            let socket = OwnedFd::from_raw_fd(fd);
            let one: libc::c_int = 1;
            let length = u32::try_from(size_of::<libc::c_int>()).unwrap();
            let bypass = ptr::from_ref(&one).cast();
            if libc::setsockopt(
                fd,
                libc::SOL_PACKET,
                libc::PACKET_QDISC_BYPASS,
                bypass,
                length,
            ) < 0
            {
                return Err(io::Error::last_os_error());
            }
            let mut address: libc::sockaddr_ll = zeroed();
            address.sll_family = u16::try_from(libc::AF_PACKET).unwrap();
            address.sll_ifindex = i32::try_from(libc::if_nametoindex(c"v0".as_ptr())).unwrap();
            let length = u32::try_from(size_of::<libc::sockaddr_ll>()).unwrap();
            if libc::bind(fd, ptr::from_ref(&address).cast(), length) < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Self { socket })
        }
    }

    /// Sends up to one batch; tells how many were taken.
    pub(crate) fn send(&self, frames: usize) -> usize {
        let mut frame = frame();
        let mut part = libc::iovec {
            iov_base: frame.as_mut_ptr().cast(),
            iov_len: frame.len(),
        };
        // SAFETY: all messages point to one frame, which outlives the call.
        unsafe {
            let mut messages: [libc::mmsghdr; BATCH] = zeroed();
            for message in &mut messages {
                message.msg_hdr.msg_iov = &raw mut part;
                message.msg_hdr.msg_iovlen = 1;
            }
            let count = u32::try_from(frames.min(BATCH)).unwrap();
            let sent = libc::sendmmsg(self.socket.as_raw_fd(), messages.as_mut_ptr(), count, 0);
            usize::try_from(sent).unwrap_or(0)
        }
    }
}

/// An Ethernet frame with an IPv4 packet that nobody answers.
fn frame() -> [u8; 60] {
    let mut frame = [0; 60];
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14] = 0x45;
    frame[23] = 17;
    frame
}

/// A flood that lasts until it is stopped.
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Flood {
    pub(crate) fn start() -> Self {
        let sender = Sender::new();
        let (stop, sent) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                counted.fetch_add(sender.send(BATCH) as u64, Ordering::Relaxed);
            }
        });
        Self { stop, sent, thread }
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Stops sending; gives the number of packets sent.
    pub(crate) fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.sent.load(Ordering::Relaxed)
    }
}
