"""The benchmark: every client on the same broker in one run. ``make bench``."""
