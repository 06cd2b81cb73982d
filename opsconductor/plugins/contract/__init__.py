"""Tests that every part must pass, built in or not. Plug-in authors derive from these classes in their own tests:

    from opsconductor.plugins.contract import StepContract

    class TestGreet(StepContract):
        name = "sample.greet"

Any test runner that collects `Test*` classes and `test_*` methods runs them. The part is found by its entry point, so
the package must be installed. Nothing is simulated: commands run, connections connect.
"""

from opsconductor.plugins.contract.channels import ChannelContract
from opsconductor.plugins.contract.connections import ConnectionContract, ProbeContract
from opsconductor.plugins.contract.ground import run, sealed, this_host
from opsconductor.plugins.contract.secrets import SecretContract
from opsconductor.plugins.contract.steps import StepContract

__all__ = [
    "ChannelContract",
    "ConnectionContract",
    "ProbeContract",
    "SecretContract",
    "StepContract",
    "run",
    "sealed",
    "this_host",
]
