"""Simulated clinics, doctors, laboratories, pharmacies, insurers and citizens that answer inside a Tenant, by a script."""
