// SPDX-License-Identifier: Apache-2.0
//! Integers in an object's byte order, and checked access to slices of bytes.

use object::{Endian as _, Endianness};

/// An object's byte order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order(pub(crate) Endianness);

impl Order {
    pub(crate) fn u16(self, value: u16) -> [u8; 2] {
        self.0.write_u16(value)
    }

    pub(crate) fn u32(self, value: u32) -> [u8; 4] {
        self.0.write_u32(value)
    }

    pub(crate) fn u64(self, value: u64) -> [u8; 8] {
        self.0.write_u64(value)
    }

    /// Reads 16 bits at `offset`; `None` beyond the end.
    pub(crate) fn read_u16(self, bytes: &[u8], offset: usize) -> Option<u16> {
        let bytes: [u8; 2] = bytes.get(offset..offset.checked_add(2)?)?.try_into().ok()?;
        Some(self.0.read_u16(bytes))
    }

    /// Reads 32 bits at `offset`; `None` beyond the end.
    pub(crate) fn read_u32(self, bytes: &[u8], offset: usize) -> Option<u32> {
        let bytes: [u8; 4] = bytes.get(offset..offset.checked_add(4)?)?.try_into().ok()?;
        Some(self.0.read_u32(bytes))
    }

    /// Overwrites 32 bits at `offset`; nothing happens beyond the end.
    pub(crate) fn set_u32(self, bytes: &mut [u8], offset: usize, value: u32) {
        let Some(end) = offset.checked_add(4) else {
            return;
        };
        if let Some(slot) = bytes.get_mut(offset..end) {
            slot.copy_from_slice(&self.u32(value));
        }
    }
}
