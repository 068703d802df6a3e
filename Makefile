# Two commands do everything on a fresh machine:  make demo   make test
# PYTHON picks the interpreter (3.10 or newer); everything is installed into .venv, pinned by constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
OUT ?= demo
export OMP_WAIT_POLICY ?= passive  # on a busy machine, spinning threads slow a run down thirtyfold

.PHONY: demo test lint reproduce bench scatter gpu clean

KERNELS := setup.py $(wildcard graphssl/ops/cpp/*.cpp graphssl/ops/cpp/*.h)

.venv/ready: pyproject.toml constraints.txt $(KERNELS)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: .venv/ready  ## compare methods on built-in data; ends by naming the report it wrote
	rm -rf $(OUT)
	$(BIN)/graphssl compare --methods dgi,grace,bgrl,cca-ssg,ggd,infograph,graphcl --datasets digits-knn,digits-graphs \
	  --protocol knn --seeds 2 --max-steps 50 --out $(OUT)

test: .venv/ready  ## all tests but those marked slow or gpu
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not gpu" -q

lint: .venv/ready  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

reproduce: .venv/ready  ## the committed accuracy tables (hours on two cores; resumes where it stopped) and the slow tests
	$(BIN)/python benchmarks/accuracy.py all
	set -e; for part in pretrain airports graphs search finetune report; do $(BIN)/python benchmarks/gcc.py $$part; done
	$(BIN)/python -m pytest -m slow -q

bench: .venv/ready  ## measure speed anew (an hour or more; PubMed's dense GRACE takes 12 GB), then the page of it
	set -e; for script in dgi_step grace_epoch contrast spmm segment ppr logistic growth \
	    walks neighbours positional large papers_simulation; do \
	  $(BIN)/python benchmarks/speed/$$script.py; done
	$(BIN)/python docs/build_speed.py
	$(BIN)/python docs/build_scale.py

scatter: .venv/ready  ## build torch-scatter (8 minutes, 2.5 GB), compare its values and its speed with ours
	$(BIN)/python -m pip install setuptools wheel
	MAX_JOBS=1 $(BIN)/python -m pip install --no-build-isolation --no-deps torch-scatter
	$(BIN)/python -m pytest -q -rs tests/ops/test_scatter.py
	$(BIN)/python benchmarks/speed/segment.py

gpu: .venv/ready  ## tests that need a CUDA device, then what the kernels change there
	$(BIN)/python -m pytest -m gpu -q -rs
	$(BIN)/python benchmarks/speed/gpu.py

clean:
	rm -rf .venv demo runs build *.egg-info
