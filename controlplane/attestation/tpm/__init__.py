"""TPM 2.0 as whoever relies on one sees it: quotes, names, certificates, credentials and event logs. Pure."""
