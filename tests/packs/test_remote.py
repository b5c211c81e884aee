"""The packs of what works on other machines: SSH against asyncssh's server, LDAP against a real slapd, SOAP against a stub."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from support.servers import _free_port, wait_for_port
from support.stubs import Answer, HttpStub

from .conftest import PYTHON, SECRET, Compared
from .hooked import require

SSH_SERVER = """
    import asyncio, sys, asyncssh
    class Server(asyncssh.SSHServer):
        def begin_auth(self, username): return True
        def password_auth_supported(self): return True
        def validate_password(self, username, password): return password == sys.argv[1]
    def run(process):
        process.stdout.write("done")
        process.exit(3 if "fails" in (process.command or "") else 0)
    async def main():
        key = asyncssh.generate_private_key("ssh-rsa")
        def serve(channel): return asyncssh.SFTPServer(channel, chroot=sys.argv[2])
        what = dict(server_host_keys=[key], process_factory=run, sftp_factory=serve)
        server = await asyncssh.create_server(Server, "127.0.0.1", 0, **what)
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    asyncio.run(main())
"""
ASYNCSSH = """
    import asyncio, os, asyncssh
    where = dict(port=int(os.environ["PORT"]), username="shop", known_hosts=None, config=None, client_keys=None)
    async def main():
        async with asyncssh.connect("127.0.0.1", password=SECRET, **where) as connection:
            for n in range(3): print((await connection.run(f"backup --key {SECRET}")).stdout)
            try: await connection.run(f"fails {SECRET}", check=True)
            except asyncssh.ProcessError as error: print(error.exit_status)
            async with connection.start_sftp_client() as sftp:
                async with sftp.open(SECRET, "w") as file: await file.write(SECRET)
                print(await sftp.listdir(".") and (await sftp.stat(SECRET)).size)
                await sftp.remove(SECRET)
                try: await sftp.stat(SECRET)
                except asyncssh.SFTPError as error: print(type(error).__name__)
        try: await asyncssh.connect("127.0.0.1", password=SECRET + "!", **where)
        except asyncssh.PermissionDenied as error: print(type(error).__name__)
    asyncio.run(main())
"""
PARAMIKO = """
    import os, paramiko, logging
    logging.disable()
    where = dict(port=int(os.environ["PORT"]), username="shop", allow_agent=False, look_for_keys=False)
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect("127.0.0.1", password=SECRET, **where)
    for n in range(3):
        _, out, _ = client.exec_command(f"backup --key {SECRET}")
        print(out.read().decode(), out.channel.recv_exit_status())
    print(client.exec_command(f"fails {SECRET}")[1].channel.recv_exit_status())
    sftp = client.open_sftp()
    with sftp.open(SECRET, "w") as file: file.write(SECRET)
    print(bool(sftp.listdir(".")), sftp.stat(SECRET).st_size)
    sftp.remove(SECRET)
    try: sftp.stat(SECRET)
    except FileNotFoundError as error: print(type(error).__name__)
    client.close()
    try: client.connect("127.0.0.1", password=SECRET + "!", **where)
    except paramiko.AuthenticationException as error: print(type(error).__name__)
    client.close()
"""
SSH = {  # library: (program, {name: calls}, {name: calls that failed})
    "asyncssh": (
        ASYNCSSH,
        {"ssh connect": 2, "ssh backup": 3, "ssh fails": 1, "sftp listdir": 1, "sftp stat": 2, "sftp remove": 1},
        {"ssh connect": 1, "ssh fails": 1, "sftp stat": 1},
    ),
    "paramiko": (
        PARAMIKO,
        {
            "ssh connect": 2,
            "ssh backup": 3,
            "ssh fails": 1,
            "ssh wait": 4,
            "sftp open": 1,
            "sftp listdir": 1,
            "sftp stat": 2,
            "sftp remove": 1,
        },
        {"ssh connect": 1, "sftp stat": 1},
    ),
}


@pytest.fixture
def ssh_port(tmp_path: Path) -> Iterator[str]:
    """The port of an SSH server that says "done" to each command, and serves a folder by SFTP."""
    require("asyncssh")
    (tmp_path / "served").mkdir()
    line = [PYTHON, "-c", dedent(SSH_SERVER), SECRET, str(tmp_path / "served")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(line, text=True, **pipes) as server:  # type: ignore[call-overload]
        yield server.stdout.readline().strip()


@pytest.mark.parametrize("library", SSH)
def test_what_is_run_on_another_machine_is_counted_by_program(library: str, ssh_port: str, compared: Compared) -> None:
    """Never with its arguments, and never a path."""
    program, calls, errors = SSH[library]
    under = compared(program, needs=[library], env={"PORT": ssh_port})
    found = {name: count for name, count in under.calls("rpc").items() if not name.startswith("dns ")}
    assert found == calls
    assert under.errors("rpc") == errors


LDAP = """
    import os, ldap3
    server = ldap3.Server("127.0.0.1", port=int(os.environ["PORT"]), get_info=ldap3.NONE)
    connection = ldap3.Connection(server, "cn=admin,dc=shop", SECRET, auto_bind=True)
    print(connection.add("dc=shop", ["dcObject", "organization"], {"o": SECRET, "dc": "shop"}))
    for n in range(3): print(connection.search("dc=shop", f"(o={SECRET})"), len(connection.entries))
    print(connection.compare("dc=shop", "o", SECRET))
    print(connection.modify("dc=shop", {"description": [(ldap3.MODIFY_ADD, [SECRET])]}))
    print(connection.delete("dc=shop"))
    strict = ldap3.Connection(server, "cn=admin,dc=shop", SECRET, raise_exceptions=True)
    strict.bind()
    try: strict.delete("dc=missing,dc=shop")
    except ldap3.core.exceptions.LDAPNoSuchObjectResult as error: print(type(error).__name__)
"""


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[int]:
    """The port of an empty OpenLDAP server that counts its operations."""
    program = shutil.which("slapd") or shutil.which("slapd", path="/usr/sbin")
    if program is None:
        pytest.skip("slapd is not on this machine (apt-get install slapd ldap-utils)")
    port = _free_port()
    (tmp_path / "data").mkdir()
    (tmp_path / "slapd.conf").write_text(
        "include /etc/ldap/schema/core.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n"
        'database monitor\ndatabase mdb\nsuffix "dc=shop"\n'
        f'rootdn "cn=admin,dc=shop"\nrootpw {SECRET}\ndirectory {tmp_path}/data\n'
    )
    line = [program, "-d", "0", "-h", f"ldap://127.0.0.1:{port}", "-f", str(tmp_path / "slapd.conf")]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_port(port, process)
    yield port
    process.terminate()
    process.wait()


def test_operations_of_ldap_are_counted(slapd: int, compared: Compared) -> None:
    """By what they do, never by entry or filter; a result that ldap3 raises is an error."""
    under = compared(LDAP, needs=["ldap3"], env={"PORT": str(slapd)})
    calls = {name: count for name, count in under.calls("rpc").items() if not name.startswith("dns ")}
    counts = {"connect": 2, "bind": 2, "add": 1, "search": 3, "compare": 1, "modify": 1, "delete": 2}
    assert calls == {f"ldap {name}": count for name, count in counts.items()}
    assert under.errors("rpc") == {"ldap delete": 1}


WSDL = """<?xml version="1.0"?>
<definitions name="Shop" targetNamespace="urn:shop" xmlns="http://schemas.xmlsoap.org/wsdl/"
    xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:tns="urn:shop" xmlns:xsd="http://www.w3.org/2001/XMLSchema">
  <types><xsd:schema targetNamespace="urn:shop">
    <xsd:element name="Quote"><xsd:complexType><xsd:sequence>
      <xsd:element name="sku" type="xsd:string"/>
    </xsd:sequence></xsd:complexType></xsd:element>
    <xsd:element name="QuoteAnswer"><xsd:complexType><xsd:sequence>
      <xsd:element name="cents" type="xsd:int"/>
    </xsd:sequence></xsd:complexType></xsd:element>
  </xsd:schema></types>
  <message name="In"><part name="body" element="tns:Quote"/></message>
  <message name="Out"><part name="body" element="tns:QuoteAnswer"/></message>
  <portType name="Port"><operation name="Quote">
    <input message="tns:In"/><output message="tns:Out"/>
  </operation></portType>
  <binding name="Binding" type="tns:Port"><soap:binding transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="Quote"><soap:operation soapAction="urn:quote"/>
      <input><soap:body use="literal"/></input><output><soap:body use="literal"/></output>
    </operation>
  </binding>
  <service name="Shop"><port name="Port" binding="tns:Binding"><soap:address location="URL/soap"/></port></service>
</definitions>"""
ENVELOPE = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{}</s:Body></s:Envelope>'
ZEEP = """
    import os, zeep
    client = zeep.Client(os.environ["URL"] + "/shop.wsdl")
    for n in range(3): print(client.service.Quote(sku=SECRET))
    try: client.service.Quote(sku="missing")
    except zeep.exceptions.Fault as error: print(error.message)
    del client  # at the interpreter's end it could not close itself
"""


def test_a_soap_call_is_one_call_by_operation(compared: Compared) -> None:
    """With the request of requests in it; a fault is an error."""

    def answer(method: str, path: str, body: bytes) -> Answer:
        if path == "/shop.wsdl":
            return 200, {"Content-Type": "text/xml"}, WSDL.replace("URL", stub.url).encode()
        fault = "<s:Fault><faultcode>Client</faultcode><faultstring>no such thing</faultstring></s:Fault>"
        good = '<a:QuoteAnswer xmlns:a="urn:shop"><cents>7</cents></a:QuoteAnswer>'
        return 200, {"Content-Type": "text/xml"}, ENVELOPE.format(fault if b"missing" in body else good).encode()

    stub = HttpStub(answer)
    try:
        under = compared(ZEEP, needs=["zeep"], env={"URL": stub.url}, before=stub.reset)
    finally:
        stub.stop()
    calls = {name: count for name, count in under.calls("http").items() if not re.search(" (pool wait|connect|body)$", name)}
    assert calls == {"soap Quote": 4, "GET 127.0.0.1:*": 1}  # the description is a file
    assert under.errors("http") == {"soap Quote": 1}
    assert stub.total() == 5
