"""A Hugging Face Hub on loopback: the endpoints that the real client uses to publish and to load.

``HubServer`` keeps repositories in memory. Tokens are ``"<user>-<role>"``; only the role ``write``
may create and commit, and only in the namespace of its user. Files of weights go by Git LFS.
"""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import yaml

LFS_SUFFIXES = (".bin", ".safetensors")
USERS = ("user", "other")


@dataclass
class Repository:
    private: bool = False
    commits: list[dict[str, bytes]] = field(default_factory=lambda: [{}])
    etags: dict[str, str] = field(default_factory=dict)
    tags: dict[str, int] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[-1]

    @property
    def sha(self) -> str:
        return self.sha_of(len(self.commits) - 1)

    def sha_of(self, commit: int) -> str:
        files = self.commits[commit]
        listing = [(name, hashlib.sha1(data).hexdigest()) for name, data in files.items()]
        return hashlib.sha1(repr((commit + 1, sorted(listing))).encode()).hexdigest()

    def commit(self, revision: str) -> int | None:
        """Number of a commit by its tag, its digits or ``main``."""
        last = len(self.commits) - 1
        names = {self.sha_of(i): i for i in range(last + 1)} | self.tags | {"main": last}
        return names.get(revision)


class HubServer:
    """The server, as a context manager; ``endpoint`` is its address.

    Attributes:
        repositories: by ``user/name``.
        requests: method and path of all that was asked, in order.
        broken: a pattern of ``METHOD path`` that is answered with 500.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.broken: str | None = None
        hub = self

        class Handler(_Handler):
            server_hub = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> "HubServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_hub: HubServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._route("GET")

    def do_HEAD(self) -> None:
        self._route("HEAD")

    def do_POST(self) -> None:
        self._route("POST")

    def do_PUT(self) -> None:
        self._route("PUT")

    def _route(self, method: str) -> None:
        hub, path = self.server_hub, unquote(self.path.split("?")[0])
        self.body = self._read()
        hub.requests.append(f"{method} {path}")
        if hub.broken and re.search(hub.broken, f"{method} {path}"):
            return self._json(500, {"error": "out of order"})
        for pattern, answer in (
            (r"GET /api/whoami-v2", self._whoami),
            (r"POST /api/validate-yaml", self._validate),
            (r"POST /api/repos/create", self._create),
            (r"GET /api/models/([^/]+/[^/]+)(?:/revision/.+)?", self._info),
            (r"POST /api/models/([^/]+/[^/]+)/preupload/main", self._preupload),
            (r"POST /([^/]+/[^/]+)\.git/info/lfs/objects/batch", self._lfs_batch),
            (r"PUT /lfs/([0-9a-f]{64})", self._lfs_put),
            (r"POST /lfs/verify", self._lfs_verify),
            (r"POST /api/models/([^/]+/[^/]+)/commit/main", self._commit),
            (r"(?:GET|HEAD) /([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self._resolve),
        ):
            match = re.fullmatch(pattern, f"{method} {path}")
            if match:
                return answer(*match.groups())
        return self._json(404, {"error": f"no endpoint {method} {path}"})

    def _whoami(self) -> None:
        user, role = self._user()
        if user is None:
            return self._json(401, {"error": "Invalid credentials in Authorization header"})
        token = {"accessToken": {"role": role, "displayName": "test"}}
        return self._json(200, {"name": user, "type": "user", "orgs": [], "auth": token})

    def _validate(self) -> None:
        content = json.loads(self.body)["content"]
        header = yaml.safe_load(re.fullmatch(r"---\n(.*?)\n---\n.*", content, re.DOTALL)[1])
        if header.get("license") == "nonsense":
            message = "license must be one of [...]"
            if self.headers.get("Accept") == "text/plain":
                return self._send(400, message.encode(), {"Content-Type": "text/plain"})
            return self._json(400, {"errors": [{"message": message}]})
        return self._json(200, {"errors": [], "warnings": []})

    def _create(self) -> None:
        asked = json.loads(self.body)
        user, role = self._user()
        name = f"{asked['organization'] or user}/{asked['name']}"
        url = {"url": f"{self.server_hub.endpoint}/{name}", "name": name}
        if name.split("/")[0] != user or role != "write":
            return self._json(403, {"error": "You don't have the rights to create a model"})
        if name in self.server_hub.repositories:
            return self._json(409, {"error": "You already created this model repo", **url})
        is_private = asked.get("visibility") == "private" or asked.get("private") is True
        self.server_hub.repositories[name] = Repository(is_private)
        return self._json(200, url)

    def _info(self, name: str) -> None:
        repository = self._readable(name)
        if repository is None:
            return None
        files = [{"rfilename": file} for file in repository.files]
        info = {"id": name, "modelId": name, "sha": repository.sha, "private": repository.private}
        return self._json(200, {**info, "siblings": files, "tags": []})

    def _preupload(self, name: str) -> None:
        if not self._writable(name):
            return None
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LFS_SUFFIXES) else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(self.body)["files"]
        ]
        return self._json(200, {"files": files})

    def _lfs_batch(self, name: str) -> None:
        if not self._writable(name):
            return None
        endpoint = self.server_hub.endpoint
        objects = []
        for asked in json.loads(self.body)["objects"]:
            actions = {
                "upload": {"href": f"{endpoint}/lfs/{asked['oid']}"},
                "verify": {"href": f"{endpoint}/lfs/verify"},
            }
            is_there = asked["oid"] in self.server_hub.blobs
            objects.append({**asked, **({} if is_there else {"actions": actions})})
        return self._json(200, {"transfer": "basic", "objects": objects})

    def _lfs_put(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            return self._json(400, {"error": "wrong hash"})
        self.server_hub.blobs[oid] = self.body
        return self._json(200, {})

    def _lfs_verify(self) -> None:
        asked = json.loads(self.body)
        is_right = len(self.server_hub.blobs.get(asked["oid"], b"")) == asked["size"]
        return self._json(200 if is_right else 404, {})

    def _commit(self, name: str) -> None:
        repository = self._writable(name)
        if not repository:
            return None
        files = dict(repository.files)
        for line in map(json.loads, self.body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                data = base64.b64decode(value["content"])
                header = f"blob {len(data)}\0".encode()
                files[value["path"]] = data
                repository.etags[value["path"]] = hashlib.sha1(header + data).hexdigest()
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server_hub.blobs[value["oid"]]
                repository.etags[value["path"]] = value["oid"]
        repository.commits.append(files)
        url = f"{self.server_hub.endpoint}/{name}/commit/{repository.sha}"
        return self._json(200, {"success": True, "commitOid": repository.sha, "commitUrl": url})

    def _resolve(self, name: str, revision: str, file: str) -> None:
        repository = self._readable(name)
        if repository is None:
            return None
        number = repository.commit(revision)
        if number is None:
            return self._json(404, {}, {"X-Error-Code": "RevisionNotFound"})
        commit, files = {"X-Repo-Commit": repository.sha_of(number)}, repository.commits[number]
        if file not in files:
            return self._json(404, {}, {"X-Error-Code": "EntryNotFound", **commit})
        data = files[file]
        etag = repository.etags.get(file) if files is repository.files else None
        if etag is None:
            digest = hashlib.sha256 if file.endswith(LFS_SUFFIXES) else hashlib.sha1
            etag = digest(data).hexdigest()
        return self._send(200, data, {"ETag": f'"{etag}"', **commit})

    def _user(self) -> tuple[str | None, str]:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        user, _, role = token.partition("-")
        return (user, role) if user in USERS and role in ("read", "write") else (None, "")

    def _readable(self, name: str) -> Repository | None:
        repository = self.server_hub.repositories.get(name)
        if repository is None or (repository.private and self._user()[0] != name.split("/")[0]):
            status = 401 if self._user()[0] is None else 404
            self._json(status, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            return None
        return repository

    def _writable(self, name: str) -> Repository | None:
        repository = self._readable(name)
        if repository is not None and self._user() != (name.split("/")[0], "write"):
            self._json(403, {"error": "You don't have write access"})
            return None
        return repository

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _json(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        kind = {"Content-Type": "application/json"}
        self._send(status, json.dumps(content).encode(), {**kind, **(headers or {})})

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
