"""A FastAPI app whose one view does five GETs, awaiting each: `fastapi_app.py VALKEY_PORT READY_FILE`."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import redis.asyncio
import uvicorn
from fastapi import FastAPI

app = FastAPI()
client = redis.asyncio.Redis(host="127.0.0.1", port=int(sys.argv[1]))


@app.get("/")
async def view() -> str:
    """Answer after five GETs."""
    return "".join([str(await client.get(f"key{number}")) for number in range(5)])


listening = socket.socket(
    socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
)  # asyncio sets TCP_NODELAY for this protocol only
listening.bind(("127.0.0.1", 0))
listening.listen()
ready = Path(sys.argv[2])
ready.with_suffix(".new").write_text(f"{listening.getsockname()[1]} {os.getpid()}", "utf-8")
ready.with_suffix(".new").rename(ready)
config = uvicorn.Config(app, log_level="critical", access_log=False)
uvicorn.Server(config).run(sockets=[listening])
