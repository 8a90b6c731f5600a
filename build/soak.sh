#!/usr/bin/env bash
# The long forms: every fuzz target for FUZZTIME (default 10m each), then the
# race detector over everything, COUNT times (default 20).
#   FUZZTIME=1m COUNT=3 make soak
set -euo pipefail
cd "$(dirname "$0")/.."

for package in $(go list ./backend/... ./app/...); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "== $package $target"
		go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-10m}"
	done
done
go test -race -count "${COUNT:-20}" -timeout 3h ./backend/...
