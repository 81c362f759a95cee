# `make run` and `make test` do all of it on a fresh machine; `make help` lists the rest.

PYTHON ?= python3
PORT ?= 8000
DEMO ?=
TEMPLATES = $(shell find templates diagnosis -name '*.html' 2>/dev/null)
FRONTEND_SOURCES = $(shell find frontend/src -type f 2>/dev/null) $(wildcard frontend/*.json frontend/*.ts)

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
DEV_TOOLS := $(STAMPS)/requirements-dev
RUNTIME := $(STAMPS)/requirements
NODE_MODULES := frontend/node_modules/.stamp
BUILT := static/build/.stamp

# Values that only `check --deploy` reads: it asks what production would be like, not whether these secrets are good.
DEPLOY_CHECK_ENV = CXR_MODE=production ALLOWED_HOSTS=portal.example DATABASE_URL=postgres://portal@localhost/portal \
	REDIS_URL=redis://localhost/0 EMAIL_URL=submission://mail.example CXR_TRUSTED_PROXY_COUNT=1 \
	SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))') \
	AUDIT_HMAC_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))') \
	DEIDENTIFICATION_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))')

# One more than there are cores: many tests wait for a process that they have started.
WORKERS = $(shell echo $$(($$($(BIN)/python -c 'import os; print(os.cpu_count())') + 1)))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test e2e notebook lint format lock clean bench-model bench-intake try-corrupt bench-worklist messages

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUNTIME) $(BUILT) ## Start the portal with demo patients: PORT=8000, DEMO=/path/to/images
	@exec $(BIN)/python manage.py portal --port $(PORT) $(if $(DEMO),--demo "$(DEMO)")

test: $(DEV_TOOLS) $(BUILT) ## Run the whole suite; REQUIRE_SERVICES=1 makes a missing service a failure
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

e2e: $(DEV_TOOLS) $(BUILT) ## Run only the tests that drive a browser
	$(BIN)/python -m pytest -m e2e $(ARGS)

bench-model: $(DEV_TOOLS) ## Measure the served model against its goals: DATA=/path/to/data, ARGS=--json, ARGS=--train
	@$(BIN)/python -m benchmarks.model $(if $(DATA),--data "$(DATA)") $(ARGS)

bench-intake: $(DEV_TOOLS) ## Measure how fast files are stored, beside Orthanc: ARGS=--files=200
	@$(BIN)/python -m benchmarks.intake $(ARGS)

PILLOW := var/pillow
try-corrupt: $(DEV_TOOLS) ## Try on the intake 1,000 damages of each real film, and every image of Pillow's tests (fetches its source)
	CXR_FLIPS=1000 $(BIN)/python -m pytest -n0 tests/intake/test_real_files.py $(ARGS)
	@rm -rf $(PILLOW) && mkdir -p $(PILLOW)
	@awk '/^pillow==/ {on = 1} on {print} on && !/\\$$/ {exit}' requirements.txt > $(PILLOW)/requirements.txt
	$(BIN)/uv venv --quiet --seed $(PILLOW)/venv
	$(BIN)/uv pip install --quiet --python $(PILLOW)/venv/bin/python 'setuptools>=77' pybind11
	$(PILLOW)/venv/bin/python -m pip download --quiet --no-deps --no-build-isolation --no-binary :all: --require-hashes \
		--requirement $(PILLOW)/requirements.txt --dest $(PILLOW)
	tar -xzf $(PILLOW)/pillow-*.tar.gz -C $(PILLOW) --strip-components=1 --wildcards '*/Tests/images/*'
	CXR_PILLOW_TESTS=$(PILLOW)/Tests/images $(BIN)/python -m pytest -n0 tests/intake/pillows_images.py $(ARGS)

bench-worklist: $(DEV_TOOLS) $(BUILT) ## Compare the worklist at 10,000 and 1,000,000 studies: ARGS="--studies 1000 10000"
	@$(BIN)/python -m benchmarks.worklist $(ARGS)

notebook: $(DEV_TOOLS) ## Run the notebook over all images and keep its outputs: CXR_DATA=/path/to/data
	$(BIN)/python -m notebooks.run

lint: $(DEV_TOOLS) $(BUILT) ## Check style, types, templates, migrations and the production settings
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(if $(TEMPLATES),$(BIN)/djhtml --tabwidth 2 --check $(TEMPLATES))
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(DEPLOY_CHECK_ENV) $(BIN)/python manage.py check --deploy --fail-level WARNING
	cd frontend && PATH="$(abspath $(BIN)):$$PATH" npm run --silent check

format: $(DEV_TOOLS) ## Put source and templates into the project's form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(if $(TEMPLATES),-$(BIN)/djhtml --tabwidth 2 $(TEMPLATES))

lock: $(DEV_TOOLS) ## Write requirements*.txt anew from requirements*.in
	$(BIN)/uv pip compile --quiet $(UV_FLAGS) requirements.in --output-file requirements.txt
	$(BIN)/uv pip compile --quiet $(UV_FLAGS) requirements-dev.in --output-file requirements-dev.txt

UV_FLAGS = --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" $(UPGRADE)

messages: $(DEV_TOOLS) ## Collect what the pages say into locale/ and compile the translations; needs gettext
	$(BIN)/python manage.py makemessages --all --no-obsolete --no-wrap --add-location=file $(NOT_SAID)
	$(BIN)/python manage.py makemessages --all --no-obsolete --no-wrap --add-location=file --domain djangojs --extension ts $(NOT_SAID)
	sed -i "/^\"POT-Creation-Date/d" locale/*/LC_MESSAGES/*.po
	for catalogue in locale/*/LC_MESSAGES/*.po; do msgfmt --check-format -o "$${catalogue%.po}.mo" "$$catalogue"; done

# Where nothing stands that people read on a page.
NOT_SAID = $(foreach folder,.venv node_modules static var tests benchmarks notebooks zoo deploy,--ignore=$(folder))

clean: ## Remove what was installed and built; var/ with the demo's records stays
	rm -rf $(VENV) frontend/node_modules static/build .mypy_cache .ruff_cache .pytest_cache

$(RUNTIME): requirements.txt scripts/prepare.py
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) here. Install Python 3.11 or newer, or name one: make run PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) scripts/prepare.py python requirements.txt
	@mkdir -p $(STAMPS) && touch $@

$(DEV_TOOLS): $(RUNTIME) requirements-dev.txt
	@$(PYTHON) scripts/prepare.py python requirements-dev.txt
	@touch $@

$(NODE_MODULES): frontend/package-lock.json $(RUNTIME)
	@$(PYTHON) scripts/prepare.py front-end install
	@touch $@

$(BUILT): $(NODE_MODULES) $(FRONTEND_SOURCES)
	@$(PYTHON) scripts/prepare.py front-end build
	@touch $@
