"""What is kept of a command."""

from __future__ import annotations

import time

import pytest

from hookmon.core.arguments import mask

COMMANDS = {
    "nothing secret": (["python", "app.py", "-w", "2"], ["python", "app.py", "-w", "2"]),
    "an option": (["app", "--password", "hush", "-v"], ["app", "--password", "***", "-v"]),
    "an option with a sign": (["app", "--api-key=hush hush"], ["app", "--api-key=***"]),
    "one minus": (["app", "-token", "hush"], ["app", "-token", "***"]),
    "an option without a value": (["app", "--use-token", "--debug"], ["app", "--use-token", "--debug"]),
    "a variable": (["make", "DB_PASSWORD=hush"], ["make", "DB_PASSWORD=***"]),
    "variables of a shell": (["sh", "-c", "cd x; TOKEN=hush run 'key'"], ["sh", "-c", "cd x; TOKEN=*** run 'key'"]),
    "a header": (["curl", "-H", "Authorization: Bearer hush"], ["curl", "-H", "Authorization: ***"]),
    "user and password": (["app", "amqp://bob:hu/sh@db:5672//"], ["app", "amqp://***@db:5672//"]),
    "a token alone": (["app", "--url=https://hush@db/"], ["app", "--url=https://***@db/"]),
    "a query": (["app", "http://db/?token=hush&page=2"], ["app", "http://db/?token=***&page=2"]),
    "a connection": (["app", "host=db password=hush user=bob"], ["app", "host=db password=*** user=bob"]),
    "JSON": (["app", '{"api_key":"hush","a":1}'], ["app", '{"api_key":***,"a":1}']),
    "names of modules": (["gunicorn", "auth.keys:app"], ["gunicorn", "auth.keys:app"]),
    "names of files": (["pytest", "tests/test_token.py::test_key"], ["pytest", "tests/test_token.py::test_key"]),
    "an author": (["git", "--author", "Bob"], ["git", "--author", "Bob"]),
    "what is hidden already": (["app", "--key", "***", "a://***@b"], ["app", "--key", "***", "a://***@b"]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_secrets_are_hidden(name: str):
    """By the name that stands before them."""
    command, shown = COMMANDS[name]
    assert mask(command) == shown


@pytest.mark.parametrize("part", ["key", "://", "pass_", "key= ", '"key":', "a-", "token:"])
def test_a_hostile_argument_takes_no_longer(part: str):
    """Linux allows 128 KiB for each."""
    started = time.process_time()
    mask(["app", part * (131_000 // len(part)) + "key"])
    assert time.process_time() - started < 2
