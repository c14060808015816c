# Two commands do everything on a fresh machine with Python 3.11+ and git: `make demo` and `make test`.
# The real API server (`make test-cluster`) needs Linux and Go; its parts are built once into a per-user cache folder.

PYTHON ?= python3
VENV ?= .venv
# Where venv puts programs.
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
EXE := $(if $(filter Windows_NT,$(OS)),.exe)
SETUP_FILES := setup.cfg setup.py pyproject.toml

.PHONY: bench-bundle bundle lock demo test test-bundle test-outside test-inside test-cluster test-cluster-skew test-krew krew-manifest test-node test-node-full dist image test-dist test-matrix fuzz lab lint docs bench goldens clean

demo: $(VENV)/installed
	$(BIN)/kubectl-memdoctor demo

# Without bytecode every program that a test starts would be compiled anew.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/installed-test
	@command -v go >/dev/null || echo "not run: what needs Go: comparisons with Kubernetes' own code, and the real API server"
	$(MAKE) --no-print-directory -j2 test-outside test-inside

# Two plain runs beside each other: so many small tests take longer to hand out than to run.
OUTSIDE := tests/access tests/command_line tests/docs tests/recording
# What it sends beside what kubectl sends: run where kubectl is built.
WITH_KUBECTL := tests/access/test_as_kubectl.py

test-outside:
	$(BIN)/pytest -q $(OUTSIDE) --ignore=$(WITH_KUBECTL)

test-inside:
	$(BIN)/pytest -q tests $(addprefix --ignore=,$(OUTSIDE) tests/bundle tests/cluster tests/distribution tests/node tests/with_krew)

test-cluster: $(VENV)/installed-test
	$(BIN)/python -m tests.cluster.build
	$(BIN)/pytest -q tests/cluster $(WITH_KUBECTL)

# The oldest server that is held to: the whole of test-cluster once more against Kubernetes 1.30.
test-cluster-skew:
	$(MAKE) test-cluster K8S_VERSION=1.30

# The real krew with its validator, and the oldest kubectl that is held to, on the bundle of this machine. Needs Linux,
# Go and git.
test-krew: bundle $(VENV)/installed-test
	$(BIN)/python -m krew.manifest
	$(BIN)/python -m tests.cluster.build
	PYTHONPATH=tests $(BIN)/python -m with_krew.build
	$(BIN)/pytest -q tests/with_krew

# What krew installs from, with the checksums of the archives that are in dist/: docs/installing.md.
krew-manifest: $(VENV)/installed
	$(BIN)/python -m krew.manifest

# A real node: kubelet, containerd, runc and crun, in namespaces of its own. Needs root on Linux, Go and some packages.
test-node: $(VENV)/installed-test
	PYTHONPATH=tests $(BIN)/python -m node.build
	PYTHONPATH=tests $(BIN)/python -m node.enclosure $(BIN)/pytest -q tests/node

# Every case of the matrix on every kind of node, which takes an hour or more: writes docs/accuracy.md and tests/cases.
test-node-full: $(VENV)/installed-test
	PYTHONPATH=tests $(BIN)/python -m node.build
	PYTHONPATH=tests $(BIN)/python -m node.enclosure $(BIN)/python -m node.matrix
	PYTHONPATH=tests NODE_FULL=1 $(BIN)/python -m node.enclosure $(BIN)/pytest -q tests/node/test_kills.py
	$(MAKE) goldens

# Coverage-guided, for ten minutes: on Linux, with a Python that atheris is built for (3.11 to 3.13).
fuzz: $(VENV)/installed-test
	$(BIN)/pip install -q -e '.[fuzz]'
	PYTHONPATH=tests $(BIN)/python -m fuzz.node_log -max_total_time=600

# The wheel and the sdist, as they go to PyPI.
dist: $(VENV)/installed-distribution
	rm -rf dist/python
	$(BIN)/python -m build --outdir dist/python .
	$(BIN)/twine check --strict dist/python/*
	$(BIN)/check-wheel-contents dist/python/*.whl

# The container image, of the bundle of this machine: Linux with Debian's dpkg.
image: bundle
	$(BIN)/python -m image.build dist/kubectl-memdoctor_*_linux_*.tar.gz

# Installs both with pip, pipx and uv into temporary folders; looks at workflows and scripts with actionlint (Go) and
# shellcheck.
test-dist: dist $(VENV)/installed-test
	$(BIN)/pytest -q tests/distribution

# The oldest, a middle and the newest Kubernetes client with every Python of this machine, and the oldest of everything
# that setup.cfg allows.
# Where pyenv has the Pythons, it shows those that it is told to.
test-matrix: export PYENV_VERSION ?= $(shell pyenv versions --bare 2>/dev/null | paste -sd:)
test-matrix: $(VENV)/installed-distribution
	$(BIN)/nox

# Measures what has not been measured yet of the table that the program ships: an hour or two, as root, with qemu.
# LAB_FULL=1 measures every runtime on every kind of machine; `rm -r tests/lab/measured` first measures all anew.
lab: $(VENV)/installed-test
	PYTHONPATH=tests $(BIN)/python -m node.build
	PYTHONPATH=tests $(BIN)/python -m lab.build
	PYTHONPATH=tests $(BIN)/python -m node.enclosure $(BIN)/python -m lab
	PYTHONPATH=tests $(BIN)/python -m lab.table
	$(BIN)/python docs/generate.py

lint: $(VENV)/installed-lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/installed
	$(BIN)/python docs/generate.py

# Writes the figures and the chart of docs/performance.md: an hour on a machine that should do nothing else, with 16 GB
# free. BENCH_PODS="1000 10000" measures smaller clusters only.
bench: $(VENV)/installed-test
	$(BIN)/python -m tests.cluster.build
	$(BIN)/python -m bench.recording
	$(BIN)/python -m bench.node_logs
	PYTHONPATH=tests:docs $(BIN)/python -m bench.cluster

# The figures of docs/distribution.md.
bench-bundle: $(VENV)/installed-test bundle
	PYTHONPATH=tests $(BIN)/python -m bench.distribution

goldens: $(VENV)/installed-test
	$(BIN)/pytest -q tests/test_cases.py tests/test_log_cases.py --update-goldens
	PYTHONPATH=tests $(BIN)/python -m node.matrix --again

# A self-contained program for this machine in dist/: docs/distribution.md. Its requirements have a place of their own.
bundle: build/bundle/venv/installed
	build/bundle/venv/bin/python -m krew.bundle

# What krew and a user's machine will see of it. Builds it once more, elsewhere.
test-bundle: $(VENV)/installed-test bundle
	$(BIN)/pytest -q tests/bundle

# Which versions go into the bundle, with their hashes: the newest. The whole of what the client requires is resolved,
# and what is inside is kept.
lock: build/lock/bin/uv
	$(LOCK) krew/requirements.in krew/build-requirements.in setup.py -o build/lock/whole.txt
	$(LOCK) --no-deps --generate-hashes -c build/lock/whole.txt krew/requirements.in -o krew/requirements.txt
	$(LOCK) --generate-hashes -c build/lock/whole.txt krew/build-requirements.in -o krew/build-requirements.txt

LOCK := build/lock/bin/uv pip compile -q --upgrade --universal --python-version 3.11 --no-header --no-annotate

build/lock/bin/uv:
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install -q uv

build/bundle/venv/installed: krew/requirements.txt krew/build-requirements.txt
	rm -rf build/bundle/venv
	$(PYTHON) -m venv build/bundle/venv
	build/bundle/venv/bin/pip install -q --no-compile --no-deps --require-hashes --only-binary :all: -r krew/requirements.txt
	build/bundle/venv/bin/pip install -q --no-compile --no-deps --require-hashes --only-binary :all: -r krew/build-requirements.txt
	@touch $@

$(BIN)/python$(EXE):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python$(EXE) $(SETUP_FILES)
	$(BIN)/pip install -q -e .
	@touch $@

$(VENV)/installed-test: $(BIN)/python$(EXE) $(SETUP_FILES)
	$(BIN)/pip install -q -e '.[test]'
	@touch $(VENV)/installed $@

$(VENV)/installed-lint: $(BIN)/python$(EXE) $(SETUP_FILES)
	$(BIN)/pip install -q -e '.[test,lint]'
	@touch $(VENV)/installed $(VENV)/installed-test $@

$(VENV)/installed-distribution: $(BIN)/python$(EXE) $(SETUP_FILES)
	$(BIN)/pip install -q -e '.[distribution]'
	@touch $(VENV)/installed $@

clean:
	rm -rf $(VENV) .nox build dist *.egg-info
