"""Cells that tests of the compartment are made with."""

import neurojax as nj
from neurojax.channels import CortexLeak, SquidK, SquidLeak, SquidNa


def squid(**kwargs) -> nj.Cell:
    return nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}, **kwargs)


def passive(**kwargs) -> nj.Cell:
    return nj.Cell(channels={"leak": CortexLeak(g_bar=0.1, E_rev=-70.0)}, **kwargs)
