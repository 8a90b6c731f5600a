#!/usr/bin/env bash
# setup.sh WHAT: makes sure that the system packages for WHAT are there.
#   desktop   to build the window (GTK, WebKit)
#   browser   a Chromium for the tests and the demo
#   test      all of it, and a desktop to test on
#   bench     the yardsticks
#   package   to make the installer for Windows, and to try the .deb
# Installs with apt when it may; otherwise names what is missing and stops.
set -euo pipefail

desktop=(libgtk-3-dev libwebkit2gtk-4.1-dev pkg-config)
browser=(chromium)
bus=(dbus gnome-keyring libglib2.0-bin)
tracing=(strace)
display=(xvfb openbox xfce4-panel dunst xdotool wmctrl imagemagick x11-utils x11-apps fonts-dejavu-core)
packaging=(nsis debootstrap)
yardsticks=(oidc-agent-cli nginx-light)

case ${1:-} in
desktop) want=("${desktop[@]}") ;;
browser) want=("${browser[@]}") ;;
test)    want=("${desktop[@]}" "${browser[@]}" "${bus[@]}" "${display[@]}" "${tracing[@]}") ;;
package) want=("${desktop[@]}" "${packaging[@]}") ;;
bench)   want=("${desktop[@]}" "${bus[@]}" "${display[@]}" "${yardsticks[@]}") ;;
*) sed -n '2,8s/^# //p' "$0" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
	[ "${1}" != desktop ] || pkg-config --exists gtk+-3.0 webkit2gtk-4.1 && exit 0
	echo "This machine has no apt. Install the equivalents of: ${want[*]}" >&2
	exit 1
fi

missing=()
for package in "${want[@]}"; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

line="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" -ne 0 ]; then
	echo "Some system packages are missing. Install them with:" >&2
	echo "  sudo $line" >&2
	exit 1
fi
echo "Installing system packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
$line >/dev/null
