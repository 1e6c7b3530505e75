"""Runs reference nodes on 127.0.0.1 only: no relay, no discovery, no port mapping.

The reference reads ``bind_addr`` from its configuration and then drops it on the way to the node: both
``AsterServer`` and ``AsterClient`` copy an endpoint configuration field by field and leave out ``bind_addr`` and
``portmapper_config``. The two copying functions are replaced here, which is the only change to the reference.
"""

import os
import tempfile

for _name in [name for name in os.environ if name.startswith("ASTER_")]:
    del os.environ[_name]

import aster.runtime
from aster import AsterConfig, EndpointConfig


_home = tempfile.TemporaryDirectory(prefix="aster-interop-")
_port = 0


def _endpoint(template, alpns=(), *, enable_hooks=False):
    return EndpointConfig(
        alpns=list(alpns),
        relay_mode="disabled",
        bind_addr=f"127.0.0.1:{_port}",
        portmapper_config="disabled",
        secret_key=template.secret_key if template is not None else None,
        enable_hooks=enable_hooks,
    )


aster.runtime._build_node_endpoint_config = _endpoint
aster.runtime._clone_config_with_alpns = _endpoint


def config(*, port=0, **settings) -> AsterConfig:
    """A configuration that owes nothing to the environment or to files in the working directory.

    ``port`` is where the nodes of this process listen, 0 for any that is free.
    """
    global _port
    _port = port
    os.chdir(_home.name)
    return AsterConfig(relay_mode="disabled", log_level="warning", **settings)
