"""The rig between a cell and its recording: series resistance, capacitances, filter, converter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Real

from neurojax.membrane import access
from neurojax.membrane.channel import ParamInfo, check_range
from neurojax.membrane.electrode import Electrode, voltage_clamp
from neurojax.units import PA

_SETTINGS = {
    "R_s_MOhm": access.none_or(access.R_S),
    "compensation": access.COMPENSATION,
    "C_pipette_pF": access.none_or(access.C_PIP),
    "junction_mV": access.JUNCTION,
    "filter_kHz": ParamInfo(None, "kHz", 1e-3, 1e3, "log"),
    "sampling_kHz": ParamInfo(None, "kHz", 1e-3, 1e4, "log"),
    "noise_pA": ParamInfo(0.0, "pA", 0.0, 1e6, "linear"),
}


@dataclass(frozen=True)
class Rig:
    """A patch-clamp amplifier in whole-cell voltage clamp, and how it is set.

    The default is ideal. Raises ValueError for a setting that no amplifier has.
    """

    R_s_MOhm: float = 0.0  # series resistance of the pipette
    compensation: float = 0.0  # part of it that the amplifier makes up for, 0 to below 1
    C_pipette_pF: float = 0.0  # capacitance of pipette and holder, left after its compensation
    cell_capacitance_compensated: bool = False  # the membrane's own transient taken off
    junction_mV: float = 0.0  # liquid junction potential: the membrane is at command minus this
    filter_kHz: float | None = None  # corner (-3 dB) of a 4-pole Bessel low-pass
    sampling_kHz: float | None = None  # rate of the converter
    noise_pA: float = 0.0  # standard deviation, before the filter

    def __post_init__(self):
        for name, info in _SETTINGS.items():
            if (value := getattr(self, name)) is not None:
                check_range(name, value, info)

    @property
    def R_left_MOhm(self) -> float:
        """Series resistance that compensation leaves."""
        return access.left_by(self.compensation, self.R_s_MOhm)

    def at_membrane(
        self, command: Real[np.ndarray, " step *sweep"]
    ) -> Float[np.ndarray, " step *sweep"]:
        """A command as the membrane is to follow it, mV."""
        return access.membrane_side(np.asarray(command, float), self.junction_mV)

    def electrode(self, command: Real[np.ndarray, " step *sweep"]) -> Electrode:
        """What a command (mV) does to the cell."""
        return voltage_clamp(self.at_membrane(command), self.R_left_MOhm)

    def measured(
        self,
        i_ionic: Float[np.ndarray, "step sweep"],
        v: Float[np.ndarray, "step sweep"],
        command: Float[np.ndarray, "step sweep"],
        dt: float,
        *,
        area: float,
        C_m: float,
        seed: int = 0,
    ) -> tuple[Float[np.ndarray, " sample"], Float[np.ndarray, "sample sweep"]]:
        """Times (ms) and current (pA) as the rig writes them.

        i_ionic (uA/cm2) and v (mV) are those after each step of the command.
        Without a series resistance the membrane's transient has no width, and is left out.

        Raises ValueError for a sampling rate above that of the simulation.
        """
        # A sample stands at the end of its step, where the command is already that of the next.
        command = self.at_membrane(command)
        command = np.concatenate([command[1:], command[-1:]])
        jumps = np.diff(command, axis=0, prepend=command[:1])
        if self.R_left_MOhm:
            R = access.kilohms(self.R_left_MOhm)
            i = (command - v) / R
            if self.cell_capacitance_compensated:
                from scipy.signal import lfilter  # half a second to load, as it brings statistics

                decay = np.exp(-dt / (R * area * C_m))
                charging = np.asarray(lfilter([1.0], [1.0, -decay], jumps, axis=0))
                i = i - charging / R
            i = i / PA
        else:
            i = np.asarray(i_ionic, float) * (area / PA)
        i = i + access.charging(self.C_pipette_pF, jumps) / dt
        if self.noise_pA:
            i = i + np.random.default_rng(seed).normal(0.0, self.noise_pA, i.shape)
        i = self._filtered(i, dt)
        t = (np.arange(len(i)) + 1) * dt
        return self._sampled(t, dt), self._sampled(i, dt)

    def _filtered(self, i: np.ndarray, dt: float) -> np.ndarray:
        if self.filter_kHz is None or 2 * self.filter_kHz * dt >= 1:
            return i
        from scipy.signal import bessel, sosfilt, sosfilt_zi

        sos = bessel(4, self.filter_kHz, fs=1 / dt, norm="mag", output="sos")
        settled = sosfilt_zi(sos)[:, :, None] * i[:1]
        return sosfilt(sos, i, axis=0, zi=settled)[0]

    def _sampled(self, a: np.ndarray, dt: float) -> np.ndarray:
        if self.sampling_kHz is None:
            return a
        every = 1 / (self.sampling_kHz * dt)
        if every < 1 - 1e-9 or abs(every - round(every)) > 1e-6:
            raise ValueError(
                f"sampling_kHz = {self.sampling_kHz:g}: expected {1 / dt:g} kHz, that of the "
                "simulation, divided by a whole number"
            )
        return a[round(every) - 1 :: round(every)]
