#!/usr/bin/env python3
"""No call of the C library's that lib/ makes is missing from the table of faults, but for those that cannot fail and say why here."""

import glob
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"])
HERE = os.path.join(ROOT, "tests", "faults")

# Reason -> what has no error that anybody could meet.
CANNOT_FAIL = {
    "computes, and asks nobody": """
        __assert_fail __errno_location __popcountdi2 __tls_get_addr htonl htons in6addr_loopback ntohl ntohs pthread_equal __sched_cpucount __stack_chk_fail abort bcmp isoc99_sscanf isoc23_sscanf isoc23_strtoul memchr memcmp
        memcpy memmem memmove memset pthread_key_delete pthread_self qsort sigaddset sigdelset sigemptyset sigfillset sigismember snprintf strchr strcmp strcpy
        strcspn strerrordesc_np strerrorname_np strlen strncmp strnlen strrchr strspn strtoul inet_pton __cpu_model __cpu_indicator_init
        cpu_features getauxval""",
    "memory: tests/api/oom_test.c and its like let each allocation fail": "aligned_alloc calloc free malloc posix_memalign realloc",
    "gives back what was had": "fclose freeaddrinfo pthread_attr_destroy pthread_cond_destroy pthread_condattr_destroy pthread_mutex_destroy",
    "has errors for wrong arguments alone, and ours are constants": """
        clock_gettime pthread_condattr_setclock pthread_sigmask sigpending pthread_attr_getstack __sysconf""",
    "allocates nothing in glibc; the errors are POSIX's leave to others": """
        pthread_cond_broadcast pthread_cond_init pthread_cond_signal pthread_cond_timedwait pthread_cond_wait pthread_mutex_init
        pthread_mutex_lock pthread_mutex_trylock pthread_mutex_unlock pthread_once""",
    "of a thread that is known to be there": "pthread_detach pthread_join",
    "once in a process, and whoever asks for it is told: lib/base/fork.c": "pthread_atfork",
    "asked by a sanitizer's build alone": "pthread_getattr_np",
    "has no error": "getpid gettid pthread_getspecific raise",
}
# What lib/poll/direct.h asks of the kernel itself, by syscall(): the shim takes it for the C library's.
DIRECTLY = {"epoll_wait", "recv", "send"}
SANITIZERS = ("__asan_", "__ubsan_", "__tsan_", "__msan_", "__sanitizer_", "__lsan_", "__gcov_", "__llvm_")



def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def plain(symbol):
    """Without the dress of _FORTIFY_SOURCE: __recv_chk is recv. And of a version: name@GLIBC_2.36."""
    symbol = symbol.split("@")[0]
    return re.sub(r"^__(\w+)_chk$", r"\1", symbol) if symbol != "__stack_chk_fail" else symbol


def calls_of_the_library():
    archives = glob.glob(os.path.join(ROOT, "lib", "**", "*.*o"), recursive=True)
    archives += glob.glob(os.path.join(ROOT, "lib", "**", "*.a"), recursive=True)
    assert archives, "no archives of lib/"
    defined, wanted = set(), set()
    for archive in archives:
        for line in run("nm", archive).splitlines():
            words = line.split()
            if len(words) == 3:
                defined.add(words[2])
            elif len(words) == 2 and words[0] == "U":
                wanted.add(words[1])
    names = {plain(name) for name in wanted - defined if not name.startswith(SANITIZERS) and name != "_GLOBAL_OFFSET_TABLE_"}
    return {name[2:] if name.startswith("__isoc") else name for name in names}


def names_in(path, pattern):
    with open(os.path.join(HERE, path), encoding="utf-8") as stream:
        return set(re.findall(pattern, stream.read(), re.M))


def complaints():
    wrapped = names_in("shim.h", r"^    X\((\w+)\)")
    linked = names_in("calls.bzl", r'^    "(\w+)",')
    listed = names_in("table.c", r"GROUP\((\w+), ") - {"call"}
    called = calls_of_the_library() | DIRECTLY
    cannot = {name for names in CANNOT_FAIL.values() for name in names.split()}
    for name in sorted(called - wrapped - cannot):
        yield f"lib/ calls {name}(), which is neither in SHIM_CALLS nor in CANNOT_FAIL"
    for name in sorted(wrapped - called):
        yield f"SHIM_CALLS has {name}, which lib/ does not call"
    for name in sorted(wrapped & cannot):
        yield f"{name} can fail and cannot"
    for name in sorted(wrapped ^ linked):
        yield f"{name} is in one of SHIM_CALLS and calls.bzl"
    for name in sorted(wrapped ^ listed):
        yield f"{name} is in one of SHIM_CALLS and the table"
    print(f"{len(called)} calls of the C library: {len(called & wrapped)} can fail and are in the table")


found = list(complaints())
print("\n".join(found))
sys.exit(1 if found else 0)
