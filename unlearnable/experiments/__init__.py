"""The paper's tables and figures, and the project's own: one file each, all made of the lab's cells. A new one is a
file with a TABLE and a name in ``TABLES``."""

from unlearnable.experiments import (
    cost,
    curves,
    eot,
    filters,
    gray,
    length,
    main,
    methods,
    networks,
    rho_a,
    rho_u,
    shares,
    work,
)
from unlearnable.experiments.table import Table

TABLES: dict[str, Table] = {
    module.TABLE.name: module.TABLE
    for module in (main, rho_a, rho_u, shares, networks, eot, filters, gray, cost, curves, methods, length, work)
}
