// SPDX-License-Identifier: Apache-2.0
//! Traffic control: one TCX link per direction, first among those of other owners.

use std::io;

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions};
use aya::programs::{LinkOrder, SchedClassifier, TcAttachType};
use registry_schema::hook::Hook;

use super::xdp::no_interface;
use crate::kernel::netlink::ifindex;
use crate::kernel::netns::within;
use crate::kernel::pins::Owner;
use crate::kernel::{ActualLink, KernelError};
use crate::load::causes;
use crate::place::Place;

const fn direction(hook: Hook) -> TcAttachType {
    match hook {
        Hook::TcEgress => TcAttachType::Egress,
        Hook::TcIngress | Hook::Xdp => TcAttachType::Ingress,
    }
}

/// Makes `generation` the one that runs: by one update of the link, or by a new link.
pub(super) fn attach(owner: &Owner, place: &Place, generation: u64) -> Result<(), KernelError> {
    let refuse = |reason: String| KernelError::Attach {
        place: place.to_string(),
        reason,
    };
    let mut program = SchedClassifier::from_pin(owner.program(generation, 0))
        .map_err(|error| refuse(causes(&error)))?;
    if owner.link().exists() {
        let link = PinnedLink::from_pin(owner.link()).map_err(|error| refuse(causes(&error)))?;
        let link = SchedClassifierLink::try_from(FdLink::from(link))
            .map_err(|error| refuse(causes(&error)))?;
        // The program drops its copy of the link; the pin keeps it attached.
        return program
            .attach_to_link(link)
            .map(|_| ())
            .map_err(|error| refuse(causes(&error)));
    }
    let attached = within(place.netns_path().as_deref(), || {
        ifindex(&place.interface)?;
        let order = TcAttachOptions::TcxOrder(LinkOrder::first());
        Some(program.attach_with_options(&place.interface, direction(place.hook), order))
    });
    let Ok(Some(attached)) = attached else {
        return Err(no_interface(place));
    };
    let id = attached.map_err(|error| refuse(causes(&error)))?;
    let link = program
        .take_link(id)
        .map_err(|error| refuse(causes(&error)))?;
    let link = FdLink::try_from(link).map_err(|error| refuse(causes(&error)))?;
    let path = owner.link();
    let pinned = link.pin(&path);
    pinned
        .map(|_| ())
        .map_err(|error| KernelError::pin("pinning", &path, io::Error::other(causes(&error))))
}

/// The filter that stands for a link on kernels without TCX.
pub(super) fn filter(_place: &Place) -> Result<Option<ActualLink>, KernelError> {
    Ok(None)
}

/// Removes the filter that stands for a link on kernels without TCX.
pub(super) fn detach_filter(_place: &Place) -> Result<(), KernelError> {
    Ok(())
}

/// The programs on the hook, ours and others', in the order they run: id and name.
pub(super) fn programs(place: &Place) -> Result<Vec<(u32, String)>, KernelError> {
    let asked = within(place.netns_path().as_deref(), || {
        ifindex(&place.interface)?;
        Some(SchedClassifier::query_tcx(
            &place.interface,
            direction(place.hook),
        ))
    });
    let Ok(Some(asked)) = asked else {
        return Err(no_interface(place));
    };
    let (_, programs) = asked.unwrap_or_default();
    Ok(programs
        .iter()
        .map(|program| {
            (
                program.id(),
                program.name_as_str().unwrap_or("unnamed").to_owned(),
            )
        })
        .collect())
}
