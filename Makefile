# Every target sets up `.venv` by itself: Python 3.11+, make and a package registry are all it takes.
PYTHON ?= python3
BIN := .venv/bin
RUN ?= runs/distill

.PHONY: demo distill test test-slow test-torch docs lint format clean

demo: .venv/train.stamp  ## restore a mixture of embedded photographs; writes runs/demo/before_after.png
	$(BIN)/python scripts/demo.py --out runs/demo

distill: .venv/train.stamp  ## train a tiny teacher and student, then remove a reflection with the student
	$(BIN)/python scripts/distill.py --workdir=$(RUN)

test: .venv/test.stamp lint  ## style, then all tests that need no PyTorch
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-slow: .venv/test.stamp  ## what takes longest to compile
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow

test-torch: .venv/torch.stamp  ## parity with PyTorch
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m torch

docs: .venv/docs.stamp  ## the site in build/site; read it with `python -m http.server -d build/site`
	$(BIN)/python scripts/generate_docs.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/test.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build *.egg-info  # not runs: what has been trained stays

.venv/pip.stamp:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	$(PYTHON) -m venv .venv
	touch $@

.venv/train.stamp: .venv/pip.stamp pyproject.toml setup.py constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train]'
	touch $@

.venv/test.stamp: .venv/pip.stamp pyproject.toml setup.py constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,test]'
	touch $@ .venv/train.stamp

.venv/torch.stamp: .venv/test.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	touch $@

.venv/docs.stamp: .venv/pip.stamp pyproject.toml setup.py constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,docs]'
	touch $@
