# SPDX-License-Identifier: GPL-2.0-only
# Everything that is built lies under build/. `make help` lists the targets.

VERSION := 0.1.0
PREFIX ?= /usr/local
CC ?= gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PKGS := libbpf libdw libelf libcyaml libmnl libcjson libcap-ng libseccomp libmicrohttpd

B := build
CPPFLAGS += -I. -I$(B) -D_GNU_SOURCE -DTURNPIKE_VERSION='"$(VERSION)"' -DTURNPIKE_DATADIR='"$(PREFIX)/share/turnpike"'
CFLAGS ?= -O2 -g
CFLAGS += -std=gnu11 -Wall -Wextra -Werror $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDLIBS += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread
BPF_CFLAGS := -O2 -g -mcpu=v3 -target bpf -D__BPF__ -D__TARGET_ARCH_x86 -Wall -Wextra -Werror -I. \
	-I/usr/include/$(shell uname -m)-linux-gnu

ifdef SANITIZE
B := build/sanitize
CFLAGS += -fsanitize=address,undefined -fno-omit-frame-pointer
LDFLAGS += -fsanitize=address,undefined
endif

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s%s\n' $(1) $(2);)

SRC := $(filter-out %.bpf.c,$(wildcard src/*.c probes/*.c symbols/*.c))
OBJ := $(SRC:%.c=$(B)/%.o)
LIB := $(filter-out $(B)/src/main.o,$(OBJ))
BPF_SRC := $(wildcard bpf/*.bpf.c probes/*.bpf.c tests/bench/*.bpf.c)
BPF_OBJ := $(BPF_SRC:%.bpf.c=$(B)/%.bpf.o)
SKEL := $(BPF_SRC:%.bpf.c=$(B)/%.skel.h)
BENCH := $(patsubst %.c,$(B)/%,$(filter-out %.bpf.c,$(wildcard tests/bench/*.c)))
UNIT := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/*_test.c tests/packet/*_test.c))

all: $(B)/turnpike ## the program, build/turnpike

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 20

$(B)/turnpike: $(OBJ)
	$(call say,LINK,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/%.bpf.o: %.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF,$@)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/%.skel.h: $(B)/%.bpf.o
	$(call say,SKEL,$@){ echo '/* NOLINTBEGIN */' && echo '#include "bpf/table.h"' && \
		$(BPFTOOL) gen skeleton $< name $(notdir $*)_bpf && echo '/* NOLINTEND */'; } > $@

$(OBJ) $(UNIT:=.o) $(BENCH:=.o): | $(SKEL)

$(B)/tests/%_test: $(B)/tests/%_test.o $(LIB)
	$(call say,LINK,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

$(B)/tests/unit/apart_test: LDFLAGS += -Wl,--wrap=symbols_resolve

$(BENCH): $(B)/%: $(B)/%.o
	$(call say,LINK,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

tests: $(UNIT) $(BENCH) ## build the unit and packet tests

check: ## all tests (root)
	@tests/run

check-differential: all ## 200,000 random datagrams through the server alone and with turnpike (root)
	@DIFFERENTIAL_CASES=200000 $(or $(wildcard /usr/bin/python3),python3) -m pytest -q -s -p no:cacheprovider tests/e2e/test_differential.py

check-kernels: all tests ## Debian's 6.1 and 6.12 kernels in QEMU: KERNELS="bookworm trixie sid" (root)
	@tests/kernels/run $(KERNELS)

demo: ## the main job, shown on the stock coturn (root)
	@tests/demo

bench: ## figures, as ratios within one run (root)
	@tests/bench/run

FUZZ_SECONDS ?= 600

fuzz: $(SKEL) ## the fast path's decisions, on the host, for FUZZ_SECONDS (600); needs clang's libclang-rt-dev
	@mkdir -p $(B)/fuzz/corpus
	$(call say,FUZZ,$(B)/fuzz/packet_fuzz)$(CLANG) $(CPPFLAGS) $(CFLAGS) -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $(B)/fuzz/packet_fuzz tests/fuzz/packet_fuzz.c
	@cd $(B)/fuzz && ./packet_fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=1600 -print_final_stats=1 corpus

fuzz-symbols: $(LIB) ## YAML, expressions, and damaged ELF and DWARF through the child, FUZZ_SECONDS each (root)
	@mkdir -p $(B)/fuzz/yaml $(B)/fuzz/expression
	@cp symbols/profiles/*.yaml symbols/builds/*.yaml $(B)/fuzz/yaml/
	@sed -n 's/.*expression: "\([^"]*\)".*/\1/p' symbols/builds/*.yaml | sort -u | split -l 1 - $(B)/fuzz/expression/seed.
	@for name in yaml expression; do $(CLANG) $(CPPFLAGS) $(CFLAGS) -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $(B)/fuzz/$${name}_fuzz tests/fuzz/$${name}_fuzz.c symbols/*.c $(LDLIBS) || exit; done
	@$(CC) $(CPPFLAGS) $(CFLAGS) -o $(B)/fuzz/elf_fuzz tests/fuzz/elf_fuzz.c $(filter $(B)/symbols/%,$(LIB)) $(LDLIBS)
	cd $(B)/fuzz && ./yaml_fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=60000 -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 yaml
	cd $(B)/fuzz && EXPRESSION_PROGRAM=$(CURDIR)/build/coturn/O2/turnserver ./expression_fuzz \
		-max_total_time=$(FUZZ_SECONDS) -max_len=600 -timeout=20 -print_final_stats=1 expression
	$(B)/fuzz/elf_fuzz $(FUZZ_SECONDS) symbols/profiles build/coturn/*/turnserver

fuzz-stun: ## STUN messages, on the host, for FUZZ_SECONDS (600)
	@mkdir -p $(B)/fuzz/stun
	$(call say,FUZZ,$(B)/fuzz/stun_fuzz)$(CLANG) $(CPPFLAGS) $(CFLAGS) -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $(B)/fuzz/stun_fuzz tests/fuzz/stun_fuzz.c
	@cd $(B)/fuzz && ./stun_fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=600 -print_final_stats=1 stun

lint: $(SKEL) ## clang-format and clang-tidy
	@clang-format --dry-run -Werror $(wildcard */*.[ch] tests/*/*.[ch])
	@clang-tidy -quiet $(SRC) -- $(CPPFLAGS) -isystem $(B) -std=gnu11

matrix: all ## every build of coturn in every packaging, end to end; writes docs/matrix.md (root)
	@tests/coturn all
	@tests/matrix

maps: all ## make the shipped symbol maps again (root)
	@tests/maps

clean: ## remove build/
	rm -rf build

-include $(OBJ:.o=.d) $(BPF_OBJ:.o=.d) $(UNIT:=.d) $(BENCH:=.d)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all help tests check check-differential check-kernels demo bench fuzz fuzz-stun fuzz-symbols lint matrix maps clean
