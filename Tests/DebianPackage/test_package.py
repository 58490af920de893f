"""The Debian package as an administrator meets it, in the order in which he does: it is installed,
its services are sound, nodes run as its user, it is upgraded, removed, and purged."""

import re
import shlex

import pytest

UNITS = ["ringstore-router.service", "ringstore-shard@.service"]
# "OK" of systemd-analyze is up to 2.0; it counts in tenths.
EXPOSURE_MAX = 20
DATA = "/var/lib/ringstore/a"

# Nodes as the services start them.
CLUSTER = """
set -eu
install -d -o ringstore -g ringstore -m 0700 {data}
start() {{
  setpriv --reuid ringstore --regid ringstore --clear-groups "$@" >/tmp/log 2>&1 &
  pid=$!
}}
until_healthy() {{
  n=0
  until ringstore health "$@" >/tmp/said 2>&1; do
    n=$((n + 1)); [ $n -lt 300 ] || {{ cat /tmp/said /tmp/log; exit 1; }}
    sleep 0.1
  done
}}
start {shard}; shard=$pid
until_healthy --server 127.0.0.1:50061
start {router}; router=$pid
until_healthy --shards
{then}
kill $router; wait $router
kill $shard; wait $shard
"""


def command_of(root, unit: str) -> str:
    """What the service runs, for the shard `a`."""
    text = root.path(f"/lib/systemd/system/{unit}").read_text()
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    return shlex.join(shlex.split(line.replace("%i", "a")))


def cluster_runs(root, then: str) -> str:
    """What the lines print with a cluster that the package's services would start."""
    router, shard = (command_of(root, unit) for unit in UNITS)
    script = CLUSTER.format(data=DATA, shard=shard, router=router, then=then)
    return root.run("sh", "-c", script)


@pytest.fixture(scope="module")
def uid(root):
    root.install(root.packages[0])
    return root.run("id", "--user", "ringstore").strip()


def test_the_program_is_there(root, uid):
    version = root.packages[0].name.split("_")[1].rpartition("-")[0]
    assert root.run("ringstore", "--version").strip() == version


def test_the_user_may_not_log_in_and_owns_nothing_but_data(root, uid):
    entry = root.run("getent", "passwd", "ringstore").strip().split(":")
    assert entry[5:] == ["/var/lib/ringstore", "/usr/sbin/nologin"]
    assert int(uid) < 1000
    assert root.status("/etc/ringstore") == "root:root 755"
    assert root.status("/etc/ringstore/secrets") == "root:ringstore 2750"
    assert root.status("/etc/ringstore/shard.yaml") == "root:root 644"
    assert root.status("/var/lib/ringstore") == "root:ringstore 750"


def test_the_pages_link_to_files_that_are_there(root, uid):
    folder = root.path("/usr/share/doc/ringstore")
    pages = sorted(folder.glob("*.md"))
    assert len(pages) > 10
    links = {(page.name, link) for page in pages
             for link in re.findall(r"\]\(([^)#:]+)[^):]*\)", page.read_text())}
    assert ("PYTHON.md", "examples/python/lock.py") in links
    assert sorted((page, link) for page, link in links if not (folder / link).exists()) == []


def test_nothing_is_enabled(root, uid):
    assert not list(root.path("/etc/systemd/system").glob("*.wants/ringstore*"))


def test_the_services_are_sound(root, uid):
    names = [unit.replace("@", "@a") for unit in UNITS]
    assert root.run("systemd-analyze", "verify", "--man=no", *names) == ""


@pytest.mark.parametrize("unit", UNITS)
def test_the_services_may_do_little(root, uid, unit):
    root.run(
        *("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}"),
        f"/lib/systemd/system/{unit}",
    )


def test_the_credentials_that_are_offered_are_understood(root, uid):
    folder = root.path("/etc/systemd/system/ringstore-router.service.d")
    folder.mkdir(parents=True)
    example = root.path("/usr/share/doc/ringstore/examples/credentials.conf").read_text()
    (folder / "credentials.conf").write_text(example)
    try:
        said = root.run("systemd-analyze", "verify", "--man=no", "ringstore-router.service")
        assert said == ""
    finally:
        (folder / "credentials.conf").unlink()
        folder.rmdir()


def test_the_manual_page_names_every_command(root, uid):
    page = root.run("sh", "-c", "gzip -dc /usr/share/man/man1/ringstore.1.gz")
    listed = root.run("ringstore", "--help").partition("SUBCOMMANDS:")[2]
    commands = re.findall(r"^  ([a-z]+) ", listed, re.MULTILINE)
    assert len(commands) > 5
    assert [name for name in commands if f".B {name}\n" not in page] == []


def test_nodes_run_as_the_packages_user(root, uid):
    printed = cluster_runs(
        root, "ringstore cli SET kept yes\nps -C ringstore -o user= | sort -u"
    )
    assert printed == "OK\nringstore\n"
    assert root.status(DATA) == "ringstore:ringstore 700"
    assert any(root.path(DATA).glob("log-*"))


def test_an_upgrade_keeps_settings_and_data(root, uid):
    settings = root.path("/etc/ringstore/shard.yaml")
    edited = settings.read_text().replace("fsync: everysec", "fsync: always")
    settings.write_text(edited)
    secret = root.path("/etc/ringstore/secrets/key.pem")
    secret.write_text("a key")
    root.install(root.packages[1])
    assert root.run("dpkg-query", "-W", "-f", "${Version}", "ringstore").endswith("-2")
    assert settings.read_text() == edited
    assert secret.read_text() == "a key"
    assert root.run("id", "--user", "ringstore").strip() == uid
    assert cluster_runs(root, "ringstore cli GET kept") == '"yes"\n'


def test_after_its_removal_settings_and_data_are_there(root, uid):
    root.run("dpkg", "--remove", "ringstore")
    assert not root.path("/usr/bin/ringstore").exists()
    assert "fsync: always" in root.path("/etc/ringstore/shard.yaml").read_text()
    assert any(root.path(DATA).glob("log-*"))
    root.install(root.packages[1])
    assert cluster_runs(root, "ringstore cli GET kept") == '"yes"\n'


def test_a_purge_takes_settings_and_leaves_data_and_keys(root, uid):
    printed = root.run("dpkg", "--purge", "ringstore")
    assert not root.path("/etc/ringstore/shard.yaml").exists()
    assert root.path("/etc/ringstore/secrets/key.pem").read_text() == "a key"
    assert any(root.path(DATA).glob("log-*"))
    for left in ("/etc/ringstore", "/var/lib/ringstore"):
        assert f"{left} is kept" in printed


def test_a_purge_leaves_nothing_behind(root, uid):
    root.run("rm", "-r", "/etc/ringstore", "/var/lib/ringstore")
    root.install(root.packages[0])
    assert "is kept" not in root.run("dpkg", "--purge", "ringstore")
    assert not root.path("/etc/ringstore").exists()
    assert not root.path("/var/lib/ringstore").exists()
    left = root.run("sh", "-c", "find /etc /lib /usr /var/lib -name '*ringstore*' 2>/dev/null || :")
    assert left == ""
