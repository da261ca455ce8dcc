#!/usr/bin/env python3
"""Two tests a check: it reports the bad file planted for it and lets the good tree pass; and the tree at hand has nothing to report."""

import os
import sys
import tempfile

sys.path.insert(0, "tools")  # the runfiles' folder, not the one that this file's link leads to
sys.dont_write_bytecode = True

import tidy  # noqa: E402

LAYER = """
ROOMS = {"base": [], "poll/operation": ["base"], "poll": ["base", "poll/operation"], "net": ["base", "poll/operation"]}
PUBLIC_HEADERS = {"base": ["noun"], "poll": ["poller"]}
"""

HEADER = """/*
 * Noun: what it is.
 */
#ifndef WEFT_NOUN_H
#define WEFT_NOUN_H

#ifdef __cplusplus
extern "C" {
#endif

struct weft_noun {
    int count;
};

/*
 * Do it.
 *
 * thread: any
 */
int weft_noun_do(struct weft_noun *noun);
int weft_noun_undo(struct weft_noun *noun);

#ifdef __cplusplus
}
#endif

#endif
"""

INTERNAL = """/*
 * Thing.
 */
#ifndef LIB_NET_THING_H
#define LIB_NET_THING_H

#include "lib/poll/operation.h"
#include "weft/noun.h"

#endif
"""

SOURCE = """/*
 * Thing.
 */
#include "lib/net/thing.h"

static int thing_load(int *word)
{
    /* Pairs with the release in thing_store(). */
    return weft_atomic_load_acquire(word);
}
"""

GOOD = {
    "tools/layer.bzl": LAYER,
    "include/weft/noun.h": HEADER,
    "lib/poll/operation.h": INTERNAL.replace("NET_THING", "POLL_OPERATION").replace('#include "lib/poll/operation.h"\n', ""),
    "lib/net/thing.h": INTERNAL,
    "lib/net/thing.c": SOURCE,
    "tests/net/thing.sh": "check() {\n    true\n}\n",
}

LONG_BODY = "    f();\n" * (tidy.FUNCTION_LINES_MAX - 1)

# Check -> the files that each must be reported for.
BAD = {
    "lengths": {
        "lib/net/long_file.c": "/*\n" + "\n" * tidy.FILE_LINES_MAX,
        "lib/net/long_function.c": "void f(void)\n{\n" + LONG_BODY + "}\n",
        "tests/net/long_function.sh": "check() {\n" + LONG_BODY + "}\n",
        "tools/long_function.py": "def f():\n" + LONG_BODY + "    f()\n",
    },
    "opening": {"lib/net/bare.c": "int x;\n"},
    "guards": {"lib/net/once.h": "/*\n*/\n#pragma once\n", "include/weft/guard.h": "/*\n*/\n#ifndef GUARD_H\n#define GUARD_H\n#endif\n"},
    "layering": {
        "lib/net/upward.c": '#include "lib/poll/poll.h"\n',
        "lib/net/public.c": '#include "weft/poller.h"\n',
        "lib/net/tests.c": '#include "tests/support/test.h"\n',
        "lib/base/upward.h": '#include "lib/net/thing.h"\n',
        "lib/attic/room.c": "",
        "include/weft/noun.h": '#include "weft/poller.h"\n',
        "include/weft/homeless.h": "",
    },
    "contracts": {
        "include/weft/none.h": "int weft_none(void);\n",
        "include/weft/unsaid.h": "/* Does it. */\nint weft_unsaid(void);\n",
        "include/weft/inline.h": "/* Does it. */\nstatic inline int weft_inline(void)\n{\n    return 0;\n}\n",
        "include/weft/apart.h": "/* thread: any */\nint weft_one(void);\n\nint weft_two(void);\n",
        "include/weft/typedef.h": "/* Called. */\ntypedef int weft_fn(void *);\n",
        "include/weft/ops.h": "/* Slots. */\nstruct weft_ops {\n    int (*open)(void *);\n    int (*close)(void *);\n};\n",
        "include/weft/linkage.h": 'extern "C" {\n/* Does it. */\nint weft_linkage(void);\n}\n',
    },
    "pairing": {
        "lib/net/unpaired.c": "void f(int *word)\n{\n    weft_atomic_store_release(word, 1);\n}\n",
        "lib/net/far.h": "/* Pairs with f(). */\n" + "\n" * tidy.PAIRING_LINES + "int i = weft_atomic_add_acq_rel(w, 1);\n",
        "lib/net/fence.c": "    weft_atomic_fence_seq_cst();\n",
    },
    "atomics": {
        "lib/net/builtin.c": "int f(int *w)\n{\n    return __atomic_load_n(w, __ATOMIC_RELAXED);\n}\n",
        "lib/net/include.c": "#include <stdatomic.h>\n",
        "tests/net/qualifier.c": "static _Atomic int word;\n",
    },
    "headers": {
        "include/weft/undeclared.h": "size_t weft_undeclared(void);\n",
        "include/weft/cplusplus.h": "static inline int *weft_cplusplus(void *new)\n{\n    return new;\n}\n",
        "lib/net/undeclared.h": "uint32_t thing(void);\n",
    },
    "format": {"lib/net/format.c": "int  x;\n"},
    "words": {"lib/net/path.c": "/* see /" "home/me/x */\n", "tools/fetch.txt": "https://py" "pi.org/simple\n"},
}


def plant(root, files):
    for path, text in files.items():
        os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
        with open(os.path.join(root, path), "w", encoding="utf-8") as stream:
            stream.write(text)


def reported(name, files):
    with tempfile.TemporaryDirectory() as root:
        plant(root, files)
        with open(".clang-format", encoding="utf-8") as style:
            plant(root, {".clang-format": style.read()})
        return list(tidy.CHECKS[name](tidy.Tree(root)))


def bites(name):
    """What the check of this name does wrong on planted trees."""
    yield from ("reported in the good tree: " + problem for problem in reported(name, GOOD))
    found = {problem.split(":")[0] for problem in reported(name, {**GOOD, **BAD[name]})}
    yield from ("not reported: " + path for path in sorted(BAD[name].keys() - found))
    yield from ("reported without reason: " + path for path in sorted(found - BAD[name].keys()))


def main():
    # The real tree, of which only these scripts are in the runfiles: no BUILD file then has to name its files for us.
    tree = tidy.Tree(os.path.dirname(os.path.realpath("WORKSPACE")))
    passed = failed = 0
    for name, check in tidy.CHECKS.items():
        for title, problems in ((f"{name} bites", list(bites(name))), (name, list(check(tree)))):
            print(f"{'FAIL' if problems else 'ok'}: {title}", *problems, sep="\n    ")
            passed += not problems
            failed += bool(problems)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
