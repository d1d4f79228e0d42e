"""One `meltica sim` process: started on a free port of loopback, ended by its own process."""

import json
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

READY_S = 20
END_S = 10


class SimulatorError(Exception):
    """The simulator did not start, or did not say where it listens."""


@dataclass(frozen=True)
class Account:
    """The account that a simulator knows; Coinbase and Kraken have no use for all of it."""

    api_key: str
    secret: str
    passphrase: str


@dataclass(frozen=True)
class Address:
    """Where one venue is simulated: `ws://host:port`, `http://host:port`, and who may trade."""

    ws: str
    rest: str
    account: Account | None


class Simulator:
    """A running simulator. Use it as a context: leaving ends the process."""

    def __init__(self, meltica: Path, venue: str, instrument: str, seed: int, rate: int):
        self._command = [
            str(meltica), "sim", "--venue", venue, "--listen", "127.0.0.1:0",
            "--symbols", instrument, "--seed", str(seed), "--rate", str(rate), "--json",
        ]
        self._venue = venue

    def __enter__(self) -> Address:
        # Standard error goes to a file: a full pipe that nobody reads would stop the simulator.
        self._log = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=self._log, stdin=subprocess.DEVNULL
            )
        except OSError as error:
            self._log.close()
            raise SimulatorError(f"{self._command[0]} does not run: {error}") from error
        try:
            return self._address(self._first_line())
        except BaseException:
            self._end()
            raise

    def __exit__(self, *_: object) -> None:
        self._end()

    def _first_line(self) -> str:
        """The line that says it is ready. A simulator that says nothing is ended after a while."""
        alarm = threading.Timer(READY_S, self._process.kill)
        alarm.start()
        try:
            line = self._process.stdout.readline().decode()
        finally:
            alarm.cancel()
        if line:
            return line
        self._process.wait(END_S)
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip() or "nothing on standard error"
        raise SimulatorError(f"{' '.join(self._command)} gave no address: {said}")

    def _address(self, line: str) -> Address:
        try:
            ready = next(row for row in json.loads(line)["venues"] if row["venue"] == self._venue)
            account = ready.get("account")
            account = Account(**account) if account else None
            return Address(ready["ws_url"], ready["rest_url"], account)
        except (ValueError, KeyError, TypeError, StopIteration) as error:
            raise SimulatorError(f"not a line of addresses with {self._venue}: {line!r}") from error

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()
