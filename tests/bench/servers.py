"""Starts the servers that are measured, and reads what the kernel knows about processes.

Every server follows one convention: it prints a line "listening URL" when it is ready, and ends
at SIGTERM.
"""
import collections
import os
import resource
import signal
import subprocess
import sys
import threading
import time


def fail(message, status=1):
    """Ends the program with one line on stderr."""
    sys.exit(report(message, status))


def report(message, status):
    print(f"{os.path.basename(sys.argv[0])}: {message}", file=sys.stderr)
    return status


def raise_file_limit():
    """Lets the servers that are started from now on open as many files as is allowed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def on_cores(cores, start):
    """Calls start() such that the processes it starts run on these cores only. None: anywhere."""
    before = os.sched_getaffinity(0)
    try:
        if cores is not None:
            os.sched_setaffinity(0, cores)
        return start()
    finally:
        os.sched_setaffinity(0, before)


class Server:
    """A running server: `url`, and `pids()` of the processes that serve."""

    def __init__(self, name, command, cores=None):
        self.name = name
        self.url = None
        self._lines = collections.deque(maxlen=20)
        self._heard = threading.Event()
        try:
            self._process = on_cores(cores, lambda: subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace"))
        except OSError as error:
            fail(f"cannot start {name}: {error}")
        threading.Thread(target=self._listen, daemon=True).start()
        self._heard.wait(20)
        if not self.url:
            self.stop()
            fail(f"{name} did not say what it listens on: {' '.join(command)}\n" +
                 "".join(self._lines))

    def _listen(self):
        # Reads for as long as the server runs: it must never block on a full pipe.
        for line in self._process.stdout:
            self._lines.append(line)
            word, _, rest = line.strip().partition(" ")
            if word == "listening" and not self.url:
                self.url = rest.split()[0]
                self._heard.set()
        self._heard.set()

    def pids(self):
        """The processes that have no children: a worker of a master, or the server itself."""
        found, todo = [], [self._process.pid]
        while todo:
            pid = todo.pop()
            children = children_of(pid)
            todo += children
            if not children:
                found.append(pid)
        return found

    def all_pids(self):
        """The started process and everything below it."""
        found = [self._process.pid]
        for pid in found:
            found += children_of(pid)
        return found

    def is_running(self):
        return self._process.poll() is None

    def last_words(self):
        return "".join(self._lines)

    def stop(self):
        if self.is_running():
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except FileNotFoundError:
        return []


def cpu_seconds(pids):
    """CPU time of these processes, all their threads."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
    return total / 1e9


def core_times(cores):
    """Seconds that these cores were busy, and seconds that the host took from them."""
    ticks = os.sysconf("SC_CLK_TCK")
    busy = stolen = 0
    with open("/proc/stat", encoding="ascii") as file:
        for line in file:
            fields = line.split()
            if fields[0] in {f"cpu{core}" for core in cores}:
                user, nice, system, _, _, irq, softirq, steal = map(int, fields[1:9])
                busy += user + nice + system + irq + softirq
                stolen += steal
    return busy / ticks, stolen / ticks


def private_bytes(pid):
    """Memory that a process has written to and shares with no other: heap, stacks, data. What
    the kernel holds for it (sockets, page tables) is not in it."""
    total = 0
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith(("Private_Dirty:", "Swap:")):
                total += int(line.split()[1]) * 1024
    return total


def settled_bytes(pid):
    """The same, once it has not changed for half a second (a server may still collect garbage), and
    after five seconds in any case."""
    last = private_bytes(pid)
    for _ in range(10):
        time.sleep(0.5)
        now = private_bytes(pid)
        if now == last:
            break
        last = now
    return now
