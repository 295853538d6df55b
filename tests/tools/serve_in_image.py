"""Runs inside an image: the server that the arguments name, a broker beside it, one order, the health check, SIGTERM."""

import os
import socket
import subprocess
import sys
import time
import urllib.request


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


broker = subprocess.Popen(
    [sys.executable, "-m", "fastapi_pulsar", "broker", "--port", "0", "--admin-port", "0"],
    stdout=subprocess.PIPE,
    text=True,
)
port = free_port()
url = f"http://127.0.0.1:{port}"
variables = {
    "PULSAR_SERVICE_URL": broker.stdout.readline().split()[1],
    "UVICORN_PORT": str(port),
    "BIND": f"0.0.0.0:{port}",
    "WEB_CONCURRENCY": "1",  # gunicorn forgets a SIGTERM for a worker that is still starting
    "HEALTH_URL": f"{url}/health/pulsar/ready",
}
os.environ.update(variables)
server = subprocess.Popen(sys.argv[1:])
try:
    deadline = time.monotonic() + 60
    while (check := subprocess.run(["python", "/opt/healthy.py"], stderr=subprocess.PIPE, text=True)).returncode:
        if server.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"not healthy: {check.stderr}")
        time.sleep(0.2)
    order = urllib.request.Request(f"{url}/orders", b'{"id": 7, "amount": 12.5}', {"Content-Type": "application/json"})
    urllib.request.urlopen(order, timeout=10).close()
    while (
        'pulsar_messages_received_total{topic="orders"} 1.0'
        not in urllib.request.urlopen(f"{url}/metrics", timeout=10).read().decode()
    ):
        if time.monotonic() > deadline:
            sys.exit("the order was not billed")
        time.sleep(0.2)
    server.terminate()
    if (code := server.wait(30)) not in (0, -15):
        sys.exit(f"the server ended with {code}")
finally:
    server.kill()
    broker.terminate()
    broker.wait(30)
print("served")
