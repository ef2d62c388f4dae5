"""Where a product is known to differ from the RFC, or takes what it forbids: shown, and no failures.

The list is exact: a case that is listed and passes is a failure of the suite.
"""

from fnmatch import fnmatchcase
from typing import NamedTuple


class Difference(NamedTuple):
    cases: tuple  # ids or patterns; every case that one matches differs
    roles: tuple  # of the product
    section: str
    words: str  # of the RFC
    why: str  # what the product does

    def matches(self, case, role):
        return role in self.roles and any(fnmatchcase(case, pattern) for pattern in self.cases)


WS = []

LISTS = {"ws": WS}


def of(target):
    """The list of a target, empty for one that has none."""
    return LISTS.get(target, [])
