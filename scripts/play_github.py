"""Owns a GitHub on this machine, for scripts/try_action.py: pull requests with their comments, and the files of
releases. It listens on loopback alone, and can refuse and fail as the real one does.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

ACCOUNT = {"login": "github-actions[bot]", "type": "Bot", "id": 41898282}


class GitHub:
    """The service: what it holds, and how it is disposed."""

    def __init__(self, repository: str, releases: Path):
        self.repository, self.releases = repository, releases
        # Open pull requests by number: head repository, branch and commit.
        self.pulls: dict[int, dict] = {}
        self.comments: dict[int, dict] = {}
        # The status that every request of the API gets in place of an answer.
        self.broken: int | None = None
        self.requests: list[tuple[str, str]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            """Hands requests on."""

            def log_message(self, *_):
                """Keeps quiet."""

            def handle_any(self):
                length = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(length)) if length else None
                status, answer = service.answer(self.command, self.path, body)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, method: str, target: str, body) -> tuple[int, object]:
        """The status and the body of an answer."""
        parts = urlsplit(target)
        path = unquote(parts.path)
        self.requests.append((method, path))
        if not path.startswith("/api/"):
            return self.file_of_release(path)
        if self.broken:
            return self.broken, {"message": "it is broken on purpose"}
        path = path.removeprefix("/api")
        prefix = f"/repos/{self.repository}"
        if not path.startswith(prefix):
            return 404, {"message": "Not Found"}
        return self.of_repository(method, path.removeprefix(prefix), parse_qs(parts.query), body)

    def file_of_release(self, path: str) -> tuple[int, object]:
        file = self.releases / path.lstrip("/")
        return (200, file.read_bytes()) if file.is_file() else (404, b"Not Found")

    def of_repository(self, method: str, path: str, query: dict, body) -> tuple[int, object]:
        match (method, path.strip("/").split("/")):
            case ("GET", ["pulls"]):
                return 200, self.find_pulls(query)
            case ("GET", ["pulls", number]) if int(number) in self.pulls:
                return 200, self.pulls[int(number)]
            case ("GET", ["commits", sha, "pulls"]):
                return 200, [pull for pull in self.pulls.values() if pull["head"]["sha"] == sha]
            case ("GET", ["issues", number, "comments"]):
                found = [comment for comment in self.comments.values() if comment["number"] == int(number)]
                return 200, found if query.get("page", ["1"]) == ["1"] else []
            case ("POST", ["issues", number, "comments"]):
                key = max(self.comments, default=0) + 1
                self.comments[key] = {"id": key, "number": int(number), "user": ACCOUNT, **self.made_of(body)}
                return 201, self.comments[key]
            case ("PATCH", ["issues", "comments", key]) if int(key) in self.comments:
                self.comments[int(key)].update(self.made_of(body))
                return 200, self.comments[int(key)]
            case ("DELETE", ["issues", "comments", key]) if int(key) in self.comments:
                del self.comments[int(key)]
                return 204, b""
        return 404, {"message": f"Not Found: {method} {path}"}

    def made_of(self, body) -> dict:
        return {"body": body["body"], "html_url": f"{self.url}/comment"}

    def find_pulls(self, query: dict) -> list[dict]:
        """Open pull requests; `head` is OWNER:BRANCH."""
        wanted = query.get("head", [None])[0]
        label = lambda pull: f"{pull['head']['repo']['owner']['login']}:{pull['head']['ref']}"  # noqa: E731
        return [pull for pull in self.pulls.values() if wanted in (None, label(pull))]
