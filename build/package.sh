#!/usr/bin/env bash
# Makes what people install, into build/dist: a .deb and a tarball for this
# machine's kind of Linux, and for Windows an installer and zip files. macOS is
# built where macOS is: see .github/workflows/release.yml.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(cat VERSION)
arch=$(dpkg --print-architecture)
bin=build/bin
dist=build/dist
tree=$dist/tree
rm -rf "$dist"
mkdir -p "$tree"

# One tree, for both kinds of package.
install -D -m 755 -t "$tree/usr/bin" $bin/keyturn $bin/keyturn-desktop $bin/keyturn-headless $bin/keyturn-gateway
install -D -m 644 -t "$tree/usr/share/applications" build/linux/keyturn.desktop
install -D -m 644 build/linux/keyturn.png "$tree/usr/share/icons/hicolor/256x256/apps/keyturn.png"
install -D -m 644 build/icons/app.svg "$tree/usr/share/icons/hicolor/scalable/apps/keyturn.svg"
install -D -m 644 -t "$tree/usr/lib/systemd/user" build/linux/keyturn-headless.service
install -D -m 644 -t "$tree/usr/share/doc/keyturn" README.md CHANGELOG.md SECURITY.md
install -D -m 644 LICENSE "$tree/usr/share/doc/keyturn/copyright"
mkdir -p "$tree/usr/share/bash-completion/completions" "$tree/usr/share/zsh/vendor-completions" "$tree/usr/share/fish/vendor_completions.d" "$tree/usr/share/man/man1"
$bin/keyturn completion bash > "$tree/usr/share/bash-completion/completions/keyturn"
$bin/keyturn completion zsh > "$tree/usr/share/zsh/vendor-completions/_keyturn"
$bin/keyturn completion fish > "$tree/usr/share/fish/vendor_completions.d/keyturn.fish"
KEYTURN_MAN=$PWD/$tree/usr/share/man/man1 go test -count=1 -run TestManualPages -ldflags "-X keyturn/app/cli.version=$version" ./app/cli > /dev/null
gzip -9n "$tree"/usr/share/man/man1/*.1 "$tree/usr/share/doc/keyturn/CHANGELOG.md"

tar -C "$tree/usr" --owner=0 --group=0 --sort=name -czf "$dist/keyturn-$version-linux-$arch.tar.gz" .

mkdir "$tree/DEBIAN"
cat > "$tree/DEBIAN/control" <<CONTROL
Package: keyturn
Version: $version
Architecture: $arch
Maintainer: The Keyturn developers <keyturn@localhost>
Installed-Size: $(du -sk "$tree/usr" | cut -f1)
Depends: libc6, libgtk-3-0 | libgtk-3-0t64, libwebkit2gtk-4.1-0
Recommends: gnome-keyring | kwalletmanager, xdg-utils
Section: utils
Priority: optional
Description: connects accounts, and hands fresh access tokens to programs
 Keyturn sits in the tray: click Connect, approve in your own browser, and every
 program on the computer can ask it for a fresh access token, without ever
 seeing a password, a client secret or a refresh token.
CONTROL
install -m 755 -t "$tree/DEBIAN" build/linux/prerm build/linux/postrm
dpkg-deb --root-owner-group --build "$tree" "$dist/keyturn_${version}_$arch.deb" > /dev/null
rm -rf "$tree"

# The programs for Windows are cross-built: pure Go, also the window's. What the
# system shows of them (icon, version, name) is an object beside their sources
# that go build takes in.
resources=(./rsrc_windows_*.syso app/cli/rsrc_windows_*.syso)
trap 'rm -f ${resources[*]}' EXIT
describe() { # FOLDER MANIFEST WHAT
	go tool -modfile=build/tools/go.mod go-winres simply --arch amd64,arm64 --out "$1/rsrc" --manifest "$2" \
		--icon build/windows/icon.ico --product-name Keyturn --product-version "$version" --file-version "$version" \
		--file-description "$3" --copyright "The Keyturn developers"
}
describe . gui Keyturn
describe app/cli cli "Keyturn on the command line"
for goarch in amd64 arm64; do
	out=$dist/keyturn-$version-windows-$goarch
	mkdir "$out"
	export GOOS=windows GOARCH=$goarch CGO_ENABLED=0
	go build -trimpath -tags desktop,production -ldflags "-s -w -H windowsgui -X keyturn/app.Version=$version" -o "$out/keyturn-desktop.exe" .
	go build -trimpath -ldflags "-s -w -X keyturn/app.Version=$version" -o "$out/keyturn-headless.exe" .
	go build -trimpath -ldflags "-s -w -X main.version=$version" -o "$out/keyturn.exe" ./app/cli
	unset GOOS GOARCH CGO_ENABLED
	cp LICENSE README.md "$out"
	makensis -V2 -WX "-DVERSION=$version" "-DFILES=$PWD/$out" "-DOUT=$PWD/$out-setup.exe" build/windows/keyturn.nsi
	(cd "$dist" && python3 -m zipfile -c "$(basename "$out").zip" "$(basename "$out")")
	rm -rf "$out"
done
(cd "$dist" && sha256sum -- * > SHA256SUMS && cat SHA256SUMS)
