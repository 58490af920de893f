"""One load from raw sockets, every reply read.

    check.py ADDRESS CONNECTIONS STREAMS CALLS GET REPLY

GET and REPLY are files with the request's and the reply's DATA bytes. A call counts as right if it
has a reply with HTTP 200, exactly those bytes and trailers with grpc-status 0.
"""

import sys
from pathlib import Path

from harness.raw_http2 import headers, load


def main() -> None:
    address, connections, streams, calls, get, reply = sys.argv[1:]
    result = load(
        address,
        int(connections),
        int(streams),
        int(calls),
        headers("/ringstore.v1.KeyStore/Get"),
        Path(get).read_bytes(),
        Path(reply).read_bytes(),
    )
    print(f"{result.right} right, {result.wrong} wrong, {result.lost} lost")
    if result.first_wrong:
        print(result.first_wrong, file=sys.stderr)
    sys.exit(result.right != int(calls))


if __name__ == "__main__":
    main()
