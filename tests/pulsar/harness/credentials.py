"""Tokens and certificates, made at run time: none is ever stored in the project."""

import base64
import hashlib
import hmac
import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


def make_token(key: bytes, subject: str, expires_in: float | None = None) -> str:
    """A JSON Web Token (HS256) for the role `subject`, valid for `expires_in` seconds (negative: expired already)."""
    claims: dict[str, str | int] = {"sub": subject}
    if expires_in is not None:
        claims["exp"] = int(time.time() + expires_in)
    unsigned = _encode(_json({"alg": "HS256"})) + "." + _encode(_json(claims))
    return unsigned + "." + _encode(hmac.new(key, unsigned.encode(), hashlib.sha256).digest())


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class Certificates:
    """Files in PEM form: an authority, a server for localhost, and a client whose common name is the role `admin`."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path


def make_certificates(folder: Path) -> Certificates:
    folder.mkdir(parents=True, exist_ok=True)
    _openssl(folder, "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=test-ca -keyout ca.key -out ca.pem")
    _issue(folder, "server", "localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    _issue(folder, "client", "admin", "extendedKeyUsage=clientAuth\n")
    return Certificates(
        ca=folder / "ca.pem",
        server=folder / "server.pem",
        server_key=folder / "server.key",
        client=folder / "client.pem",
        client_key=folder / "client.key",
    )


def _issue(folder: Path, name: str, common_name: str, extensions: str) -> None:
    # genpkey writes PKCS#8, the only form of a key that the broker reads.
    _openssl(folder, f"genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {name}.key")
    _openssl(folder, f"req -new -key {name}.key -subj /CN={common_name} -out {name}.csr")
    (folder / f"{name}.ext").write_text("basicConstraints=CA:FALSE\n" + extensions)
    _openssl(
        folder,
        f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile {name}.ext -out {name}.pem",
    )


def _openssl(folder: Path, arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True, timeout=60)
