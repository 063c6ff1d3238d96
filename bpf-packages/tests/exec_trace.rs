// SPDX-License-Identifier: Apache-2.0
//! The exec tracer, with real programs started under it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use aya::maps::{HashMap, PerCpuArray, RingBuf};
use aya::programs::TracePoint;
use aya::{Ebpf, EbpfLoader};
use bpf_packages::namespace::with_tracefs;
use bpf_packages::object;
use tempfile::TempDir;

const NOBODY: u32 = 65534;

/// A record of the ring buffer: `struct exec_event` of exec-trace.h.
#[derive(Debug)]
struct Event {
    time: u64,
    pid: u32,
    parent: u32,
    uid: u32,
    gid: u32,
    comm: String,
    filename: String,
}

impl Event {
    fn decode(record: &[u8]) -> Self {
        assert_eq!(record.len(), 168, "the size of struct exec_event");
        let word = |at: usize| u32::from_ne_bytes(record[at..][..4].try_into().unwrap());
        let text = |bytes: &[u8]| {
            let end = bytes
                .iter()
                .position(|byte| *byte == 0)
                .expect("text ends in NUL");
            String::from_utf8(bytes[..end].to_vec()).unwrap()
        };
        Self {
            time: u64::from_ne_bytes(record[..8].try_into().unwrap()),
            pid: word(8),
            parent: word(12),
            uid: word(16),
            gid: word(20),
            comm: text(&record[24..40]),
            filename: text(&record[40..168]),
        }
    }
}

/// The loaded and attached package.
struct Tracer(Ebpf);

impl Tracer {
    fn attach(min_uid: u32) -> Self {
        object::require_root();
        let mut ebpf = EbpfLoader::new()
            .override_global("min_uid", &min_uid, true)
            .load(&object::compile_package("exec-trace"))
            .unwrap_or_else(|error| panic!("exec-trace does not load: {error:?}"));
        let program: &mut TracePoint = ebpf.program_mut("trace_exec").unwrap().try_into().unwrap();
        program.load().unwrap();
        with_tracefs(|| program.attach("sched", "sched_process_exec").unwrap());
        Self(ebpf)
    }

    fn counter(&self, key: u32) -> u64 {
        let map = PerCpuArray::<_, u64>::try_from(self.0.map("exec_counts").unwrap()).unwrap();
        map.get(&key, 0).unwrap().iter().sum()
    }

    fn execs(&self) -> u64 {
        self.counter(0)
    }

    /// How often the command `name` was started.
    fn execs_of(&self, name: &str) -> u64 {
        let map =
            HashMap::<_, [u8; 16], u64>::try_from(self.0.map("execs_by_comm").unwrap()).unwrap();
        let mut key = [0; 16];
        key[..name.len()].copy_from_slice(name.as_bytes());
        map.get(&key, 0).unwrap_or(0)
    }

    /// The events so far of the command `name`; other programs of the machine are left out.
    fn events_of(&mut self, name: &str) -> Vec<Event> {
        let mut ring = RingBuf::try_from(self.0.map_mut("exec_events").unwrap()).unwrap();
        let mut events = Vec::new();
        while let Some(record) = ring.next() {
            events.push(Event::decode(&record));
        }
        events.retain(|event| event.comm == name);
        events
    }
}

/// A copy of `true` under a name that nobody else on the machine starts.
fn program(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join(name);
    // A link, not a copy: a file that was just written is busy for as long as another
    // thread's child holds it open.
    symlink("/bin/true", &path).unwrap();
    (folder, path)
}

#[test]
fn programs_that_start_are_counted_by_name() {
    let mut tracer = Tracer::attach(0);
    let (_folder, path) = program("exec-trace-one");
    let before = tracer.execs();
    let mut events = 0;
    for _ in 0..25 {
        assert!(Command::new(&path).status().unwrap().success());
        // Read at once: the rest of the machine fills the same ring.
        events += tracer.events_of("exec-trace-one").len();
    }
    assert!(
        tracer.execs() >= before + 25,
        "others may start programs too"
    );
    assert_eq!(tracer.execs_of("exec-trace-one"), 25);
    assert_eq!(events, 25);
}

#[test]
fn an_event_says_who_started_what() {
    let mut tracer = Tracer::attach(0);
    let (_folder, path) = program("exec-trace-two-with-a-long-name");
    let mut child = Command::new(&path).uid(NOBODY).gid(NOBODY).spawn().unwrap();
    let pid = child.id();
    assert!(child.wait().unwrap().success());
    let events = tracer.events_of("exec-trace-two-");
    let [event] = events.as_slice() else {
        panic!("one event, not {events:?}")
    };
    assert_eq!((event.pid, event.parent), (pid, std::process::id()));
    assert_eq!((event.uid, event.gid), (NOBODY, NOBODY));
    assert_eq!(event.filename, path.to_str().unwrap());
    assert!(event.time > 0);
}

#[test]
fn a_start_that_fails_does_not_count() {
    let tracer = Tracer::attach(0);
    let (folder, _path) = program("exec-trace-six");
    let text = folder.path().join("exec-trace-not");
    fs::write(&text, "no program").unwrap();
    assert!(Command::new(&text).status().is_err());
    assert_eq!(tracer.execs_of("exec-trace-not"), 0);
}

#[test]
fn users_below_min_uid_are_left_out() {
    let mut tracer = Tracer::attach(1000);
    let (_folder, path) = program("exec-trace-uid");
    assert!(Command::new(&path).status().unwrap().success(), "as root");
    assert_eq!(tracer.execs_of("exec-trace-uid"), 0);
    assert!(Command::new(&path).uid(NOBODY).status().unwrap().success());
    assert_eq!(tracer.execs_of("exec-trace-uid"), 1);
    assert_eq!(tracer.events_of("exec-trace-uid").len(), 1);
}

#[test]
fn a_full_ring_loses_events_and_no_counts() {
    // 256 KiB hold 1489 records of 168 bytes with their headers; nobody reads.
    let tracer = Tracer::attach(0);
    let (_folder, path) = program("exec-trace-many");
    for _ in 0..1600 {
        assert!(Command::new(&path).status().unwrap().success());
    }
    assert_eq!(tracer.execs_of("exec-trace-many"), 1600);
    assert!(tracer.counter(1) >= 100, "{} lost", tracer.counter(1));
}
