#!/usr/bin/env bash
# Builds Keyturn and runs it on a data folder and a key of its own under .dev/.
# On a desktop the tray icon and the window appear; without a display it runs
# headless and says how to go on.
set -euo pipefail
cd "$(dirname "$0")/.."

export KEYTURN_HOME=$PWD/.dev/home KEYTURN_KEY_FILE=$PWD/.dev/sealing.key
mkdir -p -m 700 .dev
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
	make --no-print-directory build
	program=build/bin/keyturn-desktop
else
	make --no-print-directory headless
	program=build/bin/keyturn-headless
	set -- --ui "$@"
fi
cat <<TEXT

Keyturn runs on a data folder and a key of its own: .dev/
In another terminal:

  export KEYTURN_HOME=$KEYTURN_HOME
  $PWD/build/bin/keyturn connect demo
  curl -H "Authorization: Bearer \$($PWD/build/bin/keyturn token demo)" http://127.0.0.1:27420/notes

TEXT
exec "$program" "$@"
