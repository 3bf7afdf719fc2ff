#!/usr/bin/env python3
"""Owns one figure: the peak memory of a command and of all its descendants together.

    scripts/peak_memory.py COMMAND [ARGUMENT...]

Runs the command, looks at /proc twice a second, and afterwards prints to standard error the largest sums that it saw
and the processes that made them up. The command's exit code is passed on. Linux only.

RSS counts a page in every process that maps it; PSS shares it out among them, and is what the machine had to have.
Both count the pages of mapped files, which the kernel could take back. A peak between two looks is missed.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

GIB = 1 << 30


class Process(NamedTuple):
    pid: int
    command: str
    rss: int
    pss: int


class Peak:
    """The look with the largest sum of one kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.total = 0
        self.processes: list[Process] = []
        self.at = 0.0

    def see(self, processes: list[Process], at: float) -> None:
        total = sum(getattr(process, self.kind) for process in processes)
        if total > self.total:
            self.total, self.processes, self.at = total, processes, at

    def lines(self) -> list[str]:
        total = f"{self.total / GIB:.2f} GiB ({self.total / 1e9:.2f} GB)"
        lines = [f"peak {self.kind.upper()} {total}, at {self.at:.0f} s:"]
        for process in sorted(self.processes, key=lambda one: -getattr(one, self.kind)):
            lines.append(f"  {getattr(process, self.kind) / GIB:8.2f} GiB  {process.pid}  {process.command}")
        return lines


def parents() -> dict[int, int]:
    """Each process's parent."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue  # it ended in the meantime
            # The name before stands in brackets and may itself contain some.
            found[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    return found


def family(root: int) -> list[int]:
    """The process and its descendants."""
    parent_of = parents()
    members = {root}
    while True:
        more = {pid for pid, parent in parent_of.items() if parent in members} - members
        if not more:
            return sorted(members & parent_of.keys())
        members |= more


def look(pid: int) -> Process | None:
    folder = Path("/proc") / str(pid)
    try:
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        sizes = {}
        for line in (folder / "smaps_rollup").read_text().splitlines()[1:]:
            key, value, *_ = line.split()
            sizes[key] = int(value) * 1024
    except (OSError, ProcessLookupError):
        return None  # it ended in the meantime, or is about to
    if "Rss:" not in sizes:
        return None
    return Process(pid, command[:100], sizes["Rss:"], sizes["Pss:"])


def watch(child: subprocess.Popen, interval: float) -> list[Peak]:
    peaks = [Peak("rss"), Peak("pss")]
    started = time.monotonic()
    while True:
        processes = [process for pid in family(child.pid) if (process := look(pid))]
        for peak in peaks:
            peak.see(processes, time.monotonic() - started)
        try:
            child.wait(interval)
            return peaks
        except subprocess.TimeoutExpired:
            pass


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interval", type=float, default=0.5, help="seconds between two looks (default: 0.5)")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to run, with its arguments")
    arguments = parser.parse_args()
    if not arguments.command:
        parser.error("name a command to run")
    if not os.path.exists("/proc/self/smaps_rollup"):
        print("error: this system has no /proc/PID/smaps_rollup; Linux 4.14 or newer is needed", file=sys.stderr)
        return 2
    try:
        child = subprocess.Popen(arguments.command)
    except OSError as error:
        print(f"error: cannot run {arguments.command[0]}: {error.strerror}", file=sys.stderr)
        return 2
    try:
        peaks = watch(child, arguments.interval)
    except KeyboardInterrupt:
        # The command got the signal too, and ends in its own order.
        return child.wait()
    for peak in peaks:
        print("\n".join(peak.lines()), file=sys.stderr)
    # As shells do for a command that a signal ended.
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    sys.exit(main())
