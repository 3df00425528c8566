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

# archive FOLDER FILE packs a folder so that nothing but its content counts. -9 takes twice as long as -7, for 0.4 % less.
archive() {
	tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -C "$(dirname "$1")" -cf - "$(basename "$1")" |
		gzip -7n >"$2"
}

# deb ARCH FOLDER makes the Debian package of the programs in a folder.
deb() {
	# What no release has been made of yet is 0.0.0 with the commit, and comes before the first one.
	local version=${VERSION#v}
	case $version in [0-9]*) ;; *) version=0.0.0~$version ;; esac
	ARCH=$1 VERSION=$version BIN=$2 TEXTS=$work/LICENSES-third-party.txt MAN=$work/man go tool -modfile=tools/go.mod nfpm package \
		--config packaging/nfpm.yaml --packager deb --target "$out/" >&2
}

# sbom PROGRAM FOLDER lists what the program is made of. The time of the list is the commit's, too.
sbom() {
	go tool -modfile=tools/go.mod cyclonedx-gomod bin -json -noserial -licenses -version "$VERSION" \
		-output "$out/$1.cdx.json" "$2/$1" 2>/dev/null
	sed -i "s/\"timestamp\": \"[^\"]*\"/\"timestamp\": \"$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)\"/" "$out/$1.cdx.json"
}

# What is made of the programs is made side by side: each takes one processor.
jobs=()
for target in $targets; do
	os=${target%/*} arch=${target#*/}
	name=strongroom_${VERSION}_${os}_${arch}
	bin=$work/$name
	mkdir -p "$bin"
	for program in influxd influx; do
		GOOS=$os GOARCH=$arch go build -ldflags "$LDFLAGS" -o "$bin/$program" "./cmd/$program"
	done
	cp -r README.md LICENSE CHANGELOG.md docs "$work/LICENSES-third-party.txt" "$bin/"
	archive "$bin" "$out/$name.tar.gz" &
	jobs+=($!)
	if [ "$os" = linux ]; then
		deb "$arch" "$bin" &
		jobs+=($!)
	fi
done
for program in influxd influx; do
	sbom "$program" "$bin" &
	jobs+=($!)
done
for job in "${jobs[@]}"; do
	wait "$job" # ends all where one has failed
done

(cd "$out" && sha256sum -- * >SHA256SUMS)
rm -rf "$work"
ls -l "$out"
