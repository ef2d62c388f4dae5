"""Results for people (a table, the failures) and for programs (JSON)."""

import json

from .case import GROUPS

DUMP_MOST = 96  # bytes of one piece in a wire dump


def judge_differences(results, differences):
    """Lays a list of known differences over the results. An entry that no longer holds is a failure."""
    used = set()
    for result in results:
        entry = next((e for e in differences if e.matches(result.case.id, result.role)), None)
        if entry is None:
            continue
        used.add(entry)
        if result.status == "failed":
            result.status = "differs"
        elif result.status == "passed":
            result.status, result.detail = "failed", "is listed as a difference, and passes"
        result.entry = entry
    return used


def count(results):
    """(passed, failed, differs)"""
    return tuple(sum(r.status == status for r in results) for status in ("passed", "failed", "differs"))


def table(results):
    """The lines of the table by role and group."""
    lines = [f"{'':<8}{'group':<38}{'cases':>6}{'passed':>8}{'failed':>8}{'differs':>9}{'time':>9}"]
    for role in ("server", "client"):
        of_role = [r for r in results if r.role == role]
        for group, title in GROUPS.items():
            of_group = [r for r in of_role if r.case.group == group]
            if of_group:
                lines.append(_row(role, f"{group:<4}{title}", of_group))
        if of_role:
            lines.append(_row(role, "    all", of_role))
    return lines


def _row(role, title, results):
    passed, failed, differs = count(results)
    seconds = sum(r.seconds for r in results)
    return f"{role:<8}{title:<38}{len(results):>6}{passed:>8}{failed:>8}{differs:>9}{seconds:>7.1f} s"


def describe(result):
    """The lines about a case that failed or differs."""
    case = result.case
    lines = [f"{result.status} {result.role} {case.id}: {case.title} ({case.rfc})"]
    lines += [f"    {line}" for line in result.detail.splitlines()]
    if result.status == "differs":
        lines.append(f"    {result.entry.section}: \"{result.entry.words}\"")
        lines.append(f"    {result.entry.why}")
    for direction, data in result.log or ():
        shown = data[:DUMP_MOST].hex(" ") + (" ..." if len(data) > DUMP_MOST else "")
        lines.append(f"    {direction:<8} {len(data):>7}  {shown}")
    return lines


def to_json(results, target):
    passed, failed, differs = count(results)
    cases = [{"id": r.case.id, "role": r.role, "title": r.case.title, "rfc": r.case.rfc, "status": r.status,
              "detail": r.detail, "seconds": round(r.seconds, 4)} for r in results]
    return json.dumps({"target": target, "passed": passed, "failed": failed, "differs": differs, "cases": cases},
                      indent=1)
