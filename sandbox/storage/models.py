"""Tables of the store. A row belongs to a `layer` (see `sandbox.tenants.models`); `vid` numbers versions in write order.

Index rows carry the `vid` of the live version, so a page of results is a look-up by integer key and sorting by `vid` is
sorting by time of writing. Each index table's primary key is its covering index. `param` is the small number of a (type,
parameter) pair, `system` that of a code system, `rtype` that of a resource type: `dictionary` holds them.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, SmallInteger, String, Table, Text, text

from sandbox.kernel.database import Layout
from sandbox.kernel.tables import Big, Id_C, Small, Text_C, field, key, keyed, metadata

dictionary = keyed("dictionary", key("kind", Text_C), key("name", Text_C), field("number", Integer))
Index("uq_dictionary_kind_number", dictionary.c.kind, dictionary.c.number, unique=True)

counter = keyed("counter", key("name", Text_C), field("value", Big))

secret = keyed("secret", key("name", Text_C), field("value", LargeBinary))

version = Table(
    "version",
    metadata,
    Column("vid", Big, primary_key=True, autoincrement=False),
    field("layer", Integer),
    field("rtype", Small),
    field("fid", Id_C),
    field("ver", Integer),
    field("updated", Big),
    field("method", Small),  # 1 created, 2 updated, 3 patched, 4 deleted
    field("live", Small),  # 1 for the current version of a resource that is not deleted
    field("body", LargeBinary),
    postgresql_with={"fillfactor": "90"},
)
Index("uq_version_identity", version.c.layer, version.c.rtype, version.c.fid, version.c.ver, unique=True)
Index("ix_version_changes", version.c.layer, version.c.vid, version.c.rtype)
Index(
    "ix_version_live",
    version.c.layer,
    version.c.rtype,
    version.c.vid,
    sqlite_where=text("live = 1"),
    postgresql_where=text("live = 1"),
)
Index(
    "ix_version_updated",
    version.c.layer,
    version.c.rtype,
    version.c.updated,
    sqlite_where=text("live = 1"),
    postgresql_where=text("live = 1"),
)

# Versions of the base that a Tenant's own layer hides.
shadow = keyed("shadow", key("layer", Integer), key("vid", Big))

idx_token = keyed(
    "idx_token",
    key("layer", Integer),
    key("param", Integer),
    key("code", Text_C),
    key("vid", Big),
    key("system", Integer),  # 0: none given
)
idx_text = keyed(  # what `:text` searches: displays and CodeableConcept.text, folded
    "idx_text", key("layer", Integer), key("param", Integer), key("value", Text_C), key("vid", Big)
)
idx_of_type = keyed(  # Identifier with its type, for `:of-type`
    "idx_of_type",
    key("layer", Integer),
    key("param", Integer),
    key("value", Text_C),
    key("type_code", Text_C),
    key("vid", Big),
    key("type_system", Integer),
)
idx_reference = keyed(
    "idx_reference",
    key("layer", Integer),
    key("param", Integer),
    key("target", Text_C),  # logical id within this exchange, or an absolute URL or urn
    key("target_type", Small),  # 0: not a resource of this exchange
    key("vid", Big),
)
Index("ix_idx_reference_source", idx_reference.c.layer, idx_reference.c.vid, idx_reference.c.param)
idx_date = keyed(
    "idx_date", key("layer", Integer), key("param", Integer), key("lo", Big), key("hi", Big), key("vid", Big)
)
Index("ix_idx_date_source", idx_date.c.layer, idx_date.c.vid, idx_date.c.param)
idx_string = keyed(
    "idx_string",
    key("layer", Integer),
    key("param", Integer),
    key("value", Text_C),  # folded
    key("vid", Big),
    key("exact", Text_C),
)
Index("ix_idx_string_source", idx_string.c.layer, idx_string.c.vid, idx_string.c.param)
idx_quantity = keyed(  # numbers too, with no unit
    "idx_quantity",
    key("layer", Integer),
    key("param", Integer),
    key("lo", Float(53)),
    key("hi", Float(53)),
    key("vid", Big),
    key("unit", Text_C),
    key("system", Integer),
    key("canonical", Small),  # 1: the same quantity in canonical UCUM units
)
Index("ix_idx_quantity_source", idx_quantity.c.layer, idx_quantity.c.vid, idx_quantity.c.param)
idx_uri = keyed("idx_uri", key("layer", Integer), key("param", Integer), key("value", Text_C), key("vid", Big))
idx_composite = keyed(
    "idx_composite",
    key("layer", Integer),
    key("param", Integer),
    key("code", Text_C),  # first component: token code, or type/id of a reference
    key("vid", Big),
    key("ordinal", Integer),
    field("system", Integer, "0"),
    field("code2", Text_C, ""),
    field("system2", Integer, "0"),
    field("lo2", Float(53), "0"),
    field("hi2", Float(53), "0"),
    field("lo3", Float(53), "0"),
    field("hi3", Float(53), "0"),
)
# Membership in a compartment; `date` is the resource's clinical date, so that "latest first" never leaves the index.
idx_compartment = keyed(
    "idx_compartment",
    key("layer", Integer),
    key("kind", Small),
    key("owner", Id_C),
    key("rtype", Small),
    key("vid", Big),
    key("date", Big),
)

INDEX_TABLES: tuple[Table, ...] = (
    idx_token,
    idx_text,
    idx_of_type,
    idx_reference,
    idx_date,
    idx_string,
    idx_quantity,
    idx_uri,
    idx_composite,
    idx_compartment,
)
COLUMNS: dict[str, tuple[str, ...]] = {t.name: tuple(c.name for c in t.columns) for t in (version, *INDEX_TABLES)}
COPIED: tuple[str, ...] = tuple(t.name for t in (shadow, *INDEX_TABLES))


def _layout(table: Table) -> Layout:
    """`layer` and `vid` lead in rows of index tables: see `sandbox.storage.rows.IndexRows.place`."""
    columns = list(table.columns)
    if table is not version:
        columns.sort(key=lambda column: {"layer": 0, "vid": 1}.get(column.name, 2))
    return Layout(table.name, [c.name for c in columns], [_POSTGRES[type(c.type)] for c in columns])


_POSTGRES: dict[type, str] = {
    BigInteger: "bigint",
    Integer: "integer",
    SmallInteger: "smallint",
    Float: "double precision",
    LargeBinary: "bytea",
    Text: "text",
    String: "text",
}
LAYOUTS: dict[str, Layout] = {t.name: _layout(t) for t in (version, *INDEX_TABLES)}

# Every access, in a row of a few small fields; AuditEvent resources are made from them when someone looks.
access_log = Table(
    "access_log",
    metadata,
    Column("number", Big, primary_key=True, autoincrement=False),
    field("layer", Integer),
    field("at", Big),
    field("entry", LargeBinary),
)
Index("ix_access_log_layer", access_log.c.layer, access_log.c.number)
