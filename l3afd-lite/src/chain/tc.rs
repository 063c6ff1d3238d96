// SPDX-License-Identifier: Apache-2.0
//! Traffic control: one TCX link per direction, first among those of other owners; on
//! kernels without TCX one clsact filter, which the kernel keeps without a pin.

use std::io;

use aya::programs::links::Link as _;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle};
use aya::programs::{LinkOrder, ProgramError, SchedClassifier, TcAttachType};
use registry_schema::hook::Hook;

use super::xdp::no_interface;
use crate::kernel::netlink::{filter_program, ifindex};
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

/// Where our filter is among those of a clsact qdisc. Whoever else numbers filters by
/// hand begins at the ends, so neither is 1.
const FILTER_PRIORITY: u16 = 0x6270;
const FILTER_HANDLE: u16 = 0x6270;

/// The hook within clsact, as the kernel numbers it (`TC_H_MIN_INGRESS`, `_EGRESS`).
const fn clsact_parent(hook: Hook) -> u16 {
    match hook {
        Hook::TcEgress => 0xfff3,
        Hook::TcIngress | Hook::Xdp => 0xfff2,
    }
}

/// Which of its two ways to attach programs the kernel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Links, since Linux 6.6.
    Tcx,
    /// Filters.
    Clsact,
}

/// Asks the kernel whether it has TCX: what it answers to a question about it on an
/// interface that exists. Distributions carry features to other versions.
pub(super) fn way(place: &Place) -> Way {
    let asked = within(place.netns_path().as_deref(), || {
        SchedClassifier::query_tcx(&place.interface, direction(place.hook)).map(|_| ())
    });
    match asked {
        Ok(Err(ProgramError::SyscallError(call)))
            if call.io_error.raw_os_error() == Some(libc::EINVAL) =>
        {
            Way::Clsact
        }
        _ => Way::Tcx,
    }
}

fn refuse(place: &Place, error: &dyn std::error::Error) -> KernelError {
    let (place, reason) = (place.to_string(), causes(error));
    KernelError::Attach { place, reason }
}

/// Makes `generation` the one that runs: by one update, or by a new link or filter.
pub(super) fn attach(
    owner: &Owner,
    place: &Place,
    generation: u64,
    way: Way,
) -> Result<(), KernelError> {
    let mut program = SchedClassifier::from_pin(owner.program(generation, 0))
        .map_err(|error| refuse(place, &error))?;
    if owner.link().exists() {
        let link = PinnedLink::from_pin(owner.link()).map_err(|error| refuse(place, &error))?;
        let link = SchedClassifierLink::try_from(FdLink::from(link))
            .map_err(|error| refuse(place, &error))?;
        // The program drops its copy of the link; the pin keeps it attached.
        return program
            .attach_to_link(link)
            .map(|_| ())
            .map_err(|error| refuse(place, &error));
    }
    if way == Way::Clsact {
        return attach_filter(&mut program, place);
    }
    let attached = within(place.netns_path().as_deref(), || {
        ifindex(&place.interface)?;
        let order = TcAttachOptions::TcxOrder(LinkOrder::first());
        Some(program.attach_with_options(&place.interface, direction(place.hook), order))
    });
    let Ok(Some(attached)) = attached else {
        return Err(no_interface(place));
    };
    let id = attached.map_err(|error| refuse(place, &error))?;
    let link = program
        .take_link(id)
        .map_err(|error| refuse(place, &error))?;
    let link = FdLink::try_from(link).map_err(|error| refuse(place, &error))?;
    let path = owner.link();
    let pinned = link.pin(&path);
    pinned
        .map(|_| ())
        .map_err(|error| KernelError::pin("pinning", &path, io::Error::other(causes(&error))))
}

/// Replaces our filter, or adds it.
fn attach_filter(program: &mut SchedClassifier, place: &Place) -> Result<(), KernelError> {
    let there = filter(place)?.is_some();
    let attached = within(place.netns_path().as_deref(), || {
        let (interface, direction) = (&place.interface, direction(place.hook));
        ifindex(interface)?;
        // It is no error when the qdisc is there already; if it cannot be there,
        // attaching says why.
        let _ = tc::qdisc_add_clsact(interface);
        let id = if there {
            match our_filter(place) {
                Ok(link) => program.attach_to_link(link),
                Err(error) => Err(error.into()),
            }
        } else {
            let (priority, handle) = (FILTER_PRIORITY, TcHandle::new(0, FILTER_HANDLE));
            let options = TcAttachOptions::Netlink(NlOptions {
                priority,
                handle,
                classid: None,
            });
            program.attach_with_options(interface, direction, options)
        };
        // A filter needs nobody to hold it: forget what would remove it.
        Some(
            id.and_then(|id| program.take_link(id))
                .map(std::mem::forget),
        )
    });
    let Ok(Some(attached)) = attached else {
        return Err(no_interface(place));
    };
    attached.map_err(|error| refuse(place, &error))
}

fn our_filter(place: &Place) -> io::Result<SchedClassifierLink> {
    let handle = TcHandle::new(0, FILTER_HANDLE);
    SchedClassifierLink::attached(
        &place.interface,
        direction(place.hook),
        FILTER_PRIORITY,
        handle,
        None,
    )
}

/// The filter that stands for a link on kernels without TCX.
pub(super) fn filter(place: &Place) -> Result<Option<ActualLink>, KernelError> {
    let asked = within(place.netns_path().as_deref(), || {
        let Some(ifindex) = ifindex(&place.interface) else {
            return Ok(None);
        };
        let parent = clsact_parent(place.hook);
        // On a thread of its own: the answer is waited for.
        let asked = std::thread::scope(|scope| {
            scope
                .spawn(|| filter_program(ifindex, parent, FILTER_PRIORITY, FILTER_HANDLE))
                .join()
        });
        let id = asked.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(id.map(|program_id| ActualLink {
            program_id,
            ifindex,
        }))
    });
    match asked {
        // A namespace that is gone has no filter.
        Err(_) => Ok(None),
        Ok(filter) => filter.map_err(|error: io::Error| refuse(place, &error)),
    }
}

/// Removes the filter that stands for a link on kernels without TCX.
pub(super) fn detach_filter(place: &Place) -> Result<(), KernelError> {
    if filter(place)?.is_none() {
        return Ok(());
    }
    let detached = within(place.netns_path().as_deref(), || {
        our_filter(place)
            .map_err(ProgramError::from)
            .and_then(SchedClassifierLink::detach)
    });
    detached
        .unwrap_or(Ok(()))
        .map_err(|error| refuse(place, &error))
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
