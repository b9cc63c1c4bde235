# The two commands are `make book` and `make test`.  Each makes the environment it needs.

PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
export RFCORE_QUIET := 1

.PHONY: help book test run lint bench stress validate margins loose screenshots check-repository clean

help:
	@echo "make book     build the book and say where to open it"
	@echo "make test     lint, types, tests, chapters against their stored outputs, pages in a browser"
	@echo "make run      execute all chapters again and store their outputs (the only writer of outputs)"
	@echo "make lint     lint and types alone"
	@echo "make bench    timings side by side with other methods"
	@echo "make stress   the laws that every spectrum obeys, on 10,000 random questions"
	@echo "make validate compare theory and simulation where that is not stored yet (about an hour), and report"
	@echo "make margins  run the chapters with eight seeds and record how far each check is from failing"
	@echo "make loose    run the README's example and two chapters in an environment without pins"
	@echo "make screenshots  pictures of all pages, desktop and phone, in _build/screenshots"
	@echo "make check-repository  does all agree with the address in pyproject.toml?"
	@echo "make clean    remove what was built (not the environment)"

.venv/.stamp: requirements.txt pyproject.toml tools/make_venv.sh
	@bash tools/make_venv.sh "$(PYTHON)"
	@touch $@

book: .venv/.stamp
	@$(BIN)/python tools/build_book.py

test: .venv/.stamp
	@$(BIN)/python tools/run_tests.py -j $(JOBS)

run: .venv/.stamp
	@$(BIN)/python tools/run_notebooks.py -j $(JOBS)
	@$(BIN)/python -m tools.intro_figures
	@$(BIN)/python -m tools.readme
	@$(BIN)/python -m tools.claims
	@$(BIN)/python -m tools.api
	@$(BIN)/python -m tools.course

lint: .venv/.stamp
	@$(BIN)/python tools/run_tests.py lint types

bench: .venv/.stamp
	@$(BIN)/python -m benchmarks

stress: .venv/.stamp
	@$(BIN)/python -m tools.stress

validate: .venv/.stamp
	@$(BIN)/python -m tools.validate
	@$(BIN)/python -m tools.provenance

margins: .venv/.stamp
	@$(BIN)/python -m tools.margins -j $(JOBS)
	@$(BIN)/python -m tools.claims

loose: .venv/.stamp
	@$(BIN)/python -m tools.loose

screenshots: book
	@$(BIN)/python -m tools.screenshots _build/screenshots

check-repository: .venv/.stamp
	@$(BIN)/python tools/set_repository.py --check

clean:
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis
