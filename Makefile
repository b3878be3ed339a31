# Every command anyone runs. `make` alone prints them.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

TOOL    := go tool -modfile=tools/go.mod
STEP    := tools/step
SAM     := .venv/bin/sam
LOCAL   := bin/localaws
export SAM_CLI_TELEMETRY := 0

# Functions are static, stripped and the same bytes for the same source (see internal/localaws/sam.go).
FUNCTION_BUILD := CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false -tags=lambda.norpc -ldflags=-s'

##@ See it at work
.PHONY: run up deploy-local down status env
run: deploy-local bin/spillway ## start the local AWS, deploy, and show a mixed load and three trips being worked on
	@$(LOCAL) exec bin/spillway demo
	@$(LOCAL) exec bin/spillway demo trips

up: .venv $(LOCAL) ## start the local AWS, or find it running
	@$(LOCAL) up

deploy-local: .venv $(LOCAL) ## build and deploy to the local AWS, starting it if need be
	@$(LOCAL) deploy

down: $(LOCAL) ## stop the local AWS; what was deployed to it is gone
	@$(LOCAL) down

status: $(LOCAL) ## say where the local AWS is and what is deployed to it
	@$(LOCAL) status

env: $(LOCAL) ## print the settings for clients of the local AWS: eval "$$(make env)"
	@$(LOCAL) env

invoke: .venv $(LOCAL) ## call a local function with its sample event: make invoke FN=submit [EVENT=events/submit.json]
	@test -f "functions/$(FN)/main.go" || test -f "functions/trip/$(FN)/main.go" || { echo "say which function, one of:" $(notdir $(patsubst %/,%,$(dir $(wildcard functions/*/main.go functions/trip/*/main.go)))) "- for example make invoke FN=status EVENT=events/list.json" >&2; exit 2; }
	@function=$$(grep -io '^  $(FN)Function:' template.yaml | tr -d ' :'); \
	$(LOCAL) exec $(SAM) remote invoke $$function --stack-name spillway --event-file "$(or $(EVENT),events/$(FN).json)"

##@ Test
.PHONY: test nightly unit plain race bench fuzz properties integration pipeline load sagas security model replay probe coldstart soak test-localstack cover
test: .venv go-ready bin/lanes ## unit tests and the black-box suite, side by side; TIER=gate or nightly has more
	@test -n "$(STEPS_$(T))" || { echo "there is no tier $(T): want TIER=test, gate or nightly" >&2; exit 2; }
	@bin/lanes -note "$(NOTE_$(T))" "1: $(filter $(BUSY),$(STEPS))" "$(EMULATORS): $(filter-out $(BUSY),$(STEPS))" -- $(MAKE) TIER=$(T)

nightly: ## what takes hours: race detector and LocalStack for everything, long properties, fuzzing, large loads
	@$(MAKE) test TIER=nightly

# A tier is a list of targets, what they leave out, and their size. One at a time runs of those in BUSY, which keep every
# core busy or measure a rate, and EMULATORS of the others, which wait for an emulator most of the time. ALSO adds targets.
T         = $(or $(TIER),test)
STEPS     = $(ALSO) $(STEPS_$(T))
EMULATORS = $(or $(EMULATORS_$(T)),3)
BUSY     := lint plain race bench replay soak fuzz properties

STEPS_test    := plain race load sagas pipeline replay model security
STEPS_gate    := plain race bench load sagas pipeline replay security soak model probe coldstart
STEPS_nightly := race properties fuzz test-localstack load sagas pipeline replay soak security model probe coldstart

# The gate has the time, and its suite on LocalStack bears less company.
EMULATORS_gate := 2

SKIP_test    := TestUpgradeUnderLoad
SKIP_gate    := TestFindings
LETTERS_test := 1200
LETTERS_gate := 2000
TRIPS_test   := 60
TRIPS_gate   := 60
SOAK_gate    := -tasks 1000 -time 20s
RACE_nightly := yes
RUNS_test    := 5
RUNS_gate    := 5

NOTE_test    = left out: linters, benchmarks, $(SKIP_test), cold starts, probe, more than $(LETTERS_test) letters, soak, LocalStack. make check runs them
NOTE_gate    = left out: $(SKIP_gate) of the probe, more than $(TRIPS_gate) trips at once, race detector everywhere, long properties, fuzzing, 10,000 letters, soak of 20,000 tasks, the rest of the suite on LocalStack. make nightly runs them
NOTE_nightly = left out: linters and benchmarks. make check runs them

# The race detector needs cgo and a C compiler. It runs where goroutines share something: in the packages that start
# them or lock (tools/concurrent).
RACE       := $(shell command -v $$(go env CC 2>/dev/null) >/dev/null 2>&1 && echo -race)
CONCURRENT  = $(if $(RACE),$(shell tools/concurrent))
GOTEST      = $(TOOL) gotestsum --format pkgname --
unit: plain race ## unit tests in random order, with the race detector in packages with goroutines

plain: go-ready
	@$(GOTEST) -shuffle=on $$(go list ./... | grep -vxF -e none $(CONCURRENT:%=-e %))

race: go-ready
	@test -n "$(RACE)" || echo "no C compiler: the race detector is left out"
	@$(if $(RACE_$(TIER)),$(GOTEST) $(RACE) -shuffle=on ./...,$(if $(RACE),$(GOTEST) -race -shuffle=on $(CONCURRENT)))

bench: go-ready ## what a record, a message, middleware and an observer cost in time and allocations (docs/performance.md)
	@go test -run '^$$' -bench . -benchmem -benchtime $(or $(BENCHTIME),100ms) ./pkg/batch ./pkg/workqueue ./pkg/task ./pkg/worker

fuzz: go-ready ## every fuzz target for 30 s: make fuzz [FUZZTIME=5m] [ARGS=FuzzSubmit]
	@tools/fuzz $(ARGS)

properties: go-ready ## every property and model, ten times as long: make properties [CHECKS=1000]
	@$(GOTEST) -count=1 -timeout 60m $$(grep -rl --include='*_test.go' pgregory.net/rapid cmd functions internal pkg | xargs -n 1 dirname | sort -u | sed 's|^|./|') \
	  -rapid.checks=$(or $(CHECKS),1000)

# The format shows what a suite prints while it starts and deploys, which takes longer than its tests. Tests wait for an
# emulator most of the time, so many are parallel on any number of cores.
SUITE = $(TOOL) gotestsum --format standard-verbose -- -tags integration -count=1 -parallel 16 -timeout 45m
SKIP  = $(if $(SKIP_$(TIER)),|^($(subst $() ,|,$(SKIP_$(TIER))))$$)
integration: .venv go-ready ## the black-box suite on local AWSs of its own, with every role's IAM policy enforced
	@$(SUITE) -p 1 $(ARGS) ./integration/...

# The main package in three parts that take about as long, each on a local AWS of its own.
LOAD  := ^Test(Faults|UpgradeUnderLoad|FreshWork|KilledWorker|LateResult|BatchLonger)
SAGAS := ^Test(Trip|Rescue|Sources|LifeOfAStack|Table|Sample|Export|Secret)
pipeline: .venv go-ready
	@$(SUITE) -skip '$(LOAD)|$(SAGAS)$(SKIP)' ./integration

load: .venv go-ready
	@$(SUITE) -run '$(LOAD)' -skip '^$$$(SKIP)' ./integration

sagas: .venv go-ready
	@SPILLWAY_TEST_TRIPS=$(TRIPS_$(TIER)) $(SUITE) -run '$(SAGAS)' -skip '^$$$(SKIP)' ./integration

security model: .venv go-ready
	@$(SUITE) ./integration/$@

probe: .venv go-ready ## try out again what the local AWS does of what AWS does
	@$(SUITE) -skip '^$$$(SKIP)' ./integration/probe

coldstart: go-ready ## zip, cold start, memory and AWS calls of each function: make coldstart [RUNS=41]
	@SPILLWAY_COLDSTARTS=$(or $(RUNS),$(RUNS_$(TIER)),41) $(SUITE) ./integration/coldstart

soak: .venv bin/soak ## minutes of load with workers killed, every task accounted for: make soak [SOAK_TASKS=1000 SOAK_TIME=20s]
	@bin/soak $(or $(SOAK_$(TIER)),-tasks $(or $(SOAK_TASKS),20000) -time $(or $(SOAK_TIME),2m)) $(ARGS)

replay: .venv go-ready ## replay ten thousand dead letters, killed twice, every task accounted for: make replay [LETTERS=2000 RATE=100]
	@SPILLWAY_REPLAY_LETTERS=$(or $(LETTERS),$(LETTERS_$(TIER)),10000) SPILLWAY_REPLAY_RATE=$(or $(RATE),50) $(SUITE) ./integration/replay

# The gate leaves out what takes long there and is about our own code, and tries out less.
LOCALSTACK_SKIP_gate := ^Test(Cost.*|Faults|UpgradeUnderLoad|FreshWorkOvertakesBacklog|KilledWorker|LateResult|BatchLongerThanTimeout|Export|SecretRotation|TripCrowd)$$
PROBE_gate           := move-tasks mapping-concurrency queue-partial-response stream-partial-response stream-bisect stream-on-failure
test-localstack: .venv go-ready ## the suite on LocalStack: LOCALSTACK_ENDPOINT, a container, or the kit in LOCALSTACK_KIT; TIER=gate for less
	@SPILLWAY_PROBE="$(PROBE_$(TIER))" tools/localstack sh -c 'SPILLWAY_TEST_ENDPOINT=$$LOCALSTACK_ENDPOINT exec "$$@"' - \
	  $(SUITE) -p 1 -skip '$(or $(LOCALSTACK_SKIP_$(TIER)),^$$)' $(ARGS) ./integration $(if $(LOCALSTACK_SKIP_$(TIER)),,./integration/model) ./integration/probe

cover: go-ready ## unit tests, with a report of the lines they reach
	@$(TOOL) gotestsum --format pkgname -- -coverprofile=coverage.out ./...
	@go tool cover -func=coverage.out | tail -n 1

##@ Build and deploy
.PHONY: build deploy deploy-localstack deploy-staging deploy-production
build: .venv go-ready bin/spillway ## build the functions and the command line
	@$(STEP) "building the functions" env $(FUNCTION_BUILD) $(SAM) build

deploy: ## deploy to a stage: make deploy STAGE=local, localstack, staging or production [ARGS=…]
	@case "$(STAGE)" in \
	  local | localstack | staging | production) ;; \
	  *) echo "say where to: make deploy STAGE=local, localstack, staging or production" >&2; exit 2 ;; \
	esac
	@case "$(STAGE),$$LOCALSTACK_ENDPOINT" in \
	  localstack,) echo "set LOCALSTACK_ENDPOINT to the URL of a LocalStack that runs, such as http://127.0.0.1:4566" >&2; exit 2 ;; \
	esac
	@case "$(STAGE),$$AWS_ENDPOINT_URL" in \
	  local* | *,) ;; \
	  *) echo "AWS_ENDPOINT_URL is $$AWS_ENDPOINT_URL, which is no AWS account: unset it to deploy to one" >&2; exit 2 ;; \
	esac
	@case "$(STAGE)" in local*) ;; *) \
	  test -n "$$AWS_REGION$$AWS_DEFAULT_REGION$$AWS_PROFILE" || grep -qs region "$${AWS_CONFIG_FILE:-$$HOME/.aws/config}" || \
	  { echo "no AWS region: set AWS_REGION, or run aws configure" >&2; exit 2; } ;; \
	esac
	@$(MAKE) deploy-$(STAGE)

deploy-staging deploy-production: deploy-%: .venv go-ready bin/spillway
	@$(STEP) "building the functions" env $(FUNCTION_BUILD) $(SAM) build --config-env $*
	@$(SAM) deploy --config-env $* $(ARGS)

# SAM takes the parameters either of samconfig.toml or of its command line, hence both here: the section's, and the two
# that depend on the machine. A person's own AWS settings have no say, as in internal/localaws.
deploy-localstack: .venv go-ready bin/spillway
	@$(STEP) "building the functions" env $(FUNCTION_BUILD) $(SAM) build --config-env localstack --parameter-overrides Architecture=$(ARCHITECTURE)
	@env -u AWS_PROFILE -u AWS_SESSION_TOKEN AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null \
	  AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_ENDPOINT_URL="$$LOCALSTACK_ENDPOINT" SAM_CLI_POLL_DELAY=1 \
	  NO_PROXY="$${NO_PROXY:+$$NO_PROXY,}127.0.0.1,localhost" no_proxy="$${no_proxy:+$$no_proxy,}127.0.0.1,localhost" \
	  $(SAM) deploy --config-env localstack $(ARGS) --parameter-overrides EndpointUrl="$${LOCALSTACK_ENDPOINT%/}" Architecture=$(ARCHITECTURE) \
	  $$(sed -n '/^\[localstack\.deploy/,/^\[/s/^parameter_overrides = "\(.*\)"$$/\1/p' samconfig.toml)
ARCHITECTURE = $$(uname -m | sed s/aarch64/arm64/)

##@ Keep it tidy
.PHONY: lint fmt golden docs tidy validate vuln lock check clean
lint: validate go-ready ## golangci-lint with gofumpt, the template and workflow, tidy modules, known vulnerabilities
	@echo "golangci-lint (its first build takes a few minutes)"
	@$(TOOL) golangci-lint run
	@$(TOOL) actionlint .github/workflows/*.yml
	@go mod tidy -diff
	@cd tools && go mod tidy -diff
	@if timeout 5 .venv/bin/python -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1])' $(VULNDB)/index/db.json 2>/dev/null; then \
	  $(MAKE) vuln; \
	else \
	  echo "govulncheck: skipped, its database $(VULNDB) did not answer within 5 s"; \
	fi

fmt: go-ready ## format the Go code
	@$(TOOL) golangci-lint fmt

golden: go-ready ## write the state machine, its picture and other golden files again
	@go test ./infra ./pkg/saga ./integration/probe -args -update

docs: go-ready ## render again the documents that are made of the template and the code
	@go test ./docs -run 'TestConfiguration|TestResources|TestStates' -args -update

tidy: go-ready ## tidy the modules
	@go mod tidy
	@cd tools && go mod tidy

validate: .venv go-ready ## check the template, and state machines, those of random sagas too, against their schemas
	@echo "sam validate, cfn-lint"
	@$(SAM) validate --lint --region us-east-1 >/dev/null
	@.venv/bin/cfn-lint --append-rules cfn_lint_serverless.rules --regions us-east-1 -- template.yaml
	@echo "state machines: every mutant of ours, and 30 of random sagas"
	@machines=$$(mktemp -d) && trap 'rm -rf "$$machines"' EXIT && \
	go test -count=1 -run "TestEveryDefinitionVerifies|Mutants" ./pkg/saga -rapid.checks=30 -dump "$$machines" >/dev/null && \
	.venv/bin/python tools/asl infra/asl/*.json pkg/saga/testdata/*.asl.json "$$machines"/*

VULNDB ?= https://vuln.go.dev
vuln: go-ready ## look for known vulnerabilities in what is called; needs the internet
	@echo "govulncheck"
	@$(TOOL) govulncheck -db $(VULNDB) ./...

lock: .venv ## resolve requirements.in into requirements.txt again
	@.venv/bin/python -m venv .venv/lock && .venv/lock/bin/pip install --quiet uv==$(UV)
	@{ sed -n 1p requirements.txt; .venv/lock/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
	  --no-header --no-config --default-index https://pypi.org/simple requirements.in; } > .venv/requirements.txt
	@mv .venv/requirements.txt requirements.txt

check: ## everything that CI runs
	@.ci/run

clean: ## remove what was built; stops the local AWS
	@if [ -x $(LOCAL) ]; then $(LOCAL) down; fi
	@rm -rf bin .aws-sam .local coverage.out

##@ What the commands above need
.PHONY: go-ready FORCE
UV := 0.13.9

# Always built, because Go knows best what changed; under a second when nothing did.
$(LOCAL): go-ready FORCE
	@$(STEP) "building $@" go build -o $@ ./internal/localaws/cmd

bin/spillway: go-ready FORCE
	@$(STEP) "building $@" go build -o $@ ./cmd/spillway

bin/lanes: go-ready FORCE
	@$(STEP) "building $@" go build -o $@ ./internal/lanes

bin/soak: go-ready FORCE
	@$(STEP) "building $@" go build -o $@ ./integration/soak

go-ready:
	@go env GOVERSION 2>/dev/null | awk -F'[go.]+' '{ ok = $$2 > 1 || $$2 == 1 && $$3 >= 26 } END { exit !ok }' || \
	  { echo "Spillway needs Go 1.26 or newer: install it from https://go.dev/dl/" >&2; exit 1; }

.venv: .venv/installed

# Installed once for each requirements.txt, which is complete: pip has nothing to resolve (--no-deps).
.venv/installed: requirements.txt
	@python=; for p in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.10 python3.14; do \
	  if $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; then python=$$p; break; fi; \
	done; \
	test -n "$$python" || { echo "Spillway's tools need Python 3.10 or newer with its venv module: install python3 and python3-venv" >&2; exit 1; }; \
	rm -rf .venv && $(STEP) "creating .venv" $$python -m venv .venv
	@$(STEP) "installing SAM CLI, MiniStack and cfn-lint (once)" \
	  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements.txt
	@touch $@

.PHONY: help
help:
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { if (/need$$/) exit; printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { gsub(/\$$\$$/, "$$", $$2); printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
