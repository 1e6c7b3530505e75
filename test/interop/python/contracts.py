"""Prints what the reference derives from every service here, as a JSON array.

Each entry: name, version, module, contract_id, canonical_hex, contract (the reference's JSON form), types in pipeline
order (key, hash, canonical_hex) and manifest (the exact text the reference would publish).
"""

import json
import sys

from aster.contract.identity import (
    ServiceContract,
    _to_json,
    build_type_graph,
    canonical_xlang_bytes,
    compute_type_hash,
    contract_id_from_service,
    resolve_with_cycles,
)
from aster.contract.publication import build_collection

import contract_postponed
import contract_services
import events
import kitchen_sink
import task_runner


def describe(service_class):
    info = service_class.__aster_service_info__
    messages = [t for m in info.methods.values() for t in (m.request_type, m.response_type) if isinstance(t, type)]
    type_defs = resolve_with_cycles(build_type_graph(messages))
    encoded = {key: canonical_xlang_bytes(type_def) for key, type_def in type_defs.items()}
    hashes = {key: compute_type_hash(data) for key, data in encoded.items()}
    contract = ServiceContract.from_service_info(info, hashes)
    entries = dict(build_collection(contract, type_defs, service_info=info))
    return {
        "name": info.name,
        "version": info.version,
        "module": service_class.__module__,
        "contract_id": contract_id_from_service(service_class),
        "canonical_hex": entries["contract.bin"].hex(),
        "contract": json.loads(_to_json(contract)),
        "types": [
            {"key": key, "hash": hashes[key].hex(), "canonical_hex": data.hex()} for key, data in encoded.items()
        ],
        "manifest": entries["manifest.json"].decode(),
    }


modules = [kitchen_sink, task_runner, contract_services, contract_postponed, events]
services = [service_class for module in modules for service_class in module.SERVICES]
json.dump([describe(service_class) for service_class in services], sys.stdout, ensure_ascii=False, indent=1)
print()
