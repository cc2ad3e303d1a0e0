"""How the tests check types: what is annotated `float` may be given as a whole number."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
