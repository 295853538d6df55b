"""Our client's own behaviour, seen from Python."""
