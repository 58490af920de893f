"""KEYS of the line protocol against Python's own re.match, on the same keys."""

import re
import warnings

import pytest
from harness.lines import Lines
from ringstore.v1 import keystore_pb2 as pb

KEYS = [
    b"a", b"aa", b"aaa", b"ab", b"abc", b"b", b"foo", b"foobar", b"oof", b"user:1", b"user:22",
    b"User:1", b"x y", b"tab\tx", b"\x0bx", b"\x1cx", b"\x08", b"a.b", b"a{,2}", b"a{,}", b"]x",
    b"[x", b":", b"-", b"_", b"$", b"^a", b"\\x", b"1", b"12", b"\xff\x00", "é".encode(),
]  # fmt: skip

# Both take these, and they must find the same.
PATTERNS = r"""
a  b  .  .*  .+  ^a  a$  ^a$  a\Z  a|b\Z  (foo|user):?\d*  foo  oo  (?:fo+)  (?P<n>f)oo  a{2}
a{1,}  a{,2}$  a{,}$  (ab{,1})+\Z  a\{,2}  a{  a{1  {  {,  a{x}  }  ]  [ab]c  [^a]  \d  \d\d$
\w+$  \W  \s  \S  [\s]  [^\s]+\Z  \bfoo  foo\b  foo\B  (?i)USER  (?i:U)ser  []]x  []x]  [^]]
[[]  [[x]+  [[:alpha:]]  [][]  [\[\]]x  [-]  [a-]  [\w-]  [\b]  \x61  \141  (|)  x*  a|b$  ^a|b
(^a|b)$  a|  |  $  ^  \$  \^  \\x  a\.b  (?s).  (?m)^a  \Aab  a?b  a??  a+?  a{1,2}?  [a-c]+$
(ab?)+$  (?:)  \0  [{,2}]+\Z  \]x
""".split()

# Python refuses these too, or does what no engine does in linear time.
REFUSED = r"""
* + ? ( ) [ a** a{2,1} [z-a] (?P<n \9 (?=a) (?!a) (?<=a)b (a)\1 (?P<n>a)(?P=n)
""".split()


@pytest.fixture
def lines(served, client):
    with Lines(served.line_port) as opened:
        for key in KEYS:
            assert opened.ask(b"SET", key, b"1") == b"+OK"
        yield opened


@pytest.mark.parametrize("pattern", PATTERNS)
def test_keys_matches_as_python_does(lines, pattern):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        wanted = [key for key in KEYS if re.match(pattern.encode(), key)]
    assert sorted(lines.ask(b"KEYS", pattern.encode())) == sorted(wanted)


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_can_not_be_matched_is_an_error_and_the_connection_continues(lines, pattern):
    assert lines.ask(b"KEYS", pattern.encode()).startswith(b"-BAD_PATTERN ")
    assert lines.ask(b"PING") == b"+PONG"


@pytest.mark.parametrize("length", [58_255, 65_536])
def test_one_long_key_does_not_take_patterns_away_from_the_database(lines, client, length):
    client.set(b"u" * length, b"1")
    users = [b"user:1", b"user:22"]
    assert sorted(lines.ask(b"KEYS", b"user:")) == users
    assert sorted(lines.ask(b"KEYS", rb"[a-z]+:\d+$")) == users
    assert client.keys(regex=b"user:") == users
    assert client.keys(glob=b"*user:*") == users
    pages = client.scan(pattern=pb.Pattern(regex=b"[^:U]*:[0-9]+$"))
    assert sorted(key for page in pages for key in page.keys) == users


def test_a_glob_gets_the_usage_of_keys(lines):
    said = b"-BAD_PATTERN The pattern can't be used: KEYS takes a regular expression here, "
    assert lines.ask(b"KEYS", b"*") == said + (
        b"and this is a glob. Did you mean KEYS .*, or SCAN 0 MATCH *?"
    )
