"""ZTFM control plane: Rego decides, the control plane gathers facts, mints capabilities, records and counts."""
