# SPDX-License-Identifier: Apache-2.0
"""Prints a CycloneDX 1.5 list of what one of our programs is made of.

usage: cargo metadata --format-version 1 --filter-platform TARGET | sbom.py CRATE Cargo.lock
Only what is compiled into the program or compiles it: no dependency of tests.
"""
import json
import os
import sys
import time
import tomllib

root_name, lock_path = sys.argv[1:3]
metadata = json.load(sys.stdin)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
with open(lock_path, "rb") as file:
    checksums = {(entry["name"], entry["version"]): entry.get("checksum") for entry in tomllib.load(file)["package"]}


def below(node):
    """What a package needs to be built, without its tests."""
    kinds = lambda entry: {kind["kind"] for kind in entry["dep_kinds"]}
    return sorted(entry["pkg"] for entry in node["deps"] if kinds(entry) - {"dev"})


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, kind):
    entry = {
        "type": kind,
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "purl": reference(package),
    }
    if package["license"]:
        entry["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    checksum = checksums.get((package["name"], package["version"]))
    if checksum:
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return entry


root = next(p for p in packages.values() if p["name"] == root_name and p["source"] is None)
seen, waiting = set(), [root["id"]]
while waiting:
    here = waiting.pop()
    if here not in seen:
        seen.add(here)
        waiting.extend(below(nodes[here]))

ordered = sorted(seen, key=lambda id: reference(packages[id]))
moment = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", "0")))
print(json.dumps({
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "version": 1,
    "metadata": {
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", moment),
        "component": component(root, "application"),
    },
    "components": [component(packages[id], "library") for id in ordered if id != root["id"]],
    "dependencies": [
        {"ref": reference(packages[id]), "dependsOn": [reference(packages[one]) for one in below(nodes[id])]}
        for id in ordered
    ],
}, indent=1))
