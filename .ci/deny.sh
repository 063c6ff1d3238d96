#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks dependencies by deny.toml. Advisories are left out: they need a network.
. "$(dirname "$0")/lib.sh"
deny=$(cargo_tool cargo-deny 0.20.2)
cd "$TOP" && "$deny" --locked check --hide-inclusion-graph bans licenses sources
