"""Makes the keys, certificates and tokens of the secure set-ups: `python3 docker/make_secrets.py`.

Needs `openssl`. What is made goes to `docker/secrets`, which git ignores:

    ca.key, token.key           sign certificates and tokens; made once, kept by you, mounted nowhere
    broker/ proxy/              certificate and key, the role's token, and the public key that tokens are checked with
    app/ admin/ client/ …       the authority's certificate and the token of a role

Run it again to renew certificates and tokens under the same authority. Every folder is mounted into one kind of container
and no other. The top folder is closed to others; the files in it are readable, since containers run as other users.
"""

import argparse
import base64
import json
import subprocess
import time
from pathlib import Path

# Who is who. A server's certificate names every host under which it is dialled.
SERVERS = {"broker": ("broker", "broker-1", "broker-2"), "proxy": ("proxy-1", "proxy-2")}
# Folder → role in the token. What a role may do is granted by `conf/secure/grant.sh`; `admin`, `broker` and `proxy` are
# known to the broker's configuration.
ROLES = {"broker": "broker", "proxy": "proxy", "admin": "admin", "app": "service", "client": "client"}
HEALTH = "health"
"""The role of the proxies' health check, which may do nothing: a proxy's own role is no client's."""
FOLDER = Path(__file__).resolve().parent / "secrets"


class Authority:
    """Signs certificates and tokens with keys that it makes when they are not there.

    Args:
        folder: Where the keys are.
        days: For how long what it signs is valid; a negative number makes what has expired already.
    """

    def __init__(self, folder: Path, days: int = 365) -> None:
        self.folder = folder
        self.days = days
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._ca, self._ca_key, self._token_key = folder / "ca.pem", folder / "ca.key", folder / "token.key"
        for key in (self._ca_key, self._token_key):
            if not key.exists():
                _make_key(key)
        if not self._ca.exists():
            subject = ["-subj", "/CN=fastapi-pulsar", "-days", "3650"]
            _openssl("req", "-x509", "-new", "-key", self._ca_key, *subject, "-out", self._ca)

    def certificate(self, folder: Path, names: tuple[str, ...]) -> None:
        """`tls.pem` and `tls.key` of a server that is dialled under these names and as localhost."""
        key, request, extensions = folder / "tls.key", folder / "tls.csr", folder / "tls.ext"
        _make_key(key)
        key.chmod(0o644)
        _openssl("req", "-new", "-key", key, "-subj", f"/CN={names[0]}", "-out", request)
        alternatives = ",".join(f"DNS:{name}" for name in (*names, "localhost"))
        usage = "extendedKeyUsage=serverAuth,clientAuth"
        extensions.write_text(f"basicConstraints=CA:FALSE\nsubjectAltName={alternatives},IP:127.0.0.1\n{usage}\n")
        signer: list[str | Path] = [
            "-CA",
            self._ca,
            "-CAkey",
            self._ca_key,
            "-CAserial",
            self.folder / "ca.srl",
            "-CAcreateserial",
        ]
        options: list[str | Path] = [
            "-in",
            request,
            "-days",
            str(self.days),
            "-extfile",
            extensions,
            "-out",
            folder / "tls.pem",
        ]
        _openssl("x509", "-req", *signer, *options)
        request.unlink()
        extensions.unlink()

    def token(self, role: str) -> str:
        """A JSON Web Token (RS256) for the role."""
        claims = {"sub": role, "exp": int(time.time()) + self.days * 86_400}
        unsigned = f"{_encode(_json({'alg': 'RS256', 'typ': 'JWT'}))}.{_encode(_json(claims))}"
        signature = _openssl("dgst", "-sha256", "-sign", self._token_key, given=unsigned.encode())
        return f"{unsigned}.{_encode(signature)}"

    def trust(self, folder: Path) -> None:
        """Copies the authority's certificate there."""
        (folder / "ca.pem").write_bytes(self._ca.read_bytes())

    def token_check(self, folder: Path) -> None:
        """Writes the public key there with which servers check tokens."""
        _openssl("pkey", "-in", self._token_key, "-pubout", "-outform", "DER", "-out", folder / "token-public.der")


def make(folder: Path, days: int, extra_roles: tuple[str, ...] = ()) -> None:
    """Makes everything; keys that sign are kept if they are there."""
    authority = Authority(folder, days)
    for name, role in {**ROLES, **{role: role for role in extra_roles}}.items():
        place = folder / name
        place.mkdir(exist_ok=True)
        authority.trust(place)
        token = authority.token(role)
        (place / "token").write_text(token)
        (place / "authorization").write_text(f"Authorization: Bearer {token}\n")
        (place / "token.env").write_text(f"PULSAR_AUTH_TOKEN={token}\n")
        if name in SERVERS:
            authority.certificate(place, SERVERS[name])
            authority.token_check(place)
    (folder / "proxy" / "health").write_text(f"Authorization: Bearer {authority.token(HEALTH)}\n")


def _make_key(path: Path) -> None:
    # PKCS#8, the only form of a key that the broker reads.
    path.touch(mode=0o600)
    _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", path)


def _openssl(*arguments: str | Path, given: bytes = b"") -> bytes:
    command = ["openssl", *map(str, arguments)]
    done = subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)
    if done.returncode:
        raise SystemExit(f"openssl {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to (default: docker/secrets)")
    parser.add_argument(
        "--days", type=int, default=365, help="how long certificates and tokens are valid (default: 365)"
    )
    parser.add_argument(
        "--role", action="append", default=[], help="one more role to make a token for; may be repeated"
    )
    options = parser.parse_args()
    make(options.folder, options.days, tuple(options.role))
    print(f"made {options.folder}")


if __name__ == "__main__":
    main()
