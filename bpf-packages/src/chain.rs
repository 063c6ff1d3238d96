// SPDX-License-Identifier: Apache-2.0
//! Weaves XDP programs into a chain, as a node does, without attaching it.

use aya::maps::ProgramArray;
use aya::programs::Xdp;
use aya::{Ebpf, EbpfLoader};
use bpf_object::weave::Counter;
use bpf_object::{Weave, weave};

use crate::object::{self, XDP_PASS};

const ARRAY: &str = "chain_next";
const COUNTER: &str = "chain_ends";

/// One program of a chain: an object and its function.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The object as compiled.
    pub object: &'a [u8],
    /// The XDP program in it.
    pub function: &'a str,
}

/// A loaded chain; it lasts as long as this value.
#[derive(Debug)]
pub struct Chain {
    /// The loaded objects of the members, in order.
    pub objects: Vec<Ebpf>,
    head: String,
}

impl Chain {
    /// Weaves and loads `members`; each goes on after `XDP_PASS`. With `counted`, the
    /// chain counts where it ends. The calling thread needs a bpffs at `/sys/fs/bpf`.
    pub fn load(members: &[Member<'_>], counted: bool) -> Self {
        object::require_root();
        // The members share the array and the counters by their pins, for as long as this takes.
        let pins = tempfile::Builder::new()
            .prefix("chain")
            .tempdir_in("/sys/fs/bpf")
            .expect("a bpffs is mounted at /sys/fs/bpf");
        let mut loader = EbpfLoader::new();
        for map in [ARRAY, COUNTER] {
            loader.map_pin_path(map, pins.path().join(map));
        }
        let count = u32::try_from(members.len()).expect("a chain has at most 34 programs");
        let mut objects: Vec<Ebpf> = (0..count)
            .zip(members)
            .map(|(slot, member)| load(&mut loader, *member, slot, count, counted))
            .collect();
        fill(&mut objects, members);
        let head = members.first().expect("a chain has a program").function;
        Self {
            objects,
            head: head.to_owned(),
        }
    }

    /// The program that a packet meets first.
    pub fn head(&mut self) -> &mut Xdp {
        object::xdp(&mut self.objects[0], &self.head)
    }
}

fn load(
    loader: &mut EbpfLoader<'_>,
    member: Member<'_>,
    slot: u32,
    count: u32,
    counted: bool,
) -> Ebpf {
    let woven = weave(
        member.object,
        &Weave {
            function: member.function.to_owned(),
            next_index: slot + 1,
            proceed_on: vec![XDP_PASS.cast_signed()],
            fallthrough: None,
            array_name: ARRAY.to_owned(),
            array_entries: count,
            counter: counted.then(|| Counter {
                name: COUNTER.to_owned(),
                slot,
            }),
        },
    )
    .unwrap_or_else(|error| panic!("{} cannot be woven: {error}", member.function));
    let mut ebpf = loader
        .load(&woven.bytes)
        .unwrap_or_else(|error| panic!("woven, {} does not load: {error:?}", member.function));
    object::xdp(&mut ebpf, member.function);
    ebpf
}

/// Puts every member but the head, which is called directly, into the array.
fn fill(objects: &mut [Ebpf], members: &[Member<'_>]) {
    let mut next = objects[0]
        .take_map(ARRAY)
        .expect("the weave adds its array");
    let mut array = ProgramArray::try_from(&mut next).expect("it is a program array");
    for (slot, (ebpf, member)) in (0..).zip(objects.iter_mut().zip(members)).skip(1) {
        let program = object::xdp(ebpf, member.function);
        let fd = program.fd().expect("it is loaded");
        array
            .set(slot, fd, 0)
            .unwrap_or_else(|error| panic!("slot {slot} cannot be filled: {error}"));
    }
}
