"""Which device a name means here, and what is written down about a machine."""

import ast
import json
import sys
import types
import warnings
from importlib import metadata

import pytest
import torch

from bench.components.built_in import BUILT_IN
from bench.errors import UserError
from bench.experiment import code_digest
from bench.machine import environment
from bench.measurements import MEASUREMENTS

# As the wheel of torch 2.14 for CUDA 13 is built.
BUILT = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]


@pytest.fixture
def machine(monkeypatch):
    """Pretend to have some GPUs, and Apple's or not; NVML may see more than the runtime can use."""
    monkeypatch.setattr(environment, "_SAID", [])

    def pretend(*, cuda=0, mps=False, seen=None, capability=(8, 9), built=BUILT, says=None):
        def is_available():
            if says is not None and not environment._SAID:  # torch warns once in a process
                warnings.warn(says, UserWarning, stacklevel=2)
            return cuda > 0

        monkeypatch.setattr(torch.cuda, "is_available", is_available)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda if seen is None else seen)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: built)
        monkeypatch.setattr(torch.version, "cuda", "13.0")
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("has", "chosen"),
    [
        ({"cuda": 2, "mps": True}, "cuda"),
        ({"cuda": 0, "mps": True}, "mps"),
        ({"cuda": 0, "mps": False}, "cpu"),
    ],
)
def test_auto_takes_the_first_there_is(machine, has, chosen):
    machine(**has)
    assert environment.find_device("auto") == torch.device(chosen)


# What torch says of a driver that is older than its CUDA, which NVML knows nothing about.
OLD_DRIVER = (
    "CUDA initialization: The NVIDIA driver on your system is too old (found version 12020). "
    "Please update your GPU driver by downloading and installing a new version from the URL: "
    "http://www.nvidia.com/Download/index.aspx (Triggered internally at ../c10/cuda/x.cpp:109.)"
)


def test_auto_takes_no_gpu_that_torch_cannot_use_and_says_why(machine):
    machine(cuda=0, seen=1, says=OLD_DRIVER)
    assert environment.find_device("auto") == torch.device("cpu")
    why = "The NVIDIA driver on your system is too old (found version 12020)"
    assert environment.unused_gpu() == f"no GPU is used: {why}"
    with pytest.raises(UserError) as raised:
        environment.find_device("cuda")
    assert str(raised.value) == (
        f"--device: this machine has no 'cuda' (torch sees 1 × cpu; {why})"
    )


def test_where_there_is_no_gpu_nothing_is_said(machine):
    machine()
    assert environment.find_device("auto") == torch.device("cpu")
    assert environment.unused_gpu() is None


@pytest.mark.parametrize(
    ("capability", "built", "runs"),
    [
        ((9, 0), BUILT, True),
        ((8, 9), BUILT, True),  # by the code for sm_86
        ((7, 5), BUILT, True),
        ((7, 0), BUILT, False),  # older than the oldest
        ((6, 1), BUILT, False),
        ((11, 0), BUILT, False),  # of another major version than sm_100 and sm_120
        ((12, 1), BUILT, True),
        ((12, 1), ["sm_90", "compute_90"], True),  # the driver compiles it
        ((8, 0), ["sm_90a", "compute_90"], False),
        ((3, 5), [], True),  # torch does not tell
    ],
)
@pytest.mark.parametrize("name", ["auto", "cuda:0"])
def test_a_gpu_that_torch_was_not_built_for_is_one_line(machine, name, capability, built, runs):
    machine(cuda=1, capability=capability, built=built)
    if runs:
        assert environment.find_device(name).type == "cuda"
        return
    with pytest.raises(UserError) as raised:
        environment.find_device(name)
    number = "".join(map(str, capability))
    assert str(raised.value).startswith(f"--device: Some GPU (sm_{number}) cannot be used: torch ")
    assert "\n" not in str(raised.value)


def test_the_architectures_of_other_makers_are_not_looked_at(machine, monkeypatch):
    machine(cuda=1, capability=(9, 4), built=["gfx90a", "gfx942"])
    monkeypatch.setattr(torch.version, "cuda", None)
    assert environment.find_device("cuda").type == "cuda"


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "cpu"])
def test_a_device_that_is_there(machine, name):
    machine(cuda=2)
    assert environment.find_device(name) == torch.device(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:2", "mps"])
def test_a_device_that_is_not(machine, name):
    machine(cuda=0 if name == "cuda" else 2)
    with pytest.raises(UserError, match=f"--device: this machine has no '{name}'"):
        environment.find_device(name)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:0", "cuda:-1", ""])
def test_a_name_that_is_none(name):
    with pytest.raises(UserError, match="--device: unknown device"):
        environment.find_device(name)


def test_a_description_can_be_stored_and_names_nobody():
    described = environment.describe(torch.device("cpu"), threads=2)
    json.dumps(described, allow_nan=False)
    assert described["torch"] == torch.__version__
    assert described["device"] == "cpu"
    assert described["device_name"] == described["cpu"] != ""
    assert not {"hostname", "user", "path"} & set(described)


class Nvml(types.ModuleType):
    """As much of pynvml as is asked; ``lacks`` are functions that this driver does not have."""

    class NVMLError(Exception):
        pass

    def __init__(self, lacks=()):
        super().__init__("pynvml")
        self.lacks, self.open = lacks, 0

    def _answer(self, name, value):
        if name in self.lacks:
            raise self.NVMLError(name)
        return value

    def nvmlInit(self):
        self._answer("init", None)
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlSystemGetDriverVersion(self):
        return self._answer("driver", "580.65.06")

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return self._answer(uuid, uuid)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):
        return self._answer("limit", 700_000)


ALL_TOLD = {"driver": "580.65.06", "power_limit_w": 700.0}


@pytest.mark.parametrize(
    ("lacks", "unknown"),
    [
        ((), ()),
        (("GPU-1234",), ()),  # a part of a GPU
        (("GPU-1234", "MIG-1234"), ("driver", "power_limit_w")),
        (("limit",), ("power_limit_w",)),
        (("driver",), ("driver",)),
        (("init",), ("driver", "power_limit_w")),
    ],
)
def test_what_nvml_tells_of_a_gpu(machine, monkeypatch, lacks, unknown):
    nvml = Nvml(lacks)
    machine(cuda=1)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: types.SimpleNamespace(uuid="1234")
    )
    described = environment.describe(torch.device("cuda:0"), threads=2)
    assert described["device_name"] == "Some GPU"
    told = {name: described[name] for name in ALL_TOLD}
    assert told == ALL_TOLD | dict.fromkeys(unknown)
    assert nvml.open == 0


def test_a_description_never_raises(machine, monkeypatch):
    """After an illegal access, say, every question to the runtime raises."""

    def fails(*_):
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    machine(cuda=1)
    for name in ("is_available", "get_device_name", "get_device_properties", "device_count"):
        monkeypatch.setattr(torch.cuda, name, fails)
    monkeypatch.setattr(torch.backends.cudnn, "version", fails)
    monkeypatch.setitem(sys.modules, "pynvml", None)  # is not installed
    environment._machine.cache_clear()
    try:
        described = environment.describe(torch.device("cuda"), threads=2)
    finally:
        environment._machine.cache_clear()
    json.dumps(described, allow_nan=False)
    assert described["device"] == "cuda"
    assert described["device_name"] is None
    assert described["cuda"] is described["cudnn"] is described["driver"] is None
    assert described["torch"] == torch.__version__


# What computes no part of a result.
OTHERS = {
    "huggingface-hub",
    "pydantic",
    "pydantic-core",
    "pyyaml",
    "pooch",
    "nvidia-ml-py",
    "typing-extensions",
}


def test_every_package_that_computes_is_described():
    """Read from the sources: what the code of any trial imports that is not ours."""
    described = environment.describe(torch.device("cpu"), threads=1)
    distributions = metadata.packages_distributions()
    starts = [one.module for one in MEASUREMENTS.values()]
    components = [path.partition(":")[0] for names in BUILT_IN.values() for path in names.values()]
    imported = set()
    for module in code_digest.closure([*starts, *components]):
        for node in ast.walk(ast.parse(code_digest._source(module))):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module)
    tops = {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names)
    used = {name for top in tops for name in distributions.get(top, ())}
    ours = {"unet-bench"}
    assert {"torch", "numpy", "scipy", "scikit-image"} <= used
    assert {name.lower().replace("_", "-") for name in used} - OTHERS - ours <= described.keys()
    assert all(described[name] for name in environment.PACKAGES)
