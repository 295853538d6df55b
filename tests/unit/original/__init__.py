"""The original interface: its test application, its faults, its tests."""
