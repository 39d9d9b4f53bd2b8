"""The rates that a GPU reaches, against those of its data sheet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from bench.doctor.driver import half_format
from bench.doctor.finding import Finding, Machine, off, ok
from bench.profiling import peaks
from bench.profiling.peaks import Peaks
from bench.training.precision import Precision, float32_as

# Products of large matrices reach 65 to 90 % of a data sheet, copies 80 to 95 %.
LEAST = 0.55
# Cards of 70 W are held below their highest clock in any large product, by design.
LEAST_OF_70_W = 0.3
MEND = (
    "see the check under load, and what else is off; nvidia-smi -q tells a clock, a power limit, "
    "ECC or a MIG slice that somebody set"
)
Measure = Callable[[torch.device, Precision], Peaks]


@dataclass(frozen=True)
class Sheet:
    """Rates of a data sheet, for dense matrices (often half of the number in large print)."""

    half: float  # 10¹² operations a second in fp16 or bf16 that are summed up in fp32
    single: float  # in fp32, not TF32
    copied: float  # 10⁹ bytes of memory a second
    least: float = LEAST


# Part of torch's name of the device → its sheet; the first that fits counts.
# Copies of NVIDIA's data sheets were looked up for H100 SXM and PCIe (archive-lib.hpctech.co.jp/
# gpuproduct/nvidia-h100.html), and lists of specifications for the A100's 40 GB, T4 (sysrqmts.com),
# L4 and L40S (hmc-tech.com, fpsbench.com), RTX 4090 (waredb.com) and RTX 3090's fp32 and memory
# (gpu.spicedreamphone.com). From memory, and not looked up: the memory rates of H200, H100 NVL,
# A100 80 GB and L40S, the H100 NVL, both V100, and the RTX 3090's fp16.
SHEETS = {
    "H200": Sheet(989, 67, 4800),
    "H100 PCIe": Sheet(756, 51, 2000),
    "H100 NVL": Sheet(835, 60, 3900),
    "H100": Sheet(989, 67, 3350),  # "NVIDIA H100 80GB HBM3" is the SXM module
    "A100-SXM4-80GB": Sheet(312, 19.5, 2039),
    "A100 80GB PCIe": Sheet(312, 19.5, 1935),
    "A100": Sheet(312, 19.5, 1555),
    "V100-PCIE": Sheet(112, 14, 900),
    "V100": Sheet(125, 15.7, 900),
    "L40S": Sheet(362, 91.6, 864),
    "L4": Sheet(121, 30.3, 300, LEAST_OF_70_W),
    "T4": Sheet(65, 8.1, 320, LEAST_OF_70_W),
    "RTX 3090": Sheet(71, 35.6, 936),
    "RTX 4090": Sheet(165, 82.6, 1008),
}
OTHERS = ("MIG", "RTX 3090 Ti", "RTX 4090 D", "RTX 4090 Laptop", "T4G")  # have other rates


def sheet_of(name: str) -> Sheet | None:
    """Return the data sheet of a device by torch's name of it; None if it is none of the table."""
    if any(other in name for other in OTHERS):
        return None
    words = f" {name} ".replace("-", " ")
    fitting = (sheet for part, sheet in SHEETS.items() if f" {part.replace('-', ' ')} " in words)
    return next(fitting, None)


def reached(
    machine: Machine,
    measure: Measure = peaks.measure,
    name: Callable[[torch.device], str] = torch.cuda.get_device_name,
) -> Finding:
    """Measure large products of matrices and a large copy, and compare them with the sheet."""
    device = machine.device
    half = half_format(device)
    found: dict[str, Peaks] = {}
    formats: tuple[Precision, ...] = (half, "fp32")
    for precision in formats:
        with float32_as(precision):
            found[precision] = measure(device, precision)
    copied = max(one.bytes for one in found.values()) / 1e9
    rates = {
        half: (found[half].flops / 1e12, "TFLOP/s"),
        "fp32": (found["fp32"].flops / 1e12, "TFLOP/s"),
        "copies": (copied, "GB/s"),
    }
    numbers = {f"{what}_rate": rate for what, (rate, _) in rates.items()}
    called = name(device)
    sheet = sheet_of(called)
    if sheet is None:
        said = ", ".join(f"{what} {rate:.0f} {unit}" for what, (rate, unit) in rates.items())
        return ok(f"{said}; no data sheet of {called} is known to compare with", **numbers)
    shares = {
        what: rate / most
        for (what, (rate, _)), most in zip(
            rates.items(), (sheet.half, sheet.single, sheet.copied), strict=True
        )
    }
    said = ", ".join(
        f"{what} {rate:.0f} {unit} ({shares[what]:.0%} of the data sheet)"
        for what, (rate, unit) in rates.items()
    )
    numbers |= {f"{what}_share": share for what, share in shares.items()}
    least = {what: LEAST if what == "copies" else sheet.least for what in shares}
    if slow := [what for what, share in shares.items() if share < least[what]]:
        return off(f"{said}: too slow in {', '.join(slow)}", MEND, **numbers)
    return ok(said, **numbers)
