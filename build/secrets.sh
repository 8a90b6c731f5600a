#!/usr/bin/env bash
# Scans the repository for committed secrets with gitleaks, and first proves
# that the scan would see one: a check that cannot fail is not a check.
set -euo pipefail
cd "$(dirname "$0")/.."

gitleaks() { go tool -modfile=build/tools/go.mod gitleaks --no-banner --log-level error -c build/gitleaks.toml "$@"; }

planted=$(mktemp -d)
trap 'rm -rf "$planted"' EXIT
# Put together at run time, so that this file is not the finding.
printf 'token = "%s_%s"\n' ghp "$(head -c 27 /dev/urandom | od -An -tx1 | tr -d ' \n' | head -c 36)" >"$planted/config.ini"
if gitleaks dir "$planted" >/dev/null 2>&1; then
	echo "The secret scan did not find a planted token." >&2
	exit 1
fi

files=$(mktemp -d "$planted/tree.XXXX")
git ls-files -z | xargs -0 cp --parents -t "$files"
gitleaks dir --redact "$files"
echo "No secret is committed (and a planted one was found)."
