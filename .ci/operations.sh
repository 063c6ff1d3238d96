#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What other programs make of ours: the metrics by Prometheus' own parser, the description
# of the API by a validator of OpenAPI, traces by the collector's own schema, the units by
# systemd, the manifests by Kubernetes' schemas.
. "$(dirname "$0")/lib.sh"
cd "$TOP"
WORK=$(mktemp -d)
. .ci/registry.sh
COLLECTOR_PID=
trap 'stop "$REGISTRY_PID"; stop "$COLLECTOR_PID"; rm -rf "$WORK"' EXIT

failed=0
check() {
  local what=$1; shift
  if "$@" > "$WORK/check" 2>&1; then say "  ok    $what"; else say "  FAIL  $what"; sed 's/^/        /' "$WORK/check" >&2; failed=1; fi
}

VENV=$CACHE/operations-venv
if [ ! -e "$VENV/.done" ]; then
  python3 -m venv "$VENV"
  "$VENV/bin/pip" install --quiet prometheus-client==0.26.0 opentelemetry-proto==1.45.2 openapi-spec-validator==0.9.0 kubernetes-validate==1.37.0
  touch "$VENV/.done"
fi
PY=$VENV/bin/python
command -v systemd-analyze > /dev/null || as_root apt-get install -y -qq --no-install-recommends systemd >&2

"$PY" .ci/collector.py "$WORK/spans" > "$WORK/port" 2> "$WORK/collector.log" & COLLECTOR_PID=$!
wait_for 20 test -s "$WORK/port"
export BPFPKG_OTLP_ENDPOINT=http://127.0.0.1:$(cat "$WORK/port")
start_registry
trace=0af7651916cd43dd8448eb211c80319c parent=b7ad6b7169203331
curl -fsS -o /dev/null -H "traceparent: 00-$trace-$parent-01" "http://$HOST/api/v1/packages"
curl -sS "http://$HOST/api/v1/packages/no/such" "http://$HOST/v2/" "http://$HOST/" > /dev/null
curl -fsS "http://$HOST/metrics" > "$WORK/metrics"
curl -fsS "http://$HOST/api/v1/openapi.json" > "$WORK/openapi.json"

parse_metrics() {
  "$PY" - "$WORK/metrics" <<'PY'
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = {family.name: family for family in text_string_to_metric_families(open(sys.argv[1]).read())}
assert families["bpfpkg_request_seconds"].type == "histogram", families
assert families["bpfpkg_build"].type == "info"
routes = {sample.labels["route"] for sample in families["bpfpkg_request_seconds"].samples}
assert "/api/v1/packages/{namespace}/{name}" in routes, routes
print(len(families), "families")
PY
}
check "metrics are OpenMetrics" parse_metrics
check "the API's description is OpenAPI 3.1" "$VENV/bin/openapi-spec-validator" --schema 3.1 "$WORK/openapi.json"
# What is waiting is sent before the end.
stop "$REGISTRY_PID"; REGISTRY_PID=
check "the client's trace is continued" jq -es --arg trace "$trace" --arg parent "$parent" \
  'any(.[]; .trace == $trace and .parent == $parent and .service == "bpfpkg-registry" and .name == "request" and .path == "/api/v1/packages" and .status == "200")' "$WORK/spans"

# A root with the program and nothing else: what systemd says of its own units is left out.
understands() {
  local tree=$WORK/root
  rm -rf "$tree"; mkdir -p "$tree/etc/systemd/system" "$tree/usr/bin" "$tree/bin"
  cp "dist/systemd/$1.service" "$tree/etc/systemd/system/"
  install -m755 /bin/true "$tree/usr/bin/$1"
  install -m755 /bin/true "$tree/bin/kill"
  systemd-analyze verify --man=no --root="$tree" "$1.service" 2>&1 | grep -v 'sysinit.target not found' || return 0
  return 1
}
for unit in bpfpkg-registry l3afd-lite; do check "systemd understands $unit.service" understands "$unit"; done
score() { systemd-analyze security --offline=true --threshold="$2" --no-pager "dist/systemd/$1.service"; }
check "exposure of bpfpkg-registry.service is at most 2.5" score bpfpkg-registry 25
# It loads programs into the kernel, which is what the score is made of.
check "exposure of l3afd-lite.service is at most 5" score l3afd-lite 50
check "Kubernetes takes the manifests" "$VENV/bin/kubernetes-validate" --strict dist/kubernetes/{config,deployment,service,disruption-budget,network-policy}.yaml
[ "$failed" = 0 ] || die "something is not as other programs want it"
