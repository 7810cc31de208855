# make demo: the main job on the built-in sandbox. make test: everything that must hold. make install: on a real box.
# make help: the rest.

PYTHON ?= /usr/bin/python3
# REQUESTS=debian: with Debian's python3-requests in place of the pinned one, in an environment of its own.
REQUESTS ?= pinned
VENV := .venv$(if $(filter debian,$(REQUESTS)),-debian)
IN_VENV := $(VENV)/bin/python
# Two a core, since half of what the tests do is wait.
WORKERS ?= $(shell echo $$((2 * $$(nproc))))

# make install; packagers set PREFIX=/usr and DESTDIR, and then need no root, no network and no systemd.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
LIBDIR ?= $(PREFIX)/lib/hhtoken
SHAREDIR ?= $(PREFIX)/share/hhtoken
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
MANDIR ?= $(PREFIX)/share/man
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
# Debian's zsh looks for packages' completions elsewhere than for local ones; fish does not look below /usr/local at all.
ZSHCOMPDIR ?= $(PREFIX)/share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
FISHCOMPDIR ?= $(if $(filter /usr,$(PREFIX)),/usr/share/fish/vendor_completions.d,$(SYSCONFDIR)/fish/completions)
NGINXDIR ?= $(SYSCONFDIR)/nginx
export PYTHON PREFIX SYSCONFDIR DESTDIR LIBDIR SHAREDIR UNITDIR SYSUSERSDIR TMPFILESDIR NGINXDIR PURGE
export MANDIR BASHCOMPDIR ZSHCOMPDIR FISHCOMPDIR

help:
	@echo 'make demo   run authorize, callback, exchange, show, expiry and refresh against the sandbox'
	@echo 'make test   set up a virtual environment in $(VENV) and run all tests'
	@echo 'make test REQUESTS=debian  the same with the requests of Debian'
	@echo 'make test-fresh  the README and the package in minimal roots of Debian 12 and 13 (root, Debian)'
	@echo 'make lint  what ruff and shellcheck say'
	@echo 'make coverage  the same tests, measured: every branch of the modules that store, refresh and take the callback'
	@echo 'make mutants  break the store in some hundred small ways, and count what the tests notice (a quarter of an hour)'
	@echo 'make test-faults  a fault at every system call, full disks, power cuts, wrong clocks (best as root)'
	@echo 'make test-faults-long  the same with 100000 answers, 10000 processes, and power cuts on a FUSE file system'
	@echo 'make test-system  the whole chain under a booted systemd (root, Debian)'
	@echo 'make test-cluster  three hosts that share a pair through three members of etcd (root, Debian)'
	@echo 'make manual write the manual pages and the completions again, after a change of a command or a flag'
	@echo 'make bench  measure, and write the table of docs/performance.md'
	@echo 'make catalog  put new messages into hhtoken/console/locale, compile the translations, and do what manual does'
	@echo 'make dist   build the sdist and the wheel in dist/'
	@echo 'make deb    build the Debian package here'
	@echo 'make clean  remove what these have made'
	@echo 'make install, make uninstall  with PREFIX, SYSCONFDIR, DESTDIR; uninstall PURGE=1 removes the token too'

# With Debian's python3-requests where it is installed, as bin/hhtoken itself.
demo:
	@if $(PYTHON) -c 'import requests' 2>/dev/null; then PYTHON=$(PYTHON) docs/demo.sh; \
	else $(MAKE) $(VENV)/test-ready && PYTHON=$(IN_VENV) docs/demo.sh; fi

test: $(VENV)/test-ready
	$(IN_VENV) -m pytest -n $(WORKERS)

coverage: $(VENV)/coverage-ready
	rm -rf .coverage
	mkdir .coverage
	$(IN_VENV) -m coverage run -m pytest -n $(WORKERS)
	find .coverage -empty -delete  # of children that were killed at their end
	$(IN_VENV) -m coverage combine --quiet
	$(IN_VENV) -m coverage report

mutants: $(VENV)/mutants-ready
	$(IN_VENV) tests/tools/mutants.py

TEST_FAULTS = $(IN_VENV) -m pytest -p no:cacheprovider tests/faults

test-faults: $(VENV)/test-ready
	$(TEST_FAULTS) -n 2 -o addopts='--strict-markers --timeout 600'

# The power cuts need /dev/fuse and Debian's libfuse2.
test-faults-long: $(VENV)/faults-ready
	HHTOKEN_FAULTS_LONG=1 HHTOKEN_EXAMPLES=100000 HHTOKEN_EXPIRIES=100 \
		$(TEST_FAULTS) -n 2 -o addopts='--strict-markers --timeout 3600'

test-fresh:
	tests/fresh/run

SCRIPTS := .ci/run debian/p*[mt] docs/demo.sh docs/examples/*.sh bin/*.sh systemd/install.sh tests/*/run tests/*/*.sh tests/system/box

lint: $(VENV)/lint-ready
	$(IN_VENV) -m ruff format --check .
	$(IN_VENV) -m ruff check .
	shellcheck $(SCRIPTS)

test-system:
	tests/system/run

test-cluster: $(VENV)/test-ready
	tests/cluster/run $(IN_VENV)

bench: $(VENV)/test-ready
	$(IN_VENV) tests/tools/bench.py

manual: $(VENV)/test-ready
	$(IN_VENV) man/write_manual.py .

# An old build/ would put modules into the wheel that are gone.
dist: $(VENV)/test-ready
	rm -rf build dist
	$(IN_VENV) -c 'from setuptools import build_meta; build_meta.build_sdist("dist"); build_meta.build_wheel("dist")' >/dev/null
	@ls dist/*

install uninstall:
	@systemd/install.sh $@

# In a copy, since dpkg-buildpackage writes beside the sources; env -i, since these paths are not the package's.
deb:
	@dpkg-checkbuilddeps -I || { echo 'missing: sudo apt install debhelper dh-python' >&2; exit 1; }
	rm -rf build/deb hhtoken_*_all.deb
	mkdir -p build/deb/hhtoken
	sed 's|/$$||' .gitignore | tar --exclude-vcs --exclude-from=- -cf - . | tar -C build/deb/hhtoken -xf -
	cd build/deb/hhtoken && env -i PATH="$$PATH" dpkg-buildpackage --no-check-builddeps --no-sign
	cp build/deb/hhtoken_*_all.deb .

# Nothing from the system but the interpreter, unless REQUESTS=debian; every version is in tests/constraints.txt.
INSTALL = $(IN_VENV) -m pip install --quiet --disable-pip-version-check --constraint $(VENV)/constraints.txt
# As a plain path: the finder that setuptools else puts there doubles the start of each of some thousand programs. Made
# ASCII afterwards, since Python does not start in a locale that cannot read it.
EDITABLE := --config-settings editable_mode=compat --editable
define ASCII_PATH
import pathlib, sysconfig
for file in pathlib.Path(sysconfig.get_path("purelib")).glob("__editable__*.pth"):
    file.write_text(f"import sys; sys.path.append({ascii(str(pathlib.Path().resolve()))})\n")
endef
export ASCII_PATH
OF_REQUESTS := requests|urllib3|certifi|idna|charset-normalizer

$(VENV)/constraints.txt: tests/constraints.txt
	@$(PYTHON) -m venv $(if $(filter debian,$(REQUESTS)),--system-site-packages) $(VENV) \
		|| { echo 'missing: sudo apt install python3-venv' >&2; exit 1; }
	@grep -vE '^($(if $(filter debian,$(REQUESTS)),$(OF_REQUESTS)))=' $< >$@

$(VENV)/test-ready: $(VENV)/constraints.txt setup.cfg
	$(INSTALL) setuptools
	$(INSTALL) --no-build-isolation $(EDITABLE) '.[test]'
	@$(IN_VENV) -c "$$ASCII_PATH"
	@touch $@

# Each with an extra of its own, so that `make test` fetches no more than it uses.
$(VENV)/coverage-ready $(VENV)/faults-ready $(VENV)/lint-ready $(VENV)/mutants-ready: $(VENV)/%-ready: $(VENV)/test-ready
	$(INSTALL) --no-build-isolation $(EDITABLE) '.[$*]'
	@$(IN_VENV) -c "$$ASCII_PATH"
	@touch $@

catalog: $(VENV)/test-ready
	$(IN_VENV) tests/tools/catalog.py
	$(IN_VENV) man/write_manual.py .

clean:
	rm -rf .venv .venv-debian build dist *.deb *.egg-info .pytest_cache .hypothesis .coverage .mutants
	find hhtoken tests -name __pycache__ -type d -exec rm -rf {} +

.PHONY: help demo test test-fresh lint coverage mutants test-faults test-faults-long test-system test-cluster bench manual catalog dist deb install uninstall clean
