"""What Litestar's OpenAPI document needs to tell the truth about our wire shapes and about who may call."""

from __future__ import annotations

from typing import Any

# Litestar keeps its own plugin for msgspec structs in a private module; ours is that one plus a fact it leaves out.
from litestar._openapi.schema_generation.plugins.struct import StructSchemaPlugin
from litestar.openapi.spec import Components, Schema, SecurityScheme
from litestar.typing import FieldDefinition

BEARER = "personalToken"
COMPONENTS = Components(
    security_schemes={
        BEARER: SecurityScheme(
            type="http",
            scheme="bearer",
            description="A personal token (`gzu_...`): from `POST /api/v1/sessions`, or from the profile page.",
        )
    }
)


class StrictStructs(StructSchemaPlugin):
    """A struct that refuses unknown fields says so: `additionalProperties: false`."""

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        schema = super().to_openapi_schema(field_definition, schema_creator)
        if field_definition.annotation.__struct_config__.forbid_unknown_fields:
            schema.additional_properties = False
        return schema
