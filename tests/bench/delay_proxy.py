"""A TCP proxy that holds every byte back: ``python -m tests.bench.delay_proxy HOST PORT MILLISECONDS``.

Prints its own port, then serves until its standard input closes. Each direction is delayed by half of the
milliseconds, so a round trip takes that much longer; bandwidth is untouched.
"""

import asyncio
import sys

CHUNK = 1 << 18


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    loop = asyncio.get_running_loop()
    held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def release() -> None:
        while True:
            due, data = await held.get()
            pause = due - loop.time()
            if pause > 0:
                await asyncio.sleep(pause)
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(release())
        while data := await reader.read(CHUNK):
            held.put_nowait((loop.time() + delay, data))
        held.put_nowait((loop.time() + delay, b""))


async def _serve(host: str, port: int, milliseconds: float) -> None:
    async def on_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(host, port, limit=CHUNK)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pump(reader, upstream_writer, milliseconds / 2000))
                tasks.create_task(_pump(upstream_reader, writer, milliseconds / 2000))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            upstream_writer.close()

    server = await asyncio.start_server(on_connect, "127.0.0.1", 0, limit=CHUNK)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
