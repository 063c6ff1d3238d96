// SPDX-License-Identifier: Apache-2.0
//! What only rtnetlink tells: which XDP program and which filters an interface has.
//! All of it concerns the network namespace of the calling thread.

use std::io;

use futures::{StreamExt, TryStreamExt};
use nix::net::if_::if_nametoindex;
use rtnetlink::Handle;
use rtnetlink::packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkXdp};
use rtnetlink::packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};
use rtnetlink::packet_utils::nla::{Nla, NlasIterator};

/// `TCA_BPF_ID` of the kernel's user API.
const FILTER_PROGRAM_ID: u16 = 11;

/// The index of an interface.
pub(crate) fn ifindex(interface: &str) -> Option<u32> {
    if_nametoindex(interface).ok()
}

/// Asks, and waits for the answer. Not to be called from an asynchronous task.
fn ask<T>(question: impl AsyncFnOnce(Handle) -> io::Result<T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let connection = tokio::spawn(connection);
        let answer = question(handle).await;
        connection.abort();
        answer
    })
}

/// The id of the XDP program an interface runs.
///
/// # Errors
/// What netlink reports.
pub(crate) fn xdp_program(interface: &str) -> io::Result<Option<u32>> {
    ask(async |handle| {
        let request = handle.link().get().match_name(interface.to_owned());
        let link = request.execute().try_next().await;
        let attributes = link
            .map_err(io::Error::other)?
            .map(|link| link.attributes)
            .unwrap_or_default();
        Ok(attributes
            .into_iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::Xdp(xdp) => xdp.into_iter().find_map(|xdp| match xdp {
                    LinkXdp::ProgId(id) if id != 0 => Some(id),
                    _ => None,
                }),
                _ => None,
            }))
    })
}

/// The id of the program of one filter of a clsact qdisc, if the filter is there.
/// `parent` is the hook within clsact, as the kernel numbers it.
///
/// # Errors
/// What netlink reports; an interface without clsact has no filter.
pub(crate) fn filter_program(
    ifindex: u32,
    parent: u16,
    priority: u16,
    handle: u16,
) -> io::Result<Option<u32>> {
    ask(async |mut connection| {
        let mut message = TcMessage::default();
        message.header.index = i32::try_from(ifindex).map_err(io::Error::other)?;
        message.header.parent = TcHandle {
            major: 0xffff,
            minor: parent,
        };
        let mut request = NetlinkMessage::from(RouteNetlinkMessage::GetTrafficFilter(message));
        request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let mut answers = connection.request(request).map_err(io::Error::other)?;
        let mut found = None;
        while let Some(answer) = answers.next().await {
            let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewTrafficFilter(filter)) =
                answer.payload
            else {
                continue;
            };
            let header = &filter.header;
            let is_it = header.info >> 16 == u32::from(priority)
                && (header.handle.major, header.handle.minor) == (0, handle);
            found = found.or(is_it.then(|| program_of(&filter)).flatten());
        }
        Ok(found)
    })
}

fn program_of(filter: &TcMessage) -> Option<u32> {
    filter
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            TcAttribute::Options(options) => options.iter().find_map(|option| match option {
                TcOption::Other(options) => {
                    let mut bytes = vec![0; options.value_len()];
                    options.emit_value(&mut bytes);
                    let mut options = NlasIterator::new(bytes.as_slice()).flatten();
                    let id = options.find(|option| option.kind() == FILTER_PROGRAM_ID)?;
                    Some(u32::from_ne_bytes(id.value().try_into().ok()?))
                }
                _ => None,
            }),
            _ => None,
        })
}
