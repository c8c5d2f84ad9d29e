"""Writing populations: NDJSON per type, a Bundle per patient, Parquet tables; atomically, resumably, with a
manifest."""
