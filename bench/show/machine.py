"""The machine that figures were taken on, in words. bench/run.py writes it beside them, bench/report.py puts it on the page."""

import os
import platform
import re
import shutil
import subprocess
import time

COMPILERS = ("gcc", "clang", "go", "rustc")


def first_match(path, pattern):
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            found = re.search(pattern, stream.read(), re.M)
    except OSError:
        return None
    return found[1].strip() if found else None


def said_by(command):
    """The first line of its output; None if it cannot be run."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return done.stdout.split("\n", maxsplit=1)[0] if done.returncode == 0 else None


def processor():
    model = first_match("/proc/cpuinfo", r"^model name\s*:\s*(.*)$") or platform.machine()
    is_virtual = re.search(r"^flags\s*:.*\bhypervisor\b", open("/proc/cpuinfo", encoding="utf-8").read(), re.M) is not None
    return model + (", of a virtual machine" if is_virtual else "")


def version_of(compiler):
    """ "gcc 12.2.0", out of whatever stands around the number."""
    said = said_by([compiler, "version" if compiler == "go" else "--version"]) or ""
    found = re.search(r"\d+\.\d+(\.\d+)*", said)
    return f"{compiler} {found[0]}" if found else None


def memory():
    kilobytes = first_match("/proc/meminfo", r"^MemTotal:\s*(\d+)")
    return f"{int(kilobytes) / 2 ** 20:.1f} GiB" if kilobytes else None


def load():
    return ", ".join(f"{value:.1f}" for value in os.getloadavg())


def describe():
    """Words by what they are about, in the order in which they are shown; nothing is said about what is not known."""
    said = {
        "processor": processor(),
        "processors": str(len(os.sched_getaffinity(0))),
        "memory": memory(),
        "kernel": f"{platform.system()} {platform.release()}",
        "system": first_match("/etc/os-release", r'^PRETTY_NAME="(.*)"$'),
        "compilers": ", ".join(filter(None, map(version_of, COMPILERS))),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "load": load(),
    }
    return {name: words for name, words in said.items() if words}
