# make help lists the targets. Each one sets up what it needs and is missing;
# as a user who is not root it prints the one apt line and stops.

VERSION  := $(shell cat VERSION)
BIN      := build/bin
DESKTOP  := desktop,production,webkit2_41
LDFLAGS  := -s -w -X keyturn/app.Version=$(VERSION)
CLIFLAGS := -s -w -X main.version=$(VERSION)
TOOL     := go tool -modfile=build/tools/go.mod
GOFILES   = $(shell git ls-files -co --exclude-standard '*.go')

.DEFAULT_GOAL := help
.PHONY: help run demo build headless frontend test check bench e2e views package package-test soak mutate lint secrets generated go-test ui-test desktop-test clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build, and run Keyturn with the demo provider at hand
	@build/run.sh

demo: headless ## the main job once, unattended: connect the demo provider through a real browser
	@build/setup.sh browser
	@build/demo.sh

build: frontend headless ## all programs, into build/bin
	@build/setup.sh desktop
	go build -trimpath -tags $(DESKTOP) -ldflags '$(LDFLAGS)' -o $(BIN)/keyturn-desktop .

headless: frontend ## the programs that need no display: keyturn-headless, keyturn and keyturn-gateway
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/keyturn-headless .
	CGO_ENABLED=0 go build -trimpath -ldflags '$(CLIFLAGS)' -o $(BIN)/keyturn ./app/cli
	CGO_ENABLED=0 go build -trimpath -ldflags '$(CLIFLAGS)' -o $(BIN)/keyturn-gateway ./app/gateway

frontend: frontend/dist/index.html ## the window's pages, into frontend/dist

frontend/node_modules/.package-lock.json: frontend/package.json frontend/package-lock.json
	cd frontend && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

build/servers/node_modules/.package-lock.json: build/servers/package.json build/servers/package-lock.json
	cd build/servers && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

frontend/dist/index.html: frontend/node_modules/.package-lock.json $(shell find frontend/src frontend/index.html frontend/vite.config.ts 2>/dev/null)
	cd frontend && npm run --silent build
	@touch $@ frontend/dist/.gitkeep

test: go-test ui-test desktop-test ## all tests

check: lint generated secrets test ## what CI runs: lint, generated files, secrets, all tests

lint: frontend ## formatting, vet, staticcheck, types of the front end
	@test -z "$$(gofmt -l $(GOFILES))" || { echo "gofmt would change:"; gofmt -l $(GOFILES); exit 1; }
	go vet ./...
	CGO_ENABLED=0 GOOS=windows go vet ./backend/... ./app/...
	CGO_ENABLED=0 GOOS=darwin go vet ./backend/... ./app/...
	$(TOOL) staticcheck ./...
	cd frontend && npm run --silent check && npm run --silent lint

generated: frontend ## generated files are current
	go test ./backend/api -run 'OpenAPI|AccessMatrix' -count=1
	cd frontend && npm run --silent schema:check
	go mod tidy -diff

secrets: ## no secret is committed; the scan proves itself on a planted one
	@build/secrets.sh

go-test:
	@build/setup.sh test
	go test -race -timeout 8m ./...

ui-test: frontend
	@build/setup.sh browser
	cd frontend && npm run --silent test && npm run --silent test:browser

desktop-test: build build/servers/node_modules/.package-lock.json
	@build/setup.sh test
	go test -c -tags e2e -o $(BIN)/e2e.test ./app/e2e
	@# The test of the five minutes runs beside the others.
	cd app/e2e && export KEYTURN_BIN=$(abspath $(BIN)) && { \
		$$KEYTURN_BIN/e2e.test -test.timeout 8m -test.run Expires >$$KEYTURN_BIN/expires.log 2>&1 & expires=$$!; \
		$$KEYTURN_BIN/e2e.test -test.timeout 20m -test.parallel 4 -test.skip Expires; others=$$?; \
		wait $$expires || others=1; cat $$KEYTURN_BIN/expires.log; exit $$others; }

views: headless ## how every view looks with a real Keyturn behind it, as the new references
	@build/setup.sh test
	go test -c -tags e2e -o $(BIN)/e2e.test ./app/e2e
	cd app/e2e && KEYTURN_BIN=$(abspath $(BIN)) REFERENCES=renew $(abspath $(BIN))/e2e.test -test.run EveryView

e2e: desktop-test ## the desktop and browser tests alone, with screenshots in build/shots

bench: build ## speed and memory, each beside its yardstick
	@build/setup.sh bench
	KEYTURN_BIN=$(abspath $(BIN)) go test -count=1 -timeout 30m -tags bench -run TestBudgets -v ./app/bench

package: build ## what people install, into build/dist: .deb, tarball, installer and zip files for Windows
	@build/setup.sh package
	@build/package.sh

package-test: package ## install the .deb in a Debian that has nothing, run it, remove it (as root; needs a mirror)
	@build/deb-test.sh

soak: headless ## the long forms, hours in all; PART=kills picks one, build/soak.sh lists them
	@build/setup.sh test
	@build/soak.sh

mutate: ## take out each guard of the callback endpoint and the gateway, and see which test bites
	go run ./build/mutate

clean: ## what make built
	rm -rf $(BIN) build/shots .dev frontend/node_modules
	find frontend/dist -mindepth 1 ! -name .gitkeep -delete
