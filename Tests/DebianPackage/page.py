"""The blocks of docs/PRODUCTION.md that need machines and root on them, on one machine that stands
for all: `ssh`, `scp` and `sudo` are functions that run a command here, as root."""

import re
import shutil
import subprocess
from pathlib import Path

from harness.pages import ROOT, Block, blocks
from harness.process import binary, clean_environment
from machine import Machine

PAGE = ROOT / "docs" / "PRODUCTION.md"
SECRETS = "/etc/ringstore/secrets"
# The page's second router has no machine of its own here; neither have the routers' secrets.
ROUTER_SECRETS = f"{SECRETS}/router"
HOME = "/root"
SECONDS = 60.0

SSH = f"""
set -euo pipefail
ssh() {{
  local line="${{*:2}}"
  case $1 in
    router-*)
      install --directory --mode 2750 --group ringstore {ROUTER_SECRETS}
      line=${{line//'{SECRETS}'/'{ROUTER_SECRETS}'}}
      ;;
  esac
  eval "$line"
}}
sudo() {{ "$@"; }}
scp() {{ cp "$1" "${{2#*:}}"; }}
function deploy/package {{ :; }}
export RINGSTORE_CLIENT_TLS_CA=private/certificates/client/ca.pem
export RINGSTORE_SERVER=router-1.example.org:50051
cd {HOME}
"""


def block(words: str) -> Block:
    """The page's one block of commands that has these words."""
    (found,) = [each for each in blocks(PAGE) if words in each.commands]
    return found


def make_secrets(folder: Path) -> None:
    """By the page's own commands, into folder/private."""
    (folder / "deploy").symlink_to(ROOT / "deploy")
    environment = clean_environment()
    environment["PATH"] = f"{Path(binary()).parent}:{environment['PATH']}"
    subprocess.run(
        ["bash", "-euc", block("ringstore admin token").commands],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, timeout=SECONDS, check=True,
    )


def bring_secrets(machine: Machine, private: Path) -> None:
    """Into the folder of the page's reader."""
    shutil.copytree(private, machine.path(HOME) / "private")


def bring_package(machine: Machine, package: Path) -> None:
    """Where deploy/package would have put it."""
    built = machine.path(HOME) / ".build" / "package"
    shutil.rmtree(built, ignore_errors=True)
    built.mkdir(parents=True)
    shutil.copy(package, built)


def run(machine: Machine, commands: str) -> str:
    """What the lines printed in the reader's shell."""
    return machine.run("bash", "-c", SSH + commands)


def configuration(kind: str) -> str:
    """The file that the page shows for this kind of node."""
    texts = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (found,) = [text for text in texts if ("shards:" in text) == (kind == "router")]
    return found


def configure(machine: Machine) -> None:
    """The page's three shards and its first router, with ports of their own where they would meet:
    in the way in which the page does it for several shards of one machine."""
    hosts = ["shard-a", "shard-b", "shard-c", "router-1", "router-2"]
    names = " ".join(f"{host}.example.org" for host in hosts)
    machine.path("/etc/hosts").write_text(f"127.0.0.1 localhost {names}\n")
    etc = machine.path("/etc/ringstore")
    (etc / "shard.yaml").write_text(configuration("shard"))
    router = configuration("router").replace(SECRETS, ROUTER_SECRETS)
    for number, name in enumerate("bc", 1):
        router = router.replace(f"shard-{name}.example.org:50061", f"127.0.0.1:{50061 + number}")
        variables = f"RINGSTORE_PORT={50061 + number}\nRINGSTORE_ADMIN_PORT={9464 + number}\n"
        (etc / f"shard-{name}.env").write_text(variables)
    (etc / "router.yaml").write_text(router)
    (etc / "router.env").write_text("RINGSTORE_ADMIN_PORT=9467\n")
