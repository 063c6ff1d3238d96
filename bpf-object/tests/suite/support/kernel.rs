// SPDX-License-Identifier: Apache-2.0
//! Chains of woven programs in the running kernel.

use std::path::PathBuf;

use aya::maps::{Array, MapData, PerCpuArray, ProgramArray};
use aya::programs::{Program, SchedClassifier, TestRun as _, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use bpf_object::weave::{COUNTED_VERDICTS, Counter};
use bpf_object::{Weave, weave};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// A mount namespace of this thread's own with a bpffs in it.
pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    /// Makes the sandbox. Without the right to do so the test cannot run, which
    /// is said aloud and is no failure.
    pub(crate) fn new() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("SKIPPED: loading programs into the kernel needs root");
            return None;
        }
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        let folder = tempfile::tempdir().unwrap();
        mount(
            Some("bpf"),
            folder.path(),
            Some("bpf"),
            MsFlags::empty(),
            none,
        )
        .unwrap();
        Some(Self { folder })
    }

    pub(crate) fn pin(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = nix::mount::umount(self.folder.path());
    }
}

/// One member of a chain: an object and its entry function.
#[derive(Clone, Copy)]
pub(crate) struct Member<'a> {
    pub(crate) object: &'a [u8],
    pub(crate) function: &'a str,
}

/// Loaded members that continue one another.
pub(crate) struct Chain {
    pub(crate) members: Vec<(String, Ebpf)>,
    ends: PerCpuArray<MapData, u64>,
}

impl Chain {
    /// Weaves, loads and links the members. `fallthrough` is what the last
    /// returns instead of a verdict to proceed on.
    pub(crate) fn load(
        sandbox: &Sandbox,
        members: &[Member<'_>],
        proceed_on: &[i32],
        fallthrough: Option<i32>,
    ) -> Self {
        for name in ["next", "ends"] {
            let _ = std::fs::remove_file(sandbox.pin(name));
        }
        let entries = u32::try_from(members.len()).unwrap();
        let loaded: Vec<(String, Ebpf)> = (0..)
            .zip(members)
            .map(|(slot, member)| {
                let woven = weave(
                    member.object,
                    &Weave {
                        function: member.function.to_owned(),
                        next_index: slot + 1,
                        proceed_on: proceed_on.to_vec(),
                        fallthrough,
                        array_name: "next".to_owned(),
                        array_entries: entries,
                        counter: Some(Counter {
                            name: "ends".to_owned(),
                            slot,
                        }),
                    },
                )
                .unwrap();
                let mut ebpf = EbpfLoader::new()
                    .map_pin_path("next", sandbox.pin("next"))
                    .map_pin_path("ends", sandbox.pin("ends"))
                    .load(&woven.bytes)
                    .unwrap();
                load_program(&mut ebpf, member.function);
                (member.function.to_owned(), ebpf)
            })
            .collect();
        let mut next = ProgramArray::try_from(open(sandbox, "next")).unwrap();
        for (slot, (function, ebpf)) in (0..entries).zip(&loaded).skip(1).rev() {
            let fd = match ebpf.program(function).unwrap() {
                Program::Xdp(program) => program.fd(),
                Program::SchedClassifier(program) => program.fd(),
                other => panic!("{other:?}"),
            };
            next.set(slot, fd.unwrap(), 0).unwrap();
        }
        let ends = PerCpuArray::try_from(open(sandbox, "ends")).unwrap();
        // Both stay reachable through their pins, as on a node.
        Self {
            members: loaded,
            ends,
        }
    }

    /// Sends one packet through the chain and returns its verdict.
    pub(crate) fn run(&self, packet: &[u8]) -> i32 {
        let (function, head) = &self.members[0];
        run_program(head, function, packet)
    }

    /// How many chains ended at this slot with this verdict.
    pub(crate) fn ended(&self, slot: u32, verdict: i32) -> u64 {
        let column = verdict.cast_unsigned().min(COUNTED_VERDICTS - 1);
        self.ends
            .get(&(slot * COUNTED_VERDICTS + column), 0)
            .unwrap()
            .iter()
            .sum()
    }

    /// All chain ends.
    pub(crate) fn ended_in_all(&self) -> u64 {
        let entries = u32::try_from(self.members.len()).unwrap() * COUNTED_VERDICTS;
        (0..entries)
            .map(|key| self.ends.get(&key, 0).unwrap().iter().sum::<u64>())
            .sum()
    }
}

fn open(sandbox: &Sandbox, name: &str) -> aya::maps::Map {
    let data = MapData::from_pin(sandbox.pin(name)).unwrap();
    match name {
        "next" => aya::maps::Map::ProgramArray(data),
        _ => aya::maps::Map::PerCpuArray(data),
    }
}

/// Loads one program of an object.
pub(crate) fn load_program(ebpf: &mut Ebpf, function: &str) {
    match ebpf.program_mut(function).unwrap() {
        Program::Xdp(program) => program
            .load()
            .unwrap_or_else(|error| refused(function, &error)),
        Program::SchedClassifier(program) => {
            program
                .load()
                .unwrap_or_else(|error| refused(function, &error));
        }
        other => panic!("{function} is {other:?}"),
    }
}

fn refused(function: &str, error: &aya::programs::ProgramError) {
    panic!("the kernel refuses {function}: {error}\n{error:?}");
}

/// Runs one loaded program on a packet.
pub(crate) fn run_program(ebpf: &Ebpf, function: &str, packet: &[u8]) -> i32 {
    let options = || TestRunOptions {
        data_in: Some(packet),
        ..TestRunOptions::new()
    };
    let result = match ebpf.program(function).unwrap() {
        Program::Xdp(program) => Xdp::test_run(program, options()),
        Program::SchedClassifier(program) => SchedClassifier::test_run(program, options()),
        other => panic!("{other:?}"),
    };
    result.unwrap().return_value.cast_signed()
}

/// The first value of an array map, summed over CPUs where it has one per CPU.
pub(crate) fn first_value(ebpf: &Ebpf, map: &str) -> u64 {
    match ebpf.map(map).unwrap() {
        aya::maps::Map::PerCpuArray(data) => {
            let array = PerCpuArray::<_, u64>::try_from(aya::maps::Map::PerCpuArray(clone(data)));
            array.unwrap().get(&0, 0).unwrap().iter().sum()
        }
        aya::maps::Map::Array(data) => {
            let array = Array::<_, u64>::try_from(aya::maps::Map::Array(clone(data)));
            array.unwrap().get(&0, 0).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

fn clone(data: &MapData) -> MapData {
    MapData::from_id(data.info().unwrap().id()).unwrap()
}
