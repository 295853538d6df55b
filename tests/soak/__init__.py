"""Mixed load on the embedded broker while something goes wrong every second: `make soak`."""
