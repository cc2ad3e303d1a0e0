"""What a cell must have before it can be run: what it lacks is told by name."""

import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import GoldmanLeak, SquidLeak, SquidNa
from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.requirements import check_single


@pytree
class Pair(Channel):
    """Carries two ions, so that no one Nernst potential is its own."""

    g_bar: Leaf = param(1.0, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = param(None, "mV", -100.0, 100.0)
    carries = {"na": 0.5, "k": 0.5}


def test_what_channels_and_electrodes_need_is_checked():
    k = nj.Ion(inside=140.0, outside=5.0)
    electrode = nj.current_clamp(np.zeros(4))

    def refused(message, electrode=electrode, **cell):
        with pytest.raises(ValueError, match=message):
            nj.simulate(nj.Cell(**cell), electrode)

    needs = r"channel 'na': SquidNa needs 'na_i', which the cell has not: give it an ion 'na'"
    refused(needs + r".*\(have: k_i, k_o\)", channels={"na": SquidNa(E_rev=None)}, ions={"k": k})
    refused(r"GoldmanLeak needs 'k_i'.*\(have: none\)", channels={"leak": GoldmanLeak()})
    refused(r"E_rev is None, but Pair carries 2 ions", channels={"p": Pair()}, ions={"k": k})
    leak = {"leak": SquidLeak()}
    refused(
        r"electrode_ion = 'na': no such ion \(have: k\)",
        channels=leak,
        ions={"k": k},
        electrode_ion="na",
    )
    unknown = electrode._replace(inputs={"k_p": 3.0})
    refused(
        r"input 'k_p' is none of the cell's; did you mean 'k_",
        unknown,
        channels=leak,
        ions={"k": k},
    )


def test_what_is_of_one_compartment_refuses_several():
    leak = {"leak": SquidLeak()}
    check_single(nj.Cell(channels=leak), "a protocol")
    with pytest.raises(ValueError, match="a protocol is of a cell with one compartment, a Cable"):
        check_single(nj.cylinder(100.0, 1.0, 3, leak), "a protocol")


@pytree
class Backwards(nj.Scheme):
    """Closes at a rate that falls below 0 where the membrane is depolarised."""

    states = ("C", "O")
    conducting = {"O": 1.0}
    g_bar: Leaf = param(1.0, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = param(0.0, "mV", -100.0, 100.0)

    def transitions(self, v, *_, **c):
        return {("C", "O"): 0.1 + 0 * v, ("O", "C"): 0.01 * (35.0 - v)}


def test_a_rate_below_zero_is_told():
    cell = nj.Cell(channels={"own": Backwards(), "leak": SquidLeak()})
    message = r"channel 'own': the rate \('O', 'C'\) of Backwards is -0.25 1/ms at 60 mV"
    with pytest.raises(ValueError, match=message):
        nj.simulate(cell, nj.current_clamp(np.zeros(4)), initial=-65.0)
