"""The paper's tables and figures, and the project's own: one file each, named after the table. To
add one, write a file with a ``TABLE`` and list it below."""

from unlearnable.experiments.grid import Table
from unlearnable.experiments.tables import (
    all_methods,
    curves,
    eot,
    filters,
    gray_views,
    main_comparison,
    networks,
    protected_fraction,
    protection_vs_cost,
    rho_a,
    rho_u,
    time_cost,
    training_length,
)

TABLES: dict[str, Table] = {
    module.TABLE.name: module.TABLE
    for module in (
        main_comparison,
        rho_a,
        rho_u,
        protected_fraction,
        networks,
        eot,
        filters,
        gray_views,
        time_cost,
        curves,
        all_methods,
        training_length,
        protection_vs_cost,
    )
}
