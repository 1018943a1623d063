# `make demo` and `make test` do all set-up by themselves; what each target does: `make help`.
VENV := .venv
PY := $(VENV)/bin/python
SECONDS ?= 60
export KWLOAD_CORPUS ?= $(abspath ../shared/corpus)

C_TESTS := $(MAKE) --no-print-directory -f tests/c/Makefile PY=$(PY)
PYTEST := $(PY) -m pytest -n 2 --dist loadfile

# Both libraries are preloaded: a sanitized extension needs ASan first in the process, and ASan finds C++'s throw only if it is there.
# libhdf5 and Python leak on exit by design, so leaks are looked for by the C tests.
ASAN_BUILD := $(abspath build/asan/lib)
ASAN = env PYTHONPATH=$(ASAN_BUILD) PYTHONSAFEPATH=1 PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	LD_PRELOAD="$(shell $(CC) -print-file-name=libasan.so) $(shell $(CC) -print-file-name=libstdc++.so.6)"

COVERAGE_BUILD := $(abspath build/coverage/lib)

# test_alone.py runs some of the tests again, in an environment of its own with the extension that is installed: not with these.
INSTRUMENTED := $(VENV)/bin/pytest -n 2 --dist loadfile -m 'not keras' --ignore=tests/test_alone.py

# Older Keras of the grid; 3.0 walks trees with dm-tree.
OLDER := 3.0.5 3.3.3 3.8.0

.PHONY: help demo test check c-test lint extension agree asan coverage sweep fuzz bench clean
.NOTPARALLEL:

help:
	@echo 'make demo    check and load the weight files of a small model, with the real reports'
	@echo 'make test    all tests: C, lint, types, Python with Keras 3, tf_keras, JAX and torch'
	@echo 'make check   what needs no Keras, in under two minutes; compiler warnings are errors'
	@echo 'make agree   how often kwload and five Keras agree, over a grid of files and models; writes tests/agree/README.md (an hour)'
	@echo 'make asan    the C tests, fault injection, a sample of the sweep, the corpus, and what needs no Keras under AddressSanitizer and UBSan'
	@echo 'make coverage which lines of csrc/base, read and plan tests and corpus run; less than 97 % of one of them is an error'
	@echo 'make sweep   five million small changes of small files, read: nothing crashes, hangs or takes over 100 ms'
	@echo 'make fuzz    every fuzz target for SECONDS=60 each (clang)'
	@echo 'make bench   the speed claims, measured; writes the table of benchmarks/README.md'
	@echo 'make clean   remove everything that was built, .venv too'

demo: $(VENV)/.demo extension
	@$(PY) examples/demo.py

test: $(VENV)/.test extension lint c-test
	$(PYTEST)

check: export KWLOAD_WERROR = 1
check: $(VENV)/.test extension lint c-test
	$(PYTEST) -m 'not keras'

agree: $(VENV)/.test $(VENV)/agree/.done extension
	PYTHONPATH=tests $(PY) -m agree.run
	PYTHONPATH=tests $(PY) -m agree.other
	PYTHONPATH=tests $(PY) -m agree.whole

$(VENV)/agree/.done: Makefile
	@mkdir -p $(@D)
	@for version in $(OLDER); do \
		echo "kwload: installing Keras $$version into $(@D)"; \
		$(PY) -m pip install --quiet --disable-pip-version-check --upgrade --no-deps --target $(@D)/keras-$$version \
			keras==$$version $$(case $$version in 3.0.*) echo dm-tree attrs wrapt ;; esac) || exit 1; \
	done
	@touch $@

asan: $(VENV)/.test
	@rm -rf $(ASAN_BUILD)
	KWLOAD_SANITIZE=1 $(PY) setup.py --quiet build --build-lib $(ASAN_BUILD)
	$(C_TESTS) KIND=asan test
	$(C_TESTS) KIND=asan faults
	$(C_TESTS) KIND=asan alike
	$(C_TESTS) KIND=asan EVERY=97 sweep
	$(C_TESTS) KIND=asan corpus
	$(ASAN) $(INSTRUMENTED)

# tests/c/uncovered.md says why the rest is not run. What was counted before is forgotten.
coverage: $(VENV)/.coverage
	@rm -rf build/coverage build/c/coverage
	@$(C_TESTS) KIND=coverage test
	@$(C_TESTS) KIND=coverage faults
	@$(C_TESTS) KIND=coverage alike
	@$(C_TESTS) KIND=coverage EVERY=97 sweep
	@$(C_TESTS) KIND=coverage corpus
	KWLOAD_COVERAGE=1 $(PY) setup.py --quiet build --build-base build/coverage --build-lib $(COVERAGE_BUILD)
	env PYTHONPATH=$(COVERAGE_BUILD) PYTHONSAFEPATH=1 $(INSTRUMENTED) -q
	@$(PY) scripts/coverage.py build/c/coverage build/coverage

fuzz: $(VENV)/.test
	sh scripts/bootstrap.sh fuzz
	$(C_TESTS) KIND=fuzz SECONDS=$(SECONDS) fuzz

bench: $(VENV)/.test extension
	$(PY) -m benchmarks

c-test: $(VENV)/.test
	@$(C_TESTS) test
	@$(C_TESTS) circles
	@$(C_TESTS) faults
	@$(C_TESTS) alike
	@$(C_TESTS) EVERY=97 sweep

sweep: $(VENV)/.test
	@$(C_TESTS) sweep
	@$(C_TESTS) KIND=lenient sweep

lint: $(VENV)/.test
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

# setup.py itself knows what is out of date. What pip does for an installation, nobody does for a checkout: compiling the Python files.
extension:
	@$(PY) setup.py --quiet build_ext --inplace
	@$(PY) -m compileall -q kwload

# The name of the stamp is the extra of pyproject.toml. Without build isolation the objects made here are those that `extension` keeps up to date.
$(VENV)/.demo $(VENV)/.test $(VENV)/.coverage: pyproject.toml setup.py scripts/bootstrap.sh scripts/native.py
	@sh scripts/bootstrap.sh
	@mkdir -p build
	@$(PY) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' > build/requires.txt
	@echo 'kwload: installing it and what "make $(subst .,,$(@F))" needs into $(VENV)'
	@$(PY) -m pip install --quiet --disable-pip-version-check -r build/requires.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[$(subst .,,$(@F))]'
	@touch $@

clean:
	rm -rf build dist $(VENV) *.egg-info kwload/*.so .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find benchmarks examples kwload scripts tests -name __pycache__ -prune -exec rm -rf {} +
