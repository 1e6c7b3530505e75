"""Trust as the reference has it: credentials, handshakes, gated nodes. Reads one JSON request per line, answers one.

    {"op": NAME, ...}  ->  {"ok": true, "result": ...} or {"ok": false, "error": "..."}

Every operation is a function of this module; its docstring says what it takes and answers.
"""

import asyncio
import hashlib
import json
import logging
import os
import sys
import time
import warnings
from contextlib import AsyncExitStack, redirect_stdout

import loopback
import mesh
from aster import AsterClient, AsterConfig, AsterServer, EndpointConfig, IrohNode, RpcError, blobs_client, net_client
from aster.config import AsterConfig as Settings
from aster.runtime import _coerce_node_addr, _credential_from_peer_entry, _load_enrollment_credential
from aster.runtime import AdmissionDeniedError
from aster.trust.consumer import ConsumerAdmissionRequest, consumer_cred_to_json
from aster.trust.credentials import ConsumerEnrollmentCredential, EnrollmentCredential
from aster.trust.gossip import derive_gossip_topic
from aster.trust.mesh import MeshState
from aster.trust.nonces import NonceStore
from aster.trust.signing import _canonical_signing_bytes, load_private_key, sign_credential, verify_signature
from vault import Cellar, Note, Vault

warnings.simplefilter("ignore")
# Refusals are what is tested here.
logging.disable(logging.WARNING)

RPC = b"aster/1"
CONSUMER_ADMISSION = b"aster.consumer_admission"
PRODUCER_ADMISSION = b"aster.producer_admission"

# What is kept until the process ends.
_kept = AsyncExitStack()
_producers = {}


def public_key(seed: bytes) -> bytes:
    return load_private_key(seed).public_key().public_bytes_raw()


async def producer(*, producers_gated=False, root=None, secret_key=None, identity=None) -> dict:
    """Starts a producer whose gate for consumers is closed: address, endpoint_id, root_pubkey, contract ids."""
    config = loopback.config(secret_key=bytes.fromhex(secret_key) if secret_key else None)
    server = await _kept.enter_async_context(
        AsterServer(
            [Vault(), Cellar()],
            config=config,
            identity=identity,
            root_pubkey=bytes.fromhex(root) if root else None,
            allow_all_consumers=False,
            allow_all_producers=not producers_gated,
        )
    )
    _producers[server.endpoint_id] = server
    return {
        "address": server.address,
        "endpoint_id": server.endpoint_id,
        "root_pubkey": server.root_pubkey.hex(),
        "contracts": {summary.name: summary.contract_id for summary in server.services},
    }


_members = {}


async def mesh_subscribe(*, producer, secret_key) -> str:
    """Puts a producer (its endpoint id) on the topic of its mesh and answers the topic."""
    member = mesh.Member(_producers[producer], bytes.fromhex(secret_key))
    member.subscribe()
    _members[producer] = member
    return member.report()["topic"]


async def mesh_join(*, producer, secret_key, root, address, contact, credential) -> dict:
    """Has a producer (its endpoint id) ask another one, `contact` at an address, to be let in: answers the reply.

    Who is accepted is put on the topic of that one's mesh, with it as the first neighbour.
    """
    server = _producers[producer]
    request = json.dumps({"credential_json": credential, "iid_token": ""})
    reply = await _exchange(server._node, address, PRODUCER_ADMISSION, request)
    if reply["accepted"]:
        state = server._mesh_state
        state.salt = bytes.fromhex(reply["salt"])
        state.topic_id = derive_gossip_topic(bytes.fromhex(root), state.salt)
        state.accepted_producers.update(reply["accepted_producers"])
        member = mesh.Member(server, bytes.fromhex(secret_key))
        member.subscribe([contact])
        _members[producer] = member
    return reply


async def mesh_say(*, producer, type, args) -> None:
    """Broadcasts a message of a type, whose payload the library makes of the arguments."""
    await _members[producer].say(type, mesh.PAYLOADS[type](*args))


async def mesh_report(*, producer) -> dict:
    """What a producer heard on the topic, and what its handler made of it."""
    return _members[producer].report()


async def store(*, producer, text, times) -> dict:
    """Adds a text, so many times repeated, to the blobs of a producer (its endpoint id): {"hash", "ticket", "collection"}.

    ``collection`` is the ticket of a collection with the blob in it.
    """
    blobs = _producers[producer].blobs
    content = text.encode() * times
    hash = await blobs.add_bytes(content)
    collection = await blobs.add_collection([("one", content), ("two", content[:1])])
    return {
        "hash": hash,
        "ticket": blobs.create_ticket(hash),
        "collection": blobs.create_collection_ticket(collection),
    }


async def fetch(*, address, ticket, identity=None) -> dict:
    """Asks for admission and then, whatever came of it, for a blob: {"admitted", and "size", "sha256" or "error"}."""
    client = AsterClient(config=loopback.config(), address=address, identity=identity)
    try:
        try:
            await client.connect()
            admitted = True
        except AdmissionDeniedError:
            admitted = False
        # It gives a connection one second, which is short on a busy machine. A stranger is refused however often.
        attempts = 20 if admitted else 1
        while True:
            try:
                content = await blobs_client(client._node).download_blob(ticket)
                break
            except Exception as error:
                attempts -= 1
                if attempts == 0:
                    return {"admitted": admitted, "error": str(error)}
                await asyncio.sleep(0.25)
        return {"admitted": admitted, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    finally:
        await client.close()


async def _call(client: AsterClient, service: str, method: str) -> dict:
    try:
        stub = await client.client({"Vault": Vault, "Cellar": Cellar}[service])
        call = getattr(stub, method)
        if method == "watch":
            text = "".join([note.text async for note in call(Note())])
        elif method == "fill":

            async def notes():
                yield Note(text="a")
                yield Note(text="b")

            text = (await call(notes())).text
        elif method == "mend":
            async with call() as channel:
                await channel.send(Note(text="a"))
                await channel.close()
                text = ""
                while (note := await channel.recv()) is not None:
                    text += note.text
        else:
            text = (await call(Note())).text
        return {"text": text}
    except RpcError as error:
        return {"code": int(error.code), "message": error.message}


async def consume(
    *, address, calls, identity=None, peer=None, credential_file=None, secret_key=None, again_after=None
) -> dict:
    """Connects as a consumer and calls: {"admitted": true, "answers": [{"text"} or {"code", "message"}]}, else false.

    With ``again_after`` it makes the same calls once more after that many seconds, on the connection it has.
    """
    config = loopback.config(secret_key=bytes.fromhex(secret_key) if secret_key else None)
    client = AsterClient(
        config=config, address=address, identity=identity, peer=peer, enrollment_credential_file=credential_file
    )
    try:
        await client.connect()
        answers = [await _call(client, *call) for call in calls]
        if again_after is not None:
            await asyncio.sleep(again_after)
            answers += [await asyncio.wait_for(_call(client, *call), 5) for call in calls]
        return {"admitted": True, "answers": answers}
    except AdmissionDeniedError as error:
        return {"admitted": False, "message": str(error)}
    finally:
        await client.close()


async def _node(secret_key, alpns):
    config = EndpointConfig(
        alpns=list(alpns),
        relay_mode="disabled",
        bind_addr="127.0.0.1:0",
        portmapper_config="disabled",
        secret_key=bytes.fromhex(secret_key) if secret_key else None,
    )
    return await IrohNode.memory_with_alpns(list(alpns), config)


async def _ask(address: str, alpn: bytes, secret_key, request: str) -> dict:
    node = await _node(secret_key, [alpn])
    try:
        return await _exchange(node, address, alpn, request)
    finally:
        await node.close()


async def _exchange(node, address: str, alpn: bytes, request: str) -> dict:
    connection = await net_client(node).connect_node_addr(_coerce_node_addr(address), alpn)
    send, recv = await connection.open_bi()
    await send.write_all(request.encode())
    await send.finish()
    return json.loads(await recv.read_to_end(64 * 1024))


async def present(*, address, credential, secret_key=None) -> dict:
    """Shows a consumer credential (the text of its JSON) and answers the producer's reply."""
    return await _ask(address, CONSUMER_ADMISSION, secret_key, ConsumerAdmissionRequest(credential).to_json())


async def join(*, address, credential, secret_key=None) -> dict:
    """Shows a producer credential (the text of its JSON) and answers the producer's reply."""
    request = json.dumps({"credential_json": credential, "iid_token": ""})
    return await _ask(address, PRODUCER_ADMISSION, secret_key, request)


async def knock(*, address, alpn) -> dict:
    """Connects without any admission and answers how the connection ends."""
    node = await _node(None, [RPC])
    try:
        connection = await net_client(node).connect_node_addr(_coerce_node_addr(address), alpn.encode())
        return {"closed": str(await asyncio.wait_for(connection.closed(), 10))}
    finally:
        await node.close()


async def sign(*, seed, kind, attributes, seconds=3600, endpoint_id=None, nonce=None, type="policy") -> dict:
    """Signs a credential: the text of its JSON, as it travels, and the bytes that were signed."""
    key = bytes.fromhex(seed)
    expires_at = int(time.time()) + seconds
    if kind == "producer":
        credential = EnrollmentCredential(endpoint_id, public_key(key), expires_at, attributes)
        credential.signature = sign_credential(credential, key)
        text = json.dumps(
            {
                "endpoint_id": endpoint_id,
                "root_pubkey": credential.root_pubkey.hex(),
                "expires_at": expires_at,
                "attributes": attributes,
                "signature": credential.signature.hex(),
            }
        )
    else:
        credential = ConsumerEnrollmentCredential(
            type, public_key(key), expires_at, attributes, endpoint_id, bytes.fromhex(nonce) if nonce else None
        )
        credential.signature = sign_credential(credential, key)
        text = consumer_cred_to_json(credential)
    return {"text": text, "signed": _canonical_signing_bytes(credential).hex()}


def _described(credential) -> dict:
    return {
        "valid": verify_signature(credential),
        "root_pubkey": credential.root_pubkey.hex(),
        "endpoint_id": credential.endpoint_id,
        "attributes": dict(credential.attributes),
        "expires_at": credential.expires_at,
    }


async def read_identity(*, path, name) -> dict:
    """What the runtime makes of an entry of an identity file."""
    seed, peer = Settings(identity_file=path).load_identity(peer_name=name)
    if peer["role"] == "consumer":
        credential = _credential_from_peer_entry(peer)
    else:
        credential = EnrollmentCredential(
            peer["endpoint_id"],
            bytes.fromhex(peer["root_pubkey"]),
            peer["expires_at"],
            peer.get("attributes", {}),
            bytes.fromhex(peer["signature"]),
        )
    return {"node": public_key(seed).hex(), "type": peer["type"], **_described(credential)}


async def read_token(*, path) -> dict:
    """What the runtime makes of a consumer's credential file."""
    credential = _load_enrollment_credential(path)
    return {"type": credential.credential_type, **_described(credential)}


async def use_nonce(*, path, nonce) -> bool:
    return await NonceStore(path).consume(bytes.fromhex(nonce))


async def read_mesh(*, path) -> dict:
    with open(path) as file:
        return MeshState.from_json_dict(json.load(file)).to_json_dict()


async def write_mesh(*, path, state) -> None:
    with open(path, "w") as file:
        json.dump(MeshState.from_json_dict(state).to_json_dict(), file, indent=2)


async def print_config(*, path, environment) -> dict:
    """The printed configuration of a TOML file and an environment, as text and as JSON."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        config = AsterConfig.from_file(path)
    finally:
        os.environ.clear()
        os.environ.update(before)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        return {"text": config.print_config(), "json": json.loads(config.print_config(json=True))}


OPERATIONS = {
    operation.__name__: operation
    for operation in (
        producer,
        mesh_subscribe,
        mesh_join,
        mesh_say,
        mesh_report,
        store,
        fetch,
        consume,
        present,
        join,
        knock,
        sign,
        read_identity,
        read_token,
        use_nonce,
        read_mesh,
        write_mesh,
        print_config,
    )
}


async def answer(line: str) -> dict:
    request = json.loads(line)
    try:
        return {"ok": True, "result": await OPERATIONS[request.pop("op")](**request)}
    except Exception as error:
        return {"ok": False, "error": f"{type(error).__name__}: {error}"}


async def main() -> None:
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with _kept:
        while line := await reader.readline():
            print(json.dumps(await answer(line.decode())), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
