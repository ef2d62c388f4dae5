"""What bench-reload prints."""
import statistics
import sys

ROWS = ("during a reload", "just after it", "without one")
SHARES = ("p50", "p99", "max")
GOAL = 5  # ms that p99 may be longer during a reload
BUSY_OTHERS = 0.05  # share of the cores that leaves no result to be trusted


def progress(text):
    if sys.stderr.isatty():
        print(f"\r{text:<40}\r", end="", file=sys.stderr, flush=True)


def cells(numbers, layout):
    return "".join(format(number, layout) for number in numbers)


def print_pause(options, modules, pause):
    rows = pause["rows"]
    during, without = rows[ROWS[0]], rows[ROWS[2]]
    print(f"{options.connections:,} connections send {options.rate:,} messages a second in all, whether or not answers "
          f"come, to an app of\n{modules} modules. What an answer took, in ms, by when its message was sent:\n")
    print(f"{'':<20}{'messages':>10}" + cells(SHARES, ">10"))
    for row in ROWS:
        print(f"{row:<20}{rows[row]['messages']:>10,}" + cells((rows[row][share] for share in SHARES), ">10.2f"))
    print(f"{'difference':<30}" + cells((during[share] - without[share] for share in SHARES), ">+10.2f"))
    print(f"{'ratio':<30}" + cells((during[share] / max(without[share], 0.001) for share in SHARES), ">10.1f"))
    met = "met" if during["p99"] - without["p99"] < GOAL else "missed"
    print(f"\nThe goal, a p99 that is less than {GOAL} ms longer during a reload, is {met}. All {pause['answers']:,} "
          "messages were\nanswered, in order, by the connection's own state.")
    print_phases(pause["reloads"])
    if pause["others"] > BUSY_OTHERS:
        print(f"! Other processes used {pause['others']:.0%} of the cores: repeat this when the machine is quiet.")


def print_phases(answers):
    def median(values):
        return statistics.median(values) * 1000

    names = list(dict.fromkeys(name for answer in answers for name in answer["phases"]))
    longest = max(answer["pause"] for answer in answers) * 1000
    print(f"A reload takes {median(answer['seconds'] for answer in answers):.1f} ms (median of {len(answers)}); the "
          f"loop stood still for {longest:.2f} ms at the longest.")
    print("Its phases, median in ms: " + ", ".join(
        f"{name} {median(answer['phases'].get(name, 0) for answer in answers):.2f}" for name in names))


def print_migrations(options, migrations):
    print(f"\nAnother state_version: the states of {options.connections:,} connections are migrated behind a barrier; "
          "times in ms\n")
    print(f"{'':<14}{'takes':>10}{'barrier':>10}{'held':>10}" + cells(SHARES, ">10") + "   connections that go on")
    for number, one in enumerate(migrations, 1):
        seen = cells((one["seen"][share] for share in SHARES), ">10.2f")
        print(f"migration {number:<4}{one['seconds'] * 1000:>10.1f}{one['phases'].get('barrier', 0) * 1000:>10.1f}"
              f"{one['held']:>10,}{seen}   {one['alive']:,}")


def print_memory(found, connections, limit):
    print(f"\nMemory that a process shares with no other, in KiB, with {connections} connections that talk\n")
    print(f"{'':<18}{'worker':>10}{'master':>10}{'descriptors':>16}")
    for number, one in found.items():
        worker, master = one["worker"], one["master"]
        print(f"{f'{number:,} reloads':<18}{worker['bytes'] / 1024:>10,.0f}{master['bytes'] / 1024:>10,.0f}"
              f"{worker['descriptors']:>12} + {master['descriptors']}")
    if len(found) > 1:
        first, last = list(found)[-2:]
        print(f"\ngrowth for each reload, from {first:,} to {last:,}: {growth(found):,.0f} bytes (limit {limit:,})")


def growth(found):
    """Bytes for each reload, worker and master together, between the last two readings."""
    (first, before), (last, after) = list(found.items())[-2:]
    return sum(after[name]["bytes"] - before[name]["bytes"] for name in before) / (last - first)
