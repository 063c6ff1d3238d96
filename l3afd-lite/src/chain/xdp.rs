// SPDX-License-Identifier: Apache-2.0
//! XDP: one link per interface.

use std::io;

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::XdpLink;
use aya::programs::{ProgramError, ProgramInfo, Xdp, XdpMode as AyaMode, loaded_programs};
use aya_obj::programs::XdpAttachType;

use super::observe::interface;
use crate::desired::XdpMode;
use crate::kernel::KernelError;
use crate::kernel::netlink::{ifindex, xdp_program};
use crate::kernel::netns::within;
use crate::kernel::pins::Owner;
use crate::load::causes;
use crate::place::Place;

/// Makes `generation` the one that runs: by one update of the link, or by a new link.
pub(super) fn attach(
    owner: &Owner,
    place: &Place,
    mode: XdpMode,
    generation: u64,
) -> Result<(), KernelError> {
    let refuse = |reason: String| KernelError::Attach {
        place: place.to_string(),
        reason,
    };
    let mut program = Xdp::from_pin(owner.program(generation, 0), XdpAttachType::Interface)
        .map_err(|error| refuse(causes(&error)))?;
    if owner.link().exists() {
        let link = PinnedLink::from_pin(owner.link()).map_err(|error| refuse(causes(&error)))?;
        let link = XdpLink::try_from(FdLink::from(link)).map_err(|error| refuse(causes(&error)))?;
        // The program drops its copy of the link; the pin keeps it attached.
        return program
            .attach_to_link(link)
            .map(|_| ())
            .map_err(|error| refuse(causes(&error)));
    }
    let attached = within(place.netns_path().as_deref(), || {
        let index = ifindex(&place.interface).ok_or(Attached::NoInterface)?;
        program
            .attach_to_if_index(index, aya_mode(mode))
            .map_err(Attached::Refused)
    });
    let id = match attached {
        Ok(Ok(id)) => id,
        Err(_) | Ok(Err(Attached::NoInterface)) => return Err(no_interface(place)),
        Ok(Err(Attached::Refused(error))) => return Err(refused(place, mode, &error)),
    };
    let link = program
        .take_link(id)
        .map_err(|error| refuse(causes(&error)))?;
    let link = FdLink::try_from(link).map_err(|_| {
        refuse("this kernel has no XDP links (Linux 5.9 and later have)".to_owned())
    })?;
    let path = owner.link();
    let pinned = link.pin(&path);
    pinned
        .map(|_| ())
        .map_err(|error| KernelError::pin("pinning", &path, io::Error::other(causes(&error))))
}

/// Why a new link was not made.
enum Attached {
    NoInterface,
    Refused(ProgramError),
}

const fn aya_mode(mode: XdpMode) -> AyaMode {
    match mode {
        XdpMode::Auto => AyaMode::Default,
        XdpMode::Generic => AyaMode::Skb,
        XdpMode::Native => AyaMode::Driver,
    }
}

pub(super) fn no_interface(place: &Place) -> KernelError {
    let hint = place.netns.as_ref().map_or_else(String::new, |netns| {
        if place.netns_path().is_some_and(|path| path.exists()) {
            String::new()
        } else {
            format!(", nor does network namespace `{netns}`")
        }
    });
    KernelError::NoInterface {
        place: place.clone(),
        hint,
    }
}

fn refused(place: &Place, mode: XdpMode, error: &ProgramError) -> KernelError {
    let code = match error {
        ProgramError::SyscallError(call) => call.io_error.raw_os_error(),
        _ => None,
    };
    if matches!(code, Some(libc::EBUSY | libc::EEXIST))
        && let Ok(programs) = programs(place)
        && let Some((id, name)) = programs.into_iter().next()
    {
        return KernelError::Foreign {
            place: place.clone(),
            id,
            name,
        };
    }
    let reason = match (mode, code) {
        (XdpMode::Native, Some(libc::EOPNOTSUPP)) => {
            "its driver has no native XDP; use mode = \"auto\" or \"generic\"".to_owned()
        }
        _ => causes(error),
    };
    KernelError::Attach {
        place: place.to_string(),
        reason,
    }
}

/// The program that the interface runs, ours or not: id and name.
pub(super) fn programs(place: &Place) -> Result<Vec<(u32, String)>, KernelError> {
    if interface(place).is_none() {
        return Err(no_interface(place));
    }
    let asked = within(place.netns_path().as_deref(), || {
        // On a thread of its own: the answer is waited for.
        let asked =
            std::thread::scope(|scope| scope.spawn(|| xdp_program(&place.interface)).join());
        asked.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let id = asked
        .and_then(|id| id)
        .map_err(|error| KernelError::Attach {
            place: place.to_string(),
            reason: error.to_string(),
        })?;
    Ok(id.map(|id| (id, program_name(id))).into_iter().collect())
}

/// The name of a program by its id, as far as we may ask.
pub(super) fn program_name(id: u32) -> String {
    let named = |info: &ProgramInfo| info.id() == id;
    let info = loaded_programs().flatten().find(named);
    info.and_then(|info| info.name_as_str().map(str::to_owned))
        .unwrap_or_else(|| "unnamed".to_owned())
}
