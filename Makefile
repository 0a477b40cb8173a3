# Thin front: CMake does the work, tools/ holds the scripts.
PRESET ?= release
BIN    := build/$(PRESET)/bin

.PHONY: build everything run test clients alertmanager crash bench bench-overhead bench-server bench-record bench-tuning callgrind \
        attacks soak hundred-thousand load-cost tsan-load load-proof load-hdr kernels kernels-ci fuzz lint clean setup
# What is run and installed: half of what there is to compile.
build: setup
	@test -f build/$(PRESET)/build.ninja || cmake --preset $(PRESET)
	cmake --build --preset $(PRESET) --target programs

# And what tests and measures it.
everything: setup
	@test -f build/$(PRESET)/build.ninja || cmake --preset $(PRESET)
	cmake --build --preset $(PRESET)

setup:
	@tools/setup build

run: build
	@EPULSE_BIN=$(BIN) tools/run

test:
	@tools/setup build test
	@$(MAKE) --no-print-directory everything
	ctest --preset $(PRESET)

clients:
	@tools/setup build clients
	@$(MAKE) --no-print-directory everything
	@EPULSE_BIN=$(BIN) tools/clients

alertmanager:
	@tools/setup build alertmanager
	@$(MAKE) --no-print-directory build
	@EPULSE_BIN=$(BIN) tools/alertmanager

crash: build
	@EPULSE_BIN=$(BIN) tools/crash

bench:
	@tools/setup build bench
	@$(MAKE) --no-print-directory everything
	@EPULSE_BIN=$(BIN) tools/bench/suite

bench-overhead bench-server bench-record bench-tuning:
	@tools/setup build bench
	@$(MAKE) --no-print-directory everything
	@EPULSE_BIN=$(BIN) tools/bench/$(@:bench-%=%)

callgrind:
	@tools/setup build bench
	@test -f build/$(PRESET)/build.ninja || cmake --preset $(PRESET)
	cmake --build --preset $(PRESET) --target protocol_path
	@EPULSE_BIN=$(BIN) tools/bench/callgrind

# Of the server alone, long, and on a quiet machine: docs/hardening.md.
attacks soak hundred-thousand load-cost:
	@tools/setup build bench
	@test -f build/$(PRESET)/build.ninja || cmake --preset $(PRESET)
	cmake --build --preset $(PRESET) --target epulse-ws epulse-load
	@EPULSE_BIN=$(BIN) tools/bench/$@

tsan-load:
	@tools/setup build bench
	@test -f build/tsan/build.ninja || cmake --preset tsan
	cmake --build --preset tsan --target epulse-ws epulse-load
	@EPULSE_BIN=build/tsan/bin tools/bench/$@

# What epulse-load says of a server with known stalls, at full length; its histogram files, read by others.
load-proof:
	@tools/setup build
	@$(MAKE) --no-print-directory everything
	@build/$(PRESET)/tests/load_times_test --gtest_also_run_disabled_tests --gtest_filter='Stall.DISABLED_*'

load-hdr:
	@tools/setup build
	@$(MAKE) --no-print-directory build
	@EPULSE_BIN=$(BIN) tools/check-hdr

kernels:
	@tools/setup build kernels
	@$(MAKE) --no-print-directory everything
	@EPULSE_BIN=$(BIN) tools/kernels

# As much of it as a submission waits for; without QEMU or kernels to download, it says what was not tested.
kernels-ci:
	@tools/setup build
	@$(MAKE) --no-print-directory everything
	-@tools/setup kernels
	@EPULSE_BIN=$(BIN) tools/kernels ci

fuzz:
	@tools/setup build fuzz
	@$(MAKE) --no-print-directory everything PRESET=fuzz
	@tools/fuzz

lint:
	@tools/setup build lint
	@tools/lint

clean:
	rm -rf build
