// SPDX-License-Identifier: Apache-2.0
//! Probes: programs that attach by themselves and need no chain.

use std::io;

use aya::EbpfLoader;
use aya::programs::links::FdLink;
use aya::programs::{Program, TracePoint};

use super::{compare_maps, pin, shared_pins};
use crate::kernel::maps::PinnedMap;
use crate::kernel::pins::Owner;
use crate::kernel::{KernelError, LoadedProgram};
use crate::load::{LoadProbe, causes, load};

/// Loads the new program, then detaches the old one and attaches the new: a moment
/// without, rather than a moment in which everything is counted twice.
pub(super) fn attach(owner: &Owner, request: &LoadProbe) -> Result<LoadedProgram, KernelError> {
    let member = &request.member;
    owner.make(request.number, &[&member.instance])?;
    compare_maps(owner, member)?;
    let pins = shared_pins(owner, request.number, member);
    let mut object = load(&mut EbpfLoader::new(), member, &pins)?;
    for map in &request.entries {
        PinnedMap::open(&owner.map(&member.instance, &map.map), &map.map)?
            .write(&map.entries, map.only)?;
    }
    let (loaded, _) = pin(owner, request.number, 0, &mut object, member)?;
    let refuse = |reason| KernelError::Attach {
        place: request.name.clone(),
        reason,
    };
    let Some(Program::TracePoint(program)) = object.program_mut(&member.function) else {
        return Err(refuse(format!(
            "programs of type {} do not run as probes yet",
            member.program_type
        )));
    };
    let (category, name) = request.attach.split_once('/').ok_or_else(|| {
        refuse(format!(
            "`{}` names no tracepoint; the package should say `group/name`",
            request.attach
        ))
    })?;
    owner.remove_link()?;
    let link = attach_tracepoint(program, category, name).map_err(refuse)?;
    let path = owner.link();
    let pinned = link.pin(&path);
    pinned.map_err(|error| KernelError::pin("pinning", &path, io::Error::other(causes(&error))))?;
    for number in owner.generations()? {
        if number != request.number {
            owner.remove_generation(number)?;
        }
    }
    Ok(loaded)
}

fn attach_tracepoint(
    program: &mut TracePoint,
    category: &str,
    name: &str,
) -> Result<FdLink, String> {
    let id = program.attach(category, name).map_err(|error| {
        format!(
            "{}; tracepoints need tracefs: `mount -t tracefs tracefs /sys/kernel/tracing`",
            causes(&error)
        )
    })?;
    let link = program.take_link(id).map_err(|error| causes(&error))?;
    FdLink::try_from(link).map_err(|_| {
        "this kernel has no links for tracepoints (Linux 5.15 and later have)".to_owned()
    })
}
