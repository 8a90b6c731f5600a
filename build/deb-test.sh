#!/usr/bin/env bash
# Installs the .deb of build/dist in a Debian that has nothing, as a person
# would, runs it with an empty home, and removes it again while it runs.
# Needs root, debootstrap and a Debian mirror: the one this machine uses.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { echo "This makes a Debian in a folder, which needs root." >&2; exit 1; }

deb=$(ls "$PWD"/build/dist/keyturn_*.deb)
root=$(mktemp -d)
# Processes and mounts of the folder end with this script.
if [ -z "${INSIDE:-}" ]; then
	rmdir "$root"
	INSIDE=1 exec unshare --mount --pid --fork --kill-child --mount-proc "$0"
fi
trap 'umount -R "$root"/proc "$root"/dev 2>/dev/null || true; rm -rf --one-file-system "$root"' EXIT

mirror=$(sed -n 's/^URIs: //p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
mirror=${mirror:-$(sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\).*/\2/p' /etc/apt/sources.list 2>/dev/null | head -n 1)}
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
debootstrap --variant=minbase "$suite" "$root" "$mirror" > "$root.log" 2>&1 || { tail "$root.log" >&2; exit 1; }
rm "$root.log"
chmod 755 "$root" # as / is
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
cp "$deb" "$root/keyturn.deb"

in_it() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8 "$@"; }
as_ada() { in_it runuser -u ada -- env HOME=/home/ada XDG_RUNTIME_DIR=/run/user/1000 KEYTURN_KEY_FILE=/home/ada/key "$@"; }
wrong() { echo "WRONG: $*" >&2; exit 1; }

in_it apt-get install -y -q --no-install-recommends /keyturn.deb > "$root/apt.log" 2>&1 || { tail "$root/apt.log" >&2; exit 1; }
in_it dpkg -V keyturn || wrong "what is installed is not what was packed"
echo "installed: $(in_it dpkg-query -W keyturn)"

in_it useradd -m -u 1000 ada
install -d -m 700 -o 1000 -g 1000 "$root/run/user/1000"
as_ada keyturn --version
as_ada keyturn-headless > "$root/said" 2>&1 &
for _ in $(seq 100); do as_ada keyturn status > /dev/null 2>&1 && break; sleep 0.1; done
as_ada keyturn status || wrong "it does not run: $(cat "$root/said")"
as_ada keyturn providers list | grep -q '^github' || wrong "the catalogue is not there"
status=0; as_ada keyturn token github > /dev/null 2>&1 || status=$?
[ "$status" -ne 0 ] || wrong "a token of an account that nobody connected"
as_ada keyturn-desktop --version > /dev/null || wrong "the window's libraries are missing"
[ -s "$root/usr/share/man/man1/keyturn.1.gz" ] || [ ! -d "$root/usr/share/man" ] || wrong "no manual page"

said=$(in_it dpkg -r keyturn)
echo "$said" | grep -q '/.local/share/keyturn' || wrong "the removal does not say where the data is"
for _ in $(seq 50); do chroot "$root" sh -c 'ls -l /proc/[0-9]*/exe 2>/dev/null' | grep -q keyturn || break; sleep 0.1; done
chroot "$root" sh -c 'ls -l /proc/[0-9]*/exe 2>/dev/null' | grep keyturn && wrong "something of it still runs"
find "$root/usr" "$root/etc" -iname '*keyturn*' | grep . && wrong "the removal left files"
[ -d "$root/home/ada/.local/share/keyturn" ] || wrong "the removal took the user's data"
echo "removed: nothing runs, no file is left, the data of its user is"
