#!/usr/bin/env bash
# Start the demo as a newcomer would, read a patient over TLS, prove the audit log, stop. Fails if any of it does.
# usage: tools/try_demo.sh [PORT]
set -euo pipefail
cd "$(dirname "$0")/.."
port=${1:-18443}
place=$(mktemp -d)
salus=.venv/bin/salus
folder=$place/demo
server=

finish() {
  if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
    kill "$server"
    wait "$server" || true
  fi
  rm -rf "$place"
}
trap finish EXIT

fail() {
  echo "try_demo: $1" >&2
  cat "$place/log" >&2
  exit 1
}

# What `make demo` starts, smaller and in a folder that is thrown away.
$salus demo --patients 5 --port "$port" --data-dir "$folder" >"$place/log" 2>&1 &
server=$!

answered=
for _ in $(seq 240); do
  kill -0 "$server" 2>/dev/null || fail "the demo ended before it answered"
  if .venv/bin/python tools/ask.py "$folder/tls/ca.crt" "https://localhost:$port/health/ready" >/dev/null 2>&1; then
    answered=yes
    break
  fi
  sleep 0.5
done
[ -n "$answered" ] || fail "the demo did not answer within two minutes"

token=$($salus token issue dr-amara --data-dir "$folder")
patient=$(TOKEN=$token .venv/bin/python tools/ask.py "$folder/tls/ca.crt" "https://localhost:$port/fhir/Patient/pt-1-0")
case $patient in
  '{"resourceType":"Patient","id":"pt-1-0"'*) ;;
  *) fail "the patient could not be read: $patient" ;;
esac
$salus audit verify --data-dir "$folder" || fail "the audit log could not be proven"

kill "$server"
wait "$server" || fail "the demo did not stop in order"
server=
$salus audit verify --data-dir "$folder" >/dev/null || fail "the audit log could not be proven after the end"
echo "the demo works"
