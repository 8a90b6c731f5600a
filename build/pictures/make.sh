#!/usr/bin/env bash
# Makes the picture of the README from the screenshots that `make e2e` leaves
# in build/shots: the desktop with tray menu and window, and the last page.
set -euo pipefail
cd "$(dirname "$0")/../shots"
convert=$(command -v convert-im6.q16 || command -v convert)
"$convert" \
	\( desktop-12-menu-connected.png -crop 1110x750+170+0 +repage -resize x640 -bordercolor "#5b6b7a" -border 8 \) \
	\( page-connected.png -crop 640x560+130+40 +repage -resize x640 -bordercolor "#5b6b7a" -border 8 \) \
	+append -colors 128 -strip ../pictures/keyturn.png
