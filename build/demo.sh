#!/usr/bin/env bash
# The main job once, with nobody at the keyboard: start Keyturn, connect the
# demo provider through a real browser, use the token, stop.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -d frontend/node_modules/playwright-core ] || make --no-print-directory frontend/node_modules/.package-lock.json

mkdir -p -m 700 .dev
work=$(mktemp -d .dev/demo.XXXXXX)
export KEYTURN_HOME=$PWD/$work/home KEYTURN_KEY_FILE=$PWD/$work/sealing.key
keyturn=build/bin/keyturn
echo "Keyturn runs on a data folder and a key of its own: $work"

build/bin/keyturn-headless >"$work/log" 2>&1 &
program=$!
finish() {
	kill "$program" 2>/dev/null && wait "$program" 2>/dev/null || true
	[ "$1" -eq 0 ] && rm -rf "$work" || { echo "It failed. The log:" >&2; cat "$work/log" >&2; }
}
trap 'finish $?' EXIT
for _ in $(seq 100); do
	$keyturn --json status >/dev/null 2>&1 && break
	kill -0 "$program" || exit 1
	sleep 0.05
done

member() { node -e 'const v = JSON.parse(require("fs").readFileSync(0, "utf8")); console.log(eval("v." + process.argv[1]))' "$1"; }

echo
echo "\$ keyturn connect demo --no-browser"
started=$($keyturn --json connect demo --no-browser)
echo "  … a browser opens the page, and somebody clicks Allow"
page=$(node build/browser/person.mjs "$(member auth_url <<<"$started")")
echo "  The page says: $(member text <<<"$page")"
echo
echo "\$ keyturn status demo"
$keyturn status demo
connection=$($keyturn --json status demo)
echo
echo "\$ curl -H \"Authorization: Bearer \$(keyturn token demo)\" http://127.0.0.1:27420/notes"
curl -sSf --oauth2-bearer "$($keyturn token demo)" http://127.0.0.1:27420/notes
echo
echo
echo "Account: $(member 'connections[0].account' <<<"$connection")"
echo "Scopes:  $(member 'connections[0].granted_scopes.join(" ")' <<<"$connection")"
echo "Expires: $(member 'connections[0].expires_at' <<<"$connection")"
echo
echo "\$ keyturn disconnect demo"
$keyturn disconnect demo
