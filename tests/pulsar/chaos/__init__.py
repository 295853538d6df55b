"""Load, service, reader of dead letters and judge of the chaos test: four programs, so that none can hide what another lost."""
