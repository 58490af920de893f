"""A Prometheus of this machine, and its replies."""

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from harness.polling import eventually
from harness.ports import free_port

SECONDS = 60.0


class Prometheus:
    """Runs with the configuration file, until it is stopped. A context manager."""

    def __init__(self, config: Path, folder: Path):
        self._port = free_port()
        self._log = folder / "prometheus.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        try:
            eventually(self._is_ready, "Prometheus ready", SECONDS)
        except BaseException as error:
            self.stop()
            raise AssertionError(f"{error}\n{self._log.read_text()}") from error

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            # No AssertionError, which is "not yet" to `eventually`.
            raise RuntimeError("it ended")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/-/ready", timeout=SECONDS):
                return True
        except OSError:
            return False

    def ask(self, path: str, **words: str) -> object:
        """The reply of the API; AssertionError with its sentence if that is an error."""
        query = urllib.parse.urlencode(words)
        try:
            url = f"http://127.0.0.1:{self._port}/api/v1/{path}?{query}"
            with urllib.request.urlopen(url, timeout=SECONDS) as reply:
                told = json.load(reply)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{words}: {error.read().decode()}") from error
        assert told["status"] == "success" and not told.get("warnings"), told
        return told["data"]

    def query(self, expression: str) -> list[dict]:
        return self.ask("query", query=expression)["result"]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(SECONDS)

    def __enter__(self) -> "Prometheus":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
