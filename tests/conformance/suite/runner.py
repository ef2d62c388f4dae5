"""Runs cases side by side against a server or a client under test."""

import asyncio
import contextlib
import time
import traceback
from dataclasses import dataclass, field

from .case import CLIENT, SERVER
from .dial import Dialer
from .events import Failure
from .frames import Malformed
from .listen import Listener, order
from .targets import PATIENCE, Program, Trouble

AT_ONCE = 8  # cases under way


@dataclass
class Result:
    case: object
    role: str
    status: str = "passed"  # passed, failed, differs
    detail: str = ""
    seconds: float = 0
    log: list = None
    wires: list = field(default_factory=list)  # its connections
    keys: list = field(default_factory=list)  # their keys of the handshake


async def judge(case, role, subject, log):
    """Runs one case on its Dialer or Accepted."""
    result = Result(case, role, log=log)
    started = time.monotonic()
    try:
        await asyncio.wait_for(subject.run(), case.seconds)
    except (Failure, Malformed) as error:
        result.status, result.detail = "failed", str(error)
    except asyncio.TimeoutError:
        result.status, result.detail = "failed", f"no verdict within {case.seconds} s"
    except OSError as error:
        result.status, result.detail = "failed", f"the connection could not be made: {error}"
    except Exception:  # a mistake of the suite: shown in whole, and never a pass
        result.status, result.detail = "failed", traceback.format_exc()
    result.seconds = time.monotonic() - started
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(subject.close(), 5)
    result.wires, result.keys = subject.wires, subject.keys
    return result


async def side_by_side(cases, run_one):
    """The results of run_one(case) for all cases, in their order."""
    room = asyncio.Semaphore(AT_ONCE)

    async def bounded(case):
        async with room:
            return await run_one(case)
    return await asyncio.gather(*map(bounded, cases))


async def run_server(server, cases, verbose=False, each=None):
    """The cases against a targets.Server, which is started and stopped. Returns the results, and the Trouble of
    a server that did not end as it should, or None."""
    await server.start()

    async def one(case):
        log = [] if verbose else None
        result = await judge(case, SERVER, Dialer(server, case, log), log)
        return each(result) if each else result
    try:
        results = await side_by_side(cases, one)
    finally:
        trouble = await trouble_of(server.stop())
    return results, trouble


async def trouble_of(ending):
    """The Trouble that ending a program came to, or None."""
    try:
        await ending
    except Trouble as error:
        return error
    return None


async def run_client(command, cases, verbose=False, each=None):
    """The cases against the client that `command` with {url} starts; returns as run_server."""
    listener = Listener().start()
    program = Program(command.replace("{url}", listener.url))
    await program.start()
    try:
        control = await _first(program, listener.control.get())
        results = await _client_cases(listener, program, control, cases, verbose, each)
        if program.running:
            await control.finish()
        return results, await trouble_of(program.end(ask=False))
    finally:
        if program.running:
            await trouble_of(program.end())
        await listener.stop()


async def _first(program, coming):
    """What comes from the client, unless it ends before."""
    coming, ended = asyncio.ensure_future(coming), asyncio.ensure_future(program.process.wait())
    done, left = await asyncio.wait({coming, ended}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    if coming not in done:
        raise program.trouble("never asked for /cases")
    return coming.result()


async def _client_cases(listener, program, control, cases, verbose, each):
    async def one(case):
        if not program.running:
            return Result(case, CLIENT, "failed", "the client has ended")
        log = [] if verbose else None
        path, accepted = listener.expect(case, log)
        await control.send(order(listener.url, path, case))
        result = await judge(case, CLIENT, accepted, log)
        listener.forget(path)
        return each(result) if each else result
    return await side_by_side(cases, one)
