"""Clinical stories as data: one TOML file per story, compiled at load. The format is described in docs/*/reference/stories.md."""
