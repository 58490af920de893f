"""Reads /metrics of admin ports each second until it is stopped: scraper.py PORT..."""

import http.client
import sys
import time


def scrape(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/metrics")
    reply = connection.getresponse()
    if reply.status != 200 or not reply.read():
        raise SystemExit(f"/metrics of port {connection.port}: {reply.status}")


connections = [http.client.HTTPConnection("127.0.0.1", int(port)) for port in sys.argv[1:]]
due = time.monotonic()
while True:
    for connection in connections:
        scrape(connection)
    due += 1
    time.sleep(max(0.0, due - time.monotonic()))
