# The two commands that a newcomer needs are `make demo` and `make test`; both fetch and build what they need.

CARGO ?= cargo
DENY_VERSION := 0.20.2
CACHE := $(if $(CASSGATE_CACHE),$(CASSGATE_CACHE),$(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/cassgate)
DENY := $(CACHE)/cargo-deny-$(DENY_VERSION)/bin/cargo-deny

.PHONY: demo test bench soak lint crds policy rules servers fmt doc deny

# The main job on real parts: etcd, kube-apiserver, cassgate, kubectl. KEEP=1 leaves it running.
demo: servers
	$(CARGO) build --locked
	KEEP=$(KEEP) tests/demo.sh

# All tests. Those on the real kube-apiserver are in tests/kube.
test: servers
	$(CARGO) test --locked --doc
	$(CARGO) test --locked --lib --tests

# What a schedule costs; then ratios within one run, on one core each. The README says what was measured.
bench: servers
	$(CARGO) bench --locked --bench rules
	$(CARGO) bench --locked --bench schedule
	$(CARGO) bench --locked --bench check
	$(CARGO) bench --locked --bench review

# What takes too long for every change: every property with many cases. Run it before an issue is closed.
soak:
	PROPTEST_CASES=20000 $(CARGO) test --locked --release --lib

# etcd, kube-apiserver and kubectl, built once from pinned Go modules (KUBEBUILDER_ASSETS is honoured).
servers:
	@tests/servers/build.sh >/dev/null

# Writes the generated manifests again.
crds:
	$(CARGO) run --locked --quiet -- crds --dir manifests/crds

# Writes the static rules as policies of the API server again, and what docs/static-policy.md says of them.
policy:
	$(CARGO) run --locked --quiet -- policy --dir manifests/overlays/static-policy
	UPDATE_PAGES=1 $(CARGO) test --locked --quiet --test rules

# Writes the heads of docs/rules again.
rules:
	UPDATE_PAGES=1 $(CARGO) test --locked --quiet --test rules

fmt:
	$(CARGO) fmt --all

lint: deny
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

deny: $(DENY)
	$(DENY) --locked check bans licenses sources

$(DENY):
	$(CARGO) install cargo-deny --locked --version $(DENY_VERSION) --no-default-features --root $(CACHE)/cargo-deny-$(DENY_VERSION)
