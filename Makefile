# SPDX-License-Identifier: Apache-2.0
# `make demo` and `make test` are all a fresh Debian 12 machine needs.

.PHONY: help setup build demo test faults test-rust test-garage test-interop test-operations release container lint doc deny separable bench vm fuzz clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: ## Install what building and testing need (Debian packages)
	@bash .ci/setup.sh

build: setup ## Build the three programs
	cargo build --locked --workspace --bins

demo: build ## Publish, browse, pull, verify and chain, shown step by step (KEEP=1 leaves the registry running)
	@bash .ci/demo.sh

test: setup test-rust test-interop test-operations ## Run all tests

test-rust: ## Run the Rust tests; those that need the kernel run as root
	@bash .ci/test.sh

faults: setup ## Kill, fill and break the registry, the long way: 500 kills
	BPFPKG_KILLS=500 cargo test --locked --workspace --test registry -- --nocapture \
	  crash:: faults:: bucket:: replicas:: gc:: races:: integrity::

test-garage: setup ## The tests against a bucket, with Garage in the place of moto
	@bash .ci/garage.sh

test-interop: build ## Check against the clients of other people: skopeo, podman, buildah, crane, oras, sigstore, cosign; signatures: cosign, sigstore-go, npm, openssl
	@bash .ci/interop.sh

test-operations: build ## Metrics, API, traces, units and manifests through other programs' parsers
	@bash .ci/operations.sh

container: setup ## Build the container image and try it
	@bash .ci/container.sh

release: setup ## Static programs, Debian packages, lists, checksums (RELEASE_KEY=FILE signs them)
	@bash .ci/release.sh

lint: setup ## Format, clippy, SPDX headers, names
	cargo fmt --all --check
	bash .ci/licences.sh
	cargo clippy --locked --workspace --all-targets -- -D warnings

doc: ## Build the documentation, warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

deny: ## Check licences, bans and sources of dependencies
	@bash .ci/deny.sh

separable: ## Build the registry side without the node and the packages
	@bash .ci/separable.sh

bench: setup ## Print ratios against peers, measured in the same run
	@bash .ci/bench.sh

vm: build ## The node on kernels 5.10, 6.1 and 6.12, under emulation
	@bash .ci/vm.sh

fuzz: ## Fuzz every parser of outside bytes (SECONDS_EACH=60)
	@bash .ci/fuzz.sh

clean: ## Remove what was built
	cargo clean
