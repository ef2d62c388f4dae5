"""The machinery of the conformance suite: frames, connections, both roles, reports. The cases are in ../cases."""
