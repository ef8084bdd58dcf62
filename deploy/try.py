#!/usr/bin/env python3
"""Starts servers with the files of nats/ on loopback and tries what each role may do.

    NATS_SERVER=nats-server python3 try.py

Needs nats-py. What is sent is what the backend sends (pool-core/src/engine/cluster/README.md), so
a permission that is missing shows here, as does one that is too many. Ends with 1 if one does.
"""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

import nats
from nats.errors import NoRespondersError

HERE = Path(__file__).resolve().parent
SERVER = os.environ.get("NATS_SERVER", "nats-server")
PASSWORDS = {f"NATS_{role}_PASSWORD": f"{role.lower()}-secret" for role in ("ADMIN", "WEB", "WORKER")}
INBOX = {"admin": "_INBOX", "web": "_INBOX_s.web", "worker": "_INBOX_a"}
S, ABI = "PT_pool_T", "0123456789abcdef"
TASKS = f"pt.pool.q.{ABI}.web.r1"  # where the submitter web.r1 publishes
failures = []


def check(name, good, detail=""):
    print(f"{'ok  ' if good else 'FAIL'} {name}{'' if good else f': {detail}'}", flush=True)
    if not good:
        failures.append(name)


def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def server(folder, conf, *arguments, **environment):
    """A server, ended by its id at the end; its log in the folder."""
    log = Path(folder, "log")
    with log.open("ab") as out:
        process = subprocess.Popen(
            [SERVER, "-c", str(HERE / "nats" / conf), *arguments],
            env={**os.environ, **PASSWORDS, **environment}, cwd=folder, stdout=out, stderr=out,
        )
    try:
        yield process
    except BaseException:
        print(log.read_text(errors="replace")[-3000:], file=sys.stderr)
        raise
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Client:
    """A connection, which knows what the server has denied."""

    async def open(self, urls, role=None, password=None, **options):
        self.errors = []

        async def error(e):
            self.errors.append(str(e))

        if role:
            options |= {"user": role, "password": password or f"{role}-secret"}
            options["inbox_prefix"] = INBOX[role].encode()
        self.nc = await nats.connect(
            urls, error_cb=error, connect_timeout=2, allow_reconnect=False, **options)
        self.errors.clear()
        return self

    async def settle(self):
        """Until the server has seen what was sent: the ping of the first flush may overtake that."""
        await self.nc.flush(5)
        await self.nc.flush(5)

    async def denied(self, act):
        """Whether the server says no to what `act` sends; it does so before it answers the ping."""
        self.errors.clear()
        await act
        await self.settle()
        await asyncio.sleep(0.01)  # the callback for errors is a task
        return any("permissions violation" in e.lower() for e in self.errors)

    async def api(self, subject, body=None):
        answer = await self.nc.request(
            f"$JS.API.{subject}", json.dumps(body).encode() if body else b"", timeout=5)
        return json.loads(answer.data)

    async def pull(self):
        """One task, as an agent pulls it: it arrives with its own subject, not that of the inbox."""
        inbox = self.nc.new_inbox()
        tasks = await self.nc.subscribe(inbox)
        await self.nc.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{S}.q_{ABI}", b'{"batch":1,"expires":4000000000}', reply=inbox)
        message = await tasks.next_msg(5)
        await tasks.unsubscribe()
        return message

    async def depth(self):
        consumer = await self.api(f"CONSUMER.INFO.{S}.q_{ABI}")
        return consumer["num_pending"] + consumer["num_ack_pending"]


async def connected(urls, role=None, patience=20, **options):
    """A connection to a server that may just be starting."""
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    while True:
        try:
            return await Client().open(urls, role, **options)
        except (OSError, nats.errors.Error):
            if loop.time() > end:
                raise
            await asyncio.sleep(0.2)


async def create(admin, replicas=1, patience=30):
    """The stream and the consumer; a cluster that is just electing a leader says 503 or nothing."""
    stream = {
        "name": S, "subjects": ["pt.pool.q.>"], "retention": "workqueue", "storage": "file",
        "discard": "new", "num_replicas": replicas, "max_bytes": 8 << 30,
    }
    consumer = {
        "stream_name": S,
        "config": {
            "durable_name": f"q_{ABI}", "name": f"q_{ABI}", "filter_subject": f"pt.pool.q.{ABI}.>",
            "ack_policy": "explicit", "ack_wait": 15 * 10**9, "max_deliver": -1,
            "max_ack_pending": 100_000, "max_waiting": 8192, "num_replicas": replicas,
        },
    }
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    for subject, body in (
        (f"STREAM.CREATE.{S}", stream),
        (f"CONSUMER.CREATE.{S}.q_{ABI}.pt.pool.q.{ABI}.>", consumer),
    ):
        while True:
            try:
                answer = await admin.api(subject, body)
            except nats.errors.Error as error:
                answer = {"error": repr(error)}
            if "error" not in answer:
                break
            if loop.time() > end:
                raise RuntimeError(f"{subject}: {answer['error']}")
            await asyncio.sleep(0.5)


async def task(submitter, agent):
    """One task from its submitter to an agent and back."""
    async def say_go(message):
        await message.respond(b"Go" if message.data == b"Ask" else b"")

    async def here(message):
        await message.respond(b"2 seats")

    await submitter.nc.subscribe("pt.pool.c.web.r1", cb=say_go)
    await agent.nc.subscribe("pt.pool.w", cb=here)
    await agent.nc.subscribe("pt.pool.a.a1", cb=here)
    await submitter.settle()
    await agent.settle()

    # Who is there?
    answer = await submitter.nc.request("pt.pool.w", b"", timeout=5)
    check("the submitter finds the agent", answer.data == b"2 seats", answer)
    stored = json.loads((await submitter.nc.request(TASKS, b"task", timeout=5)).data)
    check("the submitter's task is stored", "seq" in stored, stored)
    pulled = await agent.pull()
    check("the agent pulls it", pulled.data == b"task", pulled)
    await agent.nc.publish(pulled.reply, b"+WPI")
    verdict = await agent.nc.request("pt.pool.c.web.r1", b"Ask", timeout=5)
    check("and is told to go", verdict.data == b"Go", verdict)
    roll = await submitter.nc.request("pt.pool.a.a1", b"Roll", timeout=5)
    check("it answers the roll", roll.data == b"2 seats", roll)
    heard = await agent.nc.request("pt.pool.c.web.r1", b"Done", timeout=5)
    check("its outcome is heard", heard.data == b"", heard)
    check("the depth of the queue is what waits or runs", await agent.depth() == 1)
    await agent.nc.request(pulled.reply, b"+ACK", timeout=5)
    check("acknowledged, it is gone", await submitter.depth() == 0)
    try:
        await agent.nc.request("pt.pool.c.web.gone", b"Ask", timeout=5)
        check("nobody listens for a submitter that is gone", False, "somebody answered")
    except NoRespondersError:
        check("nobody listens for a submitter that is gone", True)
    check("no permission is missing", not submitter.errors + agent.errors,
          submitter.errors + agent.errors)


async def cancel(submitter):
    """A task that is cancelled in the queue, and all that a submitter has there."""
    stored = json.loads((await submitter.nc.request(TASKS, b"task", timeout=5)).data)
    answer = await submitter.api(f"STREAM.MSG.DELETE.{S}", {"seq": stored["seq"]})
    check("the submitter cancels a task", answer.get("success"), answer)
    for _ in range(3):
        await submitter.nc.request(TASKS, b"task", timeout=5)
    counted = await submitter.api(f"STREAM.INFO.{S}", {"subjects_filter": TASKS})
    check("the submitter counts its tasks", counted["state"].get("subjects") == {TASKS: 3}, counted)
    answer = await submitter.api(f"STREAM.PURGE.{S}", {"filter": TASKS})
    check("the submitter cancels all of them", answer.get("purged") == 3, answer)


async def denials(clients):
    may_not = {
        "web": {
            "publish": [
                f"pt.pool.q.{ABI}.other.r1", "pt.other.q.x.web.r1", "pt.pool.c.other.r1",
                f"$JS.API.CONSUMER.MSG.NEXT.{S}.q_{ABI}", f"$JS.ACK.{S}.q_{ABI}.1.1.1.1.1",
                f"$JS.ACK._.hash.{S}.q_{ABI}.1.1.1.1.1",
                f"$JS.API.STREAM.MSG.GET.{S}", f"$JS.API.DIRECT.GET.{S}", "_INBOX_s.other.x",
            ],
            "subscribe": [
                ">", "pt.pool.q.>", "pt.pool.c.>", "pt.pool.c.other.r1", "pt.pool.a.a1",
                "_INBOX_s.>", "_INBOX_s.other.>", "_INBOX_a.>", "_INBOX.>", "$JS.API.>", "$SYS.>",
            ],
        },
        "worker": {
            "publish": [
                TASKS, f"pt.pool.q.{ABI}.worker.r1", "pt.pool.a.a1", "pt.pool.w",
                f"$JS.API.STREAM.MSG.DELETE.{S}", f"$JS.API.STREAM.PURGE.{S}",
                f"$JS.API.STREAM.MSG.GET.{S}", f"$JS.API.DIRECT.GET.{S}",
            ],
            "subscribe": [
                ">", "pt.pool.q.>", "pt.pool.c.>", "pt.pool.c.web.r1", "_INBOX_s.>", "_INBOX.>",
                "$JS.API.>", "$SYS.>",
            ],
        },
        "admin": {
            "publish": [TASKS, "pt.pool.c.web.r1", "pt.pool.a.a1", "_INBOX_a.x"],
            "subscribe": [">", "pt.pool.q.>", "pt.pool.c.>", "_INBOX_s.>", "_INBOX_a.>"],
        },
    }
    for role in ("web", "worker"):
        may_not[role]["publish"] += [f"$JS.API.{what}" for what in (
            f"STREAM.DELETE.{S}", f"STREAM.UPDATE.{S}", f"STREAM.CREATE.{S}", "STREAM.CREATE.OTHER",
            f"CONSUMER.DELETE.{S}.q_{ABI}", f"CONSUMER.CREATE.{S}.x.pt.pool.q.>",
            f"CONSUMER.DURABLE.CREATE.{S}.x", f"STREAM.SNAPSHOT.{S}",
        )]
    for role, subjects in may_not.items():
        client = clients[role]
        for subject in subjects["publish"]:
            denied = await client.denied(client.nc.publish(subject, b""))
            check(f"{role} may not publish to {subject}", denied, "it may")
        for subject in subjects["subscribe"]:
            denied = await client.denied(client.nc.subscribe(subject))
            check(f"{role} may not subscribe to {subject}", denied, "it may")


async def replies(clients):
    """An answer goes to inboxes only, whatever the question names."""
    web, worker = clients["web"], clients["worker"]

    asked = asyncio.get_running_loop().create_future()

    async def hear(message):
        asked.set_result(message)

    sub = await web.nc.subscribe("pt.pool.c.web.r2", cb=hear)
    await web.settle()
    await worker.nc.publish("pt.pool.c.web.r2", b"Done", reply=f"$JS.API.STREAM.DELETE.{S}")
    denied = await web.denied((await asyncio.wait_for(asked, 5)).respond(b""))
    check("an agent cannot have a submitter delete the stream by its answer", denied, "it can")
    await sub.unsubscribe()
    stream = await web.api(f"STREAM.INFO.{S}")
    check("the stream is still there", "error" not in stream, stream)

    # The server itself answers wherever it is told to. That no permission helps is no failure of
    # nats/users.conf, but the reason why docs/cluster.md calls the account the wall.
    await web.nc.request(TASKS, b"task", timeout=5)
    task = await worker.pull()
    await worker.nc.publish(task.reply, b"+WPI", reply=f"$JS.API.STREAM.DELETE.{S}")
    await worker.settle()
    await asyncio.sleep(0.5)
    stream = await web.api(f"STREAM.INFO.{S}")
    can = "can" if "error" in stream else "cannot"
    print(f"note an agent with malice {can} delete the stream, by the answer to an acknowledgement")


async def single(folder):
    at = port()
    url = f"nats://127.0.0.1:{at}"
    with server(folder, "single.conf", "-p", str(at), "-m", str(port())):
        one, two = await connected(url), await connected(url)
        await create(one)  # no admin: a submitter makes what is missing
        await task(one, two)
        await cancel(one)
        for client in (one, two):
            await client.nc.close()


async def roles(folder):
    at = port()
    url = f"nats://127.0.0.1:{at}"
    with server(folder, "roles.conf", "-p", str(at), "-m", str(port())):
        admin = await connected(url, "admin")
        clients = {"admin": admin}
        clients |= {role: await Client().open(url, role) for role in ("web", "worker")}
        await create(admin)
        await task(clients["web"], clients["worker"])
        await cancel(clients["web"])
        await denials(clients)
        await replies(clients)
        for role, password in ((None, None), ("worker", "wrong")):
            try:
                await Client().open(url, role, password)
                check(f"{role or 'nobody'} without the right password is refused", False)
            except (OSError, nats.errors.Error):
                check(f"{role or 'nobody'} without the right password is refused", True)
        for client in clients.values():
            await client.nc.close()


def tls(certificates, mine):
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    if mine:
        context.load_cert_chain(certificates / "client.pem", certificates / "client.key")
    return context


async def cluster(folder):
    folder = Path(folder)
    certificates = folder / "certificates"
    subprocess.run([str(HERE / "certificates.sh"), str(certificates)], check=True)
    names = ("n1", "n2", "n3")
    ports, routes = {n: port() for n in names}, {n: port() for n in names}
    urls = [f"tls://127.0.0.1:{ports[n]}" for n in names]
    environment = {
        n: {
            "NATS_NAME": n, "NATS_LISTEN": f"127.0.0.1:{ports[n]}",
            "NATS_ADVERTISE": f"127.0.0.1:{ports[n]}",
            "NATS_HTTP": f"127.0.0.1:{port()}", "NATS_ROUTES_LISTEN": f"127.0.0.1:{routes[n]}",
            "NATS_ROUTES": "[%s]" % ", ".join(f"nats-route://127.0.0.1:{p}" for p in routes.values()),
            "NATS_STORE": str(folder / n / "data"), "NATS_CA": str(certificates / "ca.pem"),
            "NATS_CERT": str(certificates / f"{n}.pem"), "NATS_KEY": str(certificates / f"{n}.key"),
        }
        for n in names
    }
    with contextlib.ExitStack() as stack:
        processes = {}
        for n in names:
            (folder / n).mkdir()
            processes[n] = stack.enter_context(server(folder / n, "cluster.conf", **environment[n]))
        context = tls(certificates, True)
        admin = await connected(urls[0], "admin", tls=context)
        await create(admin, replicas=3)
        info = await admin.api(f"STREAM.INFO.{S}")
        check("the stream has three replicas", len(info["cluster"]["replicas"]) == 2, info)
        # Each at a server of its own, so that routes carry what they say.
        web = await connected(urls[1], "web", tls=context)
        worker = await connected(urls[2], "worker", tls=context)
        await task(web, worker)
        await cancel(web)
        for what, options in (("certificate", {"tls": tls(certificates, False)}), ("TLS", {})):
            url = urls[0] if options else urls[0].replace("tls:", "nats:")
            try:
                client = await Client().open(url, "worker", **options)
                await client.nc.flush(2)
                check(f"a client without {what} is refused", False)
            except (OSError, nats.errors.Error, asyncio.TimeoutError):
                check(f"a client without {what} is refused", True)
        # Two are enough.
        await admin.nc.close()
        processes["n1"].terminate()
        processes["n1"].wait()
        end = asyncio.get_running_loop().time() + 30
        while True:
            try:
                stored = json.loads((await web.nc.request(TASKS, b"again", timeout=2)).data)
                if "seq" in stored or asyncio.get_running_loop().time() > end:
                    break
            except nats.errors.Error as error:
                stored = repr(error)
                if asyncio.get_running_loop().time() > end:
                    break
            await asyncio.sleep(0.5)
        check("two of three servers store tasks", "seq" in stored, stored)
        for client in (web, worker):
            await client.nc.close()


async def main():
    if not shutil.which(SERVER):
        sys.exit(f"no {SERVER}")
    print(subprocess.run([SERVER, "--version"], capture_output=True, text=True).stdout.strip())
    for what in (single, roles, cluster):
        print(f"-- {what.__name__}")
        with tempfile.TemporaryDirectory() as folder:
            await what(folder)
    print(f"{len(failures)} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    asyncio.run(main())
