# Thin front: CMake does the work, tools/ holds the scripts.
PRESET ?= release
BIN    := build/$(PRESET)/bin

.PHONY: build run test clients bench bench-overhead bench-server attacks soak hundred-thousand tsan-load kernels fuzz lint clean setup
build: setup
	@test -f build/$(PRESET)/build.ninja || cmake --preset $(PRESET)
	cmake --build --preset $(PRESET)

setup:
	@tools/setup build

run: build
	@EPULSE_BIN=$(BIN) tools/run

test:
	@tools/setup build test
	@$(MAKE) --no-print-directory build
	ctest --preset $(PRESET)

clients:
	@tools/setup build clients
	@$(MAKE) --no-print-directory build
	@EPULSE_BIN=$(BIN) tools/clients

bench: bench-overhead bench-server

bench-overhead bench-server:
	@tools/setup build bench
	@$(MAKE) --no-print-directory build
	@EPULSE_BIN=$(BIN) tools/bench/$(@:bench-%=%)

# Of the server alone, long, and on a quiet machine: docs/hardening.md.
attacks soak hundred-thousand:
	@tools/setup build bench
	@test -f build/$(PRESET)/build.ninja || cmake --preset $(PRESET)
	cmake --build --preset $(PRESET) --target epulse-ws epulse-load
	@EPULSE_BIN=$(BIN) tools/bench/$@

tsan-load:
	@tools/setup build bench
	@test -f build/tsan/build.ninja || cmake --preset tsan
	cmake --build --preset tsan --target epulse-ws epulse-load
	@EPULSE_BIN=build/tsan/bin tools/bench/$@

kernels:
	@tools/setup build kernels
	@$(MAKE) --no-print-directory build
	@EPULSE_BIN=$(BIN) tools/kernels

fuzz:
	@tools/setup build fuzz
	@$(MAKE) --no-print-directory build PRESET=fuzz
	@tools/fuzz

lint:
	@tools/setup build lint
	@tools/lint

clean:
	rm -rf build
