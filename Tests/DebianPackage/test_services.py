"""The package's services on a Debian that is booted, as docs/PRODUCTION.md sets them up, in the
order in which an administrator meets them: installed, started, looked at, reloaded, killed,
stopped, booted again, upgraded, removed."""

import json
import os
import re

import page
import pytest
from harness.pages import ROOT, agrees
from harness.polling import eventually

SHARDS = ["ringstore-shard@a", "ringstore-shard@b", "ringstore-shard@c"]
ROUTER = "ringstore-router"
NODES = [ROUTER, *SHARDS]
DATA = "/var/lib/ringstore"
KINDS = pytest.mark.parametrize("name", [SHARDS[0], ROUTER])

# Where a node may try to write, beside the places where something is mounted.
PLACES = [
    *("/", "/etc", "/etc/ringstore", page.SECRETS, "/usr/bin", "/var", "/var/lib", "/var/log"),
    *(DATA, f"{DATA}/a", f"{DATA}/b", "/run", "/home", "/root", "/opt", "/srv", "/tmp", "/var/tmp"),
    *("/dev", "/dev/shm", "/proc", "/sys", "/sys/fs/cgroup"),
]
# Prints those in which root can make a file.
_TRY = """
for place in "$@" $(cut -d ' ' -f 5 /proc/self/mountinfo); do
  [ -d "$place" ] || continue
  if (: >"$place/.tried") 2>/dev/null; then rm "$place/.tried"; echo "$place"; fi
done
"""


@pytest.fixture(scope="module")
def cluster(machine, tmp_path_factory):
    """The machine with the package and the files of the page; its nodes are not started."""
    folder = tmp_path_factory.mktemp("page")
    page.make_secrets(folder)
    page.bring_secrets(machine, folder / "private")
    page.bring_package(machine, machine.packages[0])
    page.run(machine, page.block("sudo tar --extract").commands)
    page.configure(machine)
    return machine


def ringstore(machine, words: str, user: str = "app") -> str:
    return page.run(machine, f"ringstore {words} --token-file private/{user}.token")


def has_greeting(machine) -> None:
    """The cluster serves, with the value that the page has set."""

    def serves() -> bool:
        words = "ringstore cli --token-file private/app.token GET greeting"
        assert page.run(machine, words) == '"hello"\n'
        return "3 of 3 shards serving" in ringstore(machine, "health --shards", "probe")

    eventually(serves, "the cluster serves")


def runs(machine, name: str) -> bool:
    unit = machine.unit(name)
    assert (unit["ActiveState"], unit["SubState"]) == ("active", "running"), unit["Result"]
    return int(unit["MainPID"]) > 0


def has_ended(machine, name: str, result: str, status: int) -> None:
    def ended() -> bool:
        unit = machine.unit(name)
        state = "inactive" if result == "success" else "failed"
        assert (unit["ActiveState"], unit["Result"]) == (state, result)
        return unit["ExecMainStatus"] == str(status)

    eventually(ended, f"{name} has ended")


def says(machine, name: str, words: str, times: int = 1) -> None:
    eventually(
        lambda: machine.journal(name).count(words) >= times, f"{words!r} in the journal of {name}"
    )


def limit(machine, pid: int, name: str) -> list[int]:
    """The soft and the hard one."""
    for line in machine.run("cat", f"/proc/{pid}/limits").splitlines():
        if line.startswith(name + " "):
            return [int(word) for word in line[len(name):].split()[:2]]
    raise AssertionError(name)


# Started


def test_nothing_runs_after_the_installation(cluster):
    for name in NODES:
        unit = cluster.unit(name)
        assert (unit["LoadState"], unit["ActiveState"]) == ("loaded", "inactive")
        assert unit["UnitFileState"] == "disabled"


def test_the_nodes_start_and_serve_as_the_page_says(cluster):
    page.run(cluster, page.block("enable --now").commands)
    for name in NODES:
        assert runs(cluster, name)
        assert cluster.unit(name)["UnitFileState"] == "enabled"
    block = page.block("SET greeting hello")
    printed = cluster.ended("bash", "-c", f"cd {page.HOME}\n{block.commands}").stdout
    assert agrees(printed, block.expected), printed
    assert [cluster.unit(name)["NRestarts"] for name in NODES] == ["0"] * len(NODES)


def test_the_journal_has_what_nodes_write(cluster):
    ports = {SHARDS[0]: (50061, 9464), SHARDS[1]: (50062, 9465), ROUTER: (50051, 9467)}
    for name, (port, admin_port) in ports.items():
        said = cluster.journal(name)
        assert f"Server started on port {port}\nAdmin on port {admin_port}\n" in said
    assert "the data is loaded" in cluster.journal(SHARDS[0])
    assert "link ready" in cluster.journal(ROUTER)
    # Libraries complain there too, of system calls that the sandbox refuses: of one, on which
    # nothing depends.
    for name in NODES:
        for line in cluster.journal(name).splitlines():
            assert "Failed" not in line or line.startswith("Failed to set thread priority")


# The sandbox


@KINDS
def test_a_node_has_no_privileges(cluster, name):
    pid = cluster.pid(name)
    lines = cluster.run("cat", f"/proc/{pid}/status").splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    uid, gid = (cluster.run("id", kind, "ringstore").strip() for kind in ("-u", "-g"))
    assert status["Uid"].split() == [uid] * 4
    assert status["Gid"].split() == [gid] * 4
    assert set(status["Groups"].split()) <= {gid}
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert status["Umask"] == "0077"
    # systemd raises its own limit as far as it may, and can't give away more.
    _, most = limit(cluster, 1, "Max open files")
    assert limit(cluster, pid, "Max open files") == [min(most, 131_072)] * 2
    assert limit(cluster, pid, "Max core file size") == [0, 0]
    for kind in ("mnt", "user"):
        own, others = (cluster.run("readlink", f"/proc/{n}/ns/{kind}") for n in (pid, 1))
        assert own != others, kind


@KINDS
def test_nothing_but_its_data_can_be_written_where_a_node_is(cluster, name):
    """Not even by root, so it is no matter of modes."""
    into = ("nsenter", "--target", str(cluster.pid(name)), "--mount")
    found = set(cluster.run(*into, "sh", "-c", _TRY, "sh", *PLACES).split())
    own = {f"{DATA}/a"} if name in SHARDS else set()
    assert found == {"/tmp", "/var/tmp"} | own


@KINDS
def test_a_node_sees_no_processes_of_others_and_no_files_of_users(cluster, name):
    into = ("nsenter", "--target", str(cluster.pid(name)), "--mount")
    assert cluster.run(*into, "ls", "-A", "/root", "/home") == "/home:\n\n/root:\n"
    user = ("setpriv", "--reuid", "ringstore", "--regid", "ringstore", "--clear-groups")
    seen = {word for word in cluster.run(*into, *user, "ls", "/proc").split() if word.isdigit()}
    # It has itself at least, so it is no empty folder.
    assert seen and not seen & {"1", *(str(cluster.pid(other)) for other in NODES)}
    # Of the temporary files neither.
    cluster.path("/tmp/of-others").write_text("")
    assert cluster.run(*into, "ls", "-A", "/tmp") == ""


@KINDS
def test_the_figure_of_systemd_is_the_one_that_the_pages_say(cluster, name):
    operations = (ROOT / "docs" / "OPERATIONS.md").read_text()
    (figure,) = re.findall(r"`systemd-analyze security` shows ([0-9.]+) \(OK\)", operations)
    printed = cluster.run("systemd-analyze", "security", "--no-pager", f"{name}.service")
    assert f"Overall exposure level for {name}.service: {figure} OK" in printed


# Reloaded, killed, misconfigured


def test_a_reload_reads_users_and_shards_again(cluster):
    before = [cluster.pid(name) for name in NODES]
    cluster.run("systemctl", "reload", *NODES)
    for name in NODES:
        says(cluster, name, "the users file was read again")
    says(cluster, ROUTER, "the list of shards was read again")
    assert [cluster.pid(name) for name in NODES] == before


@KINDS
def test_a_killed_node_is_started_again_and_has_its_data(cluster, name):
    before = cluster.pid(name)
    cluster.run("kill", "-KILL", str(before))

    def is_back() -> bool:
        assert runs(cluster, name)
        return cluster.pid(name) != before

    eventually(is_back, f"{name} runs again")
    assert cluster.unit(name)["NRestarts"] == "1"
    has_greeting(cluster)


def test_a_bad_setting_ends_the_service_with_a_sentence(cluster):
    wrong = "ringstore-shard@wrong"
    variables = cluster.path("/etc/ringstore/shard-wrong.env")
    variables.write_text("RINGSTORE_FSYNC=sometimes\n")
    cluster.run("systemctl", "start", wrong)
    has_ended(cluster, wrong, "exit-code", 64)
    assert cluster.unit(wrong)["NRestarts"] == "0"
    says(cluster, wrong, "RINGSTORE_FSYNC must be one of always, everysec, never, not 'sometimes'.")
    cluster.run("systemctl", "reset-failed", wrong)
    variables.unlink()


def test_a_node_whose_port_is_taken_starts_as_soon_as_it_has_another(cluster):
    late = "ringstore-shard@late"
    variables = cluster.path("/etc/ringstore/shard-late.env")
    variables.write_text("RINGSTORE_PORT=50061\nRINGSTORE_ADMIN_PORT=9470\n")
    cluster.run("systemctl", "start", late)
    says(cluster, late, "port 50061 of 0.0.0.0 is in use by another program.")
    variables.write_text("RINGSTORE_PORT=50070\nRINGSTORE_ADMIN_PORT=9470\n")
    says(cluster, late, "Server started on port 50070")
    assert runs(cluster, late)
    cluster.run("systemctl", "stop", late)
    has_ended(cluster, late, "success", 0)
    variables.unlink()


def test_a_node_that_does_not_handle_signals_yet_survives_a_reload(cluster):
    """With a program in its place that never handles them."""
    early = "ringstore-shard@early"
    folder = cluster.path(f"/etc/systemd/system/{early}.service.d")
    folder.mkdir()
    (folder / "sleep.conf").write_text("[Service]\nExecStart=\nExecStart=/bin/sleep infinity\n")
    cluster.run("systemctl", "daemon-reload")
    cluster.run("systemctl", "start", early)
    cluster.run("systemctl", "reload", early)

    def is_back() -> bool:
        return runs(cluster, early) and cluster.unit(early)["NRestarts"] == "1"

    eventually(is_back, "it was started again")
    cluster.run("systemctl", "stop", early)
    (folder / "sleep.conf").unlink()
    folder.rmdir()
    cluster.run("systemctl", "daemon-reload")


# Stopped, booted again


def test_a_node_that_is_drained_stays_away(cluster):
    restarts = cluster.unit(ROUTER)["NRestarts"]
    ringstore(cluster, "admin drain", "operator")
    has_ended(cluster, ROUTER, "success", 0)
    assert cluster.unit(ROUTER)["NRestarts"] == restarts
    cluster.run("systemctl", "start", ROUTER)
    has_greeting(cluster)


def test_a_stop_lets_nodes_drain(cluster):
    # A call that would last for an hour.
    words = "ringstore cli --token-file private/app.token BLPOP jobs 3600"
    waiting = cluster.started("bash", "-c", page.SSH + words)
    try:

        def waits() -> bool:
            said = ringstore(cluster, "admin top --json --count 1 --interval 0.1", "operator")
            return any(node["waiting_calls"] for node in json.loads(said)["nodes"])

        eventually(waits, "the call waits")
        cluster.run("systemctl", "stop", *NODES)
        printed, _ = waiting.communicate(timeout=60)
    finally:
        waiting.kill()
        waiting.wait()
    assert "SHARD_UNAVAILABLE" in printed
    for name in NODES:
        # It ended itself, before systemd would have killed it.
        has_ended(cluster, name, "success", 0)
        says(cluster, name, "draining")
        says(cluster, name, "stopped")


def test_a_boot_starts_what_is_enabled_with_its_data(cluster):
    cluster.run("systemctl", "start", *NODES)
    has_greeting(cluster)
    cluster.power_off()
    cluster.boot()
    # At the shutdown the router was the first to go, or its clients would have seen errors.
    said = cluster.run("journalctl", "--output", "cat", "--quiet")
    for name in SHARDS:
        assert said.rindex(f"Stopped {ROUTER}.") < said.rindex(f"Stopping {name}.")
    for name in NODES:
        assert runs(cluster, name)
    has_greeting(cluster)


# Credentials, upgrades, removal


def test_keys_that_only_root_may_read_come_as_credentials(cluster):
    """Of the router, with the lines of the example."""
    example = cluster.path("/usr/share/doc/ringstore/examples/credentials.conf").read_text()
    example = example.replace("#Environment", "Environment")
    example = example.replace(page.SECRETS, page.ROUTER_SECRETS)
    folder = cluster.path(f"/etc/systemd/system/{ROUTER}.service.d")
    folder.mkdir()
    (folder / "credentials.conf").write_text(example)
    secrets = cluster.path(page.ROUTER_SECRETS)
    for file in ("certificate.pem", "key.pem", "users"):
        cluster.run("chown", "root:root", f"{page.ROUTER_SECRETS}/{file}")
        (secrets / file).chmod(0o600)
    cluster.run("systemctl", "daemon-reload")
    cluster.run("systemctl", "restart", ROUTER)
    has_greeting(cluster)


def test_an_upgrade_as_the_page_says_restarts_nothing_by_itself(cluster):
    old = [cluster.pid(name) for name in NODES]
    # As if its units were other ones: systemd compares their times.
    for unit in cluster.path("/lib/systemd/system").glob("ringstore-*"):
        os.utime(unit, (0, 0))
    cluster.run("systemctl", "daemon-reload")
    cluster.install(cluster.packages[1])
    assert [cluster.pid(name) for name in NODES] == old
    assert all(cluster.unit(name)["NeedDaemonReload"] == "no" for name in NODES)
    page.bring_package(cluster, cluster.packages[1])
    page.run(cluster, page.block("systemctl restart").commands)
    assert not set(old) & {cluster.pid(name) for name in NODES}
    for name in NODES:
        assert cluster.run("readlink", f"/proc/{cluster.pid(name)}/exe") == "/usr/bin/ringstore\n"
    has_greeting(cluster)


def test_a_removal_stops_every_node(cluster):
    cluster.run("dpkg", "--remove", "ringstore")
    for name in NODES:
        assert cluster.unit(name)["ActiveState"] == "inactive"
    assert cluster.ended("pgrep", "ringstore").stdout == ""
    assert any(cluster.path(f"{DATA}/a").glob("log-*"))


def test_a_purge_leaves_nothing_enabled(cluster):
    cluster.run("dpkg", "--purge", "ringstore")
    assert not list(cluster.path("/etc/systemd/system").glob("*.wants/ringstore*"))
