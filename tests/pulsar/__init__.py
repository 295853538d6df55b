"""Tests against a real Apache Pulsar, and the harness that runs it."""
