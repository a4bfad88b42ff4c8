"""Intel's quotes, of SGX enclaves and TDX guests (DCAP): layout, collateral, and `dcap-qvl` that verifies."""
