"""What nodes say, and which alerts come of it: for each alert a case in which it comes, and one in
which it must not. Values are one each 15 seconds, as promtool writes them: `1x40` is forty times
one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """`fires`: the labels of each alert of that name that is firing `at` that time."""

    alert: str
    series: dict[str, str]
    fires: tuple[dict[str, str], ...] = ()
    at: str = "30m"


JOB = 'cluster="c",instance="i",job="ringstore"'
SHARD = f'{JOB},node="a",role="shard"'
ROUTER = f'{JOB},node="router",role="router"'
TARGET = {"cluster": "c", "instance": "i", "job": "ringstore"}
OF_SHARD = TARGET | {"node": "a", "role": "shard"}
OF_ROUTER = TARGET | {"node": "router", "role": "router"}
PLACE = {"cluster": "c", "instance": "i"}
NODE = PLACE | {"node": "a"}
DAY = 86400


def always(value: float, count: int = 500) -> str:
    return f"{value}x{count}"


def rising(step: float, count: int = 500, start: float = 0) -> str:
    return f"{start}{step:+}x{count}"


def shard(metric: str, *labels: str) -> str:
    return f"{metric}{{{','.join([SHARD, *labels])}}}"


def router(metric: str, *labels: str) -> str:
    return f"{metric}{{{','.join([ROUTER, *labels])}}}"


def process(metric: str, *labels: str) -> str:
    return f"{metric}{{{','.join([JOB, *labels])}}}"


def durations(metric: str, of: str, quick: float, slow: float, border: str) -> dict[str, str]:
    """A histogram: so many a step up to the border, and so many above it."""
    return {
        f'{metric}_bucket{{{of},le="{border}"}}': rising(quick),
        f'{metric}_bucket{{{of},le="10"}}': rising(quick + slow),
        f'{metric}_bucket{{{of},le="+Inf"}}': rising(quick + slow),
    }


def errors(code: str, step: float) -> dict[str, str]:
    return {
        router("ringstore_calls_total", 'command="get"'): rising(1000),
        router("ringstore_call_errors_total", 'reason=""', f'code="{code}"'): rising(step),
        # The same errors, seen where they were made.
        shard("ringstore_call_errors_total", 'reason=""', f'code="{code}"'): rising(step),
    }


def refused(reason: str, values: str = always(1)) -> dict[str, str]:
    return {router("ringstore_link_refused", 'shard="a"', f'reason="{reason}"'): values}


def memory(used: float, evicted: float = 0) -> dict[str, str]:
    return {
        shard("ringstore_memory_bytes", 'kind="store_used"'): always(used),
        shard("ringstore_memory_limit_bytes", 'kind="store_used"'): always(1000),
        shard("ringstore_keys_evicted_total"): rising(evicted),
    }


def disk(free: str) -> dict[str, str]:
    return {
        shard("ringstore_log_disk_free_bytes"): free,
        shard("ringstore_memory_bytes", 'kind="store_used"'): always(10e9, 2000),
    }


def gate(waiting: str, released: str) -> dict[str, str]:
    return {
        shard("ringstore_gate_replies"): waiting,
        shard("ringstore_gate_wait_seconds_count"): released,
    }


GET = f'{ROUTER},command="get",outcome="ok"'
SCAN = f'{ROUTER},command="scan",outcome="ok"'
UP = process("up")
FREE_ONE_LOOP = {shard("ringstore_loop_delay_seconds", 'loop="0"'): always(0.001)}

CASES = [
    # --- nodes ---
    Case("RingstoreNothingScraped", {"other": always(1)}, ({"job": "ringstore"},)),
    Case("RingstoreNothingScraped", {UP: always(0)}),
    Case("RingstoreNodeDown", {UP: "1x40 0x40"}, (TARGET,), "12m"),
    Case("RingstoreNodeDown", {UP: "1x40 0x2 1x40"}, (), "12m"),
    Case(
        "RingstoreNoRouterReady",
        {UP: always(1), router("ringstore_node_ready"): always(0)},
        ({"cluster": "c"},),
    ),
    # The routers themselves are gone.
    Case("RingstoreNoRouterReady", {UP: always(0)}, ({"cluster": "c"},)),
    Case(
        "RingstoreNoRouterReady",
        {
            UP: always(1),
            router("ringstore_node_ready"): always(0),
            router("ringstore_node_ready", 'b="2"'): always(1),
        },
    ),
    Case("RingstoreRouterNotReady", {router("ringstore_node_ready"): always(0)}, (OF_ROUTER,)),
    Case("RingstoreRouterNotReady", {shard("ringstore_node_ready"): always(0)}),
    Case(
        "RingstoreShardDataLost",
        {shard("ringstore_node_state", 'state="not_serving"'): always(1)},
        (OF_SHARD | {"state": "not_serving"},),
    ),
    Case(
        "RingstoreShardDataLost",
        {
            shard("ringstore_node_state", 'state="loading"'): always(1),
            router("ringstore_node_state", 'state="not_serving"'): always(1),
        },
    ),
    Case(
        "RingstoreShardLoadsLong",
        {shard("ringstore_node_state", 'state="loading"'): always(1)},
        (OF_SHARD | {"state": "loading"},),
    ),
    Case(
        "RingstoreShardLoadsLong",
        {shard("ringstore_node_state", 'state="loading"'): always(1)},
        (),
        "9m",
    ),
    Case(
        "RingstoreNodeRestarts",
        {process("process_start_time_seconds"): "1x20 2x20 3x20 4x60"},
        (TARGET,),
    ),
    Case("RingstoreNodeRestarts", {process("process_start_time_seconds"): "1x20 2x20 3x80"}),
    Case(
        "RingstoreShardRestarted",
        {router("ringstore_shard_restarts_total"): "0x100 1x20"},
        (PLACE,),
    ),
    Case("RingstoreShardRestarted", {router("ringstore_shard_restarts_total"): "0x10 1x120"}),
    Case(
        "RingstoreVersionsDiffer",
        {
            process("ringstore_build_info", 'version="1"'): always(1),
            'ringstore_build_info{cluster="c",instance="j",version="2"}': always(1),
        },
        ({"cluster": "c"},),
        "2h",
    ),
    Case(
        "RingstoreVersionsDiffer",
        {
            process("ringstore_build_info", 'version="1"'): always(1),
            'ringstore_build_info{cluster="other",instance="j",version="2"}': always(1),
        },
        (),
        "2h",
    ),
    # promtool's clock begins at 0.
    Case(
        "RingstoreClockOff",
        {process("ringstore_clock_timestamp_seconds"): rising(15, start=8)},
        (TARGET,),
    ),
    Case(
        "RingstoreClockOff",
        {process("ringstore_clock_timestamp_seconds"): rising(15, start=-8)},
        (TARGET,),
    ),
    Case("RingstoreClockOff", {process("ringstore_clock_timestamp_seconds"): rising(15, start=2)}),
    # --- links ---
    Case(
        "RingstoreLinkDown",
        {
            router("ringstore_link_up", 'shard="a"'): always(0),
            router("ringstore_link_up", 'shard="b"'): always(1),
        },
        (OF_ROUTER | {"shard": "a"},),
    ),
    Case("RingstoreLinkDown", {router("ringstore_link_up", 'shard="a"'): "1x116 0x3 1x5"}),
    Case(
        "RingstoreMapConflict", refused("MAP_CONFLICT"), (PLACE | {"shard": "a"},)
    ),
    Case("RingstoreMapConflict", refused("DATA_LOST") | refused("MAP_CONFLICT", always(0))),
    Case(
        "RingstoreLinkRefused",
        refused("DATA_LOST") | refused("WRONG_CLUSTER", always(0)),
        (PLACE | {"shard": "a", "reason": "DATA_LOST"},),
    ),
    # Others have alerts of their own, or pass by themselves.
    Case(
        "RingstoreLinkRefused",
        refused("MAP_CONFLICT") | refused("LOADING") | refused("STALE_MAP"),
    ),
    Case("RingstoreLinkRefused", refused("DATA_LOST", "0x116 1x3 0x5")),
    Case("RingstoreLinksFlap", {router("ringstore_link_reconnects_total"): rising(1)}, (PLACE,)),
    Case("RingstoreLinksFlap", {router("ringstore_link_reconnects_total"): "0x100 4x40"}),
    Case(
        "RingstoreMapsDiffer",
        {router("ringstore_map_epoch"): always(3), shard("ringstore_map_epoch"): always(2)},
        ({"cluster": "c"},),
    ),
    Case(
        "RingstoreMapsDiffer",
        {router("ringstore_map_epoch"): always(3), shard("ringstore_map_epoch"): "2x110 3x20"},
    ),
    # A shard that a router refuses has no map.
    Case(
        "RingstoreMapsDiffer",
        {router("ringstore_map_epoch"): always(5), shard("ringstore_map_epoch"): always(0)},
    ),
    # --- disk ---
    Case("RingstoreDiskFull", {shard("ringstore_log_disk_full"): always(1)}, (OF_SHARD,)),
    Case("RingstoreDiskFull", {shard("ringstore_log_disk_full"): always(0)}),
    Case("RingstoreDiskFullSoon", disk(always(15e9)), (NODE,)),
    # 100 GB that go by 20 MB in each step: full within a day.
    Case("RingstoreDiskFullSoon", disk(rising(-20e6, 2000, 100e9)), (NODE,), "7h"),
    Case("RingstoreDiskFullSoon", disk(always(100e9, 2000)), (), "7h"),
    # The same loss on a new cluster, which is being filled.
    Case("RingstoreDiskFullSoon", disk(rising(-20e6, 2000, 100e9)), (), "2h"),
    Case(
        "RingstoreLogStalled", {shard("ringstore_log_stalled"): "0 0 1 " * 40}, (OF_SHARD,), "20m"
    ),
    Case("RingstoreLogStalled", {shard("ringstore_log_stalled"): "0x70 1x2 0x40"}, (), "20m"),
    Case("RingstoreRepliesHeld", gate(always(7), "0+3x20 60x40"), (OF_SHARD,), "8m"),
    # Under load some always wait, and others are sent.
    Case("RingstoreRepliesHeld", gate(always(7), rising(3)), (), "8m"),
    Case("RingstoreRepliesHeld", gate("0x20 7x4 0x40", "0+3x20 60x40"), (), "8m"),
    # Nothing waits, and nothing is written.
    Case("RingstoreRepliesHeld", gate(always(0), always(60)), (), "8m"),
    Case(
        "RingstoreSyncsSlow",
        durations("ringstore_log_sync_duration_seconds", SHARD, 90, 10, "0.5"),
        (NODE,),
    ),
    Case(
        "RingstoreSyncsSlow",
        durations("ringstore_log_sync_duration_seconds", SHARD, 100, 0, "0.5"),
    ),
    Case(
        "RingstorePassesAbandoned",
        {shard("ringstore_passes_total", 'result="abandoned"'): rising(0.1)},
        (OF_SHARD | {"result": "abandoned"},),
        "2h",
    ),
    Case(
        "RingstorePassesAbandoned",
        {shard("ringstore_passes_total", 'result="completed"'): rising(0.1)},
        (),
        "2h",
    ),
    Case(
        "RingstoreBackupOld",
        {shard("ringstore_backup_last_completed_timestamp_seconds"): always(DAY, 20_000)},
        (OF_SHARD,),
        "80h",
    ),
    Case(
        "RingstoreBackupOld",
        {shard("ringstore_backup_last_completed_timestamp_seconds"): always(DAY, 20_000)},
        (),
        "60h",
    ),
    # There was none since the start.
    Case(
        "RingstoreBackupOld",
        {shard("ringstore_backup_last_completed_timestamp_seconds"): always(0, 20_000)},
        (),
        "80h",
    ),
    # --- calls ---
    Case("RingstoreErrorsMany", errors("UNAVAILABLE", 100), ({"cluster": "c"},)),
    Case("RingstoreErrorsMany", errors("FAILED_PRECONDITION", 100)),
    Case("RingstoreErrorsMany", errors("UNAVAILABLE", 30)),
    Case("RingstoreErrorsSome", errors("RESOURCE_EXHAUSTED", 10), ({"cluster": "c"},), "1h"),
    Case("RingstoreErrorsSome", errors("PERMISSION_DENIED", 10), (), "1h"),
    Case(
        "RingstoreCallsSlow",
        durations("ringstore_call_duration_seconds", GET, 90, 10, "0.01"),
        ({"cluster": "c"},),
    ),
    Case("RingstoreCallsSlow", durations("ringstore_call_duration_seconds", GET, 100, 0, "0.01")),
    Case("RingstoreCallsSlow", durations("ringstore_call_duration_seconds", SCAN, 50, 50, "0.01")),
    Case(
        "RingstoreOverloaded",
        {
            shard("ringstore_call_errors_total", 'reason="OVERLOADED"', 'code="X"'): rising(1),
        },
        (NODE,),
    ),
    Case(
        "RingstoreOverloaded",
        {shard("ringstore_call_errors_total", 'reason="WRONG_TYPE"', 'code="X"'): rising(1)},
    ),
    Case(
        "RingstoreCoreBusy",
        FREE_ONE_LOOP | {process("process_cpu_seconds_total"): rising(14.5)},
        (PLACE,),
    ),
    Case(
        "RingstoreCoreBusy",
        FREE_ONE_LOOP
        | {
            shard("ringstore_loop_delay_seconds", 'loop="1"'): always(0.001),
            process("process_cpu_seconds_total"): rising(14.5),
        },
    ),
    Case(
        "RingstoreLoopLate",
        {shard("ringstore_loop_delay_seconds", 'loop="0"'): always(0.2)},
        (NODE,),
    ),
    Case("RingstoreLoopLate", {shard("ringstore_loop_delay_seconds", 'loop="0"'): always(0.05)}),
    # --- memory ---
    Case(
        "RingstoreWritesRefusedForMemory",
        {shard("ringstore_memory_refusals_total"): rising(1)},
        (OF_SHARD,),
    ),
    Case("RingstoreWritesRefusedForMemory", {shard("ringstore_memory_refusals_total"): always(9)}),
    Case("RingstoreMemoryNearLimit", memory(950), (OF_SHARD | {"kind": "store_used"},)),
    Case("RingstoreMemoryNearLimit", memory(850)),
    Case("RingstoreMemoryNearLimit", memory(990, evicted=1)),
    Case(
        "RingstoreEvictsMuch",
        {shard("ringstore_keys_evicted_total"): rising(1), shard("ringstore_keys"): always(1000)},
        (OF_SHARD,),
        "2h",
    ),
    Case(
        "RingstoreEvictsMuch",
        {shard("ringstore_keys_evicted_total"): rising(1), shard("ringstore_keys"): always(9000)},
        (),
        "2h",
    ),
    Case(
        "RingstoreClientMemoryNearLimit",
        FREE_ONE_LOOP
        | {
            shard("ringstore_memory_bytes", 'kind="clients"'): always(75),
            shard("ringstore_memory_limit_bytes", 'kind="clients"'): always(100),
        },
        (NODE,),
    ),
    # The bound is for each of the two loops.
    Case(
        "RingstoreClientMemoryNearLimit",
        FREE_ONE_LOOP
        | {
            shard("ringstore_loop_delay_seconds", 'loop="1"'): always(0.001),
            shard("ringstore_memory_bytes", 'kind="clients"'): always(75),
            shard("ringstore_memory_limit_bytes", 'kind="clients"'): always(100),
        },
    ),
    # --- connections ---
    Case(
        "RingstoreConnectionsNearLimit",
        {
            shard("ringstore_connections", 'kind="client"'): always(90),
            shard("ringstore_connections_max"): always(100),
        },
        (NODE,),
    ),
    Case(
        "RingstoreConnectionsNearLimit",
        {
            shard("ringstore_connections", 'kind="client"'): always(80),
            shard("ringstore_connections", 'kind="link"'): always(99),
            shard("ringstore_connections_max"): always(100),
        },
    ),
    Case(
        "RingstoreConnectionsRefused",
        {
            shard(
                "ringstore_connections_ended_total", 'kind="refused"', 'reason="r"'
            ): rising(1)
        },
        (NODE | {"reason": "r"},),
    ),
    Case(
        "RingstoreConnectionsRefused",
        {shard("ringstore_connections_ended_total", 'kind="cut"', 'reason="r"'): rising(1)},
    ),
    Case(
        "RingstoreDescriptorsNearLimit",
        {
            process("process_open_fds"): always(95),
            process("process_max_fds"): always(100),
        },
        (TARGET,),
    ),
    Case(
        "RingstoreDescriptorsNearLimit",
        {
            process("process_open_fds"): always(80),
            process("process_max_fds"): always(100),
        },
    ),
    # --- security; promtool's clock begins at 0 ---
    Case(
        "RingstoreCertificateEndsSoon",
        {
            shard(
                "ringstore_tls_certificate_not_after_timestamp_seconds", 'use="server"'
            ): always(10 * DAY)
        },
        (OF_SHARD | {"use": "server"},),
        "2h",
    ),
    Case(
        "RingstoreCertificateEndsSoon",
        {
            shard(
                "ringstore_tls_certificate_not_after_timestamp_seconds", 'use="server"'
            ): always(30 * DAY)
        },
        (),
        "2h",
    ),
    Case(
        "RingstoreCertificateEnds",
        {
            shard(
                "ringstore_tls_certificate_not_after_timestamp_seconds", 'use="link"'
            ): always(DAY)
        },
        (OF_SHARD | {"use": "link"},),
    ),
    Case(
        "RingstoreCertificateEnds",
        {
            shard(
                "ringstore_tls_certificate_not_after_timestamp_seconds", 'use="link"'
            ): always(10 * DAY)
        },
    ),
    Case(
        "RingstoreCertificateRefused",
        {shard("ringstore_tls_reloads_total", 'result="failed"'): "0x60 1x60"},
        (OF_SHARD | {"result": "failed"},),
    ),
    Case(
        "RingstoreCertificateRefused",
        {shard("ringstore_tls_reloads_total", 'result="ok"'): "0x60 1x60"},
    ),
    Case(
        "RingstoreUsersFileRefused",
        {shard("ringstore_users_reloads_total", 'result="failed"'): "0x60 1x60"},
        (OF_SHARD | {"result": "failed"},),
    ),
    Case(
        "RingstoreUsersFileRefused",
        {shard("ringstore_users_reloads_total", 'result="ok"'): "0x60 1x60"},
    ),
    Case(
        "RingstoreCredentialsRefused",
        {shard("ringstore_access_refused_total", 'reason="credentials"'): rising(30)},
        (PLACE,),
    ),
    Case(
        "RingstoreCredentialsRefused",
        {shard("ringstore_access_refused_total", 'reason="permission"'): rising(30)},
    ),
]
