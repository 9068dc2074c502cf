# Needs Go, GNU make 3.81 or later and a POSIX shell; test-race also a C compiler.
# Nothing here relies on GOFLAGS, GOTOOLCHAIN or other Go settings of the caller.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

GO ?= go

# Lambda's processor, not the host's: GOARCH chooses it for `lambda` alone, as a
# make variable or from the environment. Everything else runs here, so the
# recipes do not see it.
LAMBDA_ARCH := $(or $(GOARCH),arm64)
unexport GOOS GOARCH

# The .git test keeps a source archive unpacked inside another checkout from
# taking that checkout's version.
VERSION ?= $(or $(shell test -e .git && git describe --tags --always --dirty 2>/dev/null),dev)

# -buildvcs=false: the version is given by -ldflags, and a stamp would make each
# commit a new binary, hence a new deployment, even where no code changed.
BUILD_FLAGS := -trimpath -buildvcs=false

FUNCTIONS := webhook sns worker widget
build_function = CGO_ENABLED=0 GOOS=linux GOARCH=$(1) $(GO) build $(BUILD_FLAGS) -tags lambda.norpc -ldflags '-s -w'
BUILD_LAMBDA = $(call build_function,$(LAMBDA_ARCH))

BENCH    ?= .
FUZZTIME ?= 30s
SEEDS    ?= 2000

# It has to build with the Go release of go.mod.
GOLANGCI_VERSION := v2.15.0
GOLANGCI := .tools/golangci-lint-$(GOLANGCI_VERSION)

# The tools that write a release's bills of materials and look for known vulnerabilities.
CYCLONEDX_VERSION := v1.10.0
CYCLONEDX := .tools/cyclonedx-gomod-$(CYCLONEDX_VERSION)
GOVULNCHECK_VERSION := v1.9.0

# Every module of the repository: the product, and those kept apart from its go.mod.
MODULES := . $(patsubst %/go.mod,%,$(wildcard */go.mod))

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## bin/amx, for this machine
	$(GO) build $(BUILD_FLAGS) -ldflags '-X main.version=$(VERSION)' -o bin/amx ./cmd/amx

# Tests that run processes wait more than they work: four packages at a time keep
# two processors busy. The one that takes longest begins first.
.PHONY: test
test: ## all tests of the product
	$(GO) test -p 4 ./internal/simulation ./...

.PHONY: test-race
test-race: ## the same under the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout 30m ./...

# Fake time: 1,000 schedules take some 25 seconds of one core, and 100,000 some 40 minutes. A seed that
# fails is printed, and SEED=N plays it again, with all that happened.
.PHONY: sim
sim: ## the simulation: SEEDS=2000 schedules, from FROM=1 on, or the one of SEED
	SEEDS=$(SEEDS) FROM=$(FROM) SEED=$(SEED) $(GO) test -run '^TestSimulation$$' -count=1 -timeout 0 -v ./internal/simulation

# It takes some 50 s of one core.
.PHONY: model
model: ## the protocol's model, explored further than make test does
	MODEL=full $(GO) test -count=1 -timeout 30m -v ./internal/model

.PHONY: conformance
conformance: ## the tests against Alertmanager's own packages and Grafana's types
	cd conformance && $(GO) test ./...

.PHONY: lint
lint: $(GOLANGCI) ## golangci-lint, built into .tools on first use
	@set -e; for module in $(MODULES); do \
		echo "golangci-lint run ($$module)"; \
		(cd "$$module" && "$(CURDIR)/$(GOLANGCI)" run --config "$(CURDIR)/.golangci.yml"); \
	done

.PHONY: fmt
fmt: $(GOLANGCI) ## rewrite the code as lint wants it formatted
	$(GOLANGCI) fmt

# From source through the module proxy: a fresh machine with Go has what it takes.
$(GOLANGCI):
	GOFLAGS= GOBIN='$(CURDIR)/.tools' $(GO) install -trimpath -ldflags '-s -w' \
		github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv .tools/golangci-lint $@

.PHONY: demo
demo: build ## the main job, on this machine and without AWS
	$(GO) run ./internal/demo bin/amx

.PHONY: lambda
lambda: $(FUNCTIONS:%=dist/%/bootstrap) ## dist/*/bootstrap for AWS Lambda (GOARCH=arm64 unless given)

# go build knows better than file times whether there is anything to do.
dist/%/bootstrap: FORCE
	$(BUILD_LAMBDA) -o $@ ./functions/$*

RELEASE   ?= dist/release
PLATFORMS ?= linux-amd64 linux-arm64 darwin-amd64 darwin-arm64
ZIPS      ?= $(FUNCTIONS:%=%-arm64) $(FUNCTIONS:%=%-amd64)

# Everything that go build reads from its caller and writes into a binary, with
# the Go release of go.mod: whoever builds the tag gets the same bytes.
RELEASE_ENV = GOTOOLCHAIN=$(shell awk '$$1 == "toolchain" { print $$2 }' go.mod) GOFLAGS= GOEXPERIMENT= GOAMD64=v1 GOARM64=v8.0 GOFIPS140=off

.PHONY: release
release: $(CYCLONEDX) ## dist/release: binaries, functions, bills of materials, checksums
	rm -rf '$(RELEASE)' && mkdir -p '$(RELEASE)'
	$(MAKE) $(PLATFORMS:%=$(RELEASE)/amx-%) $(ZIPS:%=$(RELEASE)/amx-%.zip)
	@set -e; for binary in $(PLATFORMS:%=amx-%) $(ZIPS:%=amx-%.zip.bootstrap); do \
		$(RELEASE_ENV) $(CYCLONEDX) bin -json -std -noserial -notimestamp -version '$(VERSION)' \
			-output "$(RELEASE)/$${binary%.zip.bootstrap}.cdx.json" "$(RELEASE)/$$binary"; \
	done
	rm '$(RELEASE)'/*.bootstrap
	$(RELEASE_ENV) $(GO) run ./internal/release sums '$(RELEASE)'

.PHONY: release-check
release-check: release ## builds the release again, with an empty build cache: the hashes must be the same
	rm -rf dist/release-cache
	GOCACHE='$(CURDIR)/dist/release-cache' $(MAKE) release RELEASE=dist/release-again
	diff '$(RELEASE)/SHA256SUMS' dist/release-again/SHA256SUMS
	rm -rf dist/release-cache

# dist/release/amx-sns-arm64.zip. It stands before the rule below: make 3.81 takes
# the first that fits.
$(RELEASE)/amx-%.zip: FORCE
	$(RELEASE_ENV) $(call build_function,$(lastword $(subst -, ,$*))) -o '$@.bootstrap' ./functions/$(firstword $(subst -, ,$*))
	$(RELEASE_ENV) $(GO) run ./internal/release zip '$@' bootstrap '$@.bootstrap'

# dist/release/amx-linux-arm64
$(RELEASE)/amx-%: FORCE
	$(RELEASE_ENV) CGO_ENABLED=0 GOOS=$(firstword $(subst -, ,$*)) GOARCH=$(lastword $(subst -, ,$*)) \
		$(GO) build $(BUILD_FLAGS) -ldflags '-s -w -X main.version=$(VERSION)' -o '$@' ./cmd/amx

# The bills have the hash of the tool: built with the release's Go, it is the same
# on all machines of one kind.
$(CYCLONEDX):
	$(RELEASE_ENV) CGO_ENABLED=0 GOBIN='$(CURDIR)/.tools' $(GO) install -trimpath -ldflags '-s -w' \
		github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX_VERSION)
	mv .tools/cyclonedx-gomod $@

.PHONY: vulncheck
vulncheck: ## govulncheck: known vulnerabilities that the code reaches
	GOFLAGS= $(GO) run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./...

# The configuration beside the binaries on Lambda. It has to be in this folder or
# below, because SAM's build cache sees no other file. Empty: it is in Parameter Store.
CONFIG ?= amx.yaml

# `sam build` calls these by the logical IDs of template.yaml, in this folder or
# in a copy of it, and takes what it finds in $(ARTIFACTS_DIR).
.PHONY: build-WebhookFunction build-SNSFunction build-WorkerFunction build-WidgetFunction
build-WebhookFunction: artifact-webhook
build-SNSFunction: artifact-sns
build-WorkerFunction: artifact-worker
build-WidgetFunction: artifact-widget

artifact-%: FORCE
	@test -n "$(ARTIFACTS_DIR)" || { echo 'ARTIFACTS_DIR is not set: sam build sets it; make lambda builds without SAM' >&2; exit 2; }
	@case '$(CONFIG)' in \
	'') ;; \
	/* | ../* | */../*) echo 'CONFIG=$(CONFIG): want a file under this folder, or the build cache of SAM would miss its changes' >&2; exit 2 ;; \
	*) test -f '$(CONFIG)' || { echo 'CONFIG=$(CONFIG): no such file. Begin with examples/amx-ec2.yaml, or build with CONFIG= for a configuration in Parameter Store' >&2; exit 2; } ;; \
	esac
	$(if $(CONFIG),$(GO) run $(BUILD_FLAGS) ./cmd/amx check --lambda '$(CONFIG)')
	$(BUILD_LAMBDA) -o "$(ARTIFACTS_DIR)/bootstrap" ./functions/$*
	$(if $(CONFIG),cp '$(CONFIG)' "$(ARTIFACTS_DIR)/amx.yaml" && chmod 644 "$(ARTIFACTS_DIR)/amx.yaml")

.PHONY: sam-check
sam-check: ## the stack: sam validate, sam build, cfn-lint, sizes (needs Python 3)
	.ci/sam/check

.PHONY: sam-transform
sam-transform: ## the transformed template that the tests read, after a change of template.yaml
	.ci/sam/check transform

.PHONY: check-examples
check-examples: build ## bin/amx check on every file of examples/
	bin/amx check examples/*.yaml

.PHONY: bench
bench: ## benchmarks (BENCH=regexp), one after another
	$(GO) test -p 1 -run '^$$' -bench '$(BENCH)' -benchmem ./...

# go test fuzzes one target of one package at a time.
.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (30s)
	@list=$$($(GO) test -list '^Fuzz' ./...) || { printf '%s\n' "$$list"; exit 1; }; \
	printf '%s\n' "$$list" | \
	awk '/^Fuzz/ { names[++n] = $$1 } /^ok/ { for (i = 1; i <= n; i++) print $$2, names[i]; n = 0 }' | \
	while read -r pkg name; do \
		echo "fuzz $$name in $$pkg"; \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$pkg" </dev/null || exit 1; \
	done

.PHONY: clean
clean: ## remove what was built; .tools stays
	rm -rf bin dist

.PHONY: FORCE
FORCE:
