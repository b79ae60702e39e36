# The two commands: make run and make test. Everything else serves them.
# Needs Go, make, npm and a C compiler (for the race detector); no target reads standard input.

BINARY  := bin/grantry
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
MODULES := e2e/counterparties/node_modules/.package-lock.json

# A work tree of another user, or none at all, must not stop a build.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)

# Without -trimpath: then what go vet has compiled for a system is not compiled again.
CROSS := CGO_ENABLED=0 go build -ldflags '$(LDFLAGS)'

# Tools are run at a version, so that go.mod stays the product's own.
STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT     := go run mvdan.cc/gofumpt@v0.12.0

# -count=1: tests start programs that go test's cache cannot see. The timeout is for one package.
TESTFLAGS ?= -race -count=1 -timeout 30m

.PHONY: help run build test setup chromium postgres python compiler lint format cross generate size clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## Build and start the sandbox: made-up vendors and people
	@exec ./$(BINARY) serve --sandbox

build: ## Build bin/grantry
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BINARY) ./cmd/grantry

test: setup ## Set up what the tests need and run all of them
	CGO_ENABLED=1 go test $(TESTFLAGS) ./...
	CGO_ENABLED=0 go test -count=1 -timeout 5m -tags cloudkms ./vault/seal

setup: compiler $(MODULES) chromium postgres python ## Install what the tests need

compiler:
	@cc=$$(go env CC); command -v $${cc%% *} >/dev/null || { \
		echo "make: the race detector needs a C compiler and $$cc is not on the PATH: install gcc or clang (Debian: apt-get install gcc libc6-dev)" >&2; exit 1; }

$(MODULES): e2e/counterparties/package-lock.json e2e/counterparties/package.json
	@command -v npm >/dev/null || { \
		echo "make: the end-to-end tests need npm, which is not on the PATH: install Node.js with npm (Debian: apt-get install npm)" >&2; exit 1; }
	npm ci --prefix e2e/counterparties --no-audit --no-fund </dev/null
	@touch $@

chromium:
	@if [ -n "$$GRANTRY_CHROMIUM" ]; then \
		[ -x "$$GRANTRY_CHROMIUM" ] || { echo "make: GRANTRY_CHROMIUM names $$GRANTRY_CHROMIUM, which cannot be run" >&2; exit 1; }; \
	elif command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then \
		echo "installing chromium with apt-get"; \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -q </dev/null && apt-get install -q -y --no-install-recommends chromium </dev/null || { \
			echo "make: apt-get could not install chromium: install Chromium or Chrome, or set GRANTRY_CHROMIUM to its path" >&2; exit 1; }; \
	else \
		echo "make: the browser tests need Chromium or Chrome on the PATH: install it (Debian: apt-get install chromium), or set GRANTRY_CHROMIUM to its path" >&2; exit 1; \
	fi

# The tests start a server of their own; it need not run.
postgres:
	@found=; for p in initdb postgres; do \
		at=$$(command -v $$p) && at=$$(readlink -f "$$at") && [ -x "$${at%/*}/initdb" ] && [ -x "$${at%/*}/postgres" ] && found=1; done; \
	for at in /usr/lib/postgresql/*/bin; do [ -x "$$at/initdb" ] && [ -x "$$at/postgres" ] && found=1; done; \
	if [ -n "$$GRANTRY_TEST_POSTGRES" ] || [ -n "$$found" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then \
		echo "installing postgresql with apt-get"; \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -q </dev/null && { apt-get install -q -y --no-install-recommends postgresql-15 </dev/null || \
			apt-get install -q -y --no-install-recommends postgresql </dev/null; } || { \
			echo "make: apt-get could not install PostgreSQL: install it, or set GRANTRY_TEST_POSTGRES to the URL of a server for tests" >&2; exit 1; }; \
	else \
		echo "make: the tests need PostgreSQL's initdb and postgres: install them (Debian: apt-get install postgresql-15), or set GRANTRY_TEST_POSTGRES to the URL of a server for tests" >&2; exit 1; \
	fi

VENV := e2e/counterparties/.venv

python:
	@for at in $(VENV)/bin/python python3 /usr/bin/python3; do \
		$$at -c 'import requests, httpx, authlib' 2>/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then \
		echo "installing Python's HTTP libraries with apt-get"; \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -q </dev/null && apt-get install -q -y --no-install-recommends python3-requests python3-httpx python3-authlib </dev/null || { \
			echo "make: apt-get could not install python3-requests, python3-httpx and python3-authlib: install them" >&2; exit 1; }; \
	else \
		python3 -m venv $(VENV) && $(VENV)/bin/python -m pip install -q -r e2e/counterparties/requirements.txt </dev/null || { \
			echo "make: the programs of docs/python.md need Python 3.9 or later with requests, httpx and authlib (Debian: apt-get install python3-requests python3-httpx python3-authlib)" >&2; exit 1; }; \
	fi

lint: ## go vet for three systems and three build tags, staticcheck, gofumpt
	GOOS=linux CGO_ENABLED=0 go vet ./...
	GOOS=windows GOARCH=amd64 CGO_ENABLED=0 go vet ./...
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 go vet ./...
	CGO_ENABLED=0 go vet -tags failpoints ./vault
	CGO_ENABLED=0 go vet -tags cloudkms ./vault/seal
	CGO_ENABLED=0 go vet -tags conformance ./mcp ./cmd/internal/app ./cmd/grantry
	$(STATICCHECK) ./...
	@unformatted=$$(find . -name '*.go' -not -path '*/node_modules/*' -not -path './bin/*' -print0 | xargs -0 $(GOFUMPT) -l) || exit 1; \
		[ -z "$$unformatted" ] || { printf 'make format would change:\n%s\n' "$$unformatted" >&2; exit 1; }

format: ## Format all Go files
	find . -name '*.go' -not -path '*/node_modules/*' -not -path './bin/*' -print0 | xargs -0 $(GOFUMPT) -w

cross: ## Build for the systems that nothing here can run
	GOOS=windows GOARCH=amd64 $(CROSS) -o bin/windows-amd64/grantry.exe ./cmd/grantry
	GOOS=darwin GOARCH=arm64 $(CROSS) -o bin/darwin-arm64/grantry ./cmd/grantry
	GOOS=linux GOARCH=arm64 $(CROSS) -o bin/linux-arm64/grantry ./cmd/grantry

generate: ## Write the generated parts of docs/
	go test -count=1 ./e2e/house -update

size: build ## Print the size of the binary
	@wc -c < $(BINARY) | awk '{ printf "%s: %.1f MB (%d bytes)\n", "$(BINARY)", $$1 / 1e6, $$1 }'

clean: ## Remove what was built
	rm -rf bin
