"""The shell blocks of a page, and running them as a reader would.

The convention for pages, README.md first of all:

- A block that begins with ```sh holds lines to be copied into a shell at the repository's root.
- What they print (stdout and stderr together) stands in the next block, which has no language,
  after a line "Expected output:". In it, `...` stands for anything.
- A block that prints nothing that matters has no expected output, but then it has a line
  `<!-- not run: REASON -->` above it, and is left out.
- The blocks of a page run in one shell in their order, so what one defines the next ones may use.
  Each begins at the root again. The cluster is empty when the page begins.
- Write 127.0.0.1:50051 and 127.0.0.1:9999; the ports of the nodes under test are put in place.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.process import binary, clean_environment

ROOT = Path(__file__).parents[3]
REQUIREMENTS = ROOT / "Tests" / "RealClients" / "requirements.txt"
# A page may install packages.
RUN_SECONDS = 300.0

_FENCE = re.compile(r"^```(\w*)$")
_NOT_RUN = re.compile(r"^<!-- not run: \S.* -->$")
_EXPECTED = "Expected output:"
_MARK = "--- end of block ---"


@dataclass
class Block:
    """A ```sh block: its lines, where it stands, and what it must print (None: it isn't run)."""

    place: str
    commands: str
    expected: str | None


class PageError(AssertionError):
    """The page doesn't keep to the convention."""


def _fences(text: str):
    """(number of its first line, language, body, the text lines before it) for every fence."""
    before: list[str] = []
    body: list[str] | None = None
    language, begin = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line)
        if body is None and fence:
            language, begin, body = fence[1], number, []
        elif body is not None and line == "```":
            yield begin, language, "\n".join(body), before
            before, body = [], None
        elif body is not None:
            body.append(line)
        elif line.strip():
            before.append(line.strip())


def blocks(path: Path) -> list[Block]:
    """Every ```sh block of a page; PageError for one that says neither what it prints nor why it
    isn't run."""
    found: list[Block] = []
    open_block: Block | None = None
    for number, language, body, before in _fences(path.read_text()):
        if open_block is not None:
            if language or before != [_EXPECTED]:
                raise PageError(
                    f"{open_block.place}: '{_EXPECTED}' and a block without a language must follow,"
                    " or '<!-- not run: REASON -->' stand above"
                )
            open_block.expected = body
            open_block = None
        elif language == "sh":
            block = Block(f"{path.name}:{number}", body, None)
            found.append(block)
            if not (before and _NOT_RUN.match(before[-1])):
                open_block = block
    if open_block is not None:
        raise PageError(f"{open_block.place}: what it prints is missing")
    return found


class Shell:
    """Runs blocks against a server. `folder` is for what they make."""

    def __init__(self, port: int, line_port: int | None, folder: Path):
        self._port = port
        self._line_port = line_port
        self._folder = folder

    def placed(self, text: str) -> str:
        """A page's text with the ports, the executable and the folders of this run."""
        text = text.replace("$(swift build -c release --show-bin-path)", str(Path(binary()).parent))
        text = text.replace(".build-try", str(self._folder / "try"))
        text = re.sub(r"\b50051\b", str(self._port), text)
        if self._line_port is not None:
            text = re.sub(r"\b9999\b", str(self._line_port), text)
        server = f"--server 127.0.0.1:{self._port}"
        return re.sub(r"\bringstore (cli|health)\b(?! --server)", rf"ringstore \1 {server}", text)

    def environment(self) -> dict[str, str]:
        """A reader's, who knows nothing of the tests."""
        variables = clean_environment(
            {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_CONSTRAINT": os.fspath(REQUIREMENTS)}
        )
        variables.pop("PYTHONPATH", None)
        return variables

    def run(self, page: list[Block]) -> list[str]:
        """What each block printed, stdout and stderr as a terminal would show them."""
        script = ["shopt -s expand_aliases"]
        for block in page:
            script += [f"cd '{ROOT}'", self.placed(block.commands), f"printf '\\n{_MARK}\\n'"]
        file = self._folder / "page.sh"
        file.write_text("\n".join(script) + "\n")
        ended = subprocess.run(
            ["bash", file],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(),
            timeout=RUN_SECONDS,
            check=False,
        )
        printed = ended.stdout.split(f"\n{_MARK}\n")
        assert len(printed) == len(page) + 1, f"the shell ended early:\n{ended.stdout}"
        return printed[:-1]


def disagreements(page: list[Block], shell: Shell) -> str:
    """Runs the page's blocks; the blocks that printed something else, with what they printed."""
    run = [block for block in page if block.expected is not None]
    assert run, "nothing to run on this page"
    return "\n\n".join(
        f"{block.place}\n{block.commands}\nprinted:\n{printed}\nexpected:\n{block.expected}"
        for block, printed in zip(run, shell.run(run), strict=True)
        if not agrees(printed, shell.placed(block.expected))
    )


def _bare(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def agrees(printed: str, expected: str) -> bool:
    """Whether that is what the page promised; blanks at the ends of lines don't matter."""
    pattern = ".*".join(re.escape(part) for part in _bare(expected).split("..."))
    return re.fullmatch(pattern, _bare(printed), re.DOTALL) is not None
