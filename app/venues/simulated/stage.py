"""Where scenarios are played: the simulated chain's table, in statements and on a connection of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec

from app.errors import StorageUnavailable, SubmissionRejected, VenueError
from app.orders.failures import RULES, Failure, FailureCode
from app.orders.scenarios import Scenario
from app.storage.database import Connection
from app.storage.group_commit import GroupCommit
from app.storage.laned import Laned
from app.storage.statement import Statement
from app.venues.port import TxState, TxStatus
from app.venues.simulated.chain import ChainUnreachable
from app.venues.simulated.script import Script

_PLAY: Final = Statement("SELECT simulated_chain.play($1, $2, $3)")
_FATE: Final = Statement("SELECT * FROM simulated_chain.fate($1)")

_Asked: TypeAlias = Script | str  # to be played, or the signature of one that may have been


class Stage(Laned):
    """One process's way to what is played; nothing is connected before the first scenario."""

    def __init__(self, conninfo: str, *, seed: int, execution_delay_ms: int) -> None:
        self.seed = str(seed)
        self._delay_ms = execution_delay_ms
        self._lane = GroupCommit[_Asked, Any]("scenarios", conninfo, self._serve, max_batch=1)

    async def play(self, script: Script) -> None:
        """Lets it land as its scenario says; one that was handed in before stays as it is.

        Raises SubmissionRejected when it never lands, VenueError when that is not certain.
        """
        match await self._ask(script):
            case "late":
                raise SubmissionRejected("The transaction is past its last valid block height.")
            case "contested":
                raise VenueError("The transaction is just being handed in by somebody else.")

    async def fate(self, signature: str) -> TxStatus:
        """What became of it; unknown until it has landed. Raises ChainUnreachable."""
        match await self._ask(signature):
            case ("confirmed", amount_out, _):
                return TxStatus(TxState.CONFIRMED, amount_out=int(amount_out))
            case ("failed", _, code):
                return TxStatus(
                    TxState.FAILED, failure=Failure(FailureCode(code), RULES[FailureCode(code)].meaning)
                )
            case ("contested", _, _):
                return TxStatus(TxState.PROCESSED)
            case _:
                return TxStatus(TxState.UNKNOWN)

    async def _ask(self, asked: _Asked) -> Any:
        try:
            return await self._lane.submit(asked)
        except StorageUnavailable as error:
            raise ChainUnreachable("The simulated chain cannot be reached.") from error

    async def _serve(self, connection: Connection, asked: Sequence[_Asked]) -> Sequence[Any]:
        return [await self._answer(connection, one) for one in asked]

    async def _answer(self, connection: Connection, asked: _Asked) -> Any:
        if isinstance(asked, str):
            return next(iter(await _FATE.rows(connection, asked, row=tuple)), None)
        in_last_block = asked.act.scenario is Scenario.LANDED_LATE
        row = msgspec.json.encode(asked.row()).decode()
        ((answer,),) = await _PLAY.rows(connection, row, self._delay_ms, in_last_block, row=tuple)
        return answer
