"""A server that says what a test gives it, whatever it is told."""

import socket
import threading


class ScriptedServer:
    """Replies to what each client sends first with `greeting`, and what it sends next with `words`.

    It then reads until the client closes its side.
    """

    def __init__(self, greeting: bytes, words: bytes):
        self._words = (greeting, words)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._talk, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            try:
                for words in self._words:
                    if not connection.recv(1 << 16):
                        return
                    connection.sendall(words)
                while connection.recv(1 << 16):
                    pass
            except OSError:
                pass

    def __enter__(self) -> "ScriptedServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()
