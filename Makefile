# Everything that a person or a CI machine does with Apus. `make help` lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PREFIX ?= /usr/local
DESTDIR ?=
SWIFT ?= $(shell command -v swift || ls /opt/swift/usr/bin/swift ~/.local/share/swiftly/bin/swift 2>/dev/null | head -1)
FLAGS ?=

release := .build/release
# Containers need root; without it the commands that run some go through sudo.
as_root := $(if $(filter-out 0,$(shell id -u)),sudo --preserve-env=PATH env PATH="$$PATH")
export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: help setup build run test test-units test-end-to-end test-fallback test-crash test-vm bench fmt lint docs install uninstall clean

help: ## Print this list
	@echo 'Usage: make TARGET'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  PREFIX, DESTDIR  where install puts things (now: $(DESTDIR)$(PREFIX))'

setup: ## Install the Debian packages that building and testing need
	@scripts/setup build test

build: ## Build the release programs into .build/release
	@scripts/setup --check build
	$(SWIFT) build -c release --static-swift-stdlib $(FLAGS)

run: ## Set up, build, and run a container that tells what isolates it
	@scripts/setup build run
	@$(MAKE) --no-print-directory build
	@$(as_root) scripts/run-demo

test: setup build ## Set up, build, and run every test, also as on Linux 5.4
	$(SWIFT) build --build-tests --explicit-target-dependency-import-check error $(FLAGS)
	@$(MAKE) --no-print-directory test-units test-end-to-end test-fallback

test-units: ## Run the tests of the rooms (built by `make test`)
	@$(as_root) scripts/test $(SWIFT) --skip EndToEndTests $(FLAGS)

test-end-to-end: ## Run the tests of the built programs (built by `make test`)
	@$(as_root) scripts/test $(SWIFT) --filter EndToEndTests $(FLAGS)

test-fallback: ## Run tests without the newer system calls, as on Linux 5.4 (built by `make test`)
	@$(as_root) scripts/test-fallback $(SWIFT) $(FLAGS)

test-crash: ## Kill commands, and cut the power, at every call that changes the disk (built by `make test`)
	@$(as_root) env APUS_CRASH_POINTS=all scripts/test $(SWIFT) --filter CrashPointTests $(FLAGS)

test-vm: build ## Run tests in a virtual machine: systemd, cgroup v2, Debian's kernel
	@scripts/setup vm
	$(SWIFT) build --build-tests $(FLAGS)
	@$(as_root) scripts/test-vm

bench: build ## Measure against podman, containerd, crun and runc, alternating
	@scripts/setup bench
	@# As peers' packages are: stripped, and written at one go, which the page cache rewards.
	@$(MAKE) --no-print-directory install DESTDIR=$(CURDIR)/.build/bench PREFIX= >/dev/null
	@$(as_root) env APUS_BIN=$(CURDIR)/.build/bench/bin scripts/bench
	@$(as_root) env APUS_BIN=$(CURDIR)/.build/bench/bin scripts/bench-storage

fmt: ## Format the Swift sources
	$(SWIFT) format --in-place --recursive --parallel Package.swift Sources Tests

lint: ## Check format, forbidden imports, scripts and the documents' links
	$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests
	@scripts/lint

docs: build ## Write man pages and shell completions into .build/docs
	@rm -rf .build/docs && mkdir -p .build/docs/man1 .build/docs/completions
	@$(release)/apus man --output .build/docs/man1
	@for shell in bash zsh fish; do \
		$(release)/apus completion $$shell > .build/docs/completions/apus.$$shell || exit 1; done
	@echo "$$(ls .build/docs/man1 | wc -l) man pages and 3 completion scripts in .build/docs"

install: docs ## Install programs, completions and man pages under DESTDIR/PREFIX
	install -d $(DESTDIR)$(PREFIX)/{bin,libexec/apus,share/man/man1}
	install -d $(DESTDIR)$(PREFIX)/share/{bash-completion/completions,zsh/site-functions,fish/vendor_completions.d}
	install -s $(release)/apus $(release)/apus-runtime $(DESTDIR)$(PREFIX)/bin/
	install -s $(release)/apus-monitor $(release)/apus-init $(DESTDIR)$(PREFIX)/libexec/apus/
	install -m 644 .build/docs/man1/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 .build/docs/completions/apus.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/apus
	install -m 644 .build/docs/completions/apus.zsh $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_apus
	install -m 644 .build/docs/completions/apus.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/apus.fish

uninstall: ## Remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/{apus,apus-runtime}
	rm -rf $(DESTDIR)$(PREFIX)/libexec/apus
	rm -f $(DESTDIR)$(PREFIX)/share/man/man1/apus.1 $(DESTDIR)$(PREFIX)/share/man/man1/apus-*.1
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/apus
	rm -f $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_apus
	rm -f $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/apus.fish

clean: ## Remove what was built
	$(SWIFT) package clean
	rm -rf .build/docs
