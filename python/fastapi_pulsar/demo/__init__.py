"""A demonstration on real input: 20,000 flights through typed handlers."""
