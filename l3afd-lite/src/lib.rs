// SPDX-License-Identifier: Apache-2.0
//! l3afd-lite.
