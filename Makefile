# `make help` lists the commands. All that they write stays in this folder.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:

PYTHON ?= python3
JOBS ?= 3
PORT ?= 8000
PY := .venv/bin/python
BENCHMARK := .venv-benchmark/bin/python -m benchmarks
# Small models on two threads keep both busy and gain little: JOBS processes have one each, and three
# keep two cores busy, since pages and kernels also wait.
threads = TF_NUM_INTRAOP_THREADS=$(1) TF_NUM_INTEROP_THREADS=$(1) OMP_NUM_THREADS=$(1)
KEPT := --out vae_lib/records # where chapter 9 finds them

# What these tools would write into the home directory goes into .work instead.
export IPYTHONDIR := $(CURDIR)/.work/ipython
export JUPYTER_CONFIG_DIR := $(CURDIR)/.work/jupyter/config
export JUPYTER_DATA_DIR := $(CURDIR)/.work/jupyter/data
export JUPYTER_RUNTIME_DIR := $(CURDIR)/.work/jupyter/runtime
export JUPYTERLAB_SETTINGS_DIR := $(CURDIR)/.work/jupyter/settings
export JUPYTERLAB_WORKSPACES_DIR := $(CURDIR)/.work/jupyter/workspaces
export KERAS_HOME := $(CURDIR)/.work/keras
export MPLCONFIGDIR := $(CURDIR)/.work/matplotlib
export UV_CACHE_DIR := $(CURDIR)/.work/uv-cache
export HYPOTHESIS_STORAGE_DIRECTORY := $(CURDIR)/.work/hypothesis
export TF_CPP_MIN_LOG_LEVEL := 3

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name words; \
	do printf '  make %-14s %s\n' "$$name" "$$words"; done

book: .venv/.installed ## build the site, with an EPUB of the book, and print the address to open
	@$(PY) tools/build_site.py

test: .venv/.installed ## unit tests, every chapter with its numbers compared, checks of the pages
	@$(call threads,1) $(PY) -m pytest -q -n $(JOBS) --dist loadfile

execute: .venv/.installed ## run chapters anew: all, or CHAPTER=04; FRESH=1 redraws every figure
	@$(PY) tools/execute.py $(if $(FRESH),--fresh) $(CHAPTER)

cover: .venv/.installed ## draw the pictures of the README, the landing page and link previews anew
	@$(PY) tools/cover.py

lighthouse: book ## measure the pages with Lighthouse, which takes node and Chromium; FOLDER=chapters/
	@$(PY) tools/lighthouse.py $(FOLDER)

live: .venv/.installed ## train the models of the live figures anew, and export them: 3 minutes
	@PYTHONPATH=tools:. $(PY) live/export.py

live-outputs: .venv/.installed ## put the live figures as they are into the chapters' outputs
	@PYTHONPATH=tools:. $(PY) live/settings_map.py
	@PYTHONPATH=tools:. $(PY) live/stamp.py

serve: book ## build the site and serve it on PORT=8000
	@echo "Open http://127.0.0.1:$(PORT)/ (Ctrl-C stops)"
	@$(PY) -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

lab: .venv/.installed ## open the chapters in JupyterLab
	@$(PY) -m jupyter lab --notebook-dir=chapters

lint: .venv/.installed ## tidy the code, notebooks included, with ruff
	@$(PY) -m ruff format . && $(PY) -m ruff check --fix .

test-alone: .venv/.installed ## Colab's way: each notebook alone, vae_lib from its wheel
	@$(PY) tools/run_alone.py

test-colab: | need-python ## the same with the versions that Colab has today, which it looks up
	@"$(PYTHON)" tools/run_alone.py --colab $(CHAPTER)

test-threads: .venv/.installed ## the chapters with one thread, then with two
	@for n in 1 2; do echo "Threads: $$n"; \
	$(call threads,$$n) $(PY) -m pytest -q chapters || exit 1; done

test-oldest: .venv-oldest/.installed ## unit tests and chapters with the oldest TensorFlow and Keras
	@$(call threads,1) .venv-oldest/bin/python -m pytest -q -n $(JOBS) --dist loadfile tests/unit chapters

test-examples: .venv-examples/.installed ## the examples, really started: service, batch, workers
	@.venv-examples/bin/python -m pytest -q -s examples

repository: .venv/.installed ## set the repository's address everywhere: URL=https://github.com/me/my-book
	@$(PY) tools/set_repository.py "$(URL)"

STROKES := .work/glyphs/letters.npz .work/glyphs/symbols.npz
OTHERS := .work/pictures/solids.npz .work/pictures/photographs.npz .work/pictures/surfaces.npz
RIVALS := --detectors pca_32 pca_32_relative knn_5 knn_5_cosine isolation_forest --seeds 3

benchmark: .venv-benchmark/.installed ## hours: all that chapters 9 and 16 read, measured again: DATA=mnist.npz
	@test -f "$(DATA)" || { echo "Which data? make benchmark DATA=path/to/mnist.npz" >&2; exit 1; }
	@for name in glyphs pictures keel "small_detection $(KEPT)"; do $(BENCHMARK) $$name || exit 1; done
	@for data in $(STROKES) $(OTHERS) "$(DATA)"; do \
	$(BENCHMARK) one_class --data "$$data" --threads 1 $(KEPT) || exit 1; done
	@for data in $(STROKES) $(OTHERS); do for name in pca "peers $(RIVALS)"; do \
	$(BENCHMARK) $$name --data $$data --threads 1 $(KEPT) || exit 1; done; done
	@for data in $(STROKES) "$(DATA)"; do \
	$(BENCHMARK) leave_one_out --data "$$data" --threads 1 $(KEPT) || exit 1; done
	@$(BENCHMARK) tables --data .work/keel --threads 1 $(KEPT)
	@for data in .work/glyphs/letters.npz .work/pictures/photographs.npz .work/keel; do \
	$(BENCHMARK) settings --data $$data --threads 1 $(KEPT) || exit 1; done
	@$(BENCHMARK) serving $(KEPT)
	@$(BENCHMARK) out_of_distribution --data "$(DATA)" --other .work/glyphs/letters.npz --threads 1 $(KEPT)
	@for name in "pca --seeds 1" "peers --protocol one_class" "peers --protocol leave_one_out" "density --k 1" \
	"density --k 50" training_speed scoring_speed memory; do \
	$(BENCHMARK) $$name --data "$(DATA)" --threads 1 $(KEPT) || exit 1; done

confirm: .venv-benchmark/.installed ## do the records hold for the library as it is? Minutes; renews fingerprints
	@$(BENCHMARK) glyphs && $(BENCHMARK) keel && $(BENCHMARK) confirm $(if $(CHANGED),--changed $(CHANGED))

COMPILE = .work/uv/bin/uv pip compile -q --universal --generate-hashes --python-version 3.10 \
	--custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade) pyproject.toml

lock: .work/uv/bin/uv ## pin again what pyproject.toml asks for; UPGRADE=1 takes the newest versions
	@$(COMPILE) --extra book -o requirements.txt
	@$(COMPILE) --group oldest -o requirements-oldest.txt

audit: .work/audit/bin/pip-audit ## known vulnerabilities of the packages that the locks name
	@.work/audit/bin/python tools/weekly.py audit

clean: ## remove what was built, but not the environments
	rm -rf _build .work build dist vae_lib.egg-info .hypothesis

distclean: clean ## remove the environments too
	rm -rf .venv .venv-oldest .venv-benchmark .venv-colab .venv-examples

# An environment is complete when its stamp names this very folder: a moved clone makes it anew.
ifneq "$(shell cat .venv/.installed 2>/dev/null)" "$(CURDIR)/.venv"
.venv/.installed: moved
endif
ifneq "$(shell cat .venv-oldest/.installed 2>/dev/null)" "$(CURDIR)/.venv-oldest"
.venv-oldest/.installed: moved
endif

ifneq "$(shell cat .venv-benchmark/.installed 2>/dev/null)" "$(CURDIR)/.venv-benchmark"
.venv-benchmark/.installed: moved
endif

ifneq "$(shell cat .venv-examples/.installed 2>/dev/null)" "$(CURDIR)/.venv-examples"
.venv-examples/.installed: moved
endif

need-python:
	@command -v "$(PYTHON)" >/dev/null || { echo "There is no '$(PYTHON)':" \
	"install Python 3.10 to 3.13, or name one with 'make PYTHON=/path/to/python …'." >&2; exit 1; }

.venv/.installed: requirements.txt pyproject.toml | need-python
	@"$(PYTHON)" tools/environment.py .venv requirements.txt

.venv-oldest/.installed: requirements-oldest.txt pyproject.toml | need-python
	@"$(PYTHON)" tools/environment.py --newest 3.12 .venv-oldest requirements-oldest.txt

.venv-benchmark/.installed: requirements.txt $(wildcard benchmarks/requirements*.txt) pyproject.toml | need-python
	@"$(PYTHON)" tools/environment.py .venv-benchmark requirements.txt
	@.venv-benchmark/bin/python -m pip install -q -r benchmarks/requirements.txt
	@.venv-benchmark/bin/python -m pip install -q --no-deps -r benchmarks/requirements-alone.txt

EXAMPLES := $(wildcard examples/*/requirements.txt)
.venv-examples/.installed: requirements.txt $(EXAMPLES) pyproject.toml | need-python
	@"$(PYTHON)" tools/environment.py .venv-examples requirements.txt
	@.venv-examples/bin/python -m pip install -q $(EXAMPLES:%=-r %)

.work/uv/bin/uv: | need-python
	@"$(PYTHON)" -m venv .work/uv && .work/uv/bin/python -m pip install -q uv

.work/audit/bin/pip-audit: | need-python
	@"$(PYTHON)" -m venv .work/audit && .work/audit/bin/python -m pip install -q pip-audit

.PHONY: help book test test-examples execute live live-outputs lighthouse serve lab lint test-alone test-colab \
	test-threads test-oldest repository benchmark confirm lock audit clean distclean moved need-python
