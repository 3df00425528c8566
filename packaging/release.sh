#!/usr/bin/env bash
# Makes what a release is, below build/release: an archive for each system, Debian packages, a list of what is in them
# (SBOM, CycloneDX) and checksums. The same commit gives the same bytes: all times are the commit's.
# `make release` sets VERSION, SOURCE_DATE_EPOCH and LDFLAGS.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
: "${VERSION:?}" "${SOURCE_DATE_EPOCH:?}" "${LDFLAGS:?}"
export SOURCE_DATE_EPOCH CGO_ENABLED=0 GOFLAGS=-trimpath LC_ALL=C TZ=UTC
targets=${TARGETS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64}

out=build/release
work=build/work
rm -rf "$out" "$work"
mkdir -p "$out" "$work/man"

# man NAME SECTION PAGE makes a manual page of a page of the docs, which is made from the tables of commands and settings.
man() {
	{ printf '%% %s %s %s Strongroom\n\n' "$1" "$2" "$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%d)"; cat "$3"; } |
		go tool -modfile=tools/go.mod go-md2man | gzip -9n >"$work/man/$1.$2.gz"
}
man influxd 8 docs/configuration.md
man influx 1 docs/influx.md

# The texts of the licences of all that the programs are made of.
go -C tools run ./licences -texts ./cmd/influxd ./cmd/influx >"$work/LICENSES-third-party.txt"

# archive FOLDER FILE packs a folder so that nothing but its content counts.
archive() {
	tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -C "$(dirname "$1")" -cf - "$(basename "$1")" |
		gzip -9n >"$2"
}

for target in $targets; do
	os=${target%/*} arch=${target#*/}
	name=strongroom_${VERSION}_${os}_${arch}
	bin=$work/$name
	mkdir -p "$bin"
	for program in influxd influx; do
		GOOS=$os GOARCH=$arch go build -ldflags "$LDFLAGS" -o "$bin/$program" "./cmd/$program"
	done
	cp -r README.md LICENSE CHANGELOG.md docs "$work/LICENSES-third-party.txt" "$bin/"
	archive "$bin" "$out/$name.tar.gz"
	if [ "$os" = linux ]; then
		# What no release has been made of yet is 0.0.0 with the commit, and comes before the first one.
		deb=${VERSION#v}
		case $deb in [0-9]*) ;; *) deb=0.0.0~$deb ;; esac
		ARCH=$arch VERSION=$deb BIN=$bin TEXTS=$work/LICENSES-third-party.txt MAN=$work/man go tool -modfile=tools/go.mod nfpm package \
			--config packaging/nfpm.yaml --packager deb --target "$out/" >&2
	fi
done

for program in influxd influx; do
	go tool -modfile=tools/go.mod cyclonedx-gomod bin -json -noserial -licenses -version "$VERSION" \
		-output "$out/$program.cdx.json" "$bin/$program" 2>/dev/null
	# The time of the list is the commit's, too.
	sed -i "s/\"timestamp\": \"[^\"]*\"/\"timestamp\": \"$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)\"/" "$out/$program.cdx.json"
done
(cd "$out" && sha256sum -- * >SHA256SUMS)
rm -rf "$work"
ls -l "$out"
