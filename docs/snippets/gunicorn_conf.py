"""gunicorn -c gunicorn_conf.py service:app"""

bind = "0.0.0.0:8000"
worker_class = "asgi"
workers = 4
preload_app = True  # the workers share the memory of what is imported
graceful_timeout = 40  # seconds, more than the router's drain_timeout
timeout = 60
