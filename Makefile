# The front door. Everything real is a small script under tests/bench/, so that it also runs without make.
SHELL := bash

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## lose a real Postgres server and get it back, in a scratch directory (a few minutes)
	@tests/bench/demo.sh

test: ## install the real servers if missing, then run every test; ARGS='--test it NAME' selects
	@tests/bench/test.sh $(ARGS)

soak: ## 10,000 trials of what can go wrong, counted by kind; TRIALS=n, LIFEBOAT_SEED=n repeats (about an hour)
	@tests/bench/soak.sh $(ARGS)

simulate: ## everybody at once on the real code, by seed, and three plans for a whole year; TRIALS=n (a quarter of an hour)
	@tests/bench/simulate.sh

node: ## lifeboat as a CronJob on a real Kubernetes node of this machine, backed up and proved; needs root (two minutes)
	@tests/bench/node.sh

check: ## formatting, lints, documentation, scripts, dependency rules
	@tests/bench/check.sh

bench: bench-tools ## speed and memory against restic and against bare zstd | sha256; RUNS=5
	@tests/bench/speed.sh

bench-stores: ## the same into a MinIO server, near and 50 ms away, beside a directory, restic and the server's own client
	@tests/bench/speed_stores.sh

bench-cluster: ## objects of a real API server, backed up and restored, beside the barest clients and Velero; RUNS=3, SIZES='2000 20000'
	@tests/bench/speed_cluster.sh

bench-prune: ## time and memory of planning a prune over 100 backups of a terabyte
	@tests/bench/speed_prune.sh

bench-tools: ## build and install what `make bench` needs
	@tests/bench/install.sh bench

clean: ## remove build results; downloads stay cached
	@. tests/bench/lib.sh && cargo clean

.PHONY: help demo test soak simulate node check bench bench-stores bench-cluster bench-prune bench-tools clean
