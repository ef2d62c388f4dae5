from suite.case import Cases

CASES = Cases()
