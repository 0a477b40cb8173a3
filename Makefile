# Thin front: CMake does the work, tools/ holds the scripts.
PRESET ?= release
BIN    := build/$(PRESET)/bin

.PHONY: build run test clients alertmanager crash bench bench-overhead bench-server bench-tuning kernels fuzz lint clean setup
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

alertmanager:
	@tools/setup build alertmanager
	@$(MAKE) --no-print-directory build
	@EPULSE_BIN=$(BIN) tools/alertmanager

crash: build
	@EPULSE_BIN=$(BIN) tools/crash

bench: bench-overhead bench-server

bench-overhead bench-server bench-tuning:
	@tools/setup build bench
	@$(MAKE) --no-print-directory build
	@EPULSE_BIN=$(BIN) tools/bench/$(@:bench-%=%)

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
