#!/bin/sh
# Draws the bitmaps from the SVG files beside this script. The results are
# checked in, so that a build needs neither rsvg-convert (librsvg2-bin) nor this.
set -eu
cd "$(dirname "$0")"
tray=../../app/icons
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

draw() { # SVG size → a PNG in $work, its name on stdout
	rsvg-convert --width "$2" --height "$2" --output "$work/$1-$2.png" "$1.svg"
	echo "$work/$1-$2.png"
}

ico() { # SVG out sizes…
	svg=$1 out=$2
	shift 2
	images=
	for size; do images="$images $(draw "$svg" "$size")"; done
	# shellcheck disable=SC2086 # one word per file is meant
	node ico.mjs "$out" $images
}

mkdir -p "$tray" ../windows ../linux ../darwin
for state in well working attention; do
	cp "$(draw $state 44)" "$tray/$state.png"
	cp "$(draw $state 22)" "$tray/$state-22.png"
	ico $state "$tray/$state.ico" 16 20 24 32 48
done
cp "$(draw app 1024)" ../appicon.png
cp "$(draw app 256)" ../linux/keyturn.png
ico app ../windows/icon.ico 16 24 32 48 64 128 256
