# make help lists the targets. Everything is made below bin/, .cache/ and build/, which git ignores.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.DELETE_ON_ERROR:

# Some CI machines have no home folder; go needs one for its caches.
ifeq ($(strip $(HOME)),)
export HOME := $(CURDIR)/.cache/home
endif

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse --short=10 HEAD 2>/dev/null || echo unknown)
# The commit's date, so that the same source gives the same binary.
DATE    ?= $(shell TZ=UTC git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ 2>/dev/null || echo unknown)

BUILD_VARS := $(foreach p,strongroom/internal/influxd/release main,-X $(p).version=$(VERSION) -X $(p).commit=$(COMMIT) -X $(p).date=$(DATE))
GO_BUILD   := go build -ldflags "-s -w $(BUILD_VARS)"

# The product is pure Go, with no path of this machine in it. Vet, staticcheck and what is tested without the race detector
# are compiled in the same way, or everything would be once more.
export CGO_ENABLED := 0
export GOFLAGS     := $(strip $(GOFLAGS) -trimpath)

# The race detector takes C. It does not watch the hashes of passwords and passphrases: they have no goroutine but their
# own, and bcrypt would take a second. lint has vetted; without debug information a test is linked in half the time.
TEST      := go test -vet=off -ldflags=-w
TEST_RACE := CGO_ENABLED=1 $(TEST) -race -gcflags='golang.org/x/crypto/...=-race=false'

# The modules in and below test/, which keep heavy test dependencies out of the product's go.mod.
TEST_MODULES := $(filter-out test/vaultserver test/vaultcommand test/etcdserver,$(patsubst %/go.mod,%,$(wildcard test/go.mod test/*/go.mod)))
VAULTSERVER  := .cache/bin/vaultserver
ETCDSERVER   := .cache/bin/etcdserver
VAULTCOMMAND := .cache/bin/vault
INFLUXDB_SOURCE := .cache/influxdb-source
TEST_PARTS   := STRONGROOM_TEST_VAULT=$(CURDIR)/$(VAULTSERVER) STRONGROOM_TEST_ETCD=$(CURDIR)/$(ETCDSERVER)

FUZZ_TIME  ?= 60s
BENCH      ?= .
BENCH_TIME ?= 4s
BENCH_IN   ?= ./internal/influxd/bench
GROWTH     ?=

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: build
build: ## bin/influxd and bin/influx, static
	@mkdir -p bin
	$(GO_BUILD) -o bin/influxd ./cmd/influxd
	$(GO_BUILD) -o bin/influx ./cmd/influx

.PHONY: licences
licences: ## write the list of modules and their licences anew; ends with an error where one is not allowed
	@mkdir -p build
	go -C tools run ./licences ./cmd/influxd ./cmd/influx > build/licences.md
	cat packaging/licences.head.md build/licences.md > packaging/licences.md

PREFIX ?= /usr/local
.PHONY: install
install: build ## put the two programs into PREFIX/bin (/usr/local/bin); DESTDIR goes before it
	install -d "$(DESTDIR)$(PREFIX)/bin"
	install -m 0755 bin/influxd bin/influx "$(DESTDIR)$(PREFIX)/bin/"

.PHONY: release
release: ## build/release: archives, Debian packages, SBOM, checksums; TARGETS="linux/amd64 …" chooses
	VERSION='$(VERSION)' LDFLAGS='-s -w $(BUILD_VARS)' SOURCE_DATE_EPOCH="$$(git log -1 --format=%ct)" packaging/release.sh

.PHONY: run
run: build ## build and start the server with the embedded store; ARGS="--secret-store vault" adds flags
	exec bin/influxd $(ARGS)

.PHONY: test
test: test-deps lint golangci build test-tools test-unit test-modules ## everything CI runs

# Without the race detector, and without the packages that wait for Vault, a crash or a browser.
.PHONY: check
check: lint build ## in a minute or two: format, vet, staticcheck and the quick tests
	$(TEST) -short -timeout 5m $$(go list ./... | grep -vE '/internal/(secret/vault|secret/embedded|influxd|seal/transit)$$|/internal/influxd/bench$$')

.PHONY: test-unit
test-unit: test-tools build ## the product's tests with the race detector, layers and CLI scripts included
	@# Those that take longest first, and three at a time: they wait as much as they work.
	$(TEST_PARTS) $(TEST_RACE) -timeout 20m -p 3 ./internal/influxd ./internal/secret/embedded ./internal/secret/vault \
		./cmd/influx ./...
	@# What the race detector is too slow for: 300 kills, a thousand connections for each route, a crash at every
	@# transaction, changes of 2,000 names, and some ten thousand cells of who may do what.
	$(TEST) -timeout 10m -run '^Test(Kill(VaultClients)?|Attack)$$' ./internal/influxd
	$(TEST) -timeout 10m -run 'Crash|Fault|DiskFull|SmallPages' ./internal/secret/embedded
	$(TEST) -timeout 15m ./internal/influxd/matrix

.PHONY: test-modules
test-modules: test-tools $(VAULTCOMMAND) $(INFLUXDB_SOURCE)/go.mod build ## the tests of the modules below test/
	cd test/vaultserver && go vet ./...
	cd test/etcdserver && go vet ./...
	@for m in $(TEST_MODULES); do \
		echo "== $$m"; \
		(cd $$m && go vet ./... && $(TEST_PARTS) STRONGROOM_TEST_VAULT_COMMAND=$(CURDIR)/$(VAULTCOMMAND) \
			STRONGROOM_BIN=$(CURDIR)/bin $(TEST) -timeout 15m ./...); \
	done

.PHONY: test-tools
test-tools: $(VAULTSERVER) $(ETCDSERVER) ## what the tests start: a real Vault and a real etcd (3 minutes the first time)

# Apart from the product's build: it has a go.mod of its own, and is never built with the race detector.
$(VAULTSERVER): $(wildcard test/vaultserver/*.go) $(wildcard test/vaultserver/go.*)
	@mkdir -p $(dir $@)
	cd test/vaultserver && go build -o $(CURDIR)/$@ .
	@touch $@

$(ETCDSERVER): $(wildcard test/etcdserver/*.go) $(wildcard test/etcdserver/go.*)
	@mkdir -p $(dir $@)
	cd test/etcdserver && go build -o $(CURDIR)/$@ .
	@touch $@

# The vault command and its agent, as a client: a minute, and three without the server above, with which it shares most of
# what is compiled. Its module is built from a copy of Vault's source without what only a server needs.
$(VAULTCOMMAND): $(VAULTSERVER) $(wildcard test/vaultcommand/*.go) $(wildcard test/vaultcommand/go.*) $(wildcard test/vaultsource/*.go)
	@mkdir -p $(dir $@)
	cd test/vaultserver && go mod download github.com/hashicorp/vault
	source="$$(cd test/vaultserver && go list -m -f '{{.Dir}}' github.com/hashicorp/vault)" && \
		cd test && go run ./vaultsource "$$source" $(CURDIR)/.cache/vault-source
	cd test/vaultcommand && go build -o $(CURDIR)/$@ .
	@touch $@

# InfluxDB's own code that keeps secrets in a Vault, as it is: the rest of its module cannot be built without Rust.
$(INFLUXDB_SOURCE)/go.mod:
	@rm -rf $(dir $@) && mkdir -p $(dir $@)
	source="$$(cd test && go mod download -json github.com/influxdata/influxdb/v2@v2.8.0 | sed -n 's/^.*"Dir": "\(.*\)".*/\1/p')" && \
		cd "$$source" && cp --parents secret.go vault/secret.go kit/platform/id.go kit/platform/errors/*.go $(CURDIR)/$(dir $@)
	@chmod -R u+w $(dir $@) && find $(dir $@) -name '*_test.go' -delete
	@printf 'module github.com/influxdata/influxdb/v2\n\ngo 1.24\n\nrequire github.com/hashicorp/vault/api v1.0.2\n' > $@

# What the tests need of the machine: gcc for the race detector, curl for the README's walk-through, Node.js for InfluxData's
# JavaScript client, Chromium for the web page, systemd for the unit, Python for its client of Vault.
.PHONY: test-deps
test-deps:
	@missing=(); for pair in gcc:gcc curl:curl git:git node:nodejs npm:npm chromium:chromium systemd-analyze:systemd adduser:adduser openssl:openssl; do \
		command -v "$${pair%%:*}" >/dev/null || missing+=("$${pair##*:}"); \
	done; \
	/usr/bin/python3 -c 'import hvac' 2>/dev/null || missing+=(python3-hvac); \
	if [ $${#missing[@]} -gt 0 ]; then \
		if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
			echo "the tests need $${missing[*]}; install them (Debian: apt-get install $${missing[*]})" >&2; exit 1; \
		fi; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$${missing[@]}"; \
	fi

# staticcheck is pinned in tools/go.mod and builds in 20 s. govulncheck asks a database on the network, which the machines
# this runs on cannot reach.
.PHONY: lint
lint: ## gofmt, go vet, staticcheck, and the licences of what is linked
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$unformatted" ]; then \
		echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go tool -modfile=tools/go.mod staticcheck ./...
	go -C tools vet ./... && go -C tools test -vet=off ./...
	@mkdir -p build
	@go -C tools run ./licences ./cmd/influxd ./cmd/influx > build/licences.md
	@diff -u packaging/licences.md <(cat packaging/licences.head.md build/licences.md) || \
		{ echo "packaging/licences.md is not current: make licences"; exit 1; }

# Apart from lint: it takes over a minute to build the first time, and half a minute to look at everything.
.PHONY: golangci
golangci: ## golangci-lint; .golangci.yml says why each linter is there
	go tool -modfile=tools/golangci/go.mod golangci-lint run ./...

# Alone on the machine: one package after the other, and nothing else beside it.
.PHONY: reference
reference: ## write the generated parts of docs/ and the golden help anew
	go test -vet=off -count=1 ./internal/influxd/config -run '^Test(Help|Print|Docs)$$' -update
	go test -vet=off -count=1 ./internal/influxd ./internal/httpapi ./cmd/influx -run '^TestReference$$' -update

.PHONY: picture
picture: ## the pictures of the page at the beginning of the README, from the page itself
	STRONGROOM_PICTURE=1 go -C test test -vet=off -count=1 -run '^TestPicture$$' ./browser

.PHONY: bench
bench: test-tools build ## what docs/performance.md has, as a table; BENCH=Pattern chooses, BENCH_TIME=10s is longer, BENCH_IN=./... is elsewhere, BENCH=Growth GROWTH=all writes docs/growth.md
	$(TEST_PARTS) STRONGROOM_BIN=$(CURDIR)/bin STRONGROOM_GROWTH=$(GROWTH) go test -p 1 -run '^$$' -timeout 3h \
		-bench '$(BENCH)' -benchtime $(BENCH_TIME) $(BENCH_IN)

.PHONY: soak
soak: test-tools ## ten minutes of mixed load on the Vault store with a fault every 15 s, and as long of faults of all kinds whose histories are checked, for each layout; SOAK=1h for longer
	STRONGROOM_TEST_VAULT=$(CURDIR)/$(VAULTSERVER) STRONGROOM_SOAK=$(or $(SOAK),10m) go test -count=1 -v -timeout 24h -run '^Test(Soak|Linearizable)$$' ./internal/secret/vault
	@# The store for Vault, an entry for each secret, with our own server for the Vault.
	STRONGROOM_SOAK=1 go test -count=1 -timeout 1h -run '^TestOwnVaultStore$$' ./internal/influxd
	@# Three servers over three members of etcd, one fault after the other, their history checked.
	STRONGROOM_FAULTS=$(or $(SOAK),10m) go test -count=1 -v -timeout 24h -run '^TestFaults$$' ./internal/influxd

.PHONY: backups
backups: ## 500 backups under large changes, rotation and seal changes, each restored and compared; BACKUPS=50 makes fewer
	STRONGROOM_BACKUPS=$(or $(BACKUPS),500) go test -count=1 -v -timeout 1h -run '^TestBackupsWhateverGoesOn$$' ./internal/influxd

.PHONY: attack
attack: ## every attack on a running server, a table of what came of it, and who may do what; a part of test-unit too
	$(TEST) -timeout 5m -count 1 -run '^TestAttack$$' -v ./internal/influxd
	$(TEST) -timeout 15m -count 1 -v ./internal/influxd/matrix

.PHONY: upgrade-test
upgrade-test: ## start, check, back up and restore the data of each format that there has been; a part of test-unit too
	$(TEST) -timeout 5m -count 1 -run '^TestFrozen$$' ./internal/secret/embedded
	$(TEST) -timeout 5m -count 1 -run '^TestUpgrade' ./internal/influxd

# The end of the time is taken for a failure now and then (go.dev/issue/75804): a finding is one that is written down.
.PHONY: fuzz
fuzz: ## every fuzz target for FUZZ_TIME (60s) each; a finding is written to the package's testdata
	@found=0; for file in $$(git grep -l '^func Fuzz' -- '*_test.go' ':!test/'); do \
		for f in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			found=1; echo "== $$(dirname "$$file") $$f"; \
			out="$$($(TEST) -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZ_TIME) -fuzzminimizetime 10x "./$$(dirname "$$file")" 2>&1)" && \
				{ echo "$$out" | tail -n 1; continue; }; \
			echo "$$out"; \
			if grep -q 'Failing input written' <<<"$$out" || ! grep -q 'context deadline exceeded' <<<"$$out"; then exit 1; fi; \
		done; \
	done; \
	if [ $$found = 0 ]; then echo "no fuzz target found" >&2; exit 1; fi

.PHONY: clean
clean: ## remove what was made
	@if [ -d .cache ]; then chmod -R u+w .cache; fi # go makes its module cache read-only
	rm -rf bin build .cache
