"""`tocsin serve`: the server, until a signal ends it."""

import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from types import FrameType
from typing import Annotated, Any, Final

import structlog
import typer
import uvicorn
from fastapi import FastAPI

from tocsin import __version__
from tocsin.access.policy import is_loopback
from tocsin.cli.command import examples, make_app
from tocsin.cli.exits import FAILED, INTERRUPTED
from tocsin.cli.setup import DataOption, database_reached, settings_from
from tocsin.kit.errors import StartRefused
from tocsin.main import Instance
from tocsin.ownlog import configure_logging
from tocsin.settings import Settings
from tocsin.web.app import Application

FINISH_WITHIN_S: Final = 5  # for requests under way; then what was accepted is committed and the loops end
END_WITHIN_S: Final = 9.5
KEEP_ALIVE_S: Final = 75  # longer than the idle time of common senders: they close first and lose no request

log = structlog.get_logger("tocsin.serve")
app = make_app()


@app.command(
    epilog=examples(
        "tocsin serve",
        "tocsin serve --data /var/lib/tocsin --port 9000",
        "TOCSIN_ADMIN_KEY_FILE=/run/secrets/key tocsin serve --host 0.0.0.0",
    )
)
def serve(
    data: DataOption = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; another than this machine's needs TOCSIN_ADMIN_KEY.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    log_format: Annotated[
        str | None,
        typer.Option("--log-format", help="Form of the server's own log: text or json.", show_default="text"),
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option("--log-level", help="Its least level: debug, info, warning or error.", show_default="info"),
    ] = None,
) -> None:
    """Run the server; it makes and migrates its data folder by itself.

    Ctrl-C or SIGTERM finishes what was accepted and ends within 10 s; a second Ctrl-C ends at once. With
    TOCSIN_DATABASE_URL the state is in PostgreSQL instead of the folder. Options come before the environment.
    """
    settings = settings_from(data_dir=data, log_format=log_format, log_level=log_level)
    if not is_loopback(host) and settings.admin_secret is None:
        raise StartRefused(
            detail=f"Listening on {host} would let other machines in, so a key is needed first: set TOCSIN_ADMIN_KEY "
            "or TOCSIN_ADMIN_KEY_FILE (make one with: openssl rand -hex 24), or stay on --host 127.0.0.1."
        )
    configure_logging(settings.log_format, settings.log_level)
    with ExitStack() as opened:
        sockets = _bind(host, port, opened)
        with database_reached():
            instance = Instance(settings)
        server = _Server(
            _application(instance),
            sockets,
            announce=lambda url: _announce(url, settings),
            on_exit=instance.tail.close,  # an open stream would keep the server from ending
        )
        server.run(sockets)
    raise typer.Exit(0 if server.started else FAILED)


def _bind(host: str, port: int, opened: ExitStack) -> list[socket.socket]:
    """Sockets for every address the host has, bound and not yet listening: nobody waits on a server that starts."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise StartRefused(detail=f"--host {host} is not an address of this machine: {error.strerror}.") from error
    sockets: list[socket.socket] = []
    for family, kind, protocol, _, address in dict.fromkeys(found):
        bound = opened.enter_context(socket.socket(family, kind, protocol))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            bound.bind((address[0], port, *address[2:]))
        except OSError as error:
            reason = f"Can't listen on {host} port {port}: {error.strerror}. Another --port or --host may be free."
            raise StartRefused(detail=reason) from error
        port = port or bound.getsockname()[1]
        sockets.append(bound)
    return sockets


def _application(instance: Instance) -> Application:
    """The application of an instance that is open already, so that a start that is refused ends in one line."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.services = instance.services
        try:
            yield
        finally:
            instance.close()

    return Application(lifespan)


class _Server(uvicorn.Server):
    """uvicorn, with a bound on how long an end may take and an exit code that says it was asked for."""

    def __init__(
        self, application: Application, sockets: list[socket.socket], *, announce: Any, on_exit: Callable[[], None]
    ) -> None:
        self._url = _url_of(sockets[0])
        self._announce = announce
        self._on_exit = on_exit
        super().__init__(
            uvicorn.Config(
                application,
                loop="uvloop",
                http="httptools",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=FINISH_WITHIN_S,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce(self._url)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and sig == signal.SIGINT:
            os._exit(INTERRUPTED)  # what was answered 2xx is on the disk already
        if not self.should_exit:
            self.should_exit = True
            watchdog = threading.Timer(END_WITHIN_S, _give_up)
            watchdog.daemon = True
            watchdog.start()
            self._on_exit()


def _give_up() -> None:
    log.error("stop_took_too_long", seconds=END_WITHIN_S)
    sys.stderr.flush()
    os._exit(FAILED)


def _url_of(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


def _announce(url: str, settings: Settings) -> None:
    state = "PostgreSQL (TOCSIN_DATABASE_URL)" if settings.database_secret else str(settings.data_dir.resolve())
    if settings.log_format == "json":
        log.info("listening", url=url, docs=f"{url}/docs", state=state, version=__version__)
        return
    typer.echo(f"Tocsin {__version__} listens on {url}\n  API and its documentation  {url}/docs")
    typer.echo(f"  state                      {state}\nCtrl-C ends it.")
    sys.stdout.flush()
