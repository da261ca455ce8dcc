#!/usr/bin/env python3
"""The examples of the public headers compile: the indented blocks of each opening comment, as C11 with all warnings.

What is a definition stays at file level, in its place; statements become the body of one function. What an example takes for granted (a
loop, an options struct, a callback of the user's) is declared in GIVEN. Drawings are recognised by their lines.
"""

import glob
import os
import re
import subprocess
import tempfile

ROOT = os.path.join(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"])
EVERYWHERE = """
static struct weft_loop *loop;
static struct weft_coro *coro;
static struct weft_future *future;
static void *value;
static int status;
"""
GIVEN = {
    "context": "static void *id;",
    "executor": "static char path[] = \"words\"; static void *words;",
    "gather": "static struct weft_future *futures[2];",
    "group": "int fetch(void *arg, void **result_out);",
    "job": "static long result; static struct weft_task *task;",
    "lock": "static long balance;",
    "memory": """
void *my_malloc(size_t bytes);
void *my_realloc(void *ptr, size_t bytes);
void *my_aligned_alloc(size_t align_bytes, size_t bytes);
void my_free(void *ptr);
""",
    "operation": """
struct connection { struct weft_file file; struct weft_operation receiving; };
void connection_received(struct connection *connection, const void *bytes, size_t len);
void connection_ended(struct connection *connection, int status);
static struct connection *connection;
static struct weft_poller *poller;
static int fd;
""",
    "poller": "static bool done;",
    "runtime": "int serve(void *arg, void **result_out);",
    "server": "int echo_new(void *arg, struct weft_protocol **protocol_out);",
    "future": "int print_it(struct weft_future *future, void *arg);",
    "step": "static struct pair *pair;",
    "stream": "static struct weft_server_options options = WEFT_SERVER_OPTIONS; static struct weft_server *server;",
    "transport": "struct echo { struct weft_protocol protocol; struct weft_transport *transport; };",
}
# Nouns that are a table, a macro or a shape, and have nothing to show in use that their neighbours do not show.
WITHOUT_EXAMPLE = {"atomic", "coro", "job_stack", "sockets", "status", "work"}
DRAWING = re.compile("[\u2500-\u257f]")
DEFINITION = re.compile(r"(static|int \w+\(|struct \w+ \{|typedef|enum|#|WEFT_JOB\()")


def blocks(text):
    """The paragraphs of the first comment that are indented by four or more, without the indentation."""
    comment = text[:text.index("*/")]
    for paragraph in re.split(r"\n \*(?=\n)", comment):
        lines = [re.sub(r"^ \* ?", "", line) for line in paragraph.split("\n") if line.strip() not in ("", "/*")]
        if lines and all(line.startswith("    ") for line in lines) and not DRAWING.search(paragraph):
            indent = min(len(line) - len(line.lstrip()) for line in lines)
            yield "\n".join(line[indent:] for line in lines if line.strip() != "...")


def source_of(name, text):
    parts = list(blocks(text))
    definitions = [part for part in parts if DEFINITION.match(part)]
    statements = [part for part in parts if not DEFINITION.match(part)]
    headers = sorted(os.path.basename(path) for path in glob.glob(os.path.join(ROOT, "include/weft/*.h")))
    lines = ["#include <netinet/in.h>", *(f"#include \"weft/{header}\"" for header in headers), EVERYWHERE, GIVEN.get(name, "")]
    body = "\n".join(statements) + "\n"
    return "\n".join([*lines, *definitions, "int example(void);", "int example(void)", "{", body, "return status;", "}", ""])


def compile_example(name, source):
    with tempfile.NamedTemporaryFile("w", suffix=".c") as file:
        file.write(source)
        file.flush()
        command = ["gcc", "-std=c11", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-unused", "-Wno-unused-parameter",
                   "-I", os.path.join(ROOT, "include"), file.name]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode:
        print("%s.h: its example does not compile\n%s\n%s" % (name, result.stdout, source))
    return result.returncode == 0


def main():
    counts = {True: 0, False: 0}
    for path in sorted(glob.glob(os.path.join(ROOT, "include/weft/*.h"))):
        name = os.path.basename(path)[:-len(".h")]
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if not list(blocks(text)):
            if name not in WITHOUT_EXAMPLE:
                print("%s.h opens without an example" % name)
                counts[False] += 1
            continue
        counts[compile_example(name, source_of(name, text))] += 1
    print("%d passed, %d failed" % (counts[True], counts[False]))
    return 1 if counts[False] or not counts[True] else 0


if __name__ == "__main__":
    raise SystemExit(main())
