"""Listeners and connections: one thread each, HTTP/1.1 kept alive, TLS, and CONNECT so that it can pose as a proxy."""
from __future__ import annotations

import itertools
import select
import socket
import ssl
import sys
import threading
import time
import traceback

from . import badwire, control
from .gateway import Gateway
from .wire import BadRequest, Channel, Closed, Request, Response, read_request

IDLE = 120.0


class Listener:
    """A listening socket with its accepting thread. It can go away for a while and come back on the same port."""

    def __init__(self, server: Server, name: str, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self.server, self.name, self.context = server, name, context
        self.sock = self.listen(host, port)
        self.host, self.port = self.sock.getsockname()[:2]
        self.paused_until = 0.0
        threading.Thread(target=self.run, name=f"listen-{name}", daemon=True).start()

    @staticmethod
    def listen(host: str, port: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(512)
        return sock

    def pause(self, seconds: float) -> None:
        """Refuses connections from now on; returns when that is so."""
        self.paused_until = time.monotonic() + seconds
        while self.sock.fileno() >= 0:
            time.sleep(0.01)

    def run(self) -> None:
        while True:
            if self.paused_until:
                self.sock.close()
                time.sleep(max(0.0, self.paused_until - time.monotonic()))
                self.paused_until = 0.0
                self.sock = self.listen(self.host, self.port)
            if not select.select([self.sock], [], [], 0.05)[0]:
                continue
            try:
                sock, _ = self.sock.accept()
            except OSError:
                continue
            threading.Thread(target=self.server.serve, args=(self, sock), daemon=True).start()


class Server:
    def __init__(self, gateway: Gateway, proxy_context: ssl.SSLContext) -> None:
        self.gateway, self.proxy_context = gateway, proxy_context
        self.listeners: dict[str, Listener] = {}
        self.numbers = itertools.count(1)

    def add(self, name: str, host: str = "127.0.0.1", port: int = 0, context: ssl.SSLContext | None = None) -> int:
        self.listeners[name] = Listener(self, name, host, port, context)
        return self.listeners[name].port

    def serve(self, listener: Listener, sock: socket.socket) -> None:
        """One connection, from accept to close. Owns the socket."""
        channel = Channel(sock)
        try:
            sock.settimeout(IDLE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if listener.context:
                channel.sock = listener.context.wrap_socket(sock, server_side=True)
            self.converse(listener.name, channel, listener.context is not None)
        except (Closed, OSError):
            pass        # the peer left or distrusts the certificate: its right
        except Exception:
            traceback.print_exc(file=sys.stderr)
        finally:
            channel.close()

    def converse(self, name: str, channel: Channel, tls: bool) -> None:
        number, alive = next(self.numbers), True
        while alive:
            try:
                request = read_request(channel)
            except BadRequest as error:
                channel.send(Response(400, [("Content-Length", "0"), ("Connection", "close"),
                                            ("x-reason", str(error))]).head())
                return
            request.connection, request.listener, request.tls, request.time = number, name, tls, time.time()
            if request.method == "CONNECT":
                self.tunnel(channel, request)
                return
            alive = self.reply(channel, request) and request.keep_alive

    def reply(self, channel: Channel, request: Request) -> bool:
        if control.is_control(request):
            return badwire.send(channel, control.handle(self, request))
        try:
            outcome = self.gateway.handle(request)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            text = b"the gateway itself failed, see its stderr\n"
            return badwire.send(channel, Response(599, [("Content-Length", str(len(text)))], text))
        if outcome.rule:
            return badwire.ACTIONS[outcome.rule.action](channel, outcome.response, outcome.rule.options)
        return badwire.send(channel, outcome.response)

    def tunnel(self, channel: Channel, request: Request) -> None:
        """CONNECT: whatever host is asked for, the other end is the gateway itself."""
        entry = self.gateway.recorder.begin(request)
        entry.update(service="proxy", operation="CONNECT", host=request.target, status=200)
        channel.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        tls = channel.sock.recv(1, socket.MSG_PEEK) == b"\x16"
        if tls:
            channel.sock = self.proxy_context.wrap_socket(channel.sock, server_side=True)
        self.converse("proxy", channel, tls)
