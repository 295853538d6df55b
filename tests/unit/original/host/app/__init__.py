"""An application that mounted the original package as `app.core.pulsar`."""
