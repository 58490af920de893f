"""The dashboard's page in headless Chromium, before a node that is made up: what it shows, what it
does with other people's bytes, and how it behaves where the node refuses or is gone. Pictures of
it are written to RINGSTORE_TEST_PICTURES, where that names a folder."""

import os
import time
from pathlib import Path

import pytest
from harness import browser as chromium
from harness.dashboard import PAGE, FakeNode, b64
from harness.page_scripts import CONTRASTS, CONTROLS, FOCUS

pytestmark = pytest.mark.skipif(
    chromium.executable() is None,
    reason="Chromium is not installed (Debian: chromium), so no page can be looked at")

PAGE_BYTES_MAX = 60_000
# Polls and limits of time pass faster in the page, so that no test waits for them.
HURRY = "{ const real = setTimeout; window.setTimeout = (f, ms) => real(f, ms / 20); }"
FAILS_IF_RUN = "document.title = 'deceived'"

HOSTILE = [
    f"<script>{FAILS_IF_RUN}</script>".encode(),
    f"<img src=x onerror=\"{FAILS_IF_RUN}\">".encode(),
    "\u202egnp.exe\u202c".encode(),
    "\u05e9\u05dc\u05d5\u05dd".encode(),
    b"\x00\xff\xfe\x80 \\ \n\r\t\x7f",
    b"\xed\xa0\x80\xf4\x90\x80\x80",
    b"' onmouseover='" + FAILS_IF_RUN.encode(),
    b"__proto__", b"constructor", b"",
]


@pytest.fixture(scope="module")
def browser():
    started = chromium.Browser()
    yield started
    started.stop()


@pytest.fixture
def page(browser):
    opened = browser.page()
    opened.set_size(1280)
    opened.on_each_document(HURRY)
    yield opened
    assert opened.complaints() == []
    assert opened.value("document.title") != "deceived"
    assert all(r.startswith(("http://127.0.0.1:", "data:")) for r in opened.requests())
    opened.close()


@pytest.fixture
def node():
    started = FakeNode()
    yield started
    started.stop()


def show(page, node, looks: int = 3) -> None:
    """Opens the page, and waits until it has drawn something."""
    page.open(node.url)
    page.until(f"document.querySelector('#calls .one')?.getAttribute('d').split('L').length"
               f" > {looks}")


def search(page, prefix: str = "") -> None:
    page.value("document.querySelector('#prefix').focus()")
    page.type(prefix)
    page.press("Enter")
    page.until("!['', 'Searching'].includes(document.querySelector('#found').textContent)")


def keep_picture(page, name: str) -> None:
    if folder := os.environ.get("RINGSTORE_TEST_PICTURES"):
        Path(folder, f"{name}.png").write_bytes(page.picture())


def rich(shards: int = 3) -> FakeNode:
    """A cluster with something in every part of the page."""
    node = FakeNode(shards)
    for key in [*HOSTILE, b"k" * 65_535, b"l" * 3000, "gr\u00fc\u00dfe".encode()]:
        node.add_key(key, b"<b>value</b> \x00 \xff" + key[:40])
    for number in range(120):
        node.add_key(b"order:%05d" % number, b"x" * number, ttl_millis=60_000 * number)
    node.add_key(b"queue", b"", type="list", length=12_345,
                 values=[b"<i>first</i>", b"", b"\xff"] + [b"v%d" % n for n in range(17)])
    now = int(time.time() * 1000)
    node.hot = [
        {"key": b64(k), "key_bytes": len(k), "whole": True, "database": 0, "slot": n,
         "shard": "a", "calls_per_second": 900 / (n + 1), "share": .2 / (n + 1), "samples": 99}
        for n, k in enumerate(HOSTILE)]
    node.events = [
        {"number": n, "unix_millis": now - n * 1000, "level": level, "message": message,
         "fields": [["shard", "<b>b</b>"]]}
        for n, (level, message) in enumerate([
            ("warning", "a shard was restarted"), ("error", "<i>conflict</i>"),
            ("notice", "link ready")])]
    node.slow = [
        {"node": "router", "kind": "call", "number": 1, "command": "lrange", "unix_millis": now,
         "duration_micros": 48_200, "failed": False, "calls": 1, "request_bytes": 40,
         "reply_bytes": 2_100_000, "shard": "b", "slot": 4, "database": 0,
         "key": b64(HOSTILE[0]), "digest": None},
        {"node": "a", "kind": "tick", "number": 1, "command": "get", "unix_millis": now,
         "duration_micros": 22_000, "failed": False, "calls": 801, "request_bytes": 0,
         "reply_bytes": 0, "shard": None, "slot": None, "database": None, "key": None,
         "digest": None}]
    return node


# MARK: What it shows


def test_it_is_one_small_page_without_outside_assets(page, node):
    assert len(PAGE.read_bytes()) < PAGE_BYTES_MAX
    show(page, node)
    paths = {r.removeprefix(node.url) for r in page.requests() if r.startswith("http")}
    assert paths <= {"", "api/overview?epoch=", "api/overview?epoch=1", "api/events",
                     "api/slowlog", "api/hotkeys?count=15"}


def test_it_shows_each_shard_with_its_figures(page, node):
    node.calls_a_second = 9000
    show(page, node)
    text = page.text("#nodes")
    for word in ["a", "10.0.0.2:50061", "serving", "5,461", "341,002", "84.0\u00a0MiB"]:
        assert word in text
    assert "3 of 3" in page.text("#tiles")
    assert "1,023,006" in page.text("#tiles")
    assert page.text("#status") == "Live"
    # 98 of 100 calls took 160 us or less.
    assert "160\u00a0\u00b5s" in page.text("#nodes") or "96\u00a0\u00b5s" in page.text("#nodes")


def test_the_slots_are_drawn_and_described(page, node):
    show(page, node)
    label = page.value("document.querySelector('#map').getAttribute('aria-label')")
    assert label == "Slots by shard: a 5,461, b 5,461, c 5,462"
    colours = page.value("""(() => {
      const {data, width} = document.querySelector('#map').getContext('2d')
        .getImageData(0, 0, 256, 64);
      return [0, 30, 60].map((y) => [...data.slice(y * width * 4, y * width * 4 + 3)].join());
    })()""")
    assert len(set(colours)) == 3
    page.click("details summary")
    assert "5461\u201310921" in page.text("#ranges")
    page.click("#legend button")
    assert page.value("document.querySelector('#legend button').getAttribute('aria-pressed')") \
        == "true"


def test_a_new_map_is_drawn(page, node):
    show(page, node)
    node.overview["map"].update(epoch="2", ranges=[[0, 16383, 2]])
    page.until("document.querySelector('#map').getAttribute('aria-label')"
               " === 'Slots by shard: a 0, b 0, c 16,384'")


def test_a_shard_that_is_away_and_one_that_loads_are_described(page, node):
    node.lose("b", "connection refused")
    node.line("c").update(state="loading", detail="12 of 30 keys")
    node.overview["node"]["not_ready_reason"] = "shard b can't be reached"
    show(page, node)
    text = page.text("#nodes")
    for word in ["unreachable", "connection refused", "loading", "12 of 30 keys"]:
        assert word in text
    assert "1 of 3" in page.text("#tiles")
    assert "shard b can't be reached" in page.text("#notice")
    assert "transient failure" in page.text("#links")
    # Once: the number of event loops says nothing if they agree.
    assert "1 transient failure" not in page.text("#links")


def test_a_shard_alone_shows_itself(page):
    node = FakeNode(1, router=False)
    show(page, node)
    assert "as it sees itself" in page.text("#subtitle")
    assert page.value("document.querySelector('#links-card').hidden")
    node.stop()


def test_no_shard_and_no_data_is_no_error(page):
    node = FakeNode(0)
    node.overview["links"] = []
    page.open(node.url)
    page.until("document.querySelector('#status').textContent === 'Live'")
    assert "none are known" in page.text("#tiles")
    assert page.value("document.querySelector('#map-card').hidden")
    page.until("!document.querySelector('#events-empty').hidden")
    search(page)
    assert page.text("#found") == "No keys."
    node.stop()


# MARK: Other people's bytes


def test_keys_and_values_are_shown_as_text_whatever_they_are(page):
    node = rich()
    show(page, node)
    page.until("document.querySelectorAll('#hot tr').length > 9"
               " && document.querySelectorAll('#slow tr').length > 1")
    search(page)
    for rows in [100, len(node.keys)]:
        page.click("#more")
        page.until(f"document.querySelectorAll('#keys tr').length === {rows}")
    listed = page.text("#keys")
    for word in ["<script>", "<img src=x onerror=", "\\u{202e}gnp.exe\\u{202c}", "\u05e9\u05dc",
                 "\\x00\\xff\\xfe\\x80 \\\\ \\n\\x0d\\t\\x7f", "\\xed\\xa0\\x80\\xf4", "(empty)",
                 "(65,535 bytes)", "__proto__"]:
        assert word in listed, word
    assert "<i>conflict</i>" in page.text("#events")
    count = page.value("document.querySelectorAll('#keys button').length")
    assert count > 9
    hostile = ("[...document.querySelectorAll('#keys button')]"
               ".filter((b) => !/^(order:|queue)/.test(b.textContent))")
    assert page.value(f"{hostile}.length") == len(HOSTILE) + 2
    for number in range(len(HOSTILE) + 2):
        page.value(f"{hostile}[{number}].click()")
        page.until("!!document.querySelector('#detail .value-text')")
        assert "<b>value</b> \\x00 \\xff" in page.text("#detail")
    assert page.value("document.querySelectorAll("
                      "'#main script, #main img, #main b, #hot svg').length") == 0
    assert not page.value("/[\\u202a-\\u202e\\u2066-\\u2069]/.test(document.body.textContent)")
    node.stop()


def test_a_key_is_requested_with_exactly_its_bytes(page):
    node = rich()
    show(page, node)
    search(page)
    keys = [k for k in sorted(node.keys) if len(k) < 8192][:12]
    for number, _ in enumerate(keys):
        page.value(f"document.querySelectorAll('#keys button')[{number}].click()")
        page.until("!!document.querySelector('#detail .value-text')")
    asked = [q["key"] for path, q, _ in node.asked if path == "/api/key"]
    assert asked == [b64(k) for k in keys]
    node.stop()


def test_a_prefix_may_have_any_bytes(page, node):
    node.add_key(b"\x00\xff\\\xc3\xbc|rest")
    show(page, node)
    search(page, "\\x00\\xff\\\\\u00fc")
    assert "1 key" in page.text("#found")
    search(page, "\\q")
    assert "A backslash begins" in page.text("#prefix-wrong")
    assert page.value("document.querySelector('#prefix').getAttribute('aria-invalid')") == "true"


def test_a_long_key_is_shown_and_not_opened(page, node):
    node.add_key(b"k" * 65_535)
    show(page, node)
    search(page)
    assert "(65,535 bytes)" in page.text("#keys")
    assert page.value("document.querySelectorAll('#keys button').length") == 0


# MARK: Keys by the keyboard


def test_enter_searches_and_escape_closes_a_key_where_it_was_opened(page):
    node = rich()
    show(page, node)
    search(page, "queue")
    page.value("document.querySelector('#keys button').focus()")
    page.press("Enter")
    page.until("document.activeElement.id === 'detail'"
               " && !!document.querySelector('#detail .value-text')")
    text = page.text("#detail")
    for word in ["list", "12,345", "<i>first</i>", "(empty)", "The first 20 of 12,345 values."]:
        assert word in text
    page.press("Escape")
    assert page.value("document.querySelector('#detail').hidden")
    assert page.value("document.activeElement.textContent") == "queue"
    node.stop()


def test_more_keys_come_page_by_page(page):
    node = rich()
    show(page, node)
    search(page, "order:")
    assert page.text("#found") == "50 keys, and there are more."
    page.click("#more")
    page.until("document.querySelectorAll('#keys tr').length === 100")
    page.click("#more")
    page.until("document.querySelectorAll('#keys tr').length === 120")
    assert page.value("document.querySelector('#more').hidden")
    node.stop()


def test_a_key_that_is_gone_is_reported(page, node):
    node.add_key(b"short-lived")
    show(page, node)
    search(page)
    node.keys.clear()
    page.click("#keys button")
    page.until("document.querySelector('#detail').textContent.includes('no such key')")


# MARK: Refusals


def test_a_token_is_requested_sent_and_kept_out_of_addresses(page, node):
    node.token = "rst.reader.secret"
    page.open(node.url)
    page.until("document.activeElement.id === 'token'")
    assert page.text("#status") == "Needs a token"
    assert not page.value("document.querySelector('#tiles').offsetParent")
    page.type("rst.reader.secret")
    page.press("Enter")
    page.until("document.querySelector('#status').textContent === 'Live'")
    assert all("secret" not in r for r in page.requests())
    assert page.value("sessionStorage.getItem('ringstore-token')") == "rst.reader.secret"
    assert page.value("localStorage.length") == 0
    # It is there after the page is loaded again, and gone when it is forgotten.
    page.open(node.url)
    page.until("document.querySelector('#status').textContent === 'Live'")
    page.click("#forget")
    page.until("document.querySelector('#status').textContent === 'Needs a token'")
    assert page.value("sessionStorage.length") == 0


def test_what_is_no_token_is_not_sent(page, node):
    node.token = "right"
    page.open(node.url)
    page.until("document.activeElement.id === 'token'")
    page.type("with blank\u2028")
    page.press("Enter")
    page.until("document.querySelector('#access-why').textContent === 'That is no token.'")


def test_parts_that_the_user_may_not_see_say_so(page, node):
    why = "The user reader may not call HotKeys: it needs the permission admin."
    node.refusals = {"/api/hotkeys": (403, why), "/api/events": (403, "not for reader"),
                     "/api/slowlog": (403, "not for reader"), "/api/keys": (403, "no keys")}
    show(page, node)
    page.until("document.querySelector('#hot-empty').textContent.includes('permission admin')")
    assert page.text("#status") == "Live"
    search(page)
    assert page.text("#found") == "no keys"


# MARK: A node that is gone, and rests


def test_a_node_that_is_gone_is_reported_and_what_was_seen_stays(page, node):
    show(page, node)
    node.stop()
    page.until("document.querySelector('#status').textContent.startsWith('No reply for')")
    assert "What is shown is from its last reply" in page.text("#trouble")
    assert page.value("document.body.classList.contains('stale')")
    assert "341,002" in page.text("#nodes")


def test_a_node_that_comes_back_is_live_again(page, node):
    show(page, node)
    node.refusals["/api/overview"] = (503, "An event loop of the node doesn't respond.")
    page.until("!document.querySelector('#trouble').hidden")
    assert "doesn't respond" in page.text("#trouble")
    del node.refusals["/api/overview"]
    page.until("document.querySelector('#status').textContent === 'Live'")
    assert page.value("document.querySelector('#trouble').hidden")


def test_counters_that_begin_again_are_no_negative_rate(page, node):
    show(page, node)
    node.line("a").update(incarnation="a-2", calls=-10_000_000)
    page.until("looked = (window.looked || 0) + 1, looked > 30")
    assert "-" not in page.text("#tiles")


def test_a_pause_asks_nothing_more(page, node):
    show(page, node)
    page.click("#pause")
    page.until("document.querySelector('#status').textContent === 'Paused'")
    page.value("new Promise((done) => setTimeout(done, 4000))")
    before = len(node.asked)
    page.value("new Promise((done) => setTimeout(done, 8000))")
    assert len(node.asked) == before
    page.click("#pause")
    page.until("document.querySelector('#status').textContent === 'Live'")


# MARK: How it looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("shards", [3, 20])
def test_it_fits_its_width_and_its_text_can_be_read(page, shards, width, scheme):
    node = rich(shards)
    page.set_size(width)
    page.set_media(prefers_color_scheme=scheme)
    show(page, node)
    page.until("document.querySelectorAll('#events tr').length === 3")
    search(page)
    page.click("#keys button")
    page.until("!!document.querySelector('#detail .value-text')")
    keep_picture(page, f"{shards}-{width}-{scheme}")
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.value(CONTRASTS) == []
    node.stop()


def test_a_shard_that_is_away_has_room_for_its_state_on_a_narrow_page(page):
    node = rich()
    node.lose("b", "Shard b can't be reached: connect failed: connection refused")
    page.set_size(390)
    show(page, node)
    keep_picture(page, "away-390")
    for part in ("#nodes", "#links"):
        assert page.value(f"""[...document.querySelectorAll('{part} .state.bad')].map((state) =>
            state.closest('td').clientWidth === state.closest('tr').clientWidth)""") == [True]
    assert page.value("""[...document.querySelectorAll('.state')].filter((state) =>
        state.offsetWidth > state.closest('td').clientWidth).length""") == 0
    node.stop()


def test_the_colours_can_be_chosen(page, node):
    page.set_media(prefers_color_scheme="light")
    show(page, node)
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.value(background)
    page.value("(() => { const s = document.querySelector('#theme'); s.value = 'dark';"
               " s.dispatchEvent(new Event('change')); })()")
    dark = page.value(background)
    assert light != dark
    page.open(node.url)
    assert page.value(background) == dark
    page.value("localStorage.clear()")


def test_nothing_moves_with_reduced_motion(page, node):
    page.set_media(prefers_reduced_motion="reduce")
    show(page, node)
    assert page.value("document.getAnimations().length") == 0


def test_the_first_key_press_leads_past_the_head(page, node):
    show(page, node)
    page.press("Tab")
    assert page.value("document.activeElement.className") == "skip"
    page.press("Enter")
    page.until("document.activeElement.id === 'main'")


def test_tab_reaches_each_control_in_its_order_and_shows_where_it_is(page):
    node = rich()
    show(page, node)
    search(page, "queue")
    page.click("#keys button")
    page.until("!!document.querySelector('#detail .value-text')")
    # Nothing is drawn again meanwhile.
    page.click("#pause")
    page.until("document.querySelector('#status').textContent === 'Paused'")
    count = page.value(CONTROLS)
    assert count > 15
    page.value("controls[0].focus()")
    reached = []
    for _ in range(count - 1):
        page.press("Tab")
        reached.append(page.value(FOCUS))
        # Chromium also stops at what can be scrolled.
        while reached[-1]["place"] == -1 and reached[-1]["scrolls"]:
            reached.pop()
            page.press("Tab")
            reached.append(page.value(FOCUS))
    assert [at["place"] for at in reached] == list(range(1, count))
    assert [at for at in reached if at["style"] == "none" or at["width"] < 2] == []
    node.stop()
