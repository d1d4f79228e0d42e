"""A gateway with a trading consumer: the crash harness's, as one process that ends when it is told to.

Started as `crates/gateway/examples/crash/child.rs` says.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulator import Account

END_S = 30
LEDGER = "ledger.db"


class GatewayError(Exception):
    """The gateway did not start, or ended in another way than by being told to."""


class Gateway:
    """One life of it. Use it as a context: leaving tells it to end, and waits for that."""

    def __init__(
        self, program: Path, folder: Path, life: int, calm: bool, providers: list[str],
        account: Account,
    ):
        mood = "calm" if calm else "trades"
        self._command = [str(program), "gateway", str(folder), str(life), mood, "batch", *providers]
        self._log = folder / f"gateway-{life}.log"
        keys = {
            "CRASH_API_KEY": account.api_key, "CRASH_SECRET": account.secret,
            "CRASH_PASSPHRASE": account.passphrase,
        }
        self._environment = os.environ | keys

    def __enter__(self) -> "Gateway":
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stderr=log, env=self._environment
                )
        except OSError as error:
            raise GatewayError(f"{self._command[0]} does not run: {error}") from error
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        code = self._end()
        # What went wrong before says more.
        if code != 0 and kind is None:
            raise GatewayError(f"the gateway ended with {code}: {self.said()}")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It does nothing meanwhile: what it wrote and what it sent stay as they are."""
        self._process.send_signal(signal.SIGSTOP)
        # Until it has stopped, or has ended, which `check` will say.
        how = os.WSTOPPED | os.WEXITED | os.WNOWAIT
        os.waitid(os.P_PID, self._process.pid, how)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def check(self) -> None:
        """Raises where it has ended by itself."""
        if (code := self._process.poll()) is not None:
            raise GatewayError(f"the gateway ended by itself with {code}: {self.said()}")

    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-2_000:].strip() or "nothing in its log"

    def _end(self) -> int:
        self._process.stdin.close()
        try:
            return self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
