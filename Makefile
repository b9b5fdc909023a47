# Bode: what to type. Each target installs the Debian packages it lacks (and says so first).
#
#   make              release build: build/bode
#   make run          the main job, shown from submission to mailbox; serves until Ctrl-C
#                     (ONCE=1 stops after the show; PORT_BASE=N other ports)
#   make test         everything, under sanitizers; closes with "N passed, N failed, N skipped"
#   make crash        kills, power losses, failing disks: many more than in make test (SEED=N)
#   make fuzz         the fuzz targets, for as long as you like (SECONDS_EACH=N, TARGET=NAME)
#   make bench        figures on the release build beside Postfix and Dovecot (NAME=ROW, QUICK=1,
#                     PEERS=bode); table and chart in build/bench/
#   make install      DESTDIR, PREFIX (default: that of the last build, at first /usr/local)
#   make format       lays out the sources;  make check-style  checks the house's rules
.PHONY: all run test crash fuzz bench install format check-style clean

PREFIX ?= /usr/local
PEERS ?= bode,postfix-dovecot
PYTHON := /usr/bin/python3
sources = $$(git ls-files '*.c' '*.h')

all: build/build.ninja
	@$(if $(filter file,$(origin PREFIX)),,meson configure build -Dprefix=$(PREFIX))
	@ninja -C build --quiet bode
	@echo "build/bode is ready"

build/build.ninja:
	@tools/packages build
	@meson setup build --buildtype=release -Dprefix=$(PREFIX) >build.log 2>&1 || { cat build.log; exit 1; }
	@mv build.log build/setup.log

run: all
	@tools/packages run
	@$(PYTHON) tools/demo $(if $(ONCE),--once) $(if $(PORT_BASE),--port-base $(PORT_BASE))

test:
	@tools/packages build test
	@$(PYTHON) tests/run

crash:
	@tools/packages build test
	@BODE_CRASH_SEED=$(or $(SEED),1) $(PYTHON) tests/run --only crash --long

fuzz:
	@tools/packages build test
	@$(PYTHON) tests/run --fuzz $(if $(TARGET),--target $(TARGET)) --seconds-each $(or $(SECONDS_EACH),600)

bench: all
	@tools/packages build bench $(if $(findstring postfix,$(PEERS)),peers)
	@tests/bench/bench $(if $(QUICK),--quick) --peers $(PEERS) $(NAME)

install: all
	@DESTDIR=$(DESTDIR) meson install -C build --no-rebuild

format:
	@tools/packages style
	@clang-format -i $(sources)

check-style:
	@tools/packages build style test
	@$(PYTHON) -m pytest -q tests/house
	@clang-format --dry-run --Werror $(sources)
	@tools/tidy

clean:
	rm -rf build build-test build-fuzz build-style
