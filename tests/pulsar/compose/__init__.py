"""The services of `docker/` as processes in namespaces: the very files that a user runs, without a container engine."""
