// SPDX-License-Identifier: Apache-2.0
//! What only rtnetlink tells: which XDP program an interface runs.

use std::io;

use futures::TryStreamExt;
use nix::net::if_::if_nametoindex;
use rtnetlink::packet_route::link::{LinkAttribute, LinkXdp};

/// The index of an interface in the namespace of this thread.
pub(crate) fn ifindex(interface: &str) -> Option<u32> {
    if_nametoindex(interface).ok()
}

/// The id of the XDP program an interface of this thread's namespace runs.
///
/// # Errors
/// What netlink reports.
pub(crate) fn xdp_program(interface: &str) -> io::Result<Option<u32>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let connection = tokio::spawn(connection);
        let request = handle.link().get().match_name(interface.to_owned());
        let link = request
            .execute()
            .try_next()
            .await
            .map_err(io::Error::other)?;
        connection.abort();
        let attributes = link.map(|link| link.attributes).unwrap_or_default();
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
