"""README's lines on the legacy services do what they say."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_lines_print_what_the_page_says(client, tmp_path):
    blocks = BLOCK.findall((ROOT / "README.md").read_text())
    (at,) = [n for n, block in enumerate(blocks) if "key_store_pb2_grpc" in block]
    script, expected = blocks[at], blocks[at + 1]
    for written, here in (
        (".build-try/bin/python", sys.executable), (".build-try/stubs", str(tmp_path)),
        ("127.0.0.1:50051", client.address),
    ):
        assert written in script
        script = script.replace(written, here)
    done = subprocess.run(
        ["bash", "-euc", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, expected), done.stderr
