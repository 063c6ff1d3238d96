// SPDX-License-Identifier: Apache-2.0
//! What is true: read from pins and kernel, never from memory.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use aya::programs::{ProgramFd, ProgramInfo, SchedClassifier, Xdp};
use aya_obj::programs::XdpAttachType;
use registry_schema::hook::Hook;

use crate::kernel::maps::{PinnedMap, program_ids};
use crate::kernel::netlink::ifindex;
use crate::kernel::netns::within;
use crate::kernel::pins::Owner;
use crate::kernel::raw::{link_info, open_pin};
use crate::kernel::{
    ActualChain, ActualGeneration, ActualLink, ActualProbe, ChainEnd, KernelError,
};
use crate::load::causes;
use crate::place::Place;

/// Verdicts that the counter of chain ends tells apart.
const VERDICTS: u32 = 16;

pub(super) fn chain(owner: &Owner, place: &Place) -> Result<ActualChain, KernelError> {
    let numbers = owner.generations()?;
    let generations = numbers
        .iter()
        .map(|number| generation(owner, *number))
        .collect::<Result<_, _>>()?;
    let ifindex = interface(place);
    let link = link(owner)?;
    Ok(ActualChain {
        ifindex,
        link,
        generations,
    })
}

/// The index of the place's interface; none when it or its namespace does not exist.
pub(super) fn interface(place: &Place) -> Option<u32> {
    within(place.netns_path().as_deref(), || ifindex(&place.interface))
        .ok()
        .flatten()
}

fn link(owner: &Owner) -> Result<Option<ActualLink>, KernelError> {
    let path = owner.link();
    let fd = match open_pin(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        fd => fd.map_err(|error| KernelError::pin("opening", &path, error))?,
    };
    let info = link_info(fd.as_fd()).map_err(|error| KernelError::pin("reading", &path, error))?;
    Ok(Some(ActualLink {
        program_id: info.program_id,
        ifindex: info.ifindex,
    }))
}

fn generation(owner: &Owner, number: u64) -> Result<ActualGeneration, KernelError> {
    let count = owner.program_count(number)?;
    let programs = (0..count)
        .map(|slot| program_id(&owner.program(number, slot)))
        .collect();
    let slots = program_ids(&owner.array(number), count)?;
    Ok(ActualGeneration {
        number,
        programs,
        slots,
    })
}

fn program_id(path: &Path) -> Option<u32> {
    ProgramInfo::from_pin(path).ok().map(|info| info.id())
}

/// Opens a pinned program.
pub(super) fn program_fd(hook: Hook, path: &Path) -> Result<ProgramFd, KernelError> {
    let fd = match hook {
        Hook::Xdp => Xdp::from_pin(path, XdpAttachType::Interface)
            .and_then(|program| Ok(program.fd()?.try_clone()?)),
        Hook::TcIngress | Hook::TcEgress => {
            SchedClassifier::from_pin(path).and_then(|program| Ok(program.fd()?.try_clone()?))
        }
    };
    fd.map_err(|error| KernelError::pin("opening", path, io::Error::other(causes(&error))))
}

pub(super) fn probe(owner: &Owner) -> Result<ActualProbe, KernelError> {
    let numbers = owner.generations()?;
    let link = link(owner)?;
    let runs = |number: &&u64| {
        link.is_some_and(|link| program_id(&owner.program(**number, 0)) == Some(link.program_id))
    };
    Ok(ActualProbe {
        running: numbers.iter().find(runs).copied(),
        highest: numbers.last().copied(),
    })
}

/// Sums the per-CPU counters of chain ends and leaves out those that are zero.
pub(super) fn ends(owner: &Owner, number: u64) -> Result<Vec<ChainEnd>, KernelError> {
    let path = owner.ends(number);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let entries = PinnedMap::open(&path, "ends")?.read(None)?;
    let ends = entries.into_iter().filter_map(|entry| {
        let index = u32::from_ne_bytes(entry.key.try_into().ok()?);
        let counts = entry
            .values
            .iter()
            .filter_map(|value| Some(u64::from_ne_bytes(value.as_slice().try_into().ok()?)));
        let packets = counts.sum();
        let end = ChainEnd {
            slot: index / VERDICTS,
            verdict: index % VERDICTS,
            packets,
        };
        (packets > 0).then_some(end)
    });
    Ok(ends.collect())
}
