"""Settings and the packages mounted beside them."""
