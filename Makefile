# tidewire: `make run` serves the chat demo, `make test` runs all tests; both install what is missing.
# `make` alone builds build/tidewire. More: lint, install, check-NAME, fuzz, coverage, bench-*, clean.

B      ?= build
PREFIX ?= /usr/local
PYTHON  = /usr/bin/python3
LUA     = lua5.4
APP    ?= apps/chat
LISTEN ?= ws://127.0.0.1:8080

PACKAGES      = gcc pkg-config libc6-dev libev-dev libssl-dev libc-ares-dev liblua5.4-dev libjansson-dev zlib1g-dev lua5.4 lua-argparse
TEST_PACKAGES = $(PACKAGES) libcmocka-dev lua-busted lua-check clang-format openssl procps nodejs python3 \
                python3-pytest python3-websockets nginx libnginx-mod-stream tinyproxy python3-selenium chromium chromium-driver git vim

# --- sources, floor by floor (runtime/README.md) -------------------------------------------------

BASE = buf log map metrics metrics_join
WIRE = address deflate deflater extension forwarded frame handshake handshake_client http http_connect \
       http_write mask network proxy_header route session session_write uri utf8
NET  = conn conn_http conn_note conn_out conn_phase conn_proxy conn_send conn_set conn_ws connect connect_talk dial file_watch inherit listen listen_certificates listen_url listener loop outq random resolve sni stream tls tls_certificate tls_client tls_pem tls_server tls_settings tls_tickets topics unix_socket wheel
BIND = app boot check client client_end collect control core coroutine digest disk folder generation generation_pins generation_type heap hold json life limited modules publish reload request \
       request_answer request_sender script slot sweep task timer vm ws ws_events ws_follow ws_handshake ws_ids ws_receive ws_state ws_timer
HOST = bundle certificates change channel children code code_describe code_outcome code_target code_watch commands commands_code control diff dev exec master master_metrics notify round scout \
       tell terminal versions watch worker worker_code worker_metrics
FLOORS = host bind net wire base

UNIT_BASE = buf list log map metrics
UNIT_WIRE = address forwarded deflate extension frame handshake handshake_client handshake_origin http http_connect \
            http_fields mask network proxy_header route session session_deflate session_talk uri utf8
UNIT_NET  = broadcast conn conn_memory connect connect_end connect_tls connect_way dial file_watch listen_url pace random resolve sni tls_client tls_server tls_tickets topics unix_socket wheel
UNIT_HOST = bundle change channel diff round versions watch worker_code
UNITS     = $(UNIT_BASE) $(UNIT_WIRE) $(UNIT_NET) $(UNIT_HOST)

LUA_FILES   = $(sort $(wildcard lua/tidewire/*.lua lua/tidewire/*/*.lua))
LUA_MODULES = $(foreach f,$(LUA_FILES),$(subst /,.,$(patsubst %/init,%,$(basename $(f:lua/%=%))))=$(f))
ARGPARSE   := $(shell $(LUA) -e 'print(package.searchpath("argparse", package.path) or "")' 2>/dev/null)

# `run`, `test`, `bench-*`, `fuzz` and `coverage` install what is missing; others say so
ifeq ($(ARGPARSE),)
ifneq ($(filter-out deps test-deps run demo test bench-% fuzz fuzz-% coverage lint clean,$(or $(MAKECMDGOALS),all)),)
$(error Something is missing to build with: run `make deps` first)
endif
endif

# one short line a step; `make V=1` shows the commands
say = $(if $(V),,@printf '  %-6s%s\n' $(1) $@;)

# --- compiling -----------------------------------------------------------------------------------

WARNINGS = -Wall -Wextra -Werror -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
           -Wformat=2 -Wwrite-strings -Wundef -Wpointer-arith
HARDEN   = -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fPIE
OPTIMISE = -O2 -g
LUA_CFLAGS := $(shell pkg-config --cflags lua5.4 2>/dev/null)
CFLAGS  += -std=gnu11 -D_GNU_SOURCE -Iruntime $(LUA_CFLAGS) $(WARNINGS) $(OPTIMISE) $(HARDEN) $(CHECKS)
LDFLAGS += $(CHECKS) -pie -Wl,-z,relro,-z,now,-z,noexecstack
LIBS     = -l:liblua5.4.a -lev -lcares -lssl -lcrypto -ljansson -lz -lm

SANITIZE = OPTIMISE="-O1 -g -fno-omit-frame-pointer" HARDEN=-fPIE \
           CHECKS="-fsanitize=address,undefined -fno-sanitize-recover=all" COUNT=$(COUNTED)
# the unit tests count what an input costs in comparisons: no clock, so no noise
COUNTED  = -fsanitize-coverage=trace-cmp

# a recipe that does nothing, else make tells that there is nothing to do
all: $B/tidewire ; @:

objects = $(addprefix $B/$(1)/,$(addsuffix .o,$(2)))

$B/libbase.a: $(call objects,base,$(BASE))
$B/libwire.a: $(call objects,wire,$(WIRE))
$B/libnet.a:  $(call objects,net,$(NET))
$B/libbind.a: $(call objects,bind,$(BIND)) $B/bind/embedded.o
$B/libhost.a: $(call objects,host,$(HOST))

$B/lib%.a:
	@rm -f $@
	@$(AR) rcs $@ $^

$B/%.o: runtime/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# the list itself counts too: a file that was renamed or deleted is no longer embedded
$B/modules: FORCE
	@mkdir -p $(@D)
	@echo '$(LUA_MODULES)' | cmp -s - $@ || echo '$(LUA_MODULES)' >$@
$B/bind/embedded.c: runtime/bind/embed.lua $(LUA_FILES) $B/modules Makefile
	@mkdir -p $(@D)
	$(call say,EMBED) $(LUA) runtime/bind/embed.lua $(LUA_MODULES) argparse=$(ARGPARSE) >$@

$B/bind/embedded.o: $B/bind/embedded.c
	$(call say,CC) $(CC) $(CFLAGS) -O0 -c -o $@ $<

$B/tidewire: $B/main.o $(FLOORS:%=$B/lib%.a)
	$(call say,LINK) $(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

-include $(wildcard $B/*.d $B/*/*.d)

# --- unit tests: each links its own floor and those below, so an upward call does not link --------

$(UNIT_BASE:%=$B/unit/%): UNIT_LIBS = $B/libbase.a
$(UNIT_WIRE:%=$B/unit/%): UNIT_LIBS = $B/libwire.a $B/libbase.a
$(UNIT_NET:%=$B/unit/%):  UNIT_LIBS = $B/libnet.a $B/libwire.a $B/libbase.a -lev -lcares
$(UNIT_HOST:%=$B/unit/%): UNIT_LIBS = $B/libhost.a $B/libnet.a $B/libwire.a $B/libbase.a -lev -ljansson
$(UNIT_HOST:%=$B/unit/%): $B/libhost.a

$B/unit/%: $B/unit/test_%.o $B/unit/support.o $B/libnet.a $B/libwire.a $B/libbase.a
	$(call say,LINK) $(CC) $(LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc -o $@ $(filter %.o,$^) $(UNIT_LIBS) -lcmocka -lssl -lcrypto -lz

$B/unit/%.o: tests/unit/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$B/base/%.o $B/wire/%.o: CFLAGS += $(COUNT)
# nobody counts comparisons of floating point: libasan has no hook for them
$B/base/metrics.o $B/base/metrics_join.o: override COUNT =

units: $(UNITS:%=$B/unit/%) ; @:
sanitized:
	@$(MAKE) --no-print-directory B=build/sanitized $(SANITIZE) all units fuzzers
optimised:
	@$(MAKE) --no-print-directory B=build/optimised COUNT=$(COUNTED) units

# --- running and testing -------------------------------------------------------------------------

run: deps
	@$(MAKE) --no-print-directory all
	@exec $B/tidewire run $(APP) --listen $(LISTEN)

# a handler rewritten twenty times under the feet of 1,000 clients, in 30 s (tests/reload/demo)
demo: deps
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tests/reload/demo/run $B/tidewire

test: test-deps
	@$(MAKE) --no-print-directory all sanitized optimised bench-tools npm
	@$(PYTHON) tests/run

check-%: all sanitized optimised bench-tools npm
	@$(PYTHON) tests/run $*
check-lint check-floors check-fuzz check-names check-reload check-spec check-unit: check-%: all sanitized optimised
	@$(PYTHON) tests/run $*

# 10,000 connections, 1,000 reloads, 200 dead workers: a quarter of an hour (tests/README.md)
check-reload-full: test-deps
	@$(MAKE) --no-print-directory all
	@TIDEWIRE=$B/tidewire TIDEWIRE_RELOAD_FULL=1 $(PYTHON) -m pytest -q -p no:cacheprovider -rA tests/reload -k "1000 or random_phases"

npm: $B/npm-interop $B/npm-bench ; @:
$B/npm-%: tests/%/package-lock.json
	@mkdir -p $(@D)
	cd tests/$* && npm ci --silent --no-audit --no-fund
	@touch $@

sources = $(shell find $(1) -name node_modules -prune -o -name '$(2)' -print)
lint:
	@clang-format --dry-run -Werror $(call sources,runtime tests,*.[ch])
	@luacheck --quiet --no-color $(call sources,lua apps examples spec tests runtime,*.lua)

# the RFCs case by case, both roles (tests/conformance/README.md)
conformance: test-deps
	@$(MAKE) --no-print-directory all
	@TIDEWIRE=$B/tidewire tests/conformance/run --target tidewire --json $B/conformance.json
conformance-ws: test-deps
	@$(MAKE) --no-print-directory $B/npm-interop
	@tests/conformance/run --target ws

# --- measuring (tests/bench/README.md) -----------------------------------------------------------

BENCH      = $B/bench
BENCH_LOAD = answers batch bench client conn histogram hold load paced

$(BENCH)/%.o: tests/bench/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(CFLAGS) -MMD -MP -c -o $@ $<
$(BENCH)/load: $(BENCH_LOAD:%=$(BENCH)/%.o)
$(BENCH)/rawecho: $(BENCH)/rawecho.o $(BENCH)/bench.o
$(BENCH)/probe: $(BENCH)/probe.o $(BENCH)/bench.o
$(BENCH)/load $(BENCH)/rawecho $(BENCH)/probe:
	$(call say,LINK) $(CC) $(LDFLAGS) -o $@ $^ -pthread
bench-tools: $(addprefix $(BENCH)/,load rawecho probe) ; @:

bench-echo: test-deps
	@$(MAKE) --no-print-directory all bench-tools $B/npm-bench
	@$(PYTHON) tests/bench/run --tidewire $B/tidewire --app apps/echo.lua --load $(BENCH)/load \
	  --rawecho $(BENCH)/rawecho --probe $(BENCH)/probe
bench-memory: deps
	@$(MAKE) --no-print-directory all bench-tools
	@$(PYTHON) tests/bench/memory --tidewire $B/tidewire --load $(BENCH)/load
bench-reload: deps
	@$(MAKE) --no-print-directory all bench-tools
	@$(PYTHON) tests/bench/reload --tidewire $B/tidewire --load $(BENCH)/load --json $B/bench-reload.json

# --- fuzzing and coverage (tests/fuzz/README.md) --------------------------------------------------

FUZZ_PACKAGES = $(PACKAGES) clang libclang-rt-dev
FUZZ    = address deflate deflate_params forwarded frame handshake_client handshake_server http inflate mask \
          proxy_header route session_client session_server uri utf8
SECONDS = 60
# with libFuzzer's own main where FUZZER is given, else with one that reads files
FUZZER  =

$B/fuzz/%.o: tests/fuzz/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(CFLAGS) -MMD -MP -c -o $@ $<
$(FUZZ:%=$B/fuzz/%): $B/fuzz/%: $B/fuzz/%.o $B/fuzz/fuzz.o $(if $(FUZZER),,$B/fuzz/replay.o) $B/libwire.a $B/libbase.a
	$(call say,LINK) $(CC) $(LDFLAGS) $(FUZZER) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcrypto -lz
$B/fuzz/session_client $B/fuzz/session_server: $B/fuzz/session.o $B/fuzz/session_model.o
fuzzers: $(FUZZ:%=$B/fuzz/%) ; @:

fuzz-build: FORCE
	@tests/deps $(FUZZ_PACKAGES)
	@$(MAKE) --no-print-directory B=build/fuzz CC=clang WARNINGS=-Wall OPTIMISE="-O1 -g" HARDEN=-fPIE \
	  CHECKS="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all" FUZZER=-fsanitize=fuzzer fuzzers
fuzz: fuzz-build
	@$(PYTHON) tests/fuzz/run --seconds $(SECONDS) $(FUZZ)
fuzz-minimise: fuzz-build
	@$(PYTHON) tests/fuzz/run --minimise $(FUZZ)
coverage: test-deps
	@tests/deps gcovr
	@$(PYTHON) tests/coverage

# --- what has to be there ------------------------------------------------------------------------

deps:
	@tests/deps $(PACKAGES)
test-deps:
	@tests/deps $(TEST_PACKAGES)
	@command -v npm >/dev/null || tests/deps npm

# --- installing ----------------------------------------------------------------------------------

install: all
	install -D -m 755 $B/tidewire "$(DESTDIR)$(PREFIX)/bin/tidewire"

clean:
	rm -rf build

.PHONY: all units fuzzers fuzz fuzz-build fuzz-minimise coverage sanitized optimised bench-tools bench-echo bench-memory bench-reload check-reload-full conformance conformance-ws run demo test npm lint deps test-deps install clean
FORCE:
.SECONDARY:
