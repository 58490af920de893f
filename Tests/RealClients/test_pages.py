"""What the pages tell readers to copy prints what the pages say. The convention for the pages is
in harness/pages.py."""

import pytest
from harness.client import Client
from harness.pages import ROOT, PageError, Shell, agrees, blocks, disagreements

PAGES = ["README.md", "docs/PYTHON.md"]

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    """Shared by the runs, so that what a page installs is installed once."""
    return tmp_path_factory.mktemp("pages")


@pytest.mark.parametrize("page", PAGES)
def test_its_lines_print_what_the_page_says(page, served, scratch):
    port = int(served.address.rpartition(":")[2])
    shell = Shell(port, getattr(served, "line_port", None), scratch)
    with Client(served.address) as client:
        client.reset(all_databases=True)
    wrong = disagreements(blocks(ROOT / page), shell)
    assert not wrong, wrong


def page(folder, text):
    path = folder / "PAGE.md"
    path.write_text(text)
    return path


def test_a_block_and_its_output_are_found_together(tmp_path):
    text = "a\n\n```sh\nx\ny\n```\n\nExpected output:\n\n```\nz\n```\n"
    (found,) = blocks(page(tmp_path, text))
    assert (found.place, found.commands, found.expected) == ("PAGE.md:3", "x\ny", "z")


def test_a_block_that_is_not_run_says_why(tmp_path):
    text = "<!-- not run: takes an hour -->\n```sh\nx\n```\n\n```\ny\n```\n"
    (found,) = blocks(page(tmp_path, text))
    assert found.expected is None


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nx\n```\n",
        "```sh\nx\n```\n\nIt prints:\n\n```\ny\n```\n",
        "```sh\nx\n```\n\nExpected output:\n\n```sh\ny\n```\n",
        "<!-- not run: -->\n```sh\nx\n```\n",
    ],
)
def test_a_block_with_neither_output_nor_reason_is_refused(tmp_path, text):
    with pytest.raises(PageError):
        blocks(page(tmp_path, text))


def test_output_agrees_or_it_does_not():
    assert agrees("a \nb\n", "a\nb")
    assert agrees("port 41 is open\n", "port ... is open")
    assert not agrees("a\nb\nc\n", "a\nb")
    assert not agrees("axb", "a.b")


def test_a_shell_gives_each_block_its_own_output(tmp_path):
    text = "```sh\nn=3; cd /\n```\n\nExpected output:\n\n```\n```\n"
    text += "```sh\necho $n; echo oops >&2; pwd\n```\n\nExpected output:\n\n```\n```\n"
    printed = Shell(1, None, tmp_path).run(blocks(page(tmp_path, text)))
    assert [one.split() for one in printed] == [[], ["3", "oops", str(ROOT)]]


def test_ports_and_servers_of_the_page_become_those_of_the_run(tmp_path):
    placed = Shell(1234, 5678, tmp_path).placed
    assert placed("nc 127.0.0.1 9999") == "nc 127.0.0.1 5678"
    assert placed("ringstore cli GET a") == "ringstore cli --server 127.0.0.1:1234 GET a"
    assert placed("ringstore cli --server a:50051") == "ringstore cli --server a:1234"
